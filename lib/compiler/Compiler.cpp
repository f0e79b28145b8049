#include "moec/Compiler.h"

#include "dialects/rt/RtDialect.h"
#include "lib/codegen/CubinCode.h"
#include "lib/codegen/Jit.h"
#include "lib/codegen/Metadata.h"
#include "lib/codegen/ObjectCode.h"
#include "lib/codegen/PtxCode.h"
#include "lib/compiler/EvaluateWeights.h"
#include "lib/kernels/cpu/Chip.h"
#include "lib/weights/WeightsFile.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Passes.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/Path.h"

using namespace mlir;

namespace moec {
namespace {

struct Stage {
  const char *name;
  void (*build)(OpPassManager &, const Target &);
};

/// The compiler, in order.
constexpr Stage kStages[] = {
    {"raise", [](OpPassManager &pm, const Target &) { buildRaisePipeline(pm); }},
    {"fuse", buildFusePipeline},
    {"plan", buildPlanPipeline},
    {"emit", buildEmitPipeline},
};

/// Weights are evaluated while they are tensors, before kernels are selected that
/// pack them.
constexpr StringRef kEvaluatedAfter = "raise";

LogicalResult dump(ModuleOp module, StringRef folder, size_t number, StringRef stage) {
  SmallString<128> path(folder);
  llvm::sys::path::append(path, std::to_string(number) + "-" + stage.str() + ".mlir");
  std::error_code created = llvm::sys::fs::create_directories(folder);
  llvm::Error error = created ? llvm::errorCodeToError(created)
                              : llvm::writeToOutput(path, [&](llvm::raw_ostream &stream) {
                                  stream << module << '\n';
                                  return llvm::Error::success();
                                });
  if (error)
    return module.emitError("cannot write ") << path << ": " << llvm::toString(std::move(error));
  return success();
}

LogicalResult checkTarget(ModuleOp module, const CompileOptions &options) {
  bool isCpu = options.target == "cpu";
  if (!isCpu && options.target != "cuda")
    return module.emitError("no target is called '") << options.target << "'";
  if (isCpu ? !parseChip(options.chip) : !parseCudaChip(options.chip))
    return module.emitError("no chip is called '") << options.chip << "'";
  if (!isCpu && options.activations == "int8")
    return module.emitError("target '") << options.target << "' has no kernels for rows of int8";
  return success();
}

} // namespace

llvm::json::Object describeOperands(const CompileOptions &options) {
  StringRef activations = options.activations;
  return llvm::json::Object{
      {"weights", options.weights},
      {"activations", activations.empty() ? "as the model permits" : activations}};
}

LogicalResult lowerToLlvm(ModuleOp module, const CompileOptions &options,
                          const StageObserver &observe, EvaluatedWeights *evaluated) {
  if (failed(checkTarget(module, options)))
    return failure();
  stateContribSemantics(module, options.contribSemantics);
  for (auto [number, stage] : llvm::enumerate(kStages)) {
    PassManager pm(module.getContext());
    // A stage is verified as a whole; moec-opt verifies after every pass.
    pm.enableVerifier(false);
    stage.build(pm, {options.target, options.chip, options.weights, options.activations});
    if (failed(pm.run(module)) || failed(verify(module)))
      return failure();
    if (!options.dumpIrFolder.empty() &&
        failed(dump(module, options.dumpIrFolder, number + 1, stage.name)))
      return failure();
    if (observe)
      observe(stage.name, module);
    if (evaluated && stage.name == kEvaluatedAfter && failed(evaluated->evaluate(module, options)))
      return failure();
  }
  return success();
}

namespace {

/// The artifact's part for a device, and the metadata's list of what is in it.
class DeviceCode {
public:
  /// `geometry` is that of the kernels in it.
  void add(StringRef chip, StringRef kind, const llvm::json::Array &geometry, StringRef bytes) {
    list.push_back(llvm::json::Object{{"chip", chip.str()},
                                      {"kind", kind.str()},
                                      {"geometry", llvm::json::Array(geometry)},
                                      {"offset", static_cast<int64_t>(part.size())},
                                      {"length", static_cast<int64_t>(bytes.size())}});
    // A cubin may be used where it lies.
    constexpr size_t kAlignment = 64;
    part += bytes;
    part.resize(llvm::alignTo(part.size(), kAlignment));
  }

  std::string part;
  llvm::json::Array list;
};

/// Adds machine code for a chip, if there is an assembler for it.
void addCubin(ModuleOp module, StringRef ptx, StringRef chip, const llvm::json::Array &geometry,
              const Progress &progress, DeviceCode &code) {
  std::optional<std::string> ptxas = findPtxas();
  if (!ptxas)
    return;
  if (progress)
    progress(("assembling for " + chip).str(), 0, 0);
  llvm::Expected<std::string> cubin = assembleCubin(*ptxas, ptx, chip);
  if (cubin)
    code.add(chip, "cubin", geometry, *cubin);
  else
    module.emitWarning("no machine code for ")
        << chip << ", which the driver will make of PTX: " << llvm::toString(cubin.takeError());
}

/// Compiles the kernels for a device, takes them out of the module, and says in
/// the metadata what and where they are.
LogicalResult compileKernels(ModuleOp module, const CudaChip &chip, bool withCubin,
                             CompiledCode &code, llvm::json::Object &metadata,
                             const Progress &progress) {
  DeviceCode device;
  for (const CudaChip &each : chipsOfArtifact(chip)) {
    FailureOr<std::string> ptx = emitPtx(module, each);
    if (failed(ptx))
      return failure();
    llvm::json::Array geometry = describeGeometry(module, each);
    if (withCubin)
      addCubin(module, *ptx, each.name, geometry, progress, device);
    device.add(each.name, "ptx", geometry, *ptx);
  }
  code.deviceCode = std::move(device.part);
  metadata["device_code"] = std::move(device.list);
  for (Operation &op : llvm::make_early_inc_range(*module.getBody()))
    if (isDeviceCode(op))
      op.erase();
  return success();
}

/// Writes the weights and describes them in the metadata.
LogicalResult storeWeights(ModuleOp module, StringRef modelPath, StringRef path,
                           llvm::json::Object &metadata, const Progress &progress) {
  FailureOr<std::vector<WeightSpec>> weights = takeWeights(module);
  if (failed(weights))
    return failure();
  llvm::Expected<llvm::json::Object> written =
      writeWeights(*weights, modelPath, path, [&](uint64_t done, uint64_t all) {
        if (progress)
          progress("writing weights", done, all);
      });
  if (!written)
    return module.emitError() << llvm::toString(written.takeError());
  if (auto file = metadata.find("weights_file"); file != metadata.end()) {
    (*written)["file"] = std::move(file->second);
    metadata.erase(file);
  }
  metadata["weights"] = std::move(*written);
  return success();
}

} // namespace

FailureOr<CompiledCode> compileToObject(ModuleOp module, const CompileOptions &options,
                                        StringRef weightsPath, StringRef prefix,
                                        llvm::json::Object metadata, const Progress &progress) {
  if (failed(checkTarget(module, options)))
    return failure();
  bool isCpu = options.target == "cpu";
  Chip chip = isCpu ? *parseChip(options.chip) : anyChip();
  for (auto &[member, value] : describeModule(module))
    metadata[member] = std::move(value);
  metadata["target"] = options.target;
  metadata["operands"] = describeOperands(options);
  if (failed(storeWeights(module, options.modelPath, weightsPath, metadata, progress)))
    return failure();
  if (progress)
    progress(kGeneratingCode, 0, 0);
  CompiledCode code;
  code.chip = chip.name;
  if (!isCpu) {
    CudaChip cuda = *parseCudaChip(options.chip);
    code.chip = cuda.name;
    if (failed(compileKernels(module, cuda, options.cubin, code, metadata, progress)))
      return failure();
  }
  metadata["chip"] =
      llvm::json::Object{{"name", code.chip}, {"features", llvm::json::Array(chip.required)}};
  llvm::raw_string_ostream(code.metadata) << llvm::json::Value(std::move(metadata));
  FailureOr<std::unique_ptr<llvm::MemoryBuffer>> object =
      emitObject(module, {chip.triple, chip.cpu, chip.features}, code.metadata, prefix);
  if (failed(object))
    return failure();
  code.object = std::move(*object);
  return code;
}

CompiledModel::CompiledModel(std::unique_ptr<JitModule> code, std::string weightsPath)
    : code(std::move(code)), weightsPath(std::move(weightsPath)) {}
CompiledModel::~CompiledModel() { (void)llvm::sys::fs::remove(weightsPath); }
const moec_module_v1 *CompiledModel::module() const { return code->module(); }

std::unique_ptr<CompiledModel> compileInProcess(ModuleOp module, const CompileOptions &options) {
  EvaluatedWeights evaluated;
  if (failed(lowerToLlvm(module, options, {}, &evaluated)))
    return nullptr;
  return loadLowered(module, options);
}

std::unique_ptr<CompiledModel> loadLowered(ModuleOp module, const CompileOptions &options) {
  SmallString<128> weightsPath;
  if (std::error_code error =
          llvm::sys::fs::createTemporaryFile("moec", "safetensors", weightsPath)) {
    module.emitError("cannot create a temporary file: ") << error.message();
    return nullptr;
  }
  llvm::FileRemover removeWeights(weightsPath);
  FailureOr<CompiledCode> compiled = compileToObject(module, options, weightsPath, "moec");
  if (failed(compiled))
    return nullptr;
  llvm::Expected<std::unique_ptr<JitModule>> code = JitModule::load(std::move(compiled->object));
  if (!code) {
    module.emitError("cannot load the generated code: ") << llvm::toString(code.takeError());
    return nullptr;
  }
  removeWeights.releaseFile();
  return std::make_unique<CompiledModel>(std::move(*code), weightsPath.str().str());
}

} // namespace moec
