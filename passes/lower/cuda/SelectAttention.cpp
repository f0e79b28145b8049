//===- SelectAttention.cpp - attention becomes kernels of warps ------------===//
#include "lib/kernels/cuda/Attention.h"
#include "lib/kernels/cuda/RowFloats.h"
#include "passes/lower/AttentionOperands.h"
#include "passes/lower/cuda/CudaKernels.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace moec {
namespace {

/// Up to so many tiles of rows there is a warp for each chunk of their keys, so
/// that all multiprocessors have some.
constexpr int64_t kMostSplitTiles = 256;

/// Whether rows begin at multiples of 16 bytes, as those of a tensor that is not
/// part of another do if they are as long.
bool isAligned(Value tensor) {
  auto isWhole = [](RankedTensorType type) {
    int64_t last = type.getShape().back();
    return !ShapedType::isDynamic(last) && last % cuda::elementsOfUnit(type.getElementType()) == 0;
  };
  if (!isWhole(cast<RankedTensorType>(tensor.getType())))
    return false;
  while (Operation *producer = tensor.getDefiningOp()) {
    if (auto slice = dyn_cast<tensor::ExtractSliceOp>(producer)) {
      std::optional<int64_t> offset = getConstantIntValue(slice.getMixedOffsets().back());
      if (!isWhole(slice.getSourceType()) || !offset ||
          *offset % cuda::elementsOfUnit(slice.getType().getElementType()) != 0)
        return false;
      tensor = slice.getSource();
    } else if (isa<tensor::CastOp, tensor::CollapseShapeOp, tensor::ExpandShapeOp>(producer)) {
      tensor = producer->getOperand(0);
    } else {
      return true;
    }
  }
  return true;
}

/// A warp for each chunk, and a kernel that merges them.
Value launchSplit(CudaKernels &kernels, TensorBuilder &b, attn::AttentionOp op,
                  cuda::Attention attention, ValueRange inputs, Value empty) {
  constexpr int64_t kDynamic = ShapedType::kDynamic;
  attention.isSplit = true;
  cuda::AttentionMerge merge{attention};
  Value batch = b.index(b.size(op.getQ(), 0)), queries = b.index(b.size(op.getQ(), 1));
  Value keys = b.index(b.size(op.getK(), 2));
  Value chunks = arith::CeilDivUIOp::create(b, keys, b.index(attention.chunk));
  Value rows = b.mul(queries, b.index(attention.group));
  SmallVector<Value> parts;
  for (int64_t width : {int64_t(2), attention.valueDepth}) {
    auto type = RankedTensorType::get({kDynamic, attention.kvHeads, kDynamic, kDynamic, width},
                                      b.getF32Type());
    parts.push_back(tensor::EmptyOp::create(b, type, ValueRange{batch, chunks, rows}));
  }
  StringRef name = op->getName().getStringRef();
  parts = launch(b, kernels.kernel(attention), attention.grid(b, b.getLoc(), batch, queries, keys),
                 inputs, parts, name);
  llvm::append_range(parts, inputs);
  return launch(b, kernels.kernel(merge), merge.grid(b, b.getLoc(), batch, queries), parts, empty,
                name)[0];
}

} // namespace

LogicalResult selectKernel(CudaKernels &kernels, RewriterBase &rewriter, attn::AttentionOp op) {
  std::optional<AttentionSpec> spec = attentionOf(op);
  if (!spec)
    return failure();
  cuda::Attention attention{*spec};
  attention.isAligned = llvm::all_of(ValueRange{op.getQ(), op.getK(), op.getV()}, isAligned);
  if (!attention.isSupported())
    return failure();
  rewriter.setInsertionPoint(op);
  TensorBuilder b(rewriter, op.getLoc());
  SmallVector<Value> inputs = attentionInputs(b, op, *spec);
  Value empty = attentionResult(b, op, *spec);
  Value batch = b.index(b.size(op.getQ(), 0)), queries = b.index(b.size(op.getQ(), 1));
  Value tiles = attention.tiles(b, b.getLoc(), batch, queries);
  Value isMany = b.less(b.index(kMostSplitTiles), tiles);
  auto branch = scf::IfOp::create(
      b, isMany,
      [&](OpBuilder &nested, Location loc) {
        TensorBuilder b(nested, loc);
        Value grid = attention.grid(b, loc, batch, queries, b.index(b.size(op.getK(), 2)));
        Value y = launch(b, kernels.kernel(attention), grid, inputs, empty,
                         op->getName().getStringRef())[0];
        scf::YieldOp::create(b, y);
      },
      [&](OpBuilder &nested, Location loc) {
        TensorBuilder b(nested, loc);
        scf::YieldOp::create(b, launchSplit(kernels, b, op, attention, inputs, empty));
      });
  rewriter.replaceOp(op, b.castTo(branch.getResult(0), op.getType()));
  return success();
}

} // namespace moec
