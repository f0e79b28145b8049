#include "passes/raise/ops/Helpers.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace moec::raise {

FailureOr<Tensor> shaped(Node &node, unsigned input, const Twine &name, Scalars shape) {
  Emitter &e = node.emitter;
  Tensor x = node.in(input);
  if (x.rank() != static_cast<int64_t>(shape.size()))
    return node.refuse(name + " has ")
           << shape.size() << " dimensions, but this one has " << x.rank();
  for (auto [dim, have, want] : llvm::enumerate(x.shape, shape)) {
    if (e.equal(have, want))
      continue;
    std::optional<int64_t> known = getConstantIntValue(have), wanted = getConstantIntValue(want);
    if (known && wanted)
      return node.refuse("dimension ")
             << dim << " of " << name.str() << " must be " << *wanted << ", but it is " << *known;
    e.check(e.same(e.index(have), e.index(want)), "a size of " + name + " differs from the others");
    if (known)
      want = have;
  }
  return e.tensor(e.value(x), x.elementType, shape);
}

} // namespace moec::raise
