//===- Convolution.cpp - convolutions over any number of dimensions --------===//
#include "passes/raise/Operators.h"
#include "passes/raise/ops/Helpers.h"
#include "passes/raise/ops/Windows.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace moec::raise {
namespace {

Type sumType(Emitter &e, Type element) {
  bool isNarrow = isa<FloatType>(element) && element.getIntOrFloatBitWidth() < 32;
  return isNarrow ? e.getF32Type() : element;
}

Scalars spatialOf(const Tensor &x) { return Scalars(ArrayRef(x.shape).drop_front(2)); }

/// Sums products over channels of the group and kernel positions: `loops` are
/// [N, M, O..., C, K...], and `factor` gives one factor at such indices.
Tensor sumProducts(Emitter &e, Scalars loops, int64_t outputs, Type element,
                   llvm::function_ref<std::pair<Value, Value>(Emitter &, ValueRange)> factors) {
  Type type = sumType(e, element);
  Tensor products = e.generate(loops, type, [&](Emitter &in, ValueRange at) -> Value {
    auto [x, w] = factors(in, at);
    x = in.convert(x, element, type);
    w = in.convert(w, element, type);
    if (isa<FloatType>(type))
      return arith::MulFOp::create(in, x, w);
    return arith::MulIOp::create(in, x, w);
  });
  SmallVector<int64_t> dims =
      llvm::to_vector(llvm::seq<int64_t>(outputs, static_cast<int64_t>(loops.size())));
  Tensor sum = e.reduce(products, dims, /*keepDims=*/false, e.constant(signlessType(type), 0),
                        [&](Emitter &in, ValueRange v) -> Value {
                          if (isa<FloatType>(type))
                            return arith::AddFOp::create(in, v[0], v[1]);
                          return arith::AddIOp::create(in, v[0], v[1]);
                        });
  return e.cast(sum, element);
}

Tensor addBias(Emitter &e, Tensor y, Tensor bias) {
  Scalars shape(y.rank() - 1, e.size(1));
  shape[0] = bias.shape[0];
  return e.elementwise({y, e.reshape(bias, shape)}, y.elementType,
                       [&](Emitter &in, ValueRange v) -> Value {
                         if (y.isFloat())
                           return arith::AddFOp::create(in, v[0], v[1]);
                         return arith::AddIOp::create(in, v[0], v[1]);
                       });
}

FailureOr<Tensor> convolve(Node &node, Tensor x, Tensor w) {
  Emitter &e = node.emitter;
  if (x.rank() < 3 || w.rank() != x.rank())
    return node.refuse("it needs tensors of equal rank, at least 3");
  node.ignore({"kernel_shape"}); // the weights have it
  FailureOr<Windows> windows = windowsOf(node, spatialOf(x), spatialOf(w));
  if (failed(windows))
    return failure();
  int64_t group = node.intAttr("group", 1), rank = windows->rank();
  OpFoldResult channels = w.shape[1], features = e.divide(w.shape[0], e.size(group));
  Scalars loops{x.shape[0], w.shape[0]};
  llvm::append_range(loops, windows->output);
  loops.push_back(channels);
  llvm::append_range(loops, windows->kernel);
  Value data = e.value(x), weights = e.value(w);
  return sumProducts(e, loops, 2 + rank, x.elementType, [&](Emitter &in, ValueRange at) {
    Value channel = at[2 + rank];
    if (group != 1) {
      Value which = arith::DivUIOp::create(in, at[1], in.index(features));
      channel =
          arith::AddIOp::create(in, channel, arith::MulIOp::create(in, which, in.index(channels)));
    }
    SmallVector<Value> from{at[0], channel}, weight{at[1], at[2 + rank]};
    for (int64_t dim = 0; dim < rank; ++dim) {
      Value kernel = at[3 + rank + dim];
      from.push_back(windows->position(in, dim, at[2 + dim], kernel));
      weight.push_back(kernel);
    }
    Value zero = in.constant(signlessType(x.elementType), 0);
    return std::pair(readInside(in, data, from, windows->input, zero), in.read(weights, weight));
  });
}

LogicalResult lowerConv(Node &node) {
  FailureOr<Tensor> y = convolve(node, node.in(0), node.in(1));
  if (failed(y))
    return failure();
  return node.set(0, node.has(2) ? addBias(node.emitter, *y, node.in(2)) : *y);
}

/// The tensor minus a zero point, which may be one per output channel.
Tensor centred(Node &node, unsigned input, unsigned zero) {
  Emitter &e = node.emitter;
  Tensor x = node.in(input);
  Type si32 = e.getIntegerType(32, true);
  Tensor wide = e.cast(x, si32);
  if (!node.has(zero))
    return wide;
  Tensor shift = e.cast(node.in(zero), si32);
  if (shift.rank() == 1) {
    Scalars shape(x.rank(), e.size(1));
    shape[0] = shift.shape[0];
    shift = e.reshape(shift, shape);
  }
  return e.elementwise({wide, shift}, si32, [](Emitter &in, ValueRange v) {
    return arith::SubIOp::create(in, v[0], v[1]).getResult();
  });
}

LogicalResult lowerConvInteger(Node &node) {
  FailureOr<Tensor> y = convolve(node, centred(node, 0, 2), centred(node, 1, 3));
  return failed(y) ? failure() : node.set(0, *y);
}

LogicalResult lowerQLinearConv(Node &node) {
  Emitter &e = node.emitter;
  FailureOr<Tensor> sum = convolve(node, centred(node, 0, 2), centred(node, 3, 5));
  if (failed(sum))
    return failure();
  if (node.has(8))
    sum = addBias(e, *sum, node.in(8));
  auto perChannel = [&](unsigned input) {
    Tensor parameter = node.in(input);
    if (parameter.rank() == 0)
      return parameter;
    Scalars shape(sum->rank() - 1, e.size(1));
    shape[0] = parameter.shape[0];
    return e.reshape(parameter, shape);
  };
  Type f32 = e.getF32Type(), target = node.in(7).elementType;
  return node.set(
      0,
      e.elementwise({e.cast(*sum, f32), perChannel(1), perChannel(4), perChannel(6), perChannel(7)},
                    target, [&](Emitter &in, ValueRange v) {
                      Value factor =
                          arith::DivFOp::create(in, arith::MulFOp::create(in, v[1], v[2]), v[3]);
                      return toQuantized(in, arith::MulFOp::create(in, v[0], factor), v[4], target);
                    }));
}

/// Sizes and padding of a transposed convolution.
FailureOr<Windows> transposedWindows(Node &node, const Tensor &x, const Tensor &w) {
  Emitter &e = node.emitter;
  Windows result;
  result.input = spatialOf(x);
  result.kernel = spatialOf(w);
  size_t rank = result.input.size();
  auto list = [&](StringRef name, size_t size, int64_t fallback) {
    return node.intsAttr(name).value_or(SmallVector<int64_t>(size, fallback));
  };
  result.strides = list("strides", rank, 1);
  result.dilations = list("dilations", rank, 1);
  SmallVector<int64_t> pads = list("pads", 2 * rank, 0), extra = list("output_padding", rank, 0);
  std::optional<SmallVector<int64_t>> wanted = node.intsAttr("output_shape");
  StringRef mode = node.stringAttr("auto_pad", "NOTSET");
  bool isSame = mode == "SAME_UPPER" || mode == "SAME_LOWER";
  if (result.strides.size() != rank || result.dilations.size() != rank || pads.size() != 2 * rank ||
      extra.size() != rank || (wanted && wanted->size() != rank))
    return node.refuse("its attributes do not fit ") << rank << " spatial dimensions";
  for (size_t dim = 0; dim < rank; ++dim) {
    OpFoldResult stride = e.size(result.strides[dim]);
    OpFoldResult reach = e.add(
        e.mul(e.sub(result.kernel[dim], e.size(1)), e.size(result.dilations[dim])), e.size(1));
    OpFoldResult full =
        e.add(e.add(e.mul(e.sub(result.input[dim], e.size(1)), stride), reach), e.size(extra[dim]));
    if (!wanted && !isSame) {
      OpFoldResult begin = e.size(mode == "VALID" ? 0 : pads[dim]);
      OpFoldResult end = e.size(mode == "VALID" ? 0 : pads[rank + dim]);
      result.padBegin.push_back(begin);
      result.output.push_back(e.sub(e.sub(full, begin), end));
      continue;
    }
    OpFoldResult output = wanted ? e.size((*wanted)[dim]) : e.mul(result.input[dim], stride);
    OpFoldResult total = e.max(e.sub(full, output), e.size(0)), half = e.divide(total, e.size(2));
    result.padBegin.push_back(mode == "SAME_UPPER" ? half : e.sub(total, half));
    result.output.push_back(output);
  }
  return result;
}

LogicalResult lowerConvTranspose(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0), w = node.in(1);
  if (x.rank() < 3 || w.rank() != x.rank())
    return node.refuse("it needs tensors of equal rank, at least 3");
  node.ignore({"kernel_shape"}); // the weights have it
  FailureOr<Windows> windows = transposedWindows(node, x, w);
  if (failed(windows))
    return failure();
  int64_t group = node.intAttr("group", 1), rank = windows->rank();
  OpFoldResult features = w.shape[1], channels = e.divide(x.shape[1], e.size(group));
  Scalars loops{x.shape[0], e.mul(features, e.size(group))};
  llvm::append_range(loops, windows->output);
  loops.push_back(channels);
  llvm::append_range(loops, windows->kernel);
  Value data = e.value(x), weights = e.value(w);
  Tensor y = sumProducts(e, loops, 2 + rank, x.elementType, [&](Emitter &in, ValueRange at) {
    // Output channel m belongs to group m / features.
    Value which = arith::DivUIOp::create(in, at[1], in.index(features));
    Value feature = arith::RemUIOp::create(in, at[1], in.index(features));
    Value channel = arith::AddIOp::create(in, at[2 + rank],
                                          arith::MulIOp::create(in, which, in.index(channels)));
    SmallVector<Value> from{at[0], channel}, weight{channel, feature};
    for (int64_t dim = 0; dim < rank; ++dim) {
      Value kernel = at[3 + rank + dim], stride = in.index(windows->strides[dim]);
      Value step = arith::MulIOp::create(in, kernel, in.index(windows->dilations[dim]));
      Value reached = arith::SubIOp::create(
          in, arith::AddIOp::create(in, at[2 + dim], in.index(windows->padBegin[dim])), step);
      // Only multiples of the stride come from an input; others lie outside.
      Value rest = arith::RemSIOp::create(in, reached, stride);
      Value hits = arith::CmpIOp::create(in, arith::CmpIPredicate::eq, rest, in.index(int64_t(0)));
      from.push_back(arith::SelectOp::create(in, hits, arith::DivSIOp::create(in, reached, stride),
                                             in.index(int64_t(-1))));
      weight.push_back(kernel);
    }
    Value zero = in.constant(signlessType(x.elementType), 0);
    return std::pair(readInside(in, data, from, windows->input, zero), in.read(weights, weight));
  });
  return node.set(0, node.has(2) ? addBias(e, y, node.in(2)) : y);
}

const OperatorInfo kTable[] = {
    {"", "Conv", 2, 3, lowerConv, 1},
    {"", "ConvInteger", 2, 4, lowerConvInteger, 10},
    {"", "ConvTranspose", 2, 3, lowerConvTranspose, 1},
    {"", "QLinearConv", 8, 9, lowerQLinearConv, 10},
};

} // namespace

ArrayRef<OperatorInfo> convolutionOperators() { return kTable; }

} // namespace moec::raise
