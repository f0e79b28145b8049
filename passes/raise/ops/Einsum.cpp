//===- Einsum.cpp - sums of products, as an equation states them ------------===//
//
// Operands are combined from left to right; each pair is one batched matrix
// product. What only one operand has is summed before, so that no product is
// larger than it must be.
//
//===----------------------------------------------------------------------===//
#include "passes/raise/ops/Helpers.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace moec::raise {
namespace {

/// A letter; dimensions of the ellipsis are numbered from the last: -1, -2 ...
using Label = int;
using Labels = SmallVector<Label>;

/// A tensor and what its dimensions are called.
struct Operand {
  Tensor x;
  Labels labels;

  int64_t find(Label label) const { return llvm::find(labels, label) - labels.begin(); }
};

struct Equation {
  SmallVector<std::string> inputs;
  std::optional<std::string> output;
};

Equation parseEquation(StringRef text) {
  std::string dense;
  llvm::copy_if(text, std::back_inserter(dense), [](char c) { return c != ' '; });
  auto [left, right] = StringRef(dense).split("->");
  Equation equation;
  SmallVector<StringRef> terms;
  left.split(terms, ',');
  for (StringRef term : terms)
    equation.inputs.push_back(term.str());
  if (StringRef(dense).contains("->"))
    equation.output = right.str();
  return equation;
}

/// The labels of a term. The ellipsis stands for `ellipsis` dimensions.
FailureOr<Labels> labelsOf(Node &node, StringRef term, int64_t ellipsis) {
  Labels labels;
  auto [before, after] = term.split("...");
  for (char c : before)
    labels.push_back(c);
  if (term.contains("..."))
    for (int64_t i = ellipsis; i > 0; --i)
      labels.push_back(-i);
  for (char c : after)
    labels.push_back(c);
  for (Label label : labels)
    if (label >= 0 && !llvm::isAlpha(label))
      return node.refuse("the equation's term '") << term << "' has more than letters";
  return labels;
}

class EinsumEmitter {
public:
  explicit EinsumEmitter(Node &node) : node(node), e(node.emitter) {}

  LogicalResult lower() {
    if (failed(readOperands()) || failed(readOutput()))
      return failure();
    Operand result = operands.front();
    for (size_t i = 1; i < operands.size(); ++i)
      result = contract(result, operands[i], ArrayRef(operands).drop_front(i + 1));
    sumOut(result, [&](Label label) { return llvm::is_contained(output, label); });
    return node.set(0, arranged(result, output).x);
  }

private:
  LogicalResult readOperands() {
    equation = parseEquation(node.stringAttr("equation", ""));
    if (equation.inputs.size() != node.numInputs())
      return node.refuse("the equation has ")
             << equation.inputs.size() << " terms for " << node.numInputs() << " inputs";
    for (auto [i, term] : llvm::enumerate(equation.inputs)) {
      Tensor x = node.in(i);
      bool hasEllipsis = StringRef(term).contains("...");
      int64_t letters = term.size() - (hasEllipsis ? 3 : 0), rest = x.rank() - letters;
      if (rest < 0 || (rest > 0 && !hasEllipsis))
        return node.refuse("the equation's term '")
               << term << "' does not fit an input of rank " << x.rank();
      FailureOr<Labels> labels = labelsOf(node, term, rest);
      if (failed(labels))
        return failure();
      ellipsis = std::max(ellipsis, hasEllipsis ? rest : 0);
      for (Label label : *labels)
        ++uses[label];
      operands.push_back(diagonal({x, *labels}));
    }
    return success();
  }

  /// Without one, the output is the ellipsis and what occurs once, in the order
  /// of the alphabet.
  LogicalResult readOutput() {
    if (equation.output) {
      FailureOr<Labels> labels = labelsOf(node, *equation.output, ellipsis);
      if (failed(labels))
        return failure();
      output = *labels;
    } else {
      for (int64_t i = ellipsis; i > 0; --i)
        output.push_back(-i);
      for (auto [label, count] : uses)
        if (label >= 0 && count == 1)
          output.push_back(label);
    }
    for (auto [i, label] : llvm::enumerate(output))
      if (!uses.count(label) || llvm::is_contained(ArrayRef(output).take_front(i), label))
        return node.refuse("a label of the equation's output is missing in its inputs or "
                           "occurs twice");
    if (equation.output && ellipsis > 0 && !llvm::is_contained(output, -1))
      return node.refuse("the equation's output lacks the ellipsis");
    return success();
  }

  void checkSame(OpFoldResult a, OpFoldResult b) {
    if (!e.equal(a, b))
      e.check(e.same(e.index(a), e.index(b)), "sizes of an Einsum label differ");
  }

  /// Dimensions with the same label become one.
  Operand diagonal(Operand operand) {
    Labels labels;
    Scalars shape;
    for (auto [label, size] : llvm::zip_equal(operand.labels, operand.x.shape)) {
      const auto *known = llvm::find(labels, label);
      if (known != labels.end()) {
        checkSame(shape[known - labels.begin()], size);
        continue;
      }
      labels.push_back(label);
      shape.push_back(size);
    }
    if (labels.size() == operand.labels.size())
      return operand;
    Value source = e.value(operand.x);
    Tensor x = e.generate(shape, operand.x.elementType, [&](Emitter &b, ValueRange at) {
      SmallVector<Value> from;
      for (Label label : operand.labels)
        from.push_back(at[llvm::find(labels, label) - labels.begin()]);
      return b.read(source, from);
    });
    return {x, labels};
  }

  void sumOut(Operand &operand, llvm::function_ref<bool(Label)> isKept) {
    SmallVector<int64_t> dims;
    Labels kept;
    for (auto [dim, label] : llvm::enumerate(operand.labels))
      if (isKept(label))
        kept.push_back(label);
      else
        dims.push_back(dim);
    if (dims.empty())
      return;
    Tensor x = operand.x;
    Type type = x.elementType;
    if (x.isFloat() && type.getIntOrFloatBitWidth() < 32)
      x = e.cast(x, e.getF32Type());
    Value zero = e.constant(signlessType(x.elementType), 0);
    x = e.reduce(x, dims, /*keepDims=*/false, zero, [&](Emitter &in, ValueRange v) -> Value {
      return x.isFloat() ? arith::AddFOp::create(in, v[0], v[1]).getResult() : in.add(v[0], v[1]);
    });
    operand = {e.cast(x, type), kept};
  }

  /// The operand with its dimensions in the order of `labels`.
  Operand arranged(const Operand &operand, ArrayRef<Label> labels) {
    SmallVector<int64_t> order;
    for (Label label : labels)
      order.push_back(operand.find(label));
    return {e.transpose(operand.x, order), Labels(labels)};
  }

  /// [batch..., rows, columns], with the labels of each merged.
  Tensor asMatrices(const Operand &operand, ArrayRef<Label> batch, ArrayRef<Label> rows,
                    ArrayRef<Label> columns) {
    Labels order(batch);
    llvm::append_range(order, rows);
    llvm::append_range(order, columns);
    Tensor x = arranged(operand, order).x;
    ArrayRef<OpFoldResult> sizes(x.shape);
    Scalars shape(sizes.take_front(batch.size()));
    shape.push_back(e.product(sizes.slice(batch.size(), rows.size())));
    shape.push_back(e.product(sizes.take_back(columns.size())));
    return e.reshape(x, shape);
  }

  /// The product of two operands, summed over what neither the output nor the
  /// operands that follow need.
  Operand contract(Operand a, Operand b, ArrayRef<Operand> following) {
    auto isNeeded = [&](Label label) {
      return llvm::is_contained(output, label) ||
             llvm::any_of(following, [&](const Operand &operand) {
               return llvm::is_contained(operand.labels, label);
             });
    };
    sumOut(a, [&](Label l) { return isNeeded(l) || llvm::is_contained(b.labels, l); });
    sumOut(b, [&](Label l) { return isNeeded(l) || llvm::is_contained(a.labels, l); });
    Labels batch, summed, left, right;
    for (Label label : a.labels) {
      bool isShared = llvm::is_contained(b.labels, label);
      (!isShared ? left : isNeeded(label) ? batch : summed).push_back(label);
      // Dimensions of the ellipsis are broadcast.
      if (isShared && label >= 0)
        checkSame(a.x.shape[a.find(label)], b.x.shape[b.find(label)]);
    }
    for (Label label : b.labels)
      if (!llvm::is_contained(a.labels, label))
        right.push_back(label);
    Tensor x = asMatrices(a, batch, left, summed), y = asMatrices(b, batch, summed, right);
    Tensor z = summed.empty() ? outer(x, y) : matmul(e, x, y);
    Scalars shape(ArrayRef(z.shape).take_front(batch.size()));
    Labels labels(batch);
    for (auto [operand, own] : {std::pair(&a, &left), std::pair(&b, &right)})
      for (Label label : *own) {
        shape.push_back(operand->x.shape[operand->find(label)]);
        labels.push_back(label);
      }
    return {e.reshape(z, shape), labels};
  }

  Tensor outer(Tensor x, Tensor y) {
    return e.elementwise({x, y}, x.elementType, [&](Emitter &in, ValueRange v) -> Value {
      return x.isFloat() ? arith::MulFOp::create(in, v[0], v[1]).getResult() : in.mul(v[0], v[1]);
    });
  }

  Node &node;
  Emitter &e;
  Equation equation;
  int64_t ellipsis = 0;
  SmallVector<Operand> operands;
  std::map<Label, int> uses;
  Labels output;
};

LogicalResult lowerEinsum(Node &node) { return EinsumEmitter(node).lower(); }

const OperatorInfo kTable[] = {
    {"", "Einsum", 1, kVariadic, lowerEinsum, 12},
};

} // namespace

ArrayRef<OperatorInfo> einsumOperators() { return kTable; }

} // namespace moec::raise
