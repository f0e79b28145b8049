//===- CompileFile.cpp - from a file to files ------------------------------===//
#include "moec/Compiler.h"

#include "lib/codegen/ArtifactFile.h"
#include "lib/codegen/LinkShared.h"
#include "lib/compiler/CompileReport.h"
#include "lib/compiler/EvaluateWeights.h"
#include "lib/import/Import.h"
#include "lib/inspect/ModelReport.h"
#include "lib/weights/FileSlices.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"

using namespace mlir;

namespace moec {
namespace {

/// Files that get their names together, when all of them are complete.
class PendingFiles {
public:
  ~PendingFiles() {
    for (const auto &[temporary, path] : files)
      (void)llvm::sys::fs::remove(temporary);
  }

  /// Where to write what shall become `path`.
  std::string add(StringRef path) {
    SmallString<128> temporary;
    llvm::sys::fs::createUniquePath(path + ".%%%%%%", temporary, /*MakeAbsolute=*/false);
    files.emplace_back(temporary.str(), path);
    return files.back().first;
  }

  llvm::Error commit() {
    for (const auto &[temporary, path] : files)
      if (std::error_code error = llvm::sys::fs::rename(temporary, path))
        return llvm::createFileError(path, error);
    files.clear();
    return llvm::Error::success();
  }

private:
  SmallVector<std::pair<std::string, std::string>> files;
};

/// The output's path with another extension.
std::string beside(StringRef output, StringRef extension) {
  SmallString<128> path(output);
  llvm::sys::path::replace_extension(path, extension);
  return path.str().str();
}

/// A C identifier from the output's name: the prefix of the accessor.
std::string prefixOf(StringRef output) {
  std::string prefix = llvm::sys::path::stem(output).str();
  for (char &letter : prefix)
    if (!llvm::isAlnum(letter))
      letter = '_';
  return llvm::isDigit(prefix.front()) ? "m" + prefix : prefix;
}

llvm::Error writeBytes(StringRef path, StringRef bytes) {
  return writeFile(path, [&](llvm::raw_ostream &stream) {
    stream << bytes;
    return llvm::Error::success();
  });
}

llvm::Error writeHeader(StringRef path, StringRef prefix) {
  std::string guard = StringRef(prefix).upper() + "_MODULE_H";
  std::string text =
      llvm::formatv("/* Link with the object of the same name and the moec runtime. */\n"
                    "#ifndef {0}\n#define {0}\n\n#include <moec/module_abi.h>\n\n"
                    "#ifdef __cplusplus\nextern \"C\"\n#endif\n"
                    "const moec_module_v1 *{1}_module(void);\n\n#endif\n",
                    guard, prefix);
  return writeBytes(path, text);
}

/// What the metadata says of the code for a device.
llvm::json::Array deviceCodeOf(const CompiledCode &code) {
  llvm::json::Value metadata = llvm::cantFail(llvm::json::parse(code.metadata));
  llvm::json::Array *list = metadata.getAsObject()->getArray("device_code");
  return list ? std::move(*list) : llvm::json::Array();
}

/// The PTX for the chip that was asked for.
StringRef firstPtx(const CompiledCode &code) {
  llvm::json::Array list = deviceCodeOf(code);
  auto ptx = llvm::find_if(list, [](const llvm::json::Value &each) {
    return each.getAsObject()->getString("kind") == "ptx";
  });
  return StringRef(code.deviceCode)
      .substr(*ptx->getAsObject()->getInteger("offset"), *ptx->getAsObject()->getInteger("length"));
}

llvm::Error writeCode(StringRef output, EmitFormat format, const CompileOptions &options,
                      const CompiledCode &code, PendingFiles &files) {
  if (format == EmitFormat::obj) {
    if (llvm::Error error = writeHeader(files.add(beside(output, "h")), prefixOf(output)))
      return error;
    return writeBytes(files.add(output), code.object->getBuffer());
  }
  if (format == EmitFormat::ptx)
    return writeBytes(files.add(output), firstPtx(code));
  llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>> host =
      linkShared(code.object->getMemBufferRef());
  if (!host)
    return host.takeError();
  return writeArtifact(files.add(output), {options.target, code.chip, code.metadata,
                                           (*host)->getBuffer(), code.deviceCode});
}

/// How each MoE and attention block was understood, for the metadata.
llvm::json::Array describeBlocks(const llvm::json::Object &model) {
  llvm::json::Array blocks;
  for (const auto &[list, kind] : {std::pair("moe", "MoE"), std::pair("attention", "attention")})
    for (const llvm::json::Value &entry : *model.getArray(list)) {
      llvm::json::Object block = *entry.getAsObject();
      block["name"] = std::move(block["node"]);
      block.erase("node");
      block["kind"] = kind;
      blocks.push_back(std::move(block));
    }
  return blocks;
}

/// Reports a failure to read or write.
LogicalResult report(ModuleOp module, llvm::Error error) {
  if (!error)
    return success();
  return emitError(UnknownLoc::get(module.getContext())) << llvm::toString(std::move(error));
}

} // namespace

LogicalResult compileFile(StringRef output, EmitFormat format, const CompileOptions &options,
                          MLIRContext &context, const Progress &progress) {
  if (format == EmitFormat::ptx && options.target != "cuda")
    return emitError(UnknownLoc::get(&context), "only the target cuda has PTX");
  if (format == EmitFormat::obj && options.target != "cpu")
    return emitError(UnknownLoc::get(&context), "only programs for a CPU can be linked");
  CompileReport compileReport;
  auto step = [&](StringRef what, uint64_t done = 0, uint64_t all = 0) {
    if (what == kGeneratingCode)
      compileReport.finished("weights");
    if (progress)
      progress(what, done, all);
  };
  compileReport.operands(describeOperands(options));
  step("importing");
  OwningOpRef<ModuleOp> module = importOnnx(options.modelPath, context);
  if (!module)
    return failure();
  compileReport.finished("import");
  step("compiling");
  OwningOpRef<ModuleOp> imported(module->clone());
  llvm::json::Array blocks;
  auto observe = [&](StringRef stage, ModuleOp raised) {
    compileReport.finished(stage);
    if (stage != "raise")
      return;
    llvm::json::Object model = describeModel(*imported, raised);
    blocks = describeBlocks(model);
    compileReport.model(std::move(model));
  };
  EvaluatedWeights evaluated;
  if (failed(lowerToLlvm(*module, options, observe, &evaluated)))
    return failure();
  compileReport.lowered(*module);
  PendingFiles files;
  if (format == EmitFormat::mlir) {
    if (failed(report(*module, writeFile(files.add(output), [&](llvm::raw_ostream &stream) {
          stream << *module << '\n';
          return llvm::Error::success();
        }))))
      return failure();
  } else {
    std::string weights = beside(output, "safetensors");
    std::string prefix = format == EmitFormat::obj ? prefixOf(output) : "moec";
    FailureOr<CompiledCode> code =
        compileToObject(*module, options, files.add(weights), prefix,
                        llvm::json::Object{{"weights_file", llvm::sys::path::filename(weights)},
                                           {"blocks", std::move(blocks)}},
                        step);
    if (failed(code))
      return failure();
    compileReport.finished("code");
    compileReport.deviceCode(deviceCodeOf(*code));
    step("linking");
    if (llvm::Error error = writeCode(output, format, options, *code, files))
      return report(*module, std::move(error));
    compileReport.finished("link");
  }
  if (!options.reportPath.empty())
    if (llvm::Error error =
            writeBytes(files.add(options.reportPath), std::move(compileReport).text()))
      return report(*module, std::move(error));
  return report(*module, files.commit());
}

} // namespace moec
