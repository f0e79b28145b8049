//===- moec-kernel-bench.cpp - how fast generated kernels are --------------===//
//
// Times one thread in CPU seconds: another process on the core does not count.
//
//===----------------------------------------------------------------------===//
#include "lib/kernels/LaunchProgram.h"
#include "lib/kernels/cpu/Matmul.h"
#include "lib/kernels/cpu/QuantizeRows.h"
#include "lib/weights/Quantize.h"

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
  explicit HugeArray(size_t size) : bytes(llvm::alignTo(size, kPage) + kPage) {
    memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(memory, bytes, MADV_HUGEPAGE);
    data = reinterpret_cast<char *>(llvm::alignTo(reinterpret_cast<uintptr_t>(memory), kPage));
    // Bytes that are small numbers in every type: speed does not depend on them.
    std::fill_n(data, size, 0x2c);
  }
  HugeArray(const HugeArray &) = delete;
  ~HugeArray() { munmap(memory, bytes); }
  char *data;

private:
  static constexpr size_t kPage = 2 << 20;
  size_t bytes;
  void *memory;
};

/// What is multiplied.
struct Operands {
  WeightType weights;
  Rows rows;
};

/// Bytes of a row of x as kernels take it, without scales.
int64_t rowBytes(int64_t k, Rows rows) {
  return rows == Rows::f32 ? 4 * k : rows == Rows::bf16 ? 2 * k : llvm::alignTo(k, 16);
}

class CompiledMatmul {
public:
  CompiledMatmul(MLIRContext &context, const Matmul &given, const Operands &operands,
                 const std::string &chipName)
      : matmul(given) {
    Chip chip = *parseChip(chipName);
    PackedLayout &layout = matmul.layout;
    matmul.x = operands.rows;
    layout.element = operands.weights;
    layout.width = matmulTile(chip, matmul.x).width();
    layout.inWords();
    if (isInteger(layout.element)) {
      layout.block = quantisationOf(layout.element).block;
      matmul.scales = quantisationOf(layout.element).scale;
    }
    unsigned rows = !matmul.hasRows ? 0 : matmul.x == Rows::int8 ? 3 : 1;
    auto program = launchProgram(
        context, [&](OpBuilder &builder) { return matmul.build(builder, chip); }, rows,
        [&](OpBuilder &builder, Value count) {
          return matmul.grid(builder, builder.getUnknownLoc(), count);
        });
    CompileOptions options;
    options.chip = chipName;
    model = compileInProcess(*program, options);
    weights = allocate(layout);
    scales = allocate(layout.perBlock(matmul.scales));
  }

  /// Indices of a grouped product's grid, without those of rows in no group.
  int64_t groupedGrid() const { return matmul.layout.groups * matmul.layout.panels(); }

  void run(char *x, int64_t xRows, int32_t *rows, int32_t *offsets, char *y, int64_t yRows,
           int64_t grid) const {
    int32_t status = 0;
    const PackedLayout &layout = matmul.layout;
    std::vector<uint64_t> arguments;
    auto push = [&](auto *pointer) { arguments.push_back(reinterpret_cast<uint64_t>(pointer)); };
    push(&status);
    auto pushRows = [&](char *data, int64_t count, int64_t columns) {
      push(data);
      arguments.insert(arguments.end(), {uint64_t(count), uint64_t(columns)});
    };
    if (matmul.x == Rows::int8) {
      QuantizeRows spec{layout.k, matmul.block()};
      // Scales and sums are read from what follows the rows.
      char *after = x + xRows * spec.paddedColumns();
      pushRows(x, xRows, spec.paddedColumns());
      pushRows(after, xRows, spec.blocks());
      pushRows(after + 4 * xRows * spec.blocks(), xRows, spec.blocks());
    } else {
      pushRows(x, xRows, layout.k);
    }
    if (matmul.hasRows) {
      push(rows);
      arguments.push_back(yRows);
    }
    if (matmul.hasOffsets)
      push(offsets);
    push(weights->data);
    if (isInteger(layout.element))
      push(scales->data);
    pushRows(y, yRows, layout.resultColumns());
    model->module()->kernels[0](arguments.data(), 0, grid);
  }

private:
  static std::unique_ptr<HugeArray> allocate(const PackedLayout &layout) {
    return std::make_unique<HugeArray>(layout.groups * layout.panels() * layout.panelBytes());
  }

  Matmul matmul;
  std::unique_ptr<CompiledModel> model;
  std::unique_ptr<HugeArray> weights, scales;
};

void print(llvm::StringRef name, int64_t rows, double seconds, double flops, double bytes) {
  llvm::outs() << llvm::left_justify(name, 36)
               << llvm::format("%6ld rows %10.3f ms %8.1f GF/s %7.1f GB/s of weights\n",
                               static_cast<long>(rows), seconds * 1e3, flops / seconds / 1e9,
                               bytes / seconds / 1e9);
}

std::string title(llvm::StringRef what, const Operands &operands) {
  const char *rows[] = {"f32", "bf16", "int8"};
  return (what + " " + nameOf(operands.weights) + " x " + rows[static_cast<int>(operands.rows)])
      .str();
}

void benchDense(MLIRContext &context, const std::string &chip, const Operands &operands,
                ArrayRef<int64_t> counts) {
  constexpr int64_t kN = 7168, kK = 1024;
  CompiledMatmul matmul(context, {.layout = {.n = kN, .k = kK}}, operands, chip);
  for (int64_t rows : counts) {
    HugeArray x(2 * rows * rowBytes(kK, operands.rows)), y(4 * rows * kN);
    int64_t grid =
        kN / matmulTile(*parseChip(chip), operands.rows).width() * llvm::divideCeil(rows, 96);
    double seconds =
        median([&] { matmul.run(x.data, rows, nullptr, nullptr, y.data, rows, grid); });
    print(title("dense", operands), rows, seconds, 2.0 * rows * kN * kK,
          bitsOf(operands.weights) / 8.0 * kN * kK);
  }
}

/// Both products of the experts of a Mixture-of-Experts block.
void benchExperts(MLIRContext &context, const std::string &chip, const Operands &operands,
                  ArrayRef<int64_t> counts) {
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
  CompiledMatmul first(context, in, operands, chip), second(context, out, operands, chip);
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
    HugeArray x(2 * tokens * rowBytes(kHidden, operands.rows)), y(4 * slots * kHidden);
    // Activations are read as rows of the operands' type; making those of what
    // the first product writes is not timed.
    HugeArray a(8 * slots * kInner);
    double seconds = median([&] {
      first.run(x.data, tokens, rows.data(), offsets.data(), a.data, slots, first.groupedGrid());
      second.run(a.data, slots, nullptr, offsets.data(), y.data, slots, second.groupedGrid());
    });
    double products = 3.0 * kHidden * kInner;
    print(title("experts", operands), tokens, seconds, 2 * slots * products,
          bitsOf(operands.weights) / 8.0 * used * products);
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
  llvm::cl::list<std::string> weights("weights", llvm::cl::desc("f32, f16, bf16, int8, int4"),
                                      llvm::cl::CommaSeparated, llvm::cl::cat(category));
  llvm::cl::opt<std::string> activations(
      "activations", llvm::cl::desc("f32, bf16 (by weights of bf16), int8 (by those of integers)"),
      llvm::cl::init("f32"), llvm::cl::cat(category));
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
  std::vector<std::string> types(weights.begin(), weights.end());
  if (types.empty())
    types = {"f32"};
  for (const std::string &type : types)
    if (!llvm::is_contained({"f32", "f16", "bf16", "int8", "int4"}, type)) {
      llvm::errs() << "no weights are of type '" << type << "'\n";
      return 2;
    }
  for (const std::string &type : types) {
    Operands operands{weightTypeOf(type), Rows::f32};
    if (activations == "bf16" && operands.weights == WeightType::bf16)
      operands.rows = Rows::bf16;
    if (activations == "int8" && isInteger(operands.weights))
      operands.rows = Rows::int8;
    benchDense(context, chip, operands, counts);
    benchExperts(context, chip, operands, counts);
  }
  benchAttention(context, chip);
  benchNorm(context, chip);
  return 0;
}
