//===- Compile.cpp - moec compile: a model to an artifact ------------------===//
#include "tools/moec/Compiler.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "moec/Compiler.h"
#include "moec/InitAll.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"

#include <map>
#include <unistd.h>

namespace moec::tools {
namespace {

/// What is being done, on one line of a terminal; silent elsewhere.
class ProgressLine {
public:
  ~ProgressLine() { clear(); }

  void show(llvm::StringRef what, uint64_t done, uint64_t all) {
    if (!isTerminal)
      return;
    std::fprintf(stderr, "\r\033[K%s", what.str().c_str());
    if (all)
      std::fprintf(stderr, " %3d %%", static_cast<int>(100 * done / all));
    isShown = true;
  }

  void clear() {
    if (isShown)
      std::fprintf(stderr, "\r\033[K");
    isShown = false;
  }

private:
  bool isTerminal = isatty(STDERR_FILENO) != 0;
  bool isShown = false;
};

const std::map<std::string, EmitFormat> kFormats = {{"moec", EmitFormat::moec},
                                                    {"obj", EmitFormat::obj},
                                                    {"mlir", EmitFormat::mlir},
                                                    {"ptx", EmitFormat::ptx}};
const std::map<EmitFormat, const char *> kExtensions = {{EmitFormat::moec, "moec"},
                                                        {EmitFormat::obj, "o"},
                                                        {EmitFormat::mlir, "mlir"},
                                                        {EmitFormat::ptx, "ptx"}};

std::string defaultOutput(const std::string &model, EmitFormat format) {
  llvm::SmallString<128> path(llvm::sys::path::filename(model));
  llvm::sys::path::replace_extension(path, kExtensions.at(format));
  return path.str().str();
}

} // namespace

int takeContribSemantics(const Command &command, const Arguments &arguments,
                         std::string &semantics) {
  semantics = arguments.text("--contrib-semantics").value_or("");
  return semantics.empty() || semantics == "ort-cpu" || semantics == "ort-cuda"
             ? kDone
             : misuse(command,
                      "--contrib-semantics is ort-cpu or ort-cuda, not '" + semantics + "'");
}

namespace {

bool isOneOf(llvm::ArrayRef<llvm::StringRef> words, llvm::StringRef word) {
  return llvm::is_contained(words, word);
}

int takeOperands(const Arguments &arguments, CompileOptions &options) {
  options.weights = arguments.text("--weights").value_or("keep");
  if (!isOneOf({"keep", "f32", "bf16", "int8", "int4"}, options.weights))
    return misuse(compileCommand,
                  "--weights is keep, f32, bf16, int8 or int4, not '" + options.weights + "'");
  std::optional<std::string> activations = arguments.text("--activations");
  options.activations = activations.value_or("");
  if (activations && !isOneOf({"keep", "bf16", "int8"}, *activations))
    return misuse(compileCommand,
                  "--activations is keep, bf16 or int8, not '" + *activations + "'");
  return kDone;
}

int run(const Arguments &arguments) {
  if (arguments.positional().size() != 1)
    return misuse(compileCommand, "needs one model");
  std::string emit = arguments.text("--emit").value_or("moec");
  auto format = kFormats.find(emit);
  if (format == kFormats.end())
    return misuse(compileCommand, "--emit is moec, obj, mlir or ptx, not '" + emit + "'");
  std::string target = arguments.text("--target").value_or("cpu");
  if (target != "cpu" && target != "cuda")
    return misuse(compileCommand, "--target is cpu or cuda, not '" + target + "'");
  CompileOptions options;
  options.target = target;
  options.modelPath = arguments.positional()[0];
  options.chip = arguments.text("--chip").value_or("native");
  if (int status = takeOperands(arguments, options); status != kDone)
    return status;
  if (int status = takeContribSemantics(compileCommand, arguments, options.contribSemantics);
      status != kDone)
    return status;
  std::string cubin = arguments.text("--cubin").value_or("on");
  if (cubin != "on" && cubin != "off")
    return misuse(compileCommand, "--cubin is on or off, not '" + cubin + "'");
  options.cubin = cubin == "on" && format->second != EmitFormat::ptx;
  options.dumpIrFolder = arguments.text("--dump-ir").value_or("");
  options.reportPath = arguments.text("--report").value_or("");
  std::string output =
      arguments.text("-o").value_or(defaultOutput(options.modelPath, format->second));

  mlir::DialectRegistry registry;
  registerAllDialects(registry);
  mlir::MLIRContext context(registry);
  context.printOpOnDiagnostic(false);
  llvm::SourceMgr sources;
  ProgressLine line;
  mlir::SourceMgrDiagnosticHandler printer(sources, &context, llvm::errs());
  mlir::ScopedDiagnosticHandler clearer(&context, [&](mlir::Diagnostic &) {
    line.clear();
    return mlir::failure();
  });
  auto progress = [&](llvm::StringRef what, uint64_t done, uint64_t all) {
    line.show(what, done, all);
  };
  return mlir::succeeded(compileFile(output, format->second, options, context, progress))
             ? kDone
             : kBadInput;
}

constexpr Option kOptions[] = {
    {"-o", "OUT", "the file to write; its weights go beside it, as .safetensors"},
    {"--target", "cpu|cuda", "what executes the kernels (default cpu)"},
    {"--chip", "NAME",
     "native (default: this machine), x86-64-v2, -v3, -v4, or a processor; for cuda sm_80 or "
     "sm_90a"},
    {"--weights", "TYPE",
     "of matrix products, where they are floats: keep (default), f32, bf16, int8, int4"},
    {"--activations", "TYPE",
     "what inputs of products may be rounded to: keep, bf16 (where weights are bf16), int8 (where "
     "weights are integers); default: keep, or int8 where the model has accuracy_level 4"},
    MOEC_CONTRIB_OPTION,
    {"--emit", "FORMAT", "moec (default), obj (OUT.o and OUT.h for linking), mlir, ptx"},
    {"--cubin", "on|off",
     "for cuda: machine code beside the PTX, where CUDA's ptxas is found (default on)"},
    {"--dump-ir", "DIR", "write the IR after every stage"},
    {"--report", "FILE", "write JSON: stages and their times, blocks, state, memory plan"},
};

} // namespace

const Command compileCommand = {
    "compile",
    "MODEL.onnx [-o OUT.moec] [options]",
    "compile an ONNX model",
    "Compiles a model to an artifact that `moec run` and the runtime execute.",
    kOptions,
    run,
};

} // namespace moec::tools
