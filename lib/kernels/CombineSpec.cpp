#include "lib/kernels/CombineSpec.h"

#include "lib/kernels/KernelArguments.h"

using namespace mlir;

namespace moec {

std::string CombineSpec::name() const {
  std::string name;
  llvm::raw_string_ostream stream(name);
  stream << "combine_" << rows << "_" << hidden << "_top" << topK;
  if (element != rows)
    stream << "_to_" << element;
  if (hasAddend)
    stream << "_addend";
  return name;
}

SmallVector<Type> CombineSpec::argumentTypes(Builder &builder) const {
  constexpr int64_t kDynamic = ShapedType::kDynamic;
  SmallVector<Type> types{contiguousRows({kDynamic, hidden}, rows),
                          MemRefType::get({kDynamic, topK}, builder.getI32Type())};
  if (hasWeights)
    types.push_back(MemRefType::get({kDynamic, topK}, builder.getF32Type()));
  if (hasAddend)
    types.push_back(contiguousRows({kDynamic, hidden}, element));
  types.push_back(contiguousRows({kDynamic, hidden}, element));
  return types;
}

} // namespace moec
