//===- Reshape.cpp - the same elements in another shape -------------------===//
#include "passes/raise/Emitter.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace moec::raise {
namespace {

/// Dimensions of the input and of the result with the same product.
struct Group {
  SmallVector<int64_t> from, to;
};

/// The first and smallest group of what is left, if one can be proven.
std::optional<Group> nextGroup(Emitter &e, ArrayRef<OpFoldResult> from, ArrayRef<OpFoldResult> to,
                               int64_t i, int64_t j) {
  int64_t restFrom = from.size() - i, restTo = to.size() - j;
  for (int64_t total = 2; total <= restFrom + restTo; ++total)
    for (int64_t count = std::max<int64_t>(1, total - restTo);
         count <= std::min(restFrom, total - 1); ++count)
      if (e.equal(e.product(from.slice(i, count)), e.product(to.slice(j, total - count))))
        return Group{llvm::to_vector(llvm::seq(i, i + count)),
                     llvm::to_vector(llvm::seq(j, j + total - count))};
  return std::nullopt;
}

/// The finest grouping that can be proven, or nothing.
std::optional<SmallVector<Group>> groupDims(Emitter &e, ArrayRef<OpFoldResult> from,
                                            ArrayRef<OpFoldResult> to) {
  SmallVector<Group> groups;
  int64_t i = 0, j = 0, endFrom = from.size(), endTo = to.size();
  while (i < endFrom && j < endTo) {
    std::optional<Group> group = nextGroup(e, from, to, i, j);
    if (!group)
      return std::nullopt;
    i = group->from.back() + 1;
    j = group->to.back() + 1;
    groups.push_back(std::move(*group));
  }
  // What is left over has size 1 and joins the last group.
  if (!e.equal(e.product(from.drop_front(i)), e.product(to.drop_front(j))))
    return std::nullopt;
  if (groups.empty())
    groups.emplace_back();
  llvm::append_range(groups.back().from, llvm::seq(i, endFrom));
  llvm::append_range(groups.back().to, llvm::seq(j, endTo));
  return groups;
}

} // namespace

Tensor Emitter::reshape(Tensor input, Scalars shape) {
  if (shape.size() == input.shape.size() &&
      llvm::all_of(llvm::zip(shape, input.shape),
                   [&](auto pair) { return equal(std::get<0>(pair), std::get<1>(pair)); }))
    return input;
  if (input.elements && shape.size() <= 1)
    return fromElements(*input.elements, input.elementType, shape.empty());
  std::optional<SmallVector<Group>> groups = groupDims(*this, input.shape, shape);
  if (!groups) {
    // Everything through one dimension, whose size is checked.
    OpFoldResult have = product(input.shape), want = product(shape);
    check(createOrFold<arith::CmpIOp>(arith::CmpIPredicate::eq, index(have), index(want)),
          "the number of elements differs from that of the new shape");
    groups.emplace();
    groups->push_back({llvm::to_vector(llvm::seq<int64_t>(0, input.rank())),
                       llvm::to_vector(llvm::seq<int64_t>(0, shape.size()))});
  }
  SmallVector<ReassociationIndices> collapse, expand;
  SmallVector<int64_t> middle, sizes;
  for (const Group &group : *groups) {
    collapse.push_back(ReassociationIndices(group.from.begin(), group.from.end()));
    expand.push_back(ReassociationIndices(group.to.begin(), group.to.end()));
    // A merged size is static exactly if all its parts are.
    int64_t merged = 1;
    for (int64_t dim : group.to) {
      std::optional<int64_t> known = getConstantIntValue(shape[dim]);
      merged = !known || ShapedType::isDynamic(merged) ? ShapedType::kDynamic : merged * *known;
    }
    middle.push_back(merged);
  }
  for (OpFoldResult dim : shape)
    sizes.push_back(getConstantIntValue(dim).value_or(ShapedType::kDynamic));
  Type element = signlessType(input.elementType);
  auto type = RankedTensorType::get(sizes, element);
  Value data = value(input);
  if (shape.empty()) {
    auto ones = RankedTensorType::get(SmallVector<int64_t>(input.rank(), 1), element);
    if (data.getType() != ones)
      data = tensor::CastOp::create(*this, ones, data);
    data = tensor::CollapseShapeOp::create(*this, type, data, ArrayRef<ReassociationIndices>{});
    return tensor(data, input.elementType, shape);
  }
  if (input.rank() == 0) {
    auto ones = RankedTensorType::get(SmallVector<int64_t>(shape.size(), 1), element);
    data = tensor::ExpandShapeOp::create(*this, ones, data, ArrayRef<ReassociationIndices>{});
    return tensor(data, input.elementType, shape);
  }
  if (groups->size() < static_cast<size_t>(input.rank()))
    data = tensor::CollapseShapeOp::create(*this, data, collapse);
  auto middleType = RankedTensorType::get(middle, element);
  if (data.getType() != middleType)
    data = tensor::CastOp::create(*this, middleType, data);
  if (groups->size() < shape.size())
    data = tensor::ExpandShapeOp::create(*this, type, data, expand, shape);
  return tensor(data, input.elementType, shape);
}

Tensor Emitter::transpose(Tensor input, ArrayRef<int64_t> permutation) {
  Scalars shape;
  for (int64_t dim : permutation)
    shape.push_back(input.shape[dim]);
  if (llvm::is_sorted(permutation))
    return input;
  Value init = empty(shape, signlessType(input.elementType));
  auto op = linalg::TransposeOp::create(*this, value(input), init, permutation);
  return Tensor{op->getResult(0), input.elementType, std::move(shape), std::nullopt};
}

Tensor Emitter::squeeze(Tensor input, ArrayRef<int64_t> dims) {
  Scalars shape;
  for (int64_t dim = 0; dim < input.rank(); ++dim)
    if (!llvm::is_contained(dims, dim))
      shape.push_back(input.shape[dim]);
  return reshape(input, shape);
}

Tensor Emitter::unsqueeze(Tensor input, ArrayRef<int64_t> dims) {
  Scalars shape;
  int64_t rank = input.rank() + dims.size();
  for (int64_t dim = 0, next = 0; dim < rank; ++dim)
    shape.push_back(llvm::is_contained(dims, dim) ? size(1) : input.shape[next++]);
  return reshape(input, shape);
}

Tensor Emitter::broadcastTo(Tensor input, Scalars shape) {
  Tensor target{nullptr, input.elementType, shape, std::nullopt};
  Scalars merged = broadcastShapes({input, target});
  if (merged.size() == input.shape.size() &&
      llvm::all_of(llvm::zip(merged, input.shape),
                   [&](auto pair) { return equal(std::get<0>(pair), std::get<1>(pair)); }))
    return input;
  // The target contributes its shape only: a tensor that nothing reads.
  target.data = empty(merged, signlessType(input.elementType));
  target.shape = merged;
  return elementwise({input, target}, input.elementType,
                     [](Emitter &, ValueRange scalars) { return scalars[0]; });
}

} // namespace moec::raise
