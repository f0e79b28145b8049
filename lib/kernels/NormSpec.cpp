#include "lib/kernels/NormSpec.h"

#include "lib/kernels/KernelArguments.h"

using namespace mlir;

namespace moec {

std::string NormSpec::name() const {
  std::string name;
  llvm::raw_string_ostream stream(name);
  stream << (hasSkip ? "skip_" : "") << (isCentered ? "layer_norm_" : "rms_norm_") << element << "_"
         << width;
  return name;
}

SmallVector<Type> NormSpec::argumentTypes(Builder &builder) const {
  constexpr int64_t kDynamic = ShapedType::kDynamic;
  MemRefType rows = contiguousRows({kDynamic, width}, element);
  SmallVector<Type> types(hasSkip ? 2 : 1, rows);
  types.push_back(MemRefType::get(width, scale));
  if (bias)
    types.push_back(MemRefType::get(width, bias));
  types.append(hasSkip ? 2 : 1, rows);
  if (hasStatistics)
    types.append(2, MemRefType::get(kDynamic, builder.getF32Type()));
  return types;
}

} // namespace moec
