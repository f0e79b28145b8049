#include "lib/kernels/KernelArguments.h"

#include "mlir/IR/BuiltinAttributes.h"

using namespace mlir;

namespace moec {

MemRefType contiguousRows(ArrayRef<int64_t> shape, Type element) {
  SmallVector<int64_t> strides(shape.size(), ShapedType::kDynamic);
  strides.back() = 1;
  auto layout = StridedLayoutAttr::get(element.getContext(), ShapedType::kDynamic, strides);
  return MemRefType::get(shape, element, layout);
}

Value takeArgument(ValueRange &arguments, bool isPresent) {
  Value argument = isPresent ? arguments.front() : Value();
  arguments = arguments.drop_front(isPresent);
  return argument;
}

} // namespace moec
