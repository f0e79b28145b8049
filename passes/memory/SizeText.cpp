#include "passes/memory/SizeText.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"

#include <set>

using namespace mlir;

namespace moec {
namespace {

class SizeWriter {
public:
  explicit SizeWriter(func::FuncOp main) : main(main) {}

  std::string text(Value size) {
    auto known = texts.find(size);
    if (known != texts.end())
      return known->second;
    std::string result = write(size);
    // What uses itself often would not end.
    constexpr size_t kLongest = 400;
    if (result.empty() || result.size() > kLongest)
      result = dependencies(size);
    return texts[size] = result;
  }

private:
  /// What a plan may say; otherwise nothing.
  std::string write(Value size) {
    if (std::optional<int64_t> constant = getConstantIntValue(size))
      return std::to_string(*constant);
    Operation *op = size.getDefiningOp();
    if (auto dim = dyn_cast_or_null<memref::DimOp>(op))
      return dimension(dim);
    if (auto apply = dyn_cast_or_null<affine::AffineApplyOp>(op))
      return expression(apply, apply.getAffineMap().getResult(0));
    if (isa_and_nonnull<arith::IndexCastOp>(op))
      return text(op->getOperand(0));
    // Exporters write max(n, 0) of what is a size already.
    if (isa_and_nonnull<arith::MaxSIOp>(op) && isConstantIntValue(op->getOperand(1), 0))
      return text(op->getOperand(0));
    if (auto select = dyn_cast_or_null<arith::SelectOp>(op))
      return broadcast(select);
    StringRef name =
        llvm::TypeSwitch<Operation *, StringRef>(op)
            .Case<arith::AddIOp>([](auto) { return "+"; })
            .Case<arith::SubIOp>([](auto) { return "-"; })
            .Case<arith::MulIOp>([](auto) { return "*"; })
            .Case<arith::MaxSIOp, arith::MaxUIOp>([](auto) { return "max"; })
            .Case<arith::MinSIOp, arith::MinUIOp>([](auto) { return "min"; })
            .Case<arith::DivUIOp, arith::FloorDivSIOp>([](auto) { return "floordiv"; })
            .Case<arith::CeilDivUIOp, arith::CeilDivSIOp>([](auto) { return "ceildiv"; })
            .Default({});
    if (!name.empty())
      return binary(name, text(op->getOperand(0)), text(op->getOperand(1)));
    return "";
  }

  /// A size that gives way to another where it is 1.
  std::string broadcast(arith::SelectOp op) {
    std::string one = text(op.getTrueValue()), other = text(op.getFalseValue());
    if (one == other)
      return one;
    auto isOne = op.getCondition().getDefiningOp<arith::CmpIOp>();
    if (!isOne || isOne.getPredicate() != arith::CmpIPredicate::eq ||
        !isConstantIntValue(isOne.getRhs(), 1) || text(isOne.getLhs()) != other)
      return "";
    return binary("broadcast", other, one);
  }

  /// "f(batch_size, sequence_length)".
  std::string dependencies(Value size) {
    SetVector<Value> values;
    values.insert(size);
    std::set<std::string> names;
    for (size_t next = 0; next < values.size(); ++next) {
      Operation *op = values[next].getDefiningOp();
      if (auto dim = dyn_cast_or_null<memref::DimOp>(op))
        names.insert(dimension(dim));
      else if (op)
        values.insert_range(op->getOperands());
    }
    return "f(" + llvm::join(names, ", ") + ")";
  }

  std::string dimension(memref::DimOp op) {
    auto argument = dyn_cast<BlockArgument>(op.getSource());
    std::optional<int64_t> dim = op.getConstantIndex();
    if (!argument || argument.getOwner() != &main.front() || !dim)
      return "?";
    unsigned number = argument.getArgNumber();
    if (auto names = main.getArgAttrOfType<ArrayAttr>(number, "onnx.dims");
        names && *dim < static_cast<int64_t>(names.size()))
      if (auto name = dyn_cast<StringAttr>(names[*dim]))
        return name.getValue().find_first_of(" (),") != StringRef::npos ? "(" + name.str() + ")"
                                                                        : name.str();
    auto name = main.getArgAttrOfType<StringAttr>(number, "onnx.name");
    return (name ? name.str() : "input " + std::to_string(number)) + "[" + std::to_string(*dim) +
           "]";
  }

  std::string expression(affine::AffineApplyOp op, AffineExpr part) {
    if (auto constant = dyn_cast<AffineConstantExpr>(part))
      return std::to_string(constant.getValue());
    if (auto dim = dyn_cast<AffineDimExpr>(part))
      return text(op.getOperand(dim.getPosition()));
    if (auto symbol = dyn_cast<AffineSymbolExpr>(part))
      return text(op.getOperand(op.getAffineMap().getNumDims() + symbol.getPosition()));
    auto both = cast<AffineBinaryOpExpr>(part);
    StringRef name = part.getKind() == AffineExprKind::Add        ? "+"
                     : part.getKind() == AffineExprKind::Mul      ? "*"
                     : part.getKind() == AffineExprKind::FloorDiv ? "floordiv"
                     : part.getKind() == AffineExprKind::CeilDiv  ? "ceildiv"
                                                                  : "mod";
    return binary(name, expression(op, both.getLHS()), expression(op, both.getRHS()));
  }

  static std::string binary(StringRef name, const std::string &lhs, const std::string &rhs) {
    if (name == "*")
      return lhs + " * " + rhs;
    if (name == "+" || name == "-")
      return ("(" + lhs + " " + name + " " + rhs + ")").str();
    return (name + "(" + lhs + ", " + rhs + ")").str();
  }

  func::FuncOp main;
  DenseMap<Value, std::string> texts;
};

} // namespace

std::string sizeText(func::FuncOp main, Value size) { return SizeWriter(main).text(size); }

} // namespace moec
