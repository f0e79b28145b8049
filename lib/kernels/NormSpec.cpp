#include "lib/kernels/NormSpec.h"

#include "lib/kernels/KernelArguments.h"

using namespace mlir;

namespace moec {

std::string NormSpec::name() const {
  std::string name;
  llvm::raw_string_ostream stream(name);
  stream << (isCentered ? "layer_norm_" : "rms_norm_") << element << "_" << width;
  return name;
}

SmallVector<Type> NormSpec::argumentTypes(Builder &builder) const {
  constexpr int64_t kDynamic = ShapedType::kDynamic;
  MemRefType rows = contiguousRows({kDynamic, width}, element);
  SmallVector<Type> types{rows, MemRefType::get(width, scale)};
  if (bias)
    types.push_back(MemRefType::get(width, bias));
  types.push_back(rows);
  if (hasStatistics)
    types.append(2, MemRefType::get(kDynamic, builder.getF32Type()));
  return types;
}

} // namespace moec
