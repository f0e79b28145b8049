#include "test/e2e/NodeTest.h"

#include "dialects/onnx/OnnxDialect.h"
#include "dialects/rt/RtDialect.h"
#include "lib/import/Import.h"
#include "lib/import/TensorReader.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "moec/InitAll.h"
#include "test/e2e/ModuleHost.h"
#include "llvm/Support/Path.h"

using namespace mlir;

namespace moec::e2e {
namespace {

constexpr StringRef kData = "test_data_set_0";

/// A tensor file and what is in it.
struct TensorFile {
  std::string name;
  TensorBytes place;
  DenseElementsAttr elements;
  HostTensor tensor;
};

/// The process's context: to load the dialects takes as long as to compile a
/// small case.
MLIRContext &sharedContext() {
  static MLIRContext context(
      [] {
        DialectRegistry registry;
        registerAllDialects(registry);
        return registry;
      }(),
      MLIRContext::Threading::DISABLED);
  return context;
}

class Case {
public:
  explicit Case(StringRef folder)
      : folder(folder), context(sharedContext()), handler(&context, [this](Diagnostic &diagnostic) {
          if (diagnostic.getSeverity() == DiagnosticSeverity::Error)
            note(diagnostic);
        }) {}

  std::string run(Mode mode, StringRef dumpFolder);

private:
  std::string path(const llvm::Twine &file) const {
    SmallString<128> path(folder);
    llvm::sys::path::append(path, file);
    return path.str().str();
  }
  void note(Diagnostic &diagnostic) {
    errors += errors.empty() ? "" : "; ";
    if (auto name = dyn_cast<NameLoc>(diagnostic.getLocation()))
      errors += name.getName().str() + ": ";
    errors += diagnostic.str();
  }
  std::string failure(StringRef what) const { return errors.empty() ? what.str() : errors; }

  FailureOr<TensorFile> readTensor(const std::string &name);
  FailureOr<std::vector<TensorFile>> readTensors(StringRef prefix);

  std::string folder, errors;
  MLIRContext &context;
  ScopedDiagnosticHandler handler;
};

FailureOr<TensorFile> Case::readTensor(const std::string &name) {
  Location loc = NameLoc::get(StringAttr::get(&context, name));
  auto file = llvm::MemoryBuffer::getFile(path(name), /*IsText=*/false,
                                          /*RequiresNullTerminator=*/false);
  if (std::error_code error = file.getError())
    return emitError(loc, error.message());
  llvm::Expected<proto::Tensor> tensor = proto::parseTensor((*file)->getBuffer());
  if (!tensor)
    return emitError(loc, llvm::toString(tensor.takeError()));
  TensorReader reader((*file)->getBuffer(), "");
  FailureOr<RankedTensorType> type = reader.type(loc, *tensor);
  if (failed(type))
    return mlir::failure();
  FailureOr<TensorBytes> place = reader.locate(loc, *tensor, *type);
  if (failed(place))
    return mlir::failure();
  FailureOr<DenseElementsAttr> elements = reader.elements(loc, *place, *type);
  if (failed(elements))
    return mlir::failure();
  TensorFile result{name, *place, *elements, {tensor->elementType, tensor->dims, {}}};
  StringRef bytes = place->file ? (*file)->getBuffer().substr(place->offset, place->length)
                                : StringRef(place->decoded);
  result.tensor.bytes.assign(bytes.begin(), bytes.end());
  unpackElements(result.tensor);
  return result;
}

FailureOr<std::vector<TensorFile>> Case::readTensors(StringRef prefix) {
  std::vector<TensorFile> result;
  for (int i = 0;; ++i) {
    std::string name = (kData + "/" + prefix + "_" + std::to_string(i) + ".pb").str();
    if (!llvm::sys::fs::exists(path(name)))
      return result;
    FailureOr<TensorFile> tensor = readTensor(name);
    if (failed(tensor))
      return mlir::failure();
    result.push_back(std::move(*tensor));
  }
}

Type withoutSizes(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor ? tensor.clone(SmallVector<int64_t>(tensor.getRank(), ShapedType::kDynamic)) : type;
}

ArrayAttr freshDims(func::FuncOp main, unsigned argument, int64_t rank) {
  Builder b(main.getContext());
  SmallVector<Attribute> names;
  for (int64_t dim = 0; dim < rank; ++dim)
    names.push_back(b.getStringAttr("d" + std::to_string(argument) + "_" + std::to_string(dim)));
  return b.getArrayAttr(names);
}

/// Forgets all sizes, also those that the file inferred for nodes; ranks stay.
void makeDynamic(func::FuncOp main) {
  main.walk([](onnx::NodeOp node) {
    for (Value result : node.getOutputs())
      result.setType(withoutSizes(result.getType()));
    for (Region &body : node.getBodies())
      for (BlockArgument argument : body.getArguments())
        argument.setType(withoutSizes(argument.getType()));
  });
  for (BlockArgument argument : main.getArguments()) {
    argument.setType(withoutSizes(argument.getType()));
    if (auto type = dyn_cast<RankedTensorType>(argument.getType()))
      main.setArgAttr(argument.getArgNumber(), kOnnxDimsAttr,
                      freshDims(main, argument.getArgNumber(), type.getRank()));
  }
  Operation *end = main.getBody().front().getTerminator();
  main.setType(FunctionType::get(main.getContext(), main.getBody().getArgumentTypes(),
                                 end->getOperandTypes()));
  for (unsigned i = 0; i < main.getNumResults(); ++i)
    main.removeResultAttr(i, StringAttr::get(main.getContext(), kOnnxDimsAttr));
}

/// Makes constants of small inputs and weights of large ones, as the importer
/// does with initializers.
void bindInputs(ModuleOp module, func::FuncOp main, ArrayRef<TensorFile> inputs) {
  OpBuilder b(&main.getBody().front(), main.getBody().front().begin());
  for (auto [argument, input] : llvm::zip_equal(main.getArguments(), inputs)) {
    Location loc = argument.getLoc();
    auto type = cast<RankedTensorType>(input.elements.getType());
    Value value;
    if (input.place.file && input.place.length >= ImportOptions().weightBytes) {
      NamedAttribute source[] = {
          b.getNamedAttr("file", b.getStringAttr(input.name)),
          b.getNamedAttr("length", b.getI64IntegerAttr(input.place.length)),
          b.getNamedAttr("offset", b.getI64IntegerAttr(input.place.offset)),
      };
      OpBuilder atModule = OpBuilder::atBlockBegin(module.getBody());
      rt::WeightOp::create(atModule, loc, input.name, type, b.getDictionaryAttr(source), TypeAttr(),
                           ArrayAttr());
      value = rt::LoadWeightOp::create(b, loc, type, input.name);
    } else {
      value = onnx::ConstantOp::create(b, loc, input.elements);
    }
    argument.replaceAllUsesWith(value);
  }
  (void)main.eraseArguments(llvm::BitVector(main.getNumArguments(), true));
}

std::string Case::run(Mode mode, StringRef dumpFolder) {
  OwningOpRef<ModuleOp> module = importOnnx(path("model.onnx"), context);
  if (!module)
    return failure("import failed");
  FailureOr<std::vector<TensorFile>> inputs = readTensors("input"),
                                     expected = readTensors("output");
  if (failed(inputs) || failed(expected))
    return failure("cannot read the test's tensors");
  auto main = module->lookupSymbol<func::FuncOp>("main");
  if (main.getNumArguments() != inputs->size() || main.getNumResults() != expected->size())
    return "the files do not fit the graph's inputs and outputs";
  std::vector<HostTensor> tensors;
  if (mode == Mode::Constant)
    bindInputs(*module, main, *inputs);
  else
    for (TensorFile &input : *inputs)
      tensors.push_back(input.tensor);
  if (mode == Mode::Dynamic)
    makeDynamic(main);
  if (failed(verify(*module)))
    return failure("the test's module is invalid");

  CompileOptions options;
  options.modelPath = path("model.onnx");
  options.dumpIrFolder = dumpFolder.str();
  std::unique_ptr<CompiledModel> model = compileInProcess(*module, options);
  if (!model)
    return failure("compilation failed without a message");
  llvm::Expected<std::vector<HostTensor>> outputs = runModule(*model, tensors);
  if (!outputs)
    return llvm::toString(outputs.takeError());
  for (auto [index, output] : llvm::enumerate(*outputs))
    if (std::string difference = compare((*expected)[index].tensor, output); !difference.empty())
      return "output " + std::to_string(index) + " " + difference;
  return "";
}

} // namespace

StringRef nameOf(Mode mode) {
  constexpr StringRef names[] = {"static", "dynamic", "constant"};
  return names[static_cast<int>(mode)];
}

std::string runNodeTest(StringRef folder, Mode mode, StringRef dumpFolder) {
  return Case(folder).run(mode, dumpFolder);
}

} // namespace moec::e2e
