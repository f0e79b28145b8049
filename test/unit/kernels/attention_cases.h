// Random operands of attention, in every form.
#pragma once

#include "test/unit/dialects/attention_reference.h"

namespace moec::test {

struct Sizes {
  int64_t batch, queries, heads, kvHeads, keys, depth, valueDepth;
};

inline std::vector<Array> randomInputs(std::mt19937 &random, const Form &form, const Sizes &s,
                                       moec_element_type type = MOEC_F32) {
  auto someOf = [&](int64_t count, int64_t most) {
    return randomIntegers(random, {count}, 0, most);
  };
  return form.inputs(randomArray(random, {s.batch, s.queries, s.heads, s.depth}, type),
                     randomArray(random, {s.batch, s.kvHeads, s.keys, s.depth}, type),
                     randomArray(random, {s.batch, s.kvHeads, s.keys, s.valueDepth}, type),
                     randomArray(random, {1, s.heads, 1, std::max<int64_t>(s.keys - 2, 0)}, type),
                     randomIntegers(random, {s.batch, 1, s.queries, s.keys}, 0, 1, MOEC_BOOL),
                     randomArray(random, {s.heads}, type), someOf(s.batch, s.keys),
                     someOf(s.batch, s.keys));
}

inline Form withSizes(Form form, const Sizes &s) {
  form.heads = s.heads;
  form.kvHeads = s.kvHeads;
  form.depth = s.depth;
  form.valueDepth = s.valueDepth;
  return form;
}

} // namespace moec::test
