#include "runtime/Inputs.h"

#include "runtime/Elements.h"

#include <algorithm>

namespace moec::runtime {

std::string inputText(const TensorInfo &info) { return "input '" + info.name + "'"; }

Status Symbols::bind(const Dimension &dimension, int64_t size, const std::string &what, int index) {
  if (dimension.size >= 0 && dimension.size != size)
    return failure(MOEC_INVALID_ARGUMENT, "%s: dimension %d is %lld, but the model needs %lld",
                   what.c_str(), index, static_cast<long long>(size),
                   static_cast<long long>(dimension.size));
  if (dimension.symbol.empty())
    return {};
  auto [known, isNew] = sizes.try_emplace(
      dimension.symbol, Known{size, "dimension " + std::to_string(index) + " of " + what});
  if (known->second.size != size)
    return failure(MOEC_INVALID_ARGUMENT, "%s: dimension %d ('%s') is %lld, but %s makes it %lld",
                   what.c_str(), index, dimension.symbol.c_str(), static_cast<long long>(size),
                   known->second.where.c_str(), static_cast<long long>(known->second.size));
  return {};
}

int64_t Symbols::find(std::string_view name) const {
  auto known = sizes.find(name);
  return known == sizes.end() ? -1 : known->second.size;
}

namespace {

Status checkMemory(const TensorInfo &info, const moec_tensor &tensor) {
  std::string what = inputText(info);
  int64_t count = elementCount(tensor.sizes, tensor.rank);
  if (count < 0)
    return failure(MOEC_INVALID_ARGUMENT, "%s: its sizes are negative or too large", what.c_str());
  if (count && !tensor.data)
    return failure(MOEC_INVALID_ARGUMENT, "%s: its data is null", what.c_str());
  auto bytes = static_cast<size_t>(callerBytes(tensor.type, count));
  if (tensor.bytes && tensor.bytes < bytes)
    return failure(MOEC_INVALID_ARGUMENT, "%s: it needs %zu bytes, but has %zu", what.c_str(),
                   bytes, tensor.bytes);
  int64_t strides[MOEC_MAX_RANK];
  setStrides(tensor.sizes, tensor.rank, strides);
  bool given = std::any_of(tensor.strides, tensor.strides + tensor.rank, [](auto s) { return s; });
  for (int dim = 0; given && count && dim < tensor.rank; ++dim)
    if (tensor.sizes[dim] > 1 && tensor.strides[dim] != strides[dim])
      return failure(MOEC_INVALID_ARGUMENT,
                     "%s: dimension %d has stride %lld, but row-major order needs %lld",
                     what.c_str(), dim, static_cast<long long>(tensor.strides[dim]),
                     static_cast<long long>(strides[dim]));
  return {};
}

} // namespace

Status checkInput(const TensorInfo &info, const moec_tensor &tensor, Symbols &symbols) {
  std::string what = inputText(info);
  if (!tensor.type)
    return failure(MOEC_INVALID_ARGUMENT, "%s is missing", what.c_str());
  if (tensor.type != info.type)
    return failure(MOEC_INVALID_ARGUMENT, "%s: its type is %s, but the model needs %s",
                   what.c_str(), moec_element_name(tensor.type), moec_element_name(info.type));
  if (tensor.rank != info.rank())
    return failure(MOEC_INVALID_ARGUMENT, "%s: its rank is %d, but the model needs %d",
                   what.c_str(), tensor.rank, info.rank());
  for (int dim = 0; dim < tensor.rank; ++dim)
    if (Status error = symbols.bind(info.dims[dim], tensor.sizes[dim], what, dim))
      return error;
  return checkMemory(info, tensor);
}

} // namespace moec::runtime
