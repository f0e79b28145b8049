#include "lib/kernels/AttentionSpec.h"

#include "lib/kernels/KernelArguments.h"

using namespace mlir;

namespace moec {

static constexpr int64_t kDynamic = ShapedType::kDynamic;

std::string AttentionSpec::name() const {
  std::string name;
  llvm::raw_string_ostream stream(name);
  stream << "attention_" << element << "_" << kvHeads << "x" << group << "_" << depth;
  if (valueDepth != depth)
    stream << "x" << valueDepth;
  if (right == 0)
    stream << "_causal";
  if (left >= 0)
    stream << "_window";
  for (auto [isPresent, suffix] :
       {std::pair(hasBias, "_bias"), std::pair(hasMask, "_mask"),
        std::pair(softcap != 0, "_softcap"), std::pair(static_cast<bool>(sink), "_sink")})
    if (isPresent)
      stream << suffix;
  return name;
}

SmallVector<Type> AttentionSpec::inputTypes(Builder &builder) const {
  SmallVector<int64_t> any(4, kDynamic);
  SmallVector<Type> types{contiguousRows({kDynamic, kDynamic, heads(), depth}, element),
                          contiguousRows({kDynamic, kvHeads, kDynamic, depth}, element),
                          contiguousRows({kDynamic, kvHeads, kDynamic, valueDepth}, element)};
  if (hasBias)
    types.push_back(contiguousRows(any, builder.getF32Type()));
  if (hasMask)
    types.push_back(contiguousRows(any, builder.getI8Type()));
  if (sink)
    types.push_back(MemRefType::get(heads(), sink));
  types.append(hasLengths + hasOffsets, MemRefType::get(kDynamic, builder.getI64Type()));
  return types;
}

Type AttentionSpec::outputType() const {
  return contiguousRows({kDynamic, kDynamic, heads(), valueDepth}, element);
}

} // namespace moec
