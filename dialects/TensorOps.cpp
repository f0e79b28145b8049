#include "dialects/TensorOps.h"

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
