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

/// The input that `result` starts with, if it is one with something behind it.
BlockArgument grownInput(Value result) {
  result = skipCasts(result);
  if (auto append = result.getDefiningOp<attn::CacheAppendOp>())
    return dyn_cast<BlockArgument>(skipCasts(append.getPast()));
  // A concatenation: parts inserted one behind the other, the first innermost.
  tensor::InsertSliceOp first;
  while (auto insert = result.getDefiningOp<tensor::InsertSliceOp>()) {
    first = insert;
    result = insert.getDest();
  }
  bool startsAtZero = first && llvm::all_of(first.getMixedOffsets(), [](OpFoldResult offset) {
                        return isConstantIntValue(offset, 0);
                      });
  return startsAtZero ? dyn_cast<BlockArgument>(skipCasts(first.getSource())) : BlockArgument();
}

/// The input in whose place `result` comes: a state of fixed size that every
/// token updates, or the end of what the input starts.
BlockArgument replacedInput(Value result) {
  result = skipCasts(result);
  BlockArgument past;
  if (auto attention = result.getDefiningOp<attn::LinearAttentionOp>();
      attention && result == attention.getPresent())
    past = dyn_cast<BlockArgument>(skipCasts(attention.getState()));
  else if (auto end = result.getDefiningOp<tensor::ExtractSliceOp>())
    past = grownInput(end.getSource());
  return past && past.getType() == result.getType() ? past : BlockArgument();
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

/// Why a session cannot keep the pair, or nothing.
StringRef obstacleTo(BlockArgument past, Value present) {
  auto append = skipCasts(present).getDefiningOp<attn::CacheAppendOp>();
  if (!append)
    return "it is concatenated, not appended to by attention";
  if (!isOnlyAppended(past, append))
    return "the past is read elsewhere, too";
  if (!isSameButPositions(cast<ShapedType>(past.getType()), cast<ShapedType>(present.getType())))
    return "past and present differ in more than an open number of positions";
  return "";
}

struct DetectStatePass : impl::DetectStatePassBase<DetectStatePass> {
  void runOnOperation() override {
    if (auto main = getOperation().lookupSymbol<func::FuncOp>("main"))
      for (OpOperand &result : main.front().getTerminator()->getOpOperands())
        mark(main, result);
  }

  void mark(func::FuncOp main, OpOperand &result) {
    BlockArgument grown = grownInput(result.get());
    BlockArgument past = grown ? grown : replacedInput(result.get());
    if (!past || past.getOwner() != &main.front())
      return;
    Builder builder(&getContext());
    unsigned input = past.getArgNumber(), output = result.getOperandNumber();
    NamedAttrList pair(
        builder.getDictionaryAttr(builder.getNamedAttr("input", builder.getI64IntegerAttr(input))));
    StringRef obstacle =
        grown ? obstacleTo(past, result.get()) : "it is replaced by each call, not appended to";
    if (!obstacle.empty()) {
      pair.set("why", builder.getStringAttr(obstacle));
      main.setResultAttr(output, "rt.plain", pair.getDictionary(&getContext()));
      return;
    }
    pair.set("axis", builder.getI64IntegerAttr(kPositions));
    main.setResultAttr(output, "rt.state", pair.getDictionary(&getContext()));
    // The session hands out a part of a larger buffer, of contiguous rows.
    SmallVector<int64_t> strides(cast<ShapedType>(past.getType()).getRank(), ShapedType::kDynamic);
    strides.back() = 1;
    main.setArgAttr(input, bufferization::BufferizationDialect::kBufferLayoutAttrName,
                    StridedLayoutAttr::get(&getContext(), 0, strides));
  }
};

} // namespace
} // namespace moec
