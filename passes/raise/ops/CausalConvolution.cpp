//===- CausalConvolution.cpp - convolutions that continue ------------------===//
//
// Each channel is convolved by its own kernel along a sequence that goes on from
// call to call: the state is the end of the inputs so far, as much of it as the
// kernel reaches back.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "passes/raise/ops/Formulas.h"
#include "passes/raise/ops/Heads.h"
#include "passes/raise/ops/Helpers.h"

using namespace mlir;

namespace moec::raise {
namespace {

enum Input : unsigned { kX, kWeight, kBias, kPast, kInputs };

constexpr int64_t kLargestWindow = 8;

/// Attributes of ONNX Runtime's CUDA kernel alone, and what leaves them unused.
constexpr std::pair<StringLiteral, int64_t> kUnusedExtensions[] = {
    {"state_update_capacity", 0}, {"state_channels_last", -1}, {"state_length", 0},
    {"input_channel_offset", 0},  {"input_channels", 0},
};

class CausalConvolution {
public:
  explicit CausalConvolution(Node &node) : node(node), e(node.emitter) {
    // The others are com.microsoft's.
    if (node.operation().getDomain().empty())
      return;
    dilation = node.intAttr("dilation", 1);
    window = node.intAttr("state_window", 0);
    isChannelsLast = node.intAttr("channels_last", 0) != 0;
  }

  LogicalResult lower() {
    if (failed(check()) || failed(takeInputs()))
      return failure();
    Tensor inputs = continued();
    FailureOr<Tensor> y = convolve(inputs);
    if (failed(y))
      return failure();
    (void)node.set(0, e.reshape(*y, outputShape));
    return node.set(1, e.reshape(present(inputs), stateShape));
  }

private:
  LogicalResult check() {
    for (auto [name, unused] : kUnusedExtensions)
      if (int64_t value = node.intAttr(name, unused); value != unused)
        return node.refuse(name + " = " + Twine(value) + " is not supported");
    Type element = node.in(kX).elementType;
    for (unsigned input = 0; input < node.numInputs(); ++input)
      if (node.has(input) && (!node.in(input).isFloat() || node.in(input).elementType != element))
        return node.refuse("its inputs must be of one type of floats");
    // ONNX does not say how the other dimensions are padded.
    if (int64_t ndim = node.intAttr("ndim", 1); ndim != 1)
      return node.refuse("ndim of 1 is supported, but it is ") << ndim;
    if (dilation < 1)
      return node.refuse("dilation is at least 1, but it is ") << dilation;
    if (window < 0 || window > kLargestWindow)
      return node.refuse("state_window is 0 to ") << kLargestWindow << ", but it is " << window;
    int64_t rank = node.in(kX).rank();
    if (isChannelsLast ? rank < 3 : rank != 3)
      return node.refuse(isChannelsLast ? "the input has 3 dimensions or more, but this one has "
                                        : "the input has 3 dimensions, but this one has ")
             << rank;
    return success();
  }

  /// x and past as [B,C,T], or [B,T,C] where channels are last.
  LogicalResult takeInputs() {
    x = node.in(kX);
    outputShape = x.shape;
    batch = x.shape[0];
    tokens = x.shape[axis()];
    ArrayRef<OpFoldResult> own = ArrayRef(x.shape).drop_front(isChannelsLast ? 2 : 1);
    channels = isChannelsLast ? e.product(own) : own.front();
    x = e.reshape(x, sequence(tokens));
    ArrayRef<OpFoldResult> weightSizes = node.in(kWeight).shape;
    kernel = weightSizes.empty() ? e.size(1) : weightSizes.back();
    if (isConstantIntValue(kernel, 0))
      return node.refuse("the weight has no taps");
    e.check(e.less(e.index(0), e.index(kernel)), "a causal convolution has no taps");
    FailureOr<Tensor> weight = shaped(node, kWeight, "the weight", {channels, e.size(1), kernel});
    if (failed(weight))
      return failure();
    w = *weight;
    if (node.has(kBias)) {
      FailureOr<Tensor> given = shaped(node, kBias, "the bias", {channels});
      if (failed(given))
        return failure();
      bias = *given;
    }
    reach = e.mul(e.sub(kernel, e.size(1)), e.size(dilation));
    return takePast();
  }

  LogicalResult takePast() {
    stateShape = outputShape;
    stateShape[axis()] = reach;
    Scalars flat = sequence(reach);
    if (window) {
      stateShape.insert(stateShape.begin(), e.size(window));
      flat.insert(flat.begin(), e.size(window));
    }
    if (!node.has(kPast))
      return success();
    FailureOr<Tensor> given = shaped(node, kPast, "past_state", stateShape);
    if (failed(given))
      return failure();
    past = e.reshape(*given, flat);
    return success();
  }

  Scalars sequence(OpFoldResult length) const {
    return isChannelsLast ? Scalars{batch, length, channels} : Scalars{batch, channels, length};
  }
  int64_t axis() const { return isChannelsLast ? 1 : 2; }

  /// The past, or zeros, with the input behind it.
  Tensor continued() {
    Scalars shape = sequence(e.add(reach, tokens));
    Value whole;
    if (past) {
      Tensor newest = *past;
      if (window)
        newest = e.squeeze(sliceDim(e, newest, 0, e.size(window - 1), e.size(1)), 0);
      whole = insert(newest, e.empty(shape, x.elementType), e.size(0));
    } else {
      whole = e.filled(shape, e.constant(x.elementType, 0));
    }
    return e.tensor(insert(x, whole, reach), x.elementType, shape);
  }

  Value insert(Tensor part, Value whole, OpFoldResult position) {
    SmallVector<OpFoldResult> offsets(3, e.size(0)), strides(3, e.size(1));
    offsets[axis()] = position;
    return tensor::InsertSliceOp::create(e, e.value(part), whole, offsets, part.shape, strides);
  }

  /// The sum of products, taps ascending, of what is before position `at`.
  Value sumOfTaps(Emitter &e, const Tensor &inputs, ValueRange at) {
    Value channel = at[isChannelsLast ? 2 : 1], zero = e.index(0);
    auto add = [&](OpBuilder &nested, Location loc, Value tap, ValueRange sum) {
      Emitter in(loc, nested);
      SmallVector<Value> from(at);
      from[axis()] = in.add(from[axis()], in.mul(tap, in.index(dilation)));
      Value input = widened(in, in.read(inputs.data, from));
      Value factor = widened(in, in.read(w.data, {channel, zero, tap}));
      scf::YieldOp::create(in, addf(in, sum[0], mulf(in, input, factor)));
    };
    Value none = e.constant(sumType(), 0);
    return scf::ForOp::create(e, zero, e.index(kernel), e.index(1), none, add).getResult(0);
  }

  /// The sums with their bias and through the activation, rounded once.
  FailureOr<Tensor> convolve(const Tensor &inputs) {
    StringRef activation = node.stringAttr("activation", "none");
    if (!llvm::is_contained({"none", "silu", "swish"}, activation))
      return node.refuse("activation '" + activation + "' is unknown");
    return e.generate(sequence(tokens), x.elementType, [&](Emitter &e, ValueRange at) {
      Value y = sumOfTaps(e, inputs, at);
      if (bias)
        y = addf(e, y, widened(e, e.read(bias->data, at[isChannelsLast ? 2 : 1])));
      return e.convert(activation == "none" ? y : swish(e, y, 1), sumType(), x.elementType);
    });
  }

  /// The last `reach` inputs; slot j of a window of W those up to token
  /// T - W + j, zeros without one.
  Tensor present(const Tensor &inputs) {
    Scalars shape = sequence(reach);
    // A slice of size 0 behind the last input would be out of bounds.
    if (isConstantIntValue(reach, 0) && !window)
      return e.tensor(e.empty(shape, x.elementType), x.elementType, shape);
    if (!window)
      return sliceDim(e, inputs, axis(), tokens, reach);
    shape.insert(shape.begin(), e.size(window));
    return e.generate(shape, x.elementType, [&](Emitter &e, ValueRange indices) {
      Value count = e.add(e.sub(e.index(tokens), e.index(window - 1)), indices[0]);
      SmallVector<Value> from(indices.drop_front());
      from[axis()] = e.add(from[axis()], count);
      return e.readIf(e.less(e.index(0), count), inputs.data, from, e.constant(x.elementType, 0));
    });
  }

  Value widened(Emitter &e, Value scalar) { return e.convert(scalar, x.elementType, sumType()); }
  Type sumType() { return x.elementType.isF64() ? x.elementType : Type(e.getF32Type()); }

  Node &node;
  Emitter &e;
  int64_t dilation = 1, window = 0;
  bool isChannelsLast = false;
  Tensor x, w;
  std::optional<Tensor> bias, past;
  OpFoldResult batch, channels, tokens, kernel, reach;
  Scalars outputShape, stateShape;
};

LogicalResult lowerCausalConvolution(Node &node) { return CausalConvolution(node).lower(); }

const OperatorInfo kTable[] = {
    {"", "CausalConvWithState", 2, kInputs, lowerCausalConvolution, 27},
    {kMicrosoft, "CausalConvWithState", 2, kInputs, lowerCausalConvolution},
};

} // namespace

ArrayRef<OperatorInfo> causalConvolutionOperators() { return kTable; }

} // namespace moec::raise
