#include "lib/kernels/RopeSpec.h"

#include "lib/kernels/KernelArguments.h"

using namespace mlir;

namespace moec {

static constexpr int64_t kDynamic = ShapedType::kDynamic;

std::string RopeSpec::name() const {
  std::string name;
  llvm::raw_string_ostream stream(name);
  stream << "rope_" << element << "_" << heads << "x" << depth << "_" << pairs;
  if (isInterleaved)
    stream << "_interleaved";
  return name;
}

SmallVector<Type> RopeSpec::inputTypes(Builder &builder) const {
  SmallVector<int64_t> cacheShape(hasPositions ? 2 : 3, kDynamic);
  cacheShape.back() = pairs;
  MemRefType angles = contiguousRows(cacheShape, cache);
  SmallVector<Type> types{outputType(), angles, angles};
  if (hasPositions)
    types.push_back(MemRefType::get({kDynamic, kDynamic}, builder.getI64Type()));
  return types;
}

Type RopeSpec::outputType() const {
  return contiguousRows({kDynamic, kDynamic, heads, depth}, element);
}

} // namespace moec
