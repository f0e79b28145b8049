//===- Node.cpp - reading a node's attributes -----------------------------===//
#include "passes/raise/Operators.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace moec::raise {

int64_t Node::intAttr(StringRef name, int64_t fallback) const {
  auto value = attr<IntegerAttr>(name);
  return value ? value.getInt() : fallback;
}

double Node::floatAttr(StringRef name, double fallback) const {
  auto value = attr<FloatAttr>(name);
  return value ? value.getValueAsDouble() : fallback;
}

StringRef Node::stringAttr(StringRef name, StringRef fallback) const {
  auto value = attr<StringAttr>(name);
  return value ? value.getValue() : fallback;
}

std::optional<SmallVector<int64_t>> Node::intsAttr(StringRef name) const {
  if (auto list = attr<DenseI64ArrayAttr>(name))
    return llvm::to_vector(list.asArrayRef());
  return std::nullopt;
}

FailureOr<int64_t> Node::axis(int64_t axis, int64_t rank) const {
  int64_t counted = axis < 0 ? axis + rank : axis;
  if (counted < 0 || counted >= rank)
    return refuse("axis ") << axis << " is outside a tensor of rank " << rank;
  return counted;
}

FailureOr<SmallVector<int64_t>> Node::axes(ArrayRef<int64_t> axes, int64_t rank) const {
  SmallVector<int64_t> result;
  for (int64_t given : axes) {
    FailureOr<int64_t> counted = axis(given, rank);
    if (failed(counted))
      return failure();
    result.push_back(*counted);
  }
  return result;
}

FailureOr<Scalars> Node::list(unsigned input, std::optional<int64_t> count) {
  Tensor &list = in(input);
  if (count && list.rank() == 1 && !getConstantIntValue(list.shape[0])) {
    Value have = emitter.index(list.shape[0]);
    emitter.check(emitter.same(have, emitter.index(*count)), "a list has an unexpected length");
    list = emitter.tensor(emitter.value(list), list.elementType, {emitter.size(*count)});
  }
  FailureOr<Scalars> elements = emitter.elementsOf(list);
  if (failed(elements))
    return refuse("input ") << input << " must be a list of integers of known length";
  return elements;
}

std::optional<int64_t> Node::declaredRank(unsigned output) const {
  if (auto type = dyn_cast<RankedTensorType>(op.getResult(output).getType()))
    return type.getRank();
  return std::nullopt;
}

std::optional<SmallVector<int64_t>> Node::knownInts(unsigned input) const {
  if (!has(input) || !inputs[input]->elements)
    return std::nullopt;
  return getConstantIntValues(*inputs[input]->elements);
}

std::optional<SmallVector<int64_t>> Node::knownAxes(unsigned input) const {
  return has(input) ? knownInts(input) : intsAttr("axes");
}

LogicalResult Node::checkAttributes() const {
  bool good = true;
  for (NamedAttribute attribute : op.getParameters()) {
    if (understood.contains(attribute.getName()))
      continue;
    good = false;
    refuse("attribute '") << attribute.getName().getValue() << "' = " << attribute.getValue()
                          << " is not supported";
  }
  return success(good);
}

InFlightDiagnostic Node::refuse(const Twine &reason) const {
  InFlightDiagnostic diagnostic = op.emitError() << "cannot raise " << op.getOpType();
  if (StringRef name = onnxName(op.getLoc()); !name.empty())
    diagnostic << " '" << name << "'";
  return std::move(diagnostic << ": " << reason);
}

const OperatorInfo *findOperator(StringRef domain, StringRef name) {
  static const llvm::StringMap<const OperatorInfo *> table = [] {
    llvm::StringMap<const OperatorInfo *> all;
    for (ArrayRef<OperatorInfo> family : {elementwiseOperators(),
                                          activationOperators(),
                                          castOperators(),
                                          causalConvolutionOperators(),
                                          channelNormOperators(),
                                          einsumOperators(),
                                          fusedOperators(),
                                          shapeOperators(),
                                          slicingOperators(),
                                          paddingOperators(),
                                          fillOperators(),
                                          matmulOperators(),
                                          reductionOperators(),
                                          indexingOperators(),
                                          scatterOperators(),
                                          selectionOperators(),
                                          controlOperators(),
                                          quantizeOperators(),
                                          convolutionOperators(),
                                          poolingOperators(),
                                          attentionOperators(),
                                          expertOperators(),
                                          groupQueryOperators(),
                                          linearAttentionOperators(),
                                          multiHeadOperators(),
                                          normOperators(),
                                          quantisedMatmulOperators(),
                                          rotaryOperators()})
      for (const OperatorInfo &info : family)
        all[(info.domain + "::" + info.name).str()] = &info;
    return all;
  }();
  return table.lookup((domain + "::" + name).str());
}

namespace {

/// The versions of a domain that the lowerings were written for.
struct DomainVersions {
  int64_t oldest, newest;
};

DomainVersions versionsOf(StringRef domain) {
  return domain.empty() ? DomainVersions{13, 27} : DomainVersions{1, 1};
}

} // namespace

int64_t OperatorInfo::oldest() const { return since ? since : versionsOf(domain).oldest; }
int64_t OperatorInfo::newest() const { return versionsOf(domain).newest; }
bool OperatorInfo::knows(int64_t version) const {
  return oldest() <= version && version <= newest();
}

} // namespace moec::raise
