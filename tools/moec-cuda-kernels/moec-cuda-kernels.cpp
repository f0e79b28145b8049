//===- moec-cuda-kernels.cpp - the products of known models as PTX ---------===//
//
// Writes, for one chip, the kernels that products of well-known models need in
// each size of tile, as FOLDER/NAME.ptx, and FOLDER/kernels.json, which says how
// to launch them. test/bench/cuda_kernels.py runs them.
//
//===----------------------------------------------------------------------===//
#include "lib/codegen/PtxCode.h"
#include "lib/kernels/LaunchProgram.h"
#include "lib/kernels/cuda/HopperMatmul.h"

#include "dialects/rt/Geometry.h"
#include "mlir/IR/DialectRegistry.h"
#include "moec/Compiler.h"
#include "moec/InitAll.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace moec;
namespace cl = llvm::cl;

namespace {

cl::opt<std::string> folder(cl::Positional, cl::Required, cl::desc("FOLDER"));
cl::opt<std::string> only("only", cl::desc("models with this in their name"));
cl::opt<std::string> chipName("chip", cl::desc("sm_80 or sm_90a"), cl::init("sm_80"));

/// A product as a model has it.
struct Product {
  const char *model, *name;
  int64_t groups, topK, n, k;
  /// Of the experts' first product, whose rows are gathered.
  bool isGated;
};

constexpr Product kProducts[] = {
    {"mixtral-8x7b", "gate_up", 8, 2, 2 * 14336, 4096, true},
    {"mixtral-8x7b", "down", 8, 2, 4096, 14336, false},
    {"mixtral-8x7b", "query", 1, 0, 4096, 4096, false},
    {"qwen3-30b-a3b", "gate_up", 128, 8, 2 * 768, 2048, true},
    {"qwen3-30b-a3b", "down", 128, 8, 2048, 768, false},
    {"qwen3-30b-a3b", "query", 1, 0, 4096, 2048, false},
    {"deepseek-v3", "gate_up", 256, 8, 2 * 2048, 7168, true},
    {"deepseek-v3", "down", 256, 8, 7168, 2048, false},
};

struct Operands {
  const char *name;
  WeightType weights;
  /// Of x and y.
  bool isBf16;
  int64_t block;
};

constexpr Operands kOperands[] = {
    {"bf16", WeightType::bf16, true, 0},
    {"int8", WeightType::int8, true, 128},
    {"int4", WeightType::int4, true, 32},
    {"f32", WeightType::f32, false, 0},
};

constexpr std::pair<const char *, cuda::TileSize> kSizes[] = {
    {"few", cuda::TileSize::few}, {"some", cuda::TileSize::some}, {"many", cuda::TileSize::many}};

cuda::Matmul matmulOf(MLIRContext &context, const Product &product, const Operands &operands,
                      cuda::TileSize size) {
  Builder b(&context);
  Type element = operands.isBf16 ? Type(b.getBF16Type()) : Type(b.getF32Type());
  cuda::Matmul matmul{.layout = {.groups = product.groups,
                                 .n = product.n,
                                 .k = product.k,
                                 .width = cuda::kPanel,
                                 .gate = product.isGated ? GateRows::halves : GateRows::none,
                                 .element = operands.weights,
                                 .together = cuda::Matmul::columnsOfWord(operands.weights),
                                 .block = operands.block},
                      .x = element,
                      .y = element,
                      .scales = WeightType::bf16};
  matmul.hasOffsets = product.topK != 0;
  matmul.hasRows = product.isGated;
  if (product.isGated) {
    matmul.rowDivisor = product.topK;
    matmul.activation =
        moe::ActivationAttr::get(&context, moe::Function::silu, moe::Gate::halves,
                                 llvm::APFloat(1.0), llvm::APFloat(0.0), moe::highest());
  }
  matmul.tile = matmul.tileOf(size);
  return matmul;
}

/// The kernel alone, lowered to the LLVM dialect.
OwningOpRef<ModuleOp> lower(MLIRContext &context, const cuda::Matmul &matmul) {
  OwningOpRef<ModuleOp> module = launchProgram(
      context,
      [&](OpBuilder &builder) {
        cuda::declareSharedMemory(builder, builder.getUnknownLoc());
        func::FuncOp variant;
        if (chipName == "sm_90a")
          variant = matmul.buildForHopper(builder);
        return variant ? variant : matmul.build(builder);
      },
      matmul.hasRows ? 1 : 0,
      [&](OpBuilder &builder, Value rows) {
        return matmul.grid(builder, builder.getUnknownLoc(), rows);
      });
  CompileOptions options;
  options.target = "cuda";
  options.chip = chipName;
  if (failed(lowerToLlvm(*module, options)))
    return {};
  return module;
}

llvm::json::Object describe(const Product &product, const Operands &operands,
                            const cuda::Matmul &matmul, const rt::Geometry &geometry,
                            llvm::StringRef size, llvm::StringRef file) {
  const PackedLayout &layout = matmul.layout;
  // The grid is that of the kernel for all chips. Blocks beyond those that have
  // work, which are counted in tiles of tokens by parts of the matrix, end at once.
  int64_t tokens = matmul.tile.tokens;
  int64_t parts = layout.panels() * cuda::kHalf / matmul.tile.rowsOfHalf();
  bool isHopper = chipName == "sm_90a" && cuda::hasHopperKernel(matmul);
  return llvm::json::Object{
      {"model", product.model},
      {"product", product.name},
      {"operands", operands.name},
      {"size", size.str()},
      {"file", file.str()},
      {"entry", matmul.name()},
      {"groups", layout.groups},
      {"top_k", product.topK},
      {"n", layout.n},
      {"k", layout.k},
      {"gated", layout.isGated()},
      {"columns", layout.resultColumns()},
      {"block", layout.block},
      {"blocks", layout.blocks()},
      {"panels", layout.panels()},
      {"words", layout.words()},
      {"threads", geometry.threads},
      {"shared", geometry.shared},
      {"grid_tokens", tokens},
      {"grid_parts", parts},
      {"tokens", isHopper ? cuda::kHopperTokens : tokens},
      {"parts", isHopper ? llvm::divideCeil(layout.panels(), cuda::kHopperPanels) : parts}};
}

llvm::Error writeText(llvm::StringRef name, llvm::StringRef text) {
  llvm::SmallString<128> path(folder);
  llvm::sys::path::append(path, name);
  return llvm::writeToOutput(path, [&](llvm::raw_ostream &stream) {
    stream << text;
    return llvm::Error::success();
  });
}

llvm::Expected<llvm::json::Value> writeKernels(MLIRContext &context) {
  std::optional<CudaChip> chip = parseCudaChip(chipName);
  if (!chip)
    return llvm::createStringError("no chip is called '" + chipName + "'");
  llvm::json::Array list;
  for (const Product &product : kProducts) {
    if (!llvm::StringRef(product.model).contains(only))
      continue;
    for (const Operands &operands : kOperands)
      for (auto [size, tile] : kSizes) {
        cuda::Matmul matmul = matmulOf(context, product, operands, tile);
        OwningOpRef<ModuleOp> module = lower(context, matmul);
        FailureOr<std::string> ptx = module ? emitPtx(*module, *chip) : FailureOr<std::string>();
        if (failed(ptx))
          return llvm::createStringError(matmul.name() + " does not compile");
        std::string file =
            llvm::formatv("{0}.{1}.{2}.{3}.ptx", product.model, product.name, operands.name, size);
        if (llvm::Error error = writeText(file, *ptx))
          return error;
        list.push_back(describe(product, operands, matmul,
                                rt::Geometry(module->lookupSymbol(matmul.name())), size, file));
      }
  }
  return llvm::json::Object{{"chip", chip->name}, {"kernels", std::move(list)}};
}

} // namespace

int main(int argc, char **argv) {
  llvm::InitLLVM initLlvm(argc, argv);
  cl::ParseCommandLineOptions(argc, argv, "writes kernels of known models as PTX\n");
  DialectRegistry registry;
  registerAllDialects(registry);
  MLIRContext context(registry);
  context.loadAllAvailableDialects();
  llvm::ExitOnError exitOnError("moec-cuda-kernels: ");
  exitOnError(llvm::errorCodeToError(llvm::sys::fs::create_directories(folder)));
  llvm::json::Value kernels = exitOnError(writeKernels(context));
  exitOnError(writeText("kernels.json", llvm::formatv("{0:2}\n", kernels).str()));
  return 0;
}
