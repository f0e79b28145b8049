//===- SizeText.h - sizes as the memory plan writes them -------------------===//
#pragma once

#include "runtime/Inputs.h"

#include <string_view>

namespace moec::runtime {

/// Sums, differences and products of numbers and names of dimensions, such as
/// "(past_length + sequence_length) * 2", and max, min, floordiv, ceildiv, mod
/// and broadcast (the second where the first is 1) of two: "ceildiv(past_length, 64)".
/// A name with spaces, commas or parentheses stands in parentheses. -1 where that is no size, or
/// depends on more than the symbols tell.
int64_t evaluateSize(std::string_view text, const Symbols &symbols);

/// The same of a dimension, whose name may be such a text.
inline int64_t evaluateSize(const Dimension &dimension, const Symbols &symbols) {
  return dimension.size >= 0 ? dimension.size : evaluateSize(dimension.symbol, symbols);
}

} // namespace moec::runtime
