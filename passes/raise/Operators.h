//===- Operators.h - what moec knows of each ONNX operator ----------------===//
//
// To add an operator, write one short function that lowers a node, in the file
// of its family under ops/, and one row in that file's table:
//
//   LogicalResult lowerSoftplus(Node &node) { ... node.set(0, result); ... }
//   const OperatorInfo kTable[] = {{"", "Softplus", 1, 1, lowerSoftplus}, ...};
//
// A lowering that cannot express its node returns node.refuse(reason).
//
//===----------------------------------------------------------------------===//
#pragma once

#include "dialects/onnx/ElementTypes.h"
#include "dialects/onnx/OnnxDialect.h"
#include "passes/raise/Emitter.h"
#include "llvm/ADT/StringSet.h"
#include <functional>

namespace moec::raise {

/// A node while it is lowered.
class Node {
public:
  /// Lowers a subgraph with the given arguments at the emitter's insertion
  /// point; returns its outputs.
  using RaiseBody = std::function<mlir::FailureOr<llvm::SmallVector<Tensor>>(
      mlir::Region &, llvm::ArrayRef<Tensor>)>;

  Node(onnx::NodeOp op, Emitter &emitter, llvm::SmallVector<std::optional<Tensor>> inputs,
       RaiseBody raiseBody)
      : emitter(emitter), raiseBody(std::move(raiseBody)), op(op), inputs(std::move(inputs)),
        outputs(op.getNumResults()) {}

  Emitter &emitter;
  const RaiseBody raiseBody;

  //===--- Inputs and outputs ---------------------------------------------===//

  bool has(unsigned input) const { return input < inputs.size() && inputs[input].has_value(); }
  /// An input that is known to be there.
  Tensor &in(unsigned input) { return *inputs[input]; }
  unsigned numInputs() const { return inputs.size(); }
  unsigned numOutputs() const { return outputs.size(); }
  /// Whether anybody uses the output.
  bool wants(unsigned output) {
    return output < outputs.size() && !op.getResult(output).use_empty();
  }
  mlir::LogicalResult set(unsigned output, Tensor tensor) {
    if (output < outputs.size())
      outputs[output] = std::move(tensor);
    return mlir::success();
  }
  llvm::ArrayRef<std::optional<Tensor>> results() const { return outputs; }

  //===--- Attributes -----------------------------------------------------===//
  //
  // What a lowering does not read it does not mean: see checkAttributes.

  template <typename T> T attr(llvm::StringRef name) const {
    auto value = llvm::dyn_cast_or_null<T>(op.getParameters().get(name));
    if (value)
      understood.insert(name);
    return value;
  }
  bool hasAttr(llvm::StringRef name) const {
    return static_cast<bool>(op.getParameters().get(name));
  }
  int64_t intAttr(llvm::StringRef name, int64_t fallback) const;
  double floatAttr(llvm::StringRef name, double fallback) const;
  llvm::StringRef stringAttr(llvm::StringRef name, llvm::StringRef fallback) const;
  std::optional<llvm::SmallVector<int64_t>> intsAttr(llvm::StringRef name) const;
  /// A dimension counted from the end when negative; an error outside the rank.
  mlir::FailureOr<int64_t> axis(int64_t axis, int64_t rank) const;
  mlir::FailureOr<llvm::SmallVector<int64_t>> axes(llvm::ArrayRef<int64_t> axes,
                                                   int64_t rank) const;
  /// The elements of a list input. Where the type of the input does not state
  /// their number it is `count`, which is checked at run time.
  mlir::FailureOr<Scalars> list(unsigned input, std::optional<int64_t> count = std::nullopt);
  /// The rank that the file states for an output, if it does.
  std::optional<int64_t> declaredRank(unsigned output) const;
  /// The integers of an input, if they are known at compile time.
  std::optional<llvm::SmallVector<int64_t>> knownInts(unsigned input) const;
  /// Axes that an input lists in newer versions and the attribute `axes` in
  /// older ones, if there are any and they are known at compile time.
  std::optional<llvm::SmallVector<int64_t>> knownAxes(unsigned input) const;

  /// Names attributes whose values change nothing here, read or not.
  void ignore(std::initializer_list<llvm::StringRef> names) const {
    understood.insert_range(names);
  }
  /// After the lowering: an error at attributes that it neither read, as the
  /// type that they have, nor ignored.
  mlir::LogicalResult checkAttributes() const;

  int64_t version() const { return op.getVersion(); }
  llvm::StringRef type() const { return op.getOpType(); }
  onnx::NodeOp operation() const { return op; }
  /// An error at the node: "'Name': reason".
  mlir::InFlightDiagnostic refuse(const llvm::Twine &reason) const;

private:
  /// A handle; its generated accessors are not const.
  mutable onnx::NodeOp op;
  llvm::SmallVector<std::optional<Tensor>> inputs, outputs;
  mutable llvm::StringSet<> understood;
};

/// One row: an operator, how many inputs it takes, how it is lowered, and the
/// first version of its domain in which it means that.
struct OperatorInfo {
  llvm::StringLiteral domain;
  llvm::StringLiteral name;
  unsigned minInputs, maxInputs;
  mlir::LogicalResult (*lower)(Node &);
  /// 0: the oldest version of the domain that moec reads.
  int64_t since = 0;

  /// Whether moec knows the operator in this version of its domain.
  bool knows(int64_t version) const;
  /// The versions that it knows.
  int64_t oldest() const;
  int64_t newest() const;
};

inline constexpr unsigned kVariadic = 1u << 30;
inline constexpr llvm::StringLiteral kMicrosoft = "com.microsoft";

/// The row of an operator, or null.
const OperatorInfo *findOperator(llvm::StringRef domain, llvm::StringRef name);

/// The tables of the families.
llvm::ArrayRef<OperatorInfo> elementwiseOperators();
llvm::ArrayRef<OperatorInfo> activationOperators();
llvm::ArrayRef<OperatorInfo> castOperators();
llvm::ArrayRef<OperatorInfo> causalConvolutionOperators();
llvm::ArrayRef<OperatorInfo> channelNormOperators();
llvm::ArrayRef<OperatorInfo> einsumOperators();
llvm::ArrayRef<OperatorInfo> fusedOperators();
llvm::ArrayRef<OperatorInfo> shapeOperators();
llvm::ArrayRef<OperatorInfo> slicingOperators();
llvm::ArrayRef<OperatorInfo> paddingOperators();
llvm::ArrayRef<OperatorInfo> fillOperators();
llvm::ArrayRef<OperatorInfo> matmulOperators();
llvm::ArrayRef<OperatorInfo> reductionOperators();
llvm::ArrayRef<OperatorInfo> indexingOperators();
llvm::ArrayRef<OperatorInfo> scatterOperators();
llvm::ArrayRef<OperatorInfo> selectionOperators();
llvm::ArrayRef<OperatorInfo> controlOperators();
llvm::ArrayRef<OperatorInfo> quantizeOperators();
llvm::ArrayRef<OperatorInfo> convolutionOperators();
llvm::ArrayRef<OperatorInfo> poolingOperators();
llvm::ArrayRef<OperatorInfo> attentionOperators();
llvm::ArrayRef<OperatorInfo> expertOperators();
llvm::ArrayRef<OperatorInfo> groupQueryOperators();
llvm::ArrayRef<OperatorInfo> linearAttentionOperators();
llvm::ArrayRef<OperatorInfo> multiHeadOperators();
llvm::ArrayRef<OperatorInfo> normOperators();
llvm::ArrayRef<OperatorInfo> quantisedMatmulOperators();
llvm::ArrayRef<OperatorInfo> rotaryOperators();

} // namespace moec::raise
