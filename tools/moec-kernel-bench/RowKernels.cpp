#include "tools/moec-kernel-bench/RowKernels.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "moec/Compiler.h"
#include "tools/moec-kernel-bench/Measure.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace moec {
namespace {

std::unique_ptr<CompiledModel> compile(MLIRContext &context, const std::string &source,
                                       const std::string &chip) {
  auto module = parseSourceString<ModuleOp>(source, &context);
  CompileOptions options;
  options.chip = chip;
  return compileInProcess(*module, options);
}

/// The words that a kernel reads its arguments from.
class Arguments {
public:
  Arguments() { pointer(&status); }
  void pointer(const void *value) { words.push_back(reinterpret_cast<uint64_t>(value)); }
  void numbers(std::initializer_list<int64_t> values) {
    words.insert(words.end(), values.begin(), values.end());
  }
  void run(const CompiledModel &model, int64_t grid) {
    model.module()->kernels[0](words.data(), 0, grid);
  }

private:
  int32_t status = 0;
  std::vector<uint64_t> words;
};

/// One row of the batch, a causal attention of the last `queries` of `keys`.
class AttentionBench {
public:
  static constexpr int64_t kHeads = 32, kKvHeads = 8, kDepth = 128;

  AttentionBench(MLIRContext &context, const std::string &chip, const char *type)
      : type(type), bytes(type == std::string("f32") ? 4 : 2),
        model(compile(context, source(), chip)) {}

  void run(int64_t queries, int64_t keys) {
    std::vector<char> q(queries * kHeads * kDepth * bytes, 0x3c), y(q.size());
    std::vector<char> k(keys * kKvHeads * kDepth * bytes, 0x3c), v(k.size(), 0x3c);
    int64_t length = keys, offset = keys - queries;
    Arguments arguments;
    auto rows = [&](const std::vector<char> &data) {
      arguments.pointer(data.data());
      arguments.numbers({1, queries, queries * kHeads * kDepth, kHeads * kDepth, kDepth});
    };
    auto cache = [&](const std::vector<char> &data) {
      arguments.pointer(data.data());
      arguments.numbers({1, keys, keys * kKvHeads * kDepth, keys * kDepth, kDepth});
    };
    rows(q);
    cache(k);
    cache(v);
    for (int64_t *number : {&length, &offset}) {
      arguments.pointer(number);
      arguments.numbers({1});
    }
    rows(y);
    int64_t blocks = llvm::divideCeil(queries * kHeads / kKvHeads, 64);
    double seconds = median([&] { arguments.run(*model, kKvHeads * blocks); });
    double visible = queries * (offset + (queries + 1) / 2.0);
    llvm::outs() << llvm::formatv("attention {0} 32/8x128", type)
                 << llvm::format(
                        " %5ld queries %6ld keys %10.3f ms %8.1f GF/s %7.1f GB/s of K, V\n",
                        static_cast<long>(queries), static_cast<long>(keys), seconds * 1e3,
                        4.0 * visible * kHeads * kDepth / seconds / 1e9,
                        (k.size() + v.size()) / seconds / 1e9);
  }

private:
  std::string source() const {
    std::string q = llvm::formatv("tensor<?x?x{0}x{1}x{2}>", kHeads, kDepth, type);
    std::string k = llvm::formatv("tensor<?x{0}x?x{1}x{2}>", kKvHeads, kDepth, type);
    return llvm::formatv(R"mlir(
      func.func @main(%q: {0}, %k: {1}, %v: {1}, %n: tensor<?xi64>, %p: tensor<?xi64>) -> {0} {{
        %y = attn.attention %q, %k, %v kv_lengths(%n : tensor<?xi64>) q_offsets(%p : tensor<?xi64>)
             {{scale = 0.088 : f64, right = 0} : {0}, {1}, {1} -> {0}
        return %y : {0}
      })mlir",
                         q, k);
  }

  const char *type;
  int64_t bytes;
  std::unique_ptr<CompiledModel> model;
};

} // namespace

void benchAttention(MLIRContext &context, const std::string &chip) {
  for (const char *type : {"f32", "bf16", "f16"}) {
    AttentionBench bench(context, chip, type);
    for (auto [queries, keys] : {std::pair(1, 1024), std::pair(1, 16384), std::pair(128, 128),
                                 std::pair(512, 512), std::pair(512, 4096)})
      bench.run(queries, keys);
  }
}

void benchNorm(MLIRContext &context, const std::string &chip) {
  constexpr int64_t kWidth = 4096;
  auto model = compile(context, R"mlir(
    func.func @main(%x: tensor<?x4096xf32>, %scale: tensor<4096xf32>) -> tensor<?x4096xf32> {
      %y = attn.rms_norm %x, %scale {axis = 1, epsilon = 1.0e-6 : f64} : tensor<?x4096xf32>, tensor<4096xf32> -> tensor<?x4096xf32>
      return %y : tensor<?x4096xf32>
    })mlir",
                       chip);
  for (int64_t rows : {1, 16, 4096}) {
    std::vector<float> x(rows * kWidth, 0.01f), scale(kWidth, 1.0f), y(x);
    Arguments arguments;
    arguments.pointer(x.data());
    arguments.numbers({rows, kWidth});
    arguments.pointer(scale.data());
    arguments.pointer(y.data());
    arguments.numbers({rows, kWidth});
    double seconds = median([&] { arguments.run(*model, rows); });
    llvm::outs() << llvm::format("rms_norm f32 4096 %6ld rows %10.3f ms %7.1f GB/s\n",
                                 static_cast<long>(rows), seconds * 1e3,
                                 2 * sizeof(float) * x.size() / seconds / 1e9);
  }
}

} // namespace moec
