//===- Indexing.cpp - operators that read and write by index ---------------===//
#include "passes/raise/Operators.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace moec::raise {
namespace {

/// An index from data: negative ones count from the end; outside is an error.
Value checkedIndex(Emitter &e, Value given, OpFoldResult size) {
  Value index = given.getType().isIndex()
                    ? given
                    : arith::IndexCastOp::create(e, e.getIndexType(), given).getResult();
  Value extent = e.index(size);
  Value negative = arith::CmpIOp::create(e, arith::CmpIPredicate::slt, index, e.index(0));
  Value counted =
      arith::SelectOp::create(e, negative, arith::AddIOp::create(e, index, extent), index);
  e.check(arith::CmpIOp::create(e, arith::CmpIPredicate::ult, counted, extent),
          "an index is out of bounds");
  return counted;
}

LogicalResult lowerGather(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0), indices = node.in(1);
  FailureOr<int64_t> axis = node.axis(node.intAttr("axis", 0), x.rank());
  if (failed(axis))
    return failure();
  if (x.elements && x.rank() == 1 && indices.elements) {
    Scalars taken;
    for (OpFoldResult at : *indices.elements) {
      std::optional<int64_t> known = getConstantIntValue(at);
      if (!known)
        break;
      int64_t size = x.elements->size(), counted = *known < 0 ? *known + size : *known;
      if (counted < 0 || counted >= size)
        return node.refuse("index ") << *known << " is outside " << size << " elements";
      taken.push_back((*x.elements)[counted]);
    }
    if (taken.size() == indices.elements->size())
      return node.set(0, e.fromElements(taken, x.elementType, indices.rank() == 0));
  }
  Scalars shape(x.shape.begin(), x.shape.begin() + *axis);
  llvm::append_range(shape, indices.shape);
  shape.append(x.shape.begin() + *axis + 1, x.shape.end());
  Value source = e.value(x), positions = e.value(indices);
  int64_t count = indices.rank();
  return node.set(0, e.generate(shape, x.elementType, [&](Emitter &b, ValueRange at) {
    SmallVector<Value> from(at.take_front(*axis));
    Value given = b.read(positions, at.slice(*axis, count));
    from.push_back(checkedIndex(b, given, x.shape[*axis]));
    llvm::append_range(from, at.drop_front(*axis + count));
    return b.read(source, from);
  }));
}

LogicalResult lowerGatherElements(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0), indices = node.in(1);
  FailureOr<int64_t> axis = node.axis(node.intAttr("axis", 0), x.rank());
  if (failed(axis))
    return failure();
  Value source = e.value(x), positions = e.value(indices);
  return node.set(0, e.generate(indices.shape, x.elementType, [&](Emitter &b, ValueRange at) {
    SmallVector<Value> from(at);
    from[*axis] = checkedIndex(b, b.read(positions, at), x.shape[*axis]);
    return b.read(source, from);
  }));
}

const OperatorInfo kTable[] = {
    {"", "Gather", 2, 2, lowerGather},
    {"", "GatherElements", 2, 2, lowerGatherElements},
};

} // namespace

ArrayRef<OperatorInfo> indexingOperators() { return kTable; }

} // namespace moec::raise
