//===- moec-kernel-bench.cpp - how fast generated kernels are --------------===//
//
// Times one thread in CPU seconds: another process on the core does not count.
//
//===----------------------------------------------------------------------===//
#include "lib/kernels/cpu/LaunchProgram.h"
#include "lib/kernels/cpu/Matmul.h"

#include "mlir/IR/DialectRegistry.h"
#include "moec/Compiler.h"
#include "moec/InitAll.h"
#include "tools/moec-kernel-bench/Measure.h"
#include "tools/moec-kernel-bench/RowKernels.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/InitLLVM.h"
#include <algorithm>
#include <random>
#include <sys/mman.h>

using namespace mlir;
using namespace moec;

namespace {

/// Memory in huge pages, where the system has them.
class HugeArray {
public:
  explicit HugeArray(size_t count) : bytes(llvm::alignTo(count * sizeof(float), kPage) + kPage) {
    memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(memory, bytes, MADV_HUGEPAGE);
    data = reinterpret_cast<float *>(llvm::alignTo(reinterpret_cast<uintptr_t>(memory), kPage));
    // Equal but not trivial values: speed does not depend on them.
    std::fill_n(data, count, 0.01f);
  }
  HugeArray(const HugeArray &) = delete;
  ~HugeArray() { munmap(memory, bytes); }
  float *data;

private:
  static constexpr size_t kPage = 2 << 20;
  size_t bytes;
  void *memory;
};

class CompiledMatmul {
public:
  CompiledMatmul(MLIRContext &context, const Matmul &matmul, const std::string &chipName)
      : matmul(matmul) {
    Chip chip = *parseChip(chipName);
    this->matmul.layout.width = matmulTile(chip).width();
    auto program = launchProgram(
        context, [&](OpBuilder &builder) { return this->matmul.build(builder, chip); },
        matmul.hasRows ? 1 : 0,
        [&](OpBuilder &builder, Value rows) {
          return this->matmul.grid(builder, builder.getUnknownLoc(), rows);
        });
    CompileOptions options;
    options.chip = chipName;
    model = compileInProcess(*program, options);
    auto shape = this->matmul.layout.shape();
    weights = std::make_unique<HugeArray>(shape[0] * shape[1] * shape[2] * shape[3]);
  }

  /// Indices of a grouped product's grid, without those of rows in no group.
  int64_t groupedGrid() const { return matmul.layout.groups * matmul.layout.panels(); }

  void run(float *x, int64_t xRows, int32_t *rows, int32_t *offsets, float *y, int64_t yRows,
           int64_t grid) const {
    int32_t status = 0;
    std::vector<uint64_t> arguments;
    auto push = [&](auto *pointer) { arguments.push_back(reinterpret_cast<uint64_t>(pointer)); };
    push(&status);
    auto pushRows = [&](float *data, int64_t count, int64_t columns) {
      push(data);
      arguments.insert(arguments.end(), {uint64_t(count), uint64_t(columns)});
    };
    pushRows(x, xRows, matmul.layout.k);
    if (matmul.hasRows) {
      push(rows);
      arguments.push_back(yRows);
    }
    if (matmul.hasOffsets)
      push(offsets);
    push(weights->data);
    pushRows(y, yRows, matmul.layout.resultColumns());
    model->module()->kernels[0](arguments.data(), 0, grid);
  }

private:
  Matmul matmul;
  std::unique_ptr<CompiledModel> model;
  std::unique_ptr<HugeArray> weights;
};

void print(llvm::StringRef name, int64_t rows, double seconds, double flops, double bytes) {
  llvm::outs() << llvm::left_justify(name, 24)
               << llvm::format("%6ld rows %10.3f ms %8.1f GF/s %7.1f GB/s of weights\n",
                               static_cast<long>(rows), seconds * 1e3, flops / seconds / 1e9,
                               bytes / seconds / 1e9);
}

void benchDense(MLIRContext &context, const std::string &chip, ArrayRef<int64_t> counts) {
  constexpr int64_t kN = 7168, kK = 1024;
  CompiledMatmul matmul(context, {.layout = {.n = kN, .k = kK}}, chip);
  for (int64_t rows : counts) {
    HugeArray x(rows * kK), y(rows * kN);
    int64_t grid = kN / matmulTile(*parseChip(chip)).width() * llvm::divideCeil(rows, 96);
    double seconds =
        median([&] { matmul.run(x.data, rows, nullptr, nullptr, y.data, rows, grid); });
    print("dense 7168x1024", rows, seconds, 2.0 * rows * kN * kK, sizeof(float) * kN * kK);
  }
}

/// Both products of the experts of a Mixture-of-Experts block.
void benchExperts(MLIRContext &context, const std::string &chip, ArrayRef<int64_t> counts) {
  constexpr int64_t kExperts = 8, kHidden = 1024, kInner = 3584, kTopK = 2;
  context.loadDialect<moe::MoeDialect>();
  auto swiglu = moe::ActivationAttr::get(&context, moe::Function::silu, moe::Gate::halves,
                                         llvm::APFloat(1.0), llvm::APFloat(0.0), moe::highest());
  Matmul in{.layout = {.groups = kExperts, .n = 2 * kInner, .k = kHidden, .gate = GateRows::halves},
            .hasRows = true,
            .rowDivisor = kTopK,
            .hasOffsets = true,
            .activation = swiglu};
  Matmul out{.layout = {.groups = kExperts, .n = kHidden, .k = kInner}, .hasOffsets = true};
  CompiledMatmul first(context, in, chip), second(context, out, chip);
  std::mt19937 random(1);
  for (int64_t tokens : counts) {
    int64_t slots = tokens * kTopK;
    std::vector<std::vector<int32_t>> sorted(kExperts);
    for (int64_t t = 0; t < tokens; ++t) {
      int64_t expert = random() % kExperts;
      sorted[expert].push_back(t * kTopK);
      sorted[(expert + 1 + random() % (kExperts - 1)) % kExperts].push_back(t * kTopK + 1);
    }
    std::vector<int32_t> rows, offsets{0};
    int64_t used = 0;
    for (const auto &list : sorted) {
      rows.insert(rows.end(), list.begin(), list.end());
      offsets.push_back(rows.size());
      used += !list.empty();
    }
    HugeArray x(tokens * kHidden), a(slots * kInner), y(slots * kHidden);
    double seconds = median([&] {
      first.run(x.data, tokens, rows.data(), offsets.data(), a.data, slots, first.groupedGrid());
      second.run(a.data, slots, nullptr, offsets.data(), y.data, slots, second.groupedGrid());
    });
    double products = 3.0 * kHidden * kInner;
    print("experts 8x1024x3584 top2", tokens, seconds, 2 * slots * products,
          sizeof(float) * used * products);
  }
}

} // namespace

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  llvm::cl::OptionCategory category("moec-kernel-bench");
  llvm::cl::opt<std::string> chip("chip", llvm::cl::desc("native, x86-64-v3, ..."),
                                  llvm::cl::init("native"), llvm::cl::cat(category));
  llvm::cl::list<int64_t> rows("rows", llvm::cl::desc("numbers of rows or tokens"),
                               llvm::cl::CommaSeparated, llvm::cl::cat(category));
  llvm::cl::HideUnrelatedOptions(category);
  llvm::cl::ParseCommandLineOptions(argc, argv, "times generated kernels, one thread\n");
  if (!parseChip(chip)) {
    llvm::errs() << "no chip is called '" << chip << "'\n";
    return 2;
  }
  DialectRegistry registry;
  registerAllDialects(registry);
  MLIRContext context(registry);
  context.loadAllAvailableDialects();
  std::vector<int64_t> counts(rows.begin(), rows.end());
  if (counts.empty())
    counts = {1, 4, 16, 32, 256};
  benchDense(context, chip, counts);
  benchExperts(context, chip, counts);
  benchAttention(context, chip);
  benchNorm(context, chip);
  return 0;
}
