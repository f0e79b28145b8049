#include "passes/raise/ops/Windows.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace moec::raise {
namespace {

/// Sizes with auto_pad SAME: one window per stride, padding split evenly, the
/// odd one at the end (upper) or the beginning (lower).
void padSame(Emitter &e, Windows &w, bool upper) {
  for (int64_t dim = 0; dim < w.rank(); ++dim) {
    OpFoldResult stride = e.size(w.strides[dim]);
    OpFoldResult output = e.divide(e.add(w.input[dim], e.size(w.strides[dim] - 1)), stride);
    OpFoldResult reach =
        e.add(e.mul(e.sub(w.kernel[dim], e.size(1)), e.size(w.dilations[dim])), e.size(1));
    OpFoldResult needed = e.add(e.mul(e.sub(output, e.size(1)), stride), reach);
    OpFoldResult total = e.max(e.sub(needed, w.input[dim]), e.size(0));
    OpFoldResult half = e.divide(total, e.size(2)), rest = e.sub(total, half);
    w.padBegin.push_back(upper ? half : rest);
    w.padEnd.push_back(upper ? rest : half);
    w.output.push_back(output);
  }
}

void countWindows(Emitter &e, Windows &w, bool ceil) {
  for (int64_t dim = 0; dim < w.rank(); ++dim) {
    OpFoldResult stride = e.size(w.strides[dim]);
    OpFoldResult reach =
        e.add(e.mul(e.sub(w.kernel[dim], e.size(1)), e.size(w.dilations[dim])), e.size(1));
    OpFoldResult room = e.sub(e.add(e.add(w.input[dim], w.padBegin[dim]), w.padEnd[dim]), reach);
    if (!ceil) {
      w.output.push_back(e.add(e.divide(room, stride), e.size(1)));
      continue;
    }
    // The last window must start in the input or the padding before it.
    OpFoldResult rounded =
        e.add(e.divide(e.add(room, e.size(w.strides[dim] - 1)), stride), e.size(1));
    OpFoldResult starts =
        e.divide(e.add(e.add(w.input[dim], w.padBegin[dim]), e.size(w.strides[dim] - 1)), stride);
    w.output.push_back(e.min(rounded, starts));
  }
}

} // namespace

Value Windows::position(Emitter &e, int64_t dim, Value window, Value kernel) const {
  Value start = arith::MulIOp::create(e, window, e.index(strides[dim]));
  Value step = arith::MulIOp::create(e, kernel, e.index(dilations[dim]));
  return arith::SubIOp::create(e, arith::AddIOp::create(e, start, step), e.index(padBegin[dim]));
}

FailureOr<Windows> windowsOf(Node &node, Scalars input, Scalars kernel) {
  Emitter &e = node.emitter;
  size_t rank = input.size();
  Windows w;
  w.input = std::move(input);
  w.kernel = std::move(kernel);
  w.strides = node.intsAttr("strides").value_or(SmallVector<int64_t>(rank, 1));
  w.dilations = node.intsAttr("dilations").value_or(SmallVector<int64_t>(rank, 1));
  SmallVector<int64_t> pads = node.intsAttr("pads").value_or(SmallVector<int64_t>(2 * rank, 0));
  if (w.kernel.size() != rank || w.strides.size() != rank || w.dilations.size() != rank ||
      pads.size() != 2 * rank)
    return node.refuse("kernel, strides, dilations or pads do not fit ")
           << rank << " spatial dimensions";
  for (int64_t value : llvm::concat<int64_t>(w.strides, w.dilations))
    if (value < 1)
      return node.refuse("a stride or dilation is ") << value;
  StringRef mode = node.stringAttr("auto_pad", "NOTSET");
  bool roundsUp = node.intAttr("ceil_mode", 0) != 0;
  if (mode == "SAME_UPPER" || mode == "SAME_LOWER") {
    padSame(e, w, mode == "SAME_UPPER");
    return w;
  }
  if (mode != "NOTSET" && mode != "VALID")
    return node.refuse("auto_pad '") << mode << "' is unknown";
  for (size_t dim = 0; dim < rank; ++dim) {
    w.padBegin.push_back(e.size(mode == "VALID" ? 0 : pads[dim]));
    w.padEnd.push_back(e.size(mode == "VALID" ? 0 : pads[rank + dim]));
  }
  countWindows(e, w, roundsUp);
  return w;
}

Value isInside(Emitter &e, Value position, OpFoldResult size) {
  return arith::CmpIOp::create(e, arith::CmpIPredicate::ult, position, e.index(size));
}

Value readInside(Emitter &e, Value tensor, ArrayRef<Value> indices, const Scalars &spatial,
                 Value outside) {
  SmallVector<Value> safe(indices);
  Value inside = e.constant(e.getI1Type(), 1), zero = e.index(int64_t(0));
  for (size_t dim = 0; dim < spatial.size(); ++dim) {
    Value &at = safe[indices.size() - spatial.size() + dim];
    Value here = isInside(e, at, spatial[dim]);
    inside = arith::AndIOp::create(e, inside, here);
    at = arith::SelectOp::create(e, here, at, zero);
  }
  return arith::SelectOp::create(e, inside, e.read(tensor, safe), outside);
}

} // namespace moec::raise
