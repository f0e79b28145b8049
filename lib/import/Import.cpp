#include "lib/import/Import.h"

#include "dialects/onnx/OnnxDialect.h"
#include "dialects/rt/RtDialect.h"
#include "lib/import/GraphImporter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

using namespace mlir;

namespace moec {
namespace {

Location fileLocation(StringRef path, MLIRContext &context) {
  return FileLineColLoc::get(&context, path, 0, 0);
}

LogicalResult importOpsets(Location file, ArrayRef<proto::Opset> opsets, OpsetVersions &versions) {
  for (const proto::Opset &opset : opsets) {
    StringRef domain = canonicalDomain(opset.domain);
    if (opset.version <= 0)
      return emitError(file, "imports version ")
             << opset.version << " of the domain '" << domain << "'";
    int64_t version = versions.try_emplace(domain, opset.version).first->second;
    if (version != opset.version)
      return emitError(file, "imports the versions ")
             << version << " and " << opset.version << " of the domain '" << domain << "'";
  }
  return success();
}

LogicalResult importModel(const proto::Model &model, ModuleOp module, TensorReader &tensors,
                          const ImportOptions &options) {
  Location file = module.getLoc();
  if (!model.graph)
    return emitError(file, "holds no ONNX graph");
  if (model.hasTraining)
    return emitError(file, "holds training information, which moec does not support");
  OpsetVersions opsets;
  if (failed(importOpsets(file, model.opsets, opsets)))
    return failure();
  FunctionTable functions;
  for (const proto::Function &function : model.functions) {
    std::string key = functionKey(function.domain, function.name, function.overload);
    if (!functions.try_emplace(key, &function).second)
      return emitError(file, "has a second function '") << function.name << "'";
  }
  GraphImporter importer(module, tensors, functions, options, file);
  return importer.importMain(*model.graph, opsets);
}

} // namespace

OwningOpRef<ModuleOp> importOnnx(llvm::MemoryBufferRef bytes, MLIRContext &context,
                                 const ImportOptions &options) {
  context.loadDialect<onnx::OnnxDialect, rt::RtDialect, func::FuncDialect>();
  Location file = fileLocation(bytes.getBufferIdentifier(), context);
  llvm::Expected<proto::Model> model = proto::parseModel(bytes.getBuffer());
  if (!model) {
    emitError(file, "is not an ONNX model: ") << llvm::toString(model.takeError());
    return {};
  }
  OwningOpRef<ModuleOp> module = ModuleOp::create(file);
  TensorReader tensors(bytes.getBuffer(),
                       llvm::sys::path::parent_path(bytes.getBufferIdentifier()));
  if (failed(importModel(*model, *module, tensors, options)) || failed(verify(*module)))
    return {};
  return module;
}

OwningOpRef<ModuleOp> importOnnx(StringRef path, MLIRContext &context,
                                 const ImportOptions &options) {
  auto bytes = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                           /*RequiresNullTerminator=*/false);
  if (std::error_code error = bytes.getError()) {
    emitError(fileLocation(path, context), "cannot be read: ") << error.message();
    return {};
  }
  return importOnnx((*bytes)->getMemBufferRef(), context, options);
}

} // namespace moec
