// attn.attention by its description, in double.
#pragma once

#include "test/unit/dialects/program.h"

namespace moec::test {

/// One form of attn.attention.
struct Form {
  std::string type = "f32";
  bool bias = false, mask = false, sink = false, lengths = false, offsets = false;
  int64_t left = -1, right = -1;
  double softcap = 0, scale = 0.3;
  int64_t chunk = 64;
  /// Of queries, keys and values; 0 leaves a size dynamic.
  int64_t heads = 0, kvHeads = 0, depth = 0, valueDepth = 0;

  /// A program of the operands that there are.
  std::string source() const;
  std::vector<Array> inputs(const Array &q, const Array &k, const Array &v, const Array &bias,
                            const Array &mask, const Array &sink, const Array &lengths,
                            const Array &offsets) const;
};

/// The op's description, without chunks.
Array attention(const Form &form, const std::vector<Array> &inputs);

/// Rows [from, to) of dimension `dim`.
Array slice(const Array &a, size_t dim, int64_t from, int64_t to);

} // namespace moec::test
