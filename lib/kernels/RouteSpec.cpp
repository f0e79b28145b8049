#include "lib/kernels/RouteSpec.h"

#include "lib/kernels/KernelArguments.h"

using namespace mlir;

namespace moec {

std::string RouteSpec::name() const {
  std::string name;
  llvm::raw_string_ostream stream(name);
  stream << "route_" << logits << "_" << experts << "_top" << router.getTopK() << "_"
         << moe::stringifyScore(router.getScore());
  if (router.getGroups() > 1)
    stream << "_groups" << router.getGroups();
  return name;
}

SmallVector<Type> RouteSpec::argumentTypes(Builder &builder) const {
  constexpr int64_t kDynamic = ShapedType::kDynamic;
  SmallVector<Type> types{contiguousRows({kDynamic, experts}, logits)};
  if (bias)
    types.push_back(MemRefType::get(experts, bias));
  if (values)
    types.push_back(contiguousRows({kDynamic, experts}, values));
  types.push_back(contiguousRows({kDynamic, router.getTopK()}, builder.getI32Type()));
  types.push_back(contiguousRows({kDynamic, router.getTopK()}, builder.getF32Type()));
  return types;
}

} // namespace moec
