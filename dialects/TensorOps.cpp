#include "dialects/TensorOps.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;

namespace moec {

bool areCompatibleTensors(TypeRange lhs, TypeRange rhs) {
  return succeeded(verifyCompatibleShapes(lhs, rhs)) &&
         llvm::all_of(llvm::zip_equal(lhs, rhs), [](auto types) {
           return getElementTypeOrSelf(std::get<0>(types)) ==
                  getElementTypeOrSelf(std::get<1>(types));
         });
}

namespace {

/// Reads operands before casts that forgot sizes, and gives results the sizes
/// that can be inferred.
struct Refine : OpInterfaceRewritePattern<InferTypeOpInterface> {
  Refine(MLIRContext *context, StringRef dialect)
      : OpInterfaceRewritePattern(context), dialect(dialect) {}

  LogicalResult matchAndRewrite(InferTypeOpInterface op, PatternRewriter &rewriter) const override {
    if (op->getName().getDialectNamespace() != dialect)
      return failure();
    SmallVector<Value> operands;
    for (Value operand : op->getOperands()) {
      auto cast = operand.getDefiningOp<tensor::CastOp>();
      operands.push_back(tensor::canFoldIntoConsumerOp(cast) ? cast.getSource() : operand);
    }
    SmallVector<Type> types;
    if (failed(op.inferReturnTypes(op->getContext(), op->getLoc(), operands,
                                   op->getDiscardableAttrDictionary(), op->getPropertiesStorage(),
                                   op->getRegions(), types)))
      return failure();
    for (auto [type, old] : llvm::zip_equal(types, op->getResultTypes()))
      type = merge(cast<RankedTensorType>(type), cast<RankedTensorType>(old));
    if (llvm::equal(operands, op->getOperands()) && llvm::equal(types, op->getResultTypes()))
      return failure();
    Operation *refined = rewriter.clone(*op);
    rewriter.modifyOpInPlace(refined, [&] {
      refined->setOperands(operands);
      for (auto [result, type] : llvm::zip_equal(refined->getResults(), types))
        result.setType(type);
    });
    SmallVector<Value> results;
    for (auto [result, old] : llvm::zip_equal(refined->getResults(), op->getResultTypes()))
      results.push_back(
          result.getType() == old
              ? Value(result)
              : tensor::CastOp::create(rewriter, op->getLoc(), old, result).getResult());
    rewriter.replaceOp(op, results);
    return success();
  }

private:
  static Type merge(RankedTensorType inferred, RankedTensorType stated) {
    SmallVector<int64_t> shape;
    for (auto [lhs, rhs] : llvm::zip_equal(inferred.getShape(), stated.getShape()))
      shape.push_back(mergeSizes(lhs, rhs));
    return RankedTensorType::get(shape, inferred.getElementType());
  }

  StringRef dialect;
};

} // namespace

void addRefinement(RewritePatternSet &patterns, StringRef dialect) {
  patterns.add<Refine>(patterns.getContext(), dialect);
}

int64_t OperandDim::size() const { return cast<ShapedType>(value.getType()).getDimSize(dim); }

int64_t mergeSizes(int64_t lhs, int64_t rhs) { return ShapedType::isDynamic(lhs) ? rhs : lhs; }

static bool areKnownAndDiffer(int64_t lhs, int64_t rhs) {
  return !ShapedType::isDynamic(lhs) && !ShapedType::isDynamic(rhs) && lhs != rhs;
}

LogicalResult verifySameSize(Operation *op, OperandDim lhs, OperandDim rhs) {
  if (!areKnownAndDiffer(lhs.size(), rhs.size()))
    return success();
  return op->emitOpError("requires dimension ")
         << lhs.dim << " of " << lhs.name << " and " << rhs.dim << " of " << rhs.name
         << " to be equal, but they are " << lhs.size() << " and " << rhs.size();
}

LogicalResult verifyBroadcastSize(Operation *op, OperandDim from, OperandDim to) {
  if (from.size() == 1 || !areKnownAndDiffer(from.size(), to.size()))
    return success();
  return op->emitOpError("requires dimension ")
         << from.dim << " of " << from.name << " to be 1 or dimension " << to.dim << " of "
         << to.name << ", but it is " << from.size() << " and that is " << to.size();
}

} // namespace moec
