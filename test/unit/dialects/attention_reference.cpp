#include "test/unit/dialects/attention_reference.h"

#include "llvm/Support/FormatVariadic.h"
#include <cmath>

namespace moec::test {

std::string Form::source() const {
  std::string four = "tensor<?x?x?x?x" + type + ">", arguments, operands;
  auto size = [](int64_t size) { return size ? std::to_string(size) : std::string("?"); };
  auto tensor = [&](std::string second, std::string third, int64_t last) {
    return "tensor<?x" + second + "x" + third + "x" + size(last) + "x" + type + ">";
  };
  std::string q = tensor("?", size(heads), depth), k = tensor(size(kvHeads), "?", depth);
  std::string v = tensor(size(kvHeads), "?", valueDepth), y = tensor("?", size(heads), valueDepth);
  auto optional = [&](bool present, const char *name, std::string tensor) {
    if (!present)
      return;
    arguments += llvm::formatv(", %{0}: {1}", name, tensor).str();
    operands += llvm::formatv(" {0}(%{0} : {1})", name, tensor).str();
  };
  optional(bias, "bias", four);
  optional(mask, "mask", "tensor<?x?x?x?xi1>");
  optional(sink, "sink", "tensor<?x" + type + ">");
  optional(lengths, "kv_lengths", "tensor<?xi64>");
  optional(offsets, "q_offsets", "tensor<?xi64>");
  return llvm::formatv(R"mlir(
    func.func @main(%q: {0}, %k: {1}, %v: {2}{3}) -> {4} {{
      %y = attn.attention %q, %k, %v{5} {{scale = {6:e6} : f64, softcap = {7:e6} : f64, left = {8}, right = {9}, chunk = {10}}
           : {0}, {1}, {2} -> {4}
      return %y : {4}
    })mlir",
                       q, k, v, arguments, y, operands, scale, softcap, left, right, chunk)
      .str();
}

std::vector<Array> Form::inputs(const Array &q, const Array &k, const Array &v, const Array &bias,
                                const Array &mask, const Array &sink, const Array &lengths,
                                const Array &offsets) const {
  std::vector<Array> all{q, k, v};
  for (auto [present, input] :
       {std::pair(this->bias, &bias), std::pair(this->mask, &mask), std::pair(this->sink, &sink),
        std::pair(this->lengths, &lengths), std::pair(this->offsets, &offsets)})
    if (present)
      all.push_back(*input);
  return all;
}

/// A broadcast element of a bias or mask, `beyond` past its last dimension.
static double ofScore(const Array &a, int64_t b, int64_t n, int64_t i, int64_t j, double beyond) {
  if (j >= a.shape[3])
    return beyond;
  return a.at({a.shape[0] == 1 ? 0 : b, a.shape[1] == 1 ? 0 : n, a.shape[2] == 1 ? 0 : i, j});
}

Array attention(const Form &form, const std::vector<Array> &inputs) {
  auto next = inputs.begin() + 3;
  const Array &q = inputs[0], &k = inputs[1], &v = inputs[2];
  const Array *bias = form.bias ? &*next++ : nullptr, *mask = form.mask ? &*next++ : nullptr;
  const Array *sink = form.sink ? &*next++ : nullptr, *lengths = form.lengths ? &*next++ : nullptr;
  const Array *offsets = form.offsets ? &*next++ : nullptr;
  int64_t group = q.shape[2] / k.shape[1];
  Array y = zeros({q.shape[0], q.shape[1], q.shape[2], v.shape[3]}, q.type);
  for (int64_t b = 0; b < q.shape[0]; ++b)
    for (int64_t i = 0; i < q.shape[1]; ++i)
      for (int64_t n = 0; n < q.shape[2]; ++n) {
        std::vector<std::pair<int64_t, double>> scores;
        int64_t p = i + (offsets ? int64_t(offsets->values[b]) : 0);
        for (int64_t j = 0; j < k.shape[2]; ++j) {
          if ((lengths && j >= lengths->values[b]) || (form.left >= 0 && j < p - form.left) ||
              (form.right >= 0 && j > p + form.right) || (mask && !ofScore(*mask, b, n, i, j, 0)))
            continue;
          double x = 0;
          for (int64_t d = 0; d < q.shape[3]; ++d)
            x += q.at({b, i, n, d}) * k.at({b, n / group, j, d});
          x *= form.scale;
          if (form.softcap)
            x = form.softcap * std::tanh(x / form.softcap);
          if (bias)
            x += ofScore(*bias, b, n, i, j, -INFINITY);
          if (x != -INFINITY)
            scores.emplace_back(j, x);
        }
        if (scores.empty())
          continue;
        double sum = sink ? std::exp(sink->values[n]) : 0;
        for (auto [j, x] : scores)
          sum += std::exp(x);
        for (auto [j, x] : scores)
          for (int64_t e = 0; e < v.shape[3]; ++e)
            y.at({b, i, n, e}) += std::exp(x) / sum * v.at({b, n / group, j, e});
      }
  return y;
}

Array slice(const Array &a, size_t dim, int64_t from, int64_t to) {
  std::vector<int64_t> shape = a.shape;
  shape[dim] = to - from;
  Array result = zeros(shape, a.type);
  int64_t inner = 1, outer = 1;
  for (size_t i = 0; i < shape.size(); ++i)
    (i < dim ? outer : inner) *= i == dim ? 1 : shape[i];
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t d = from; d < to; ++d)
      for (int64_t i = 0; i < inner; ++i)
        result.values[(o * (to - from) + d - from) * inner + i] =
            a.values[(o * a.shape[dim] + d) * inner + i];
  return result;
}

} // namespace moec::test
