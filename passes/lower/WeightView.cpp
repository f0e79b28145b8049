#include "passes/lower/WeightView.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/SmallBitVector.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace moec {
namespace {

/// Larger constants are not copied into recipes.
constexpr int64_t kConstantBytes = 64 << 10;

WeightView wholeTensor(ArrayRef<int64_t> shape) {
  WeightView view;
  view.sizes.assign(shape.begin(), shape.end());
  view.strides.resize(view.sizes.size());
  for (int64_t dim = view.sizes.size() - 1, stride = 1; dim >= 0; --dim) {
    view.strides[dim] = stride;
    stride *= view.sizes[dim];
  }
  return view;
}

std::optional<WeightView> wholeWeight(rt::LoadWeightOp load) {
  auto weight = SymbolTable::lookupNearestSymbolFrom<rt::WeightOp>(load, load.getWeightAttr());
  // What is made by a recipe has no place in a file.
  if (!weight || weight.getRecipe())
    return std::nullopt;
  WeightView view = wholeTensor(cast<ShapedType>(weight.getType()).getShape());
  view.weight = weight;
  return view;
}

std::optional<WeightView> wholeConstant(arith::ConstantOp op) {
  auto elements = dyn_cast<DenseElementsAttr>(op.getValue());
  if (!elements || !elements.getElementType().isIntOrFloat() ||
      elements.getNumElements() * elements.getElementType().getIntOrFloatBitWidth() / 8 >
          kConstantBytes)
    return std::nullopt;
  WeightView view = wholeTensor(elements.getType().getShape());
  view.constant = elements;
  return view;
}

/// An elementwise operation that widens floats and does nothing else.
std::optional<WeightView> widened(linalg::GenericOp op) {
  Block &body = op.getRegion().front();
  if (op.getNumDpsInputs() != 1 || op->getNumResults() != 1 ||
      op.getNumParallelLoops() != op.getNumLoops() ||
      !llvm::all_of(op.getIndexingMapsArray(), [](AffineMap map) { return map.isIdentity(); }))
    return std::nullopt;
  auto yielded = body.getTerminator()->getOperand(0).getDefiningOp<arith::ExtFOp>();
  if (!yielded || yielded.getIn() != body.getArgument(0))
    return std::nullopt;
  return WeightView::of(op.getInputs()[0]);
}

std::optional<WeightView> transposed(linalg::TransposeOp op) {
  std::optional<WeightView> from = WeightView::of(op.getInput());
  if (!from)
    return std::nullopt;
  WeightView to = *from;
  for (auto [dim, source] : llvm::enumerate(op.getPermutation())) {
    to.sizes[dim] = from->sizes[source];
    to.strides[dim] = from->strides[source];
  }
  return to;
}

std::optional<WeightView> sliced(tensor::ExtractSliceOp op) {
  std::optional<WeightView> view = WeightView::of(op.getSource());
  if (!view || !op.getType().hasStaticShape() ||
      llvm::any_of(op.getStaticOffsets(), ShapedType::isDynamic) ||
      llvm::any_of(op.getStaticStrides(), ShapedType::isDynamic))
    return std::nullopt;
  llvm::SmallBitVector dropped = op.getDroppedDims();
  WeightView result{view->weight, view->constant, view->offset, {}, {}};
  for (auto [dim, stride] : llvm::enumerate(view->strides)) {
    result.offset += op.getStaticOffsets()[dim] * stride;
    if (dropped.test(dim))
      continue;
    result.sizes.push_back(op.getStaticSizes()[dim]);
    result.strides.push_back(op.getStaticStrides()[dim] * stride);
  }
  return result;
}

std::optional<WeightView> expanded(tensor::ExpandShapeOp op) {
  std::optional<WeightView> view = WeightView::of(op.getSrc());
  if (!view || !op.getResultType().hasStaticShape())
    return std::nullopt;
  WeightView result{view->weight,
                    view->constant,
                    view->offset,
                    llvm::to_vector(op.getResultType().getShape()),
                    {}};
  result.strides.resize(result.sizes.size());
  for (auto [source, group] : llvm::enumerate(op.getReassociationIndices())) {
    int64_t stride = view->strides[source];
    for (int64_t dim : llvm::reverse(group)) {
      result.strides[dim] = stride;
      stride *= result.sizes[dim];
    }
  }
  return result;
}

std::optional<WeightView> collapsed(tensor::CollapseShapeOp op) {
  std::optional<WeightView> view = WeightView::of(op.getSrc());
  if (!view)
    return std::nullopt;
  WeightView result{view->weight, view->constant, view->offset, {}, {}};
  for (const ReassociationIndices &group : op.getReassociationIndices()) {
    int64_t size = 1, stride = 1;
    for (int64_t dim : llvm::reverse(group)) {
      if (view->sizes[dim] == 1)
        continue;
      if (size != 1 && view->strides[dim] != stride * size)
        return std::nullopt;
      stride = size == 1 ? view->strides[dim] : stride;
      size *= view->sizes[dim];
    }
    result.sizes.push_back(size);
    result.strides.push_back(stride);
  }
  return result;
}

} // namespace

std::optional<WeightView> WeightView::of(Value tensor) {
  Operation *op = tensor.getDefiningOp();
  if (!op)
    return std::nullopt;
  return llvm::TypeSwitch<Operation *, std::optional<WeightView>>(op)
      .Case([](rt::LoadWeightOp op) { return wholeWeight(op); })
      .Case([](arith::ConstantOp op) { return wholeConstant(op); })
      .Case([](linalg::GenericOp op) { return widened(op); })
      .Case([](linalg::TransposeOp op) { return transposed(op); })
      .Case([](tensor::ExtractSliceOp op) { return sliced(op); })
      .Case([](tensor::ExpandShapeOp op) { return expanded(op); })
      .Case([](tensor::CollapseShapeOp op) { return collapsed(op); })
      .Case([](tensor::CastOp op) { return WeightView::of(op.getSource()); })
      .Default([](Operation *) { return std::nullopt; });
}

Type WeightView::element() const {
  return weight ? cast<ShapedType>(weight.getType()).getElementType() : constant.getElementType();
}

std::string WeightView::name() const {
  return weight ? weight.getSymName().str() : std::string("constant");
}

/// The elements as in a file: those of few bits side by side, the lowest first.
static std::string bytesOf(DenseElementsAttr constant) {
  unsigned bits = constant.getElementType().getIntOrFloatBitWidth();
  std::string bytes;
  if (bits >= 8) {
    ArrayRef<char> raw = constant.getRawData();
    for (int64_t i = 0, copies = constant.isSplat() ? constant.getNumElements() : 1; i < copies;
         ++i)
      bytes.append(raw.data(), raw.size());
    return bytes;
  }
  bytes.resize(llvm::divideCeil(constant.getNumElements() * bits, 8));
  for (auto [i, value] : llvm::enumerate(constant.getValues<APInt>()))
    bytes[i * bits / 8] |= static_cast<char>(value.getZExtValue() << i * bits % 8);
  return bytes;
}

std::optional<MatrixPart> WeightView::asMatrixPart(int64_t bits) const {
  Type type = element();
  if (!type.isF32() && !type.isF16() && !type.isBF16() && !type.isInteger(8) &&
      !type.isInteger(4) && !type.isInteger(2))
    return std::nullopt;
  int64_t width = type.getIntOrFloatBitWidth();
  WeightView view = *this;
  // A dimension of one element is contiguous, whatever its stride is.
  for (int64_t dim : {1, 2})
    if (view.sizes[dim] == 1)
      view.strides[dim] = 1;
  if ((view.strides[1] != 1 && view.strides[2] != 1) || view.offset * width % 8 != 0)
    return std::nullopt;
  MatrixPart part;
  part.element = type;
  part.offset = view.offset * width / 8;
  if (weight) {
    DictionaryAttr source = weight.getSource();
    part.file = source.getAs<StringAttr>("file").getValue().str();
    part.offset += source.getAs<IntegerAttr>("offset").getInt();
  } else {
    part.bytes = bytesOf(constant);
  }
  part.groups = view.sizes[0];
  part.rows = view.sizes[1];
  llvm::copy(view.strides, part.strides.begin());
  if (type.isInteger(8) && bits < 8) {
    if (view.strides[2] != 1)
      return std::nullopt;
    part.element = IntegerType::get(type.getContext(), bits);
    part.strides[0] *= 8 / bits;
    part.strides[1] *= 8 / bits;
  }
  return part;
}

} // namespace moec
