#include "lib/kernels/CacheAppendSpec.h"

#include "lib/kernels/KernelArguments.h"

using namespace mlir;

namespace moec {

static constexpr int64_t kDynamic = ShapedType::kDynamic;

std::string CacheAppendSpec::name() const {
  std::string name;
  llvm::raw_string_ostream(name) << "cache_append_" << element << "_" << heads << "x" << depth;
  return name;
}

SmallVector<Type> CacheAppendSpec::inputTypes(Builder &builder) const {
  SmallVector<Type> types{outputType(),
                          contiguousRows({kDynamic, kDynamic, heads, depth}, element)};
  if (hasLengths)
    types.push_back(MemRefType::get(kDynamic, builder.getI64Type()));
  return types;
}

Type CacheAppendSpec::outputType() const {
  return contiguousRows({kDynamic, heads, kDynamic, depth}, element);
}

} // namespace moec
