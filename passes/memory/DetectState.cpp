//===- DetectState.cpp - caches that a session can keep -------------------===//
#include "passes/Passes.h"

#include "dialects/attn/AttnDialect.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace moec {
#define GEN_PASS_DEF_DETECTSTATEPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;

namespace moec {
namespace {

/// The dimension along which caches grow: [batch, heads, positions, head size].
constexpr int64_t kPositions = 2;

Value skipCasts(Value value) {
  while (auto cast = value.getDefiningOp<tensor::CastOp>())
    value = cast.getSource();
  return value;
}

/// Whether everything that depends on `past` is this append: the present then
/// may take the memory of the past.
bool isOnlyAppended(Value past, attn::CacheAppendOp append) {
  return llvm::all_of(past.getUses(), [&](OpOperand &use) {
    if (auto cast = dyn_cast<tensor::CastOp>(use.getOwner()))
      return isOnlyAppended(cast, append);
    return use.getOwner() == append || isa<tensor::DimOp>(use.getOwner());
  });
}

/// Whether the present is the past with other positions.
bool isSameButPositions(ShapedType past, ShapedType present) {
  if (past.getElementType() != present.getElementType() || past.getRank() != present.getRank())
    return false;
  for (int64_t dim = 0; dim < past.getRank(); ++dim)
    if (dim == kPositions ? !past.isDynamicDim(dim) || !present.isDynamicDim(dim)
                          : past.getDimSize(dim) != present.getDimSize(dim))
      return false;
  return true;
}

struct DetectStatePass : impl::DetectStatePassBase<DetectStatePass> {
  void runOnOperation() override {
    if (auto main = getOperation().lookupSymbol<func::FuncOp>("main"))
      for (OpOperand &result : main.front().getTerminator()->getOpOperands())
        mark(main, result);
  }

  void mark(func::FuncOp main, OpOperand &result) {
    auto append = skipCasts(result.get()).getDefiningOp<attn::CacheAppendOp>();
    if (!append)
      return;
    auto past = dyn_cast<BlockArgument>(skipCasts(append.getPast()));
    if (!past || past.getOwner() != &main.front() || !isOnlyAppended(past, append) ||
        !isSameButPositions(cast<ShapedType>(past.getType()),
                            cast<ShapedType>(result.get().getType())))
      return;
    Builder builder(&getContext());
    unsigned input = past.getArgNumber();
    main.setResultAttr(result.getOperandNumber(), "rt.state",
                       builder.getDictionaryAttr(
                           {builder.getNamedAttr("input", builder.getI64IntegerAttr(input)),
                            builder.getNamedAttr("axis", builder.getI64IntegerAttr(kPositions))}));
    // The session hands out a part of a larger buffer.
    SmallVector<int64_t> strides(cast<ShapedType>(past.getType()).getRank(), ShapedType::kDynamic);
    main.setArgAttr(input, bufferization::BufferizationDialect::kBufferLayoutAttrName,
                    StridedLayoutAttr::get(&getContext(), 0, strides));
  }
};

} // namespace
} // namespace moec
