#include "test/unit/kernels/device_program.h"

#include "dialects/onnx/ElementTypes.h"
#include "lib/codegen/ArtifactFile.h"
#include "lib/codegen/LinkShared.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Parser/Parser.h"
#include "moec/InitAll.h"
#include "llvm/Support/FileUtilities.h"

#include <cstdlib>

namespace moec::test {
namespace {

/// Compiles to an artifact at `path`, with its weights beside it.
llvm::Error compile(mlir::ModuleOp module, const CompileOptions &options, llvm::StringRef path,
                    llvm::StringRef weightsPath) {
  auto failed = [] { return llvm::createStringError("the program does not compile"); };
  if (mlir::failed(lowerToLlvm(module, options)))
    return failed();
  mlir::FailureOr<CompiledCode> code =
      compileToObject(module, options, weightsPath, "moec",
                      llvm::json::Object{{"weights_file", weightsPath.rsplit('/').second}});
  if (mlir::failed(code))
    return failed();
  auto host = linkShared(code->object->getMemBufferRef());
  if (!host)
    return host.takeError();
  return writeArtifact(
      path, {options.target, code->chip, code->metadata, (*host)->getBuffer(), code->deviceCode});
}

/// States the element types of inputs and outputs, as models do.
void describeSignature(mlir::func::FuncOp main) {
  mlir::Builder b(main.getContext());
  auto elementOf = [&](mlir::Type type) {
    return b.getI64IntegerAttr(
        onnx::dataTypeOf(mlir::cast<mlir::ShapedType>(type).getElementType()));
  };
  for (auto [i, type] : llvm::enumerate(main.getArgumentTypes()))
    main.setArgAttr(i, "onnx.type", elementOf(type));
  for (auto [i, type] : llvm::enumerate(main.getResultTypes()))
    main.setResultAttr(i, "onnx.type", elementOf(type));
}

} // namespace

DeviceProgram::DeviceProgram(const std::string &source, const std::string &chip) {
  mlir::DialectRegistry registry;
  registerAllDialects(registry);
  mlir::MLIRContext context(registry);
  auto module = mlir::parseSourceString<mlir::ModuleOp>(source, &context);
  if (!module)
    return;
  describeSignature(module->lookupSymbol<mlir::func::FuncOp>("main"));
  CompileOptions options;
  options.target = "cuda";
  options.chip = chip;
  llvm::SmallString<128> path, weightsPath;
  if (llvm::sys::fs::createTemporaryFile("moec", "moec", path) ||
      llvm::sys::fs::createTemporaryFile("moec", "safetensors", weightsPath))
    return;
  llvm::FileRemover removePath(path), removeWeights(weightsPath);
  if (llvm::Error error = compile(*module, options, path, weightsPath)) {
    llvm::errs() << llvm::toString(std::move(error)) << '\n';
    return;
  }
  if (moec_model_load(path.c_str(), nullptr, &model) != MOEC_OK ||
      moec_session_create(model, nullptr, &session) != MOEC_OK)
    llvm::errs() << moec_last_error() << '\n';
}

DeviceProgram::~DeviceProgram() {
  moec_session_release(session);
  moec_model_release(model);
}

std::vector<Array> DeviceProgram::run(const std::vector<Array> &inputs) {
  std::vector<std::vector<char>> storage;
  std::vector<moec_tensor> tensors;
  for (const Array &input : inputs) {
    moec_tensor &tensor = tensors.emplace_back();
    if (input.shape.empty() && input.values.empty())
      continue;
    tensor.data = storage.emplace_back(toBytes(input)).data();
    // The program's bytes have no sign.
    moec_tensor_info info;
    moec_model_input(model, static_cast<int32_t>(tensors.size() - 1), &info);
    tensor.type = info.type;
    tensor.rank = static_cast<int32_t>(input.shape.size());
    llvm::copy(input.shape, tensor.sizes);
  }
  std::vector<moec_tensor> outputs(moec_model_output_count(model));
  if (moec_session_run(session, tensors.data(), outputs.data()) != MOEC_OK) {
    llvm::errs() << moec_last_error() << '\n';
    return {};
  }
  std::vector<Array> results;
  for (auto [i, output] : llvm::enumerate(outputs)) {
    Array like{static_cast<moec_element_type>(output.type),
               std::vector<int64_t>(output.sizes, output.sizes + output.rank),
               {}};
    std::vector<char> state;
    if (!output.data) {
      like.values.resize(like.count());
      state = toBytes(like);
      // Without the one that lets `data` of no elements be an address.
      state.pop_back();
      if (moec_session_read_state(session, static_cast<int32_t>(i), state.data(), state.size()) !=
          MOEC_OK) {
        llvm::errs() << moec_last_error() << '\n';
        return {};
      }
    }
    results.push_back(fromBytes(output.data ? output.data : state.data(), like.shape, like.type));
  }
  return results;
}

std::string testedCudaChip() {
  const char *chip = std::getenv("MOEC_TEST_CHIP");
  return chip ? chip : "sm_80";
}

} // namespace moec::test
