#include "lib/compiler/EvaluateWeights.h"

#include "dialects/moe/MoeDialect.h"
#include "dialects/onnx/ElementTypes.h"
#include "dialects/rt/RtDialect.h"
#include "lib/import/Import.h"
#include "lib/weights/FileSlices.h"
#include "mlir/Analysis/TopologicalSortUtils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/RegionUtils.h"
#include "moec/runtime.h"
#include "passes/ElementBytes.h"
#include "passes/lower/WeightSource.h"
#include "llvm/Support/FileSystem.h"

using namespace mlir;

namespace moec {
namespace {

int64_t bytesOf(ShapedType type) { return type.getNumElements() * elementBytes(type); }

/// A tensor that a file can hold as its bytes.
bool isStorable(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || !tensor.hasStaticShape() || !tensor.getElementType().isIntOrFloat())
    return false;
  unsigned bits = tensor.getElementTypeBitWidth();
  return bits >= 8 && llvm::isPowerOf2_32(bits);
}

/// Operations that say which elements, and compute none.
bool isView(Operation *op) {
  return isa<rt::LoadWeightOp, arith::ConstantOp, tensor::EmptyOp, tensor::CastOp,
             tensor::ExtractSliceOp, tensor::ExpandShapeOp, tensor::CollapseShapeOp>(op);
}

bool isProduct(Operation *op) {
  return isa<linalg::MatmulOp, moe::ExpertsOp, moe::GroupedMatmulOp>(op);
}

/// The operations of a function that follow from weights and constants.
class WeightGraph {
public:
  explicit WeightGraph(func::FuncOp main) {
    for (Operation &op : main.getBody().front().without_terminator())
      if (isPure(&op) && llvm::all_of(operandsOf(&op), [&](Value v) { return has(v); }))
        ops.insert(&op);
  }

  /// Tensors that others use and that are worth to be computed now.
  SmallVector<Value> results() const {
    SmallVector<Value> list;
    for (Operation *op : ops)
      for (Value result : op->getResults())
        if (isStorable(result.getType()) && isNeeded(result) && isComputedOfWeights(result))
          list.push_back(result);
    return list;
  }

  /// What a value is made by, in the order of the program.
  SetVector<Operation *> slice(ValueRange values) const {
    SetVector<Operation *> found;
    SmallVector<Value> open(values);
    while (!open.empty()) {
      Operation *op = open.pop_back_val().getDefiningOp();
      if (found.insert(op))
        llvm::append_range(open, operandsOf(op));
    }
    return topologicalSort(found);
  }

private:
  bool has(Value value) const { return ops.contains(value.getDefiningOp()); }

  static SetVector<Value> operandsOf(Operation *op) {
    SetVector<Value> operands(op->operand_begin(), op->operand_end());
    getUsedValuesDefinedAbove(op->getRegions(), operands);
    return operands;
  }

  bool isNeeded(Value value) const {
    Block *block = value.getParentBlock();
    bool isMatrix = WeightSource::of(value).has_value();
    return llvm::any_of(value.getUsers(), [&](Operation *user) {
      return !ops.contains(block->findAncestorOpInBlock(*user)) && !(isMatrix && isProduct(user));
    });
  }

  /// Constants alone are small, and not worth a compilation.
  bool isComputedOfWeights(Value value) const {
    int64_t elements = 0;
    bool isComputed = false, hasWeights = false;
    for (Operation *op : slice(value)) {
      isComputed |= !isView(op);
      hasWeights |= isa<rt::LoadWeightOp>(op);
      if (isa<rt::LoadWeightOp, arith::ConstantOp>(op))
        if (auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType()))
          elements += type.getNumElements();
    }
    return isComputed && hasWeights &&
           cast<ShapedType>(value.getType()).getNumElements() <= elements;
  }

  SetVector<Operation *> ops;
};

/// Those from the front that can be computed in the memory there is.
SmallVector<Value> affordable(const WeightGraph &graph, ArrayRef<Value> values) {
  SmallVector<Value> chosen;
  llvm::SmallDenseSet<Attribute> sources;
  int64_t bytes = 0;
  for (Value value : values) {
    int64_t more = bytesOf(cast<ShapedType>(value.getType()));
    SmallVector<Attribute> loads;
    for (Operation *op : graph.slice(value))
      if (auto load = dyn_cast<rt::LoadWeightOp>(op);
          load && !sources.contains(load.getWeightAttr())) {
        loads.push_back(load.getWeightAttr());
        more += bytesOf(cast<ShapedType>(load.getType()));
      }
    if (bytes + more > EvaluatedWeights::kMostBytes)
      continue;
    bytes += more;
    sources.insert_range(loads);
    chosen.push_back(value);
  }
  return chosen;
}

/// A module whose main has no inputs and returns `values`.
OwningOpRef<ModuleOp> programFor(const WeightGraph &graph, ArrayRef<Value> values,
                                 ModuleOp module) {
  Location loc = module.getLoc();
  OwningOpRef<ModuleOp> program = ModuleOp::create(loc);
  OpBuilder b(program->getBodyRegion());
  SetVector<Operation *> ops = graph.slice(values);
  SymbolTable symbols(module);
  llvm::SmallDenseSet<Attribute> known;
  for (Operation *op : ops)
    if (auto load = dyn_cast<rt::LoadWeightOp>(op);
        load && known.insert(load.getWeightAttr()).second)
      b.clone(*symbols.lookup(load.getWeight()));
  auto main =
      func::FuncOp::create(b, loc, "main", b.getFunctionType({}, ValueRange(values).getTypes()));
  b.setInsertionPointToStart(main.addEntryBlock());
  IRMapping copies;
  for (Operation *op : ops)
    b.clone(*op, copies);
  SmallVector<Value> results;
  for (auto [index, value] : llvm::enumerate(values)) {
    results.push_back(copies.lookup(value));
    main.setResultAttr(index, kOnnxNameAttr, b.getStringAttr("w" + std::to_string(index)));
    main.setResultAttr(index, kOnnxTypeAttr,
                       b.getI64IntegerAttr(onnx::dataTypeOf(getElementTypeOrSelf(value))));
  }
  func::ReturnOp::create(b, loc, results);
  return program;
}

/// The outputs of a model without inputs.
class Run {
public:
  explicit Run(const CompiledModel &compiled) {
    isGood = moec_model_from_module(compiled.module(), compiled.weights().c_str(), nullptr,
                                    &model) == MOEC_OK &&
             moec_session_create(model, nullptr, &session) == MOEC_OK;
    if (!isGood)
      return;
    outputs.resize(moec_model_output_count(model));
    isGood = moec_session_run(session, nullptr, outputs.data()) == MOEC_OK;
  }
  ~Run() {
    moec_session_release(session);
    moec_model_release(model);
  }
  Run(const Run &) = delete;
  Run &operator=(const Run &) = delete;

  bool isGood = false;
  std::vector<moec_tensor> outputs;

private:
  moec_model *model = nullptr;
  moec_session *session = nullptr;
};

/// Tensors start at multiples of this.
constexpr int64_t kAlignment = 64;

llvm::Error writeTensors(StringRef path, ArrayRef<Value> values, const Run &run) {
  return writeFile(path, [&](llvm::raw_ostream &stream) {
    for (auto [value, output] : llvm::zip_equal(values, run.outputs)) {
      int64_t bytes = bytesOf(cast<ShapedType>(value.getType()));
      stream.write(static_cast<const char *>(output.data), bytes);
      stream.write_zeros(llvm::offsetToAlignment(bytes, llvm::Align(kAlignment)));
    }
    return llvm::Error::success();
  });
}

void replaceByWeights(ModuleOp module, ArrayRef<Value> values, StringRef path) {
  SymbolTable symbols(module);
  OpBuilder b(module.getContext());
  int64_t offset = 0;
  for (Value value : values) {
    auto type = cast<RankedTensorType>(value.getType());
    NamedAttribute source[] = {
        b.getNamedAttr("file", b.getStringAttr(path)),
        b.getNamedAttr("length", b.getI64IntegerAttr(bytesOf(type))),
        b.getNamedAttr("offset", b.getI64IntegerAttr(offset)),
    };
    b.setInsertionPointToStart(module.getBody());
    auto weight = rt::WeightOp::create(b, value.getLoc(), "evaluated", type,
                                       b.getDictionaryAttr(source), TypeAttr(), ArrayAttr());
    symbols.insert(weight);
    b.setInsertionPointAfterValue(value);
    value.replaceAllUsesWith(
        rt::LoadWeightOp::create(b, value.getLoc(), type, weight.getSymName()));
    offset += llvm::alignTo(bytesOf(type), kAlignment);
  }
}

} // namespace

LogicalResult EvaluatedWeights::evaluate(ModuleOp module, const CompileOptions &options) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  WeightGraph graph(main);
  SmallVector<Value> values = affordable(graph, graph.results());
  if (values.empty())
    return success();
  SmallString<128> file;
  if (std::error_code error = llvm::sys::fs::createTemporaryFile("moec", "weights", file))
    return module.emitError("cannot create a temporary file: ") << error.message();
  remover.setFile(file);

  CompileOptions here;
  here.contribSemantics = options.contribSemantics;
  here.modelPath = options.modelPath;
  OwningOpRef<ModuleOp> program = programFor(graph, values, module);
  if (failed(lowerToLlvm(*program, here)))
    return failure();
  std::unique_ptr<CompiledModel> compiled = loadLowered(*program, here);
  if (!compiled)
    return failure();
  Run run(*compiled);
  if (!run.isGood)
    return module.emitError("cannot compute the weights: ") << moec_last_error();
  if (llvm::Error error = writeTensors(file, values, run))
    return module.emitError() << llvm::toString(std::move(error));
  replaceByWeights(module, values, file);
  return success();
}

} // namespace moec
