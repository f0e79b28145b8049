#include "passes/memory/SizeText.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"

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
    // People read sums and products; of anything deeper, what it depends on.
    constexpr size_t kLegible = 60;
    if (result.empty() || result.size() > kLegible)
      result = dependencies(size);
    return texts[size] = result;
  }

private:
  /// Sums and products; otherwise nothing.
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
    if (isa_and_nonnull<arith::AddIOp>(op))
      return "(" + text(op->getOperand(0)) + " + " + text(op->getOperand(1)) + ")";
    if (isa_and_nonnull<arith::SubIOp>(op))
      return "(" + text(op->getOperand(0)) + " - " + text(op->getOperand(1)) + ")";
    if (isa_and_nonnull<arith::MulIOp>(op))
      return text(op->getOperand(0)) + " * " + text(op->getOperand(1));
    // Exporters write max(n, 0) of what is a size already.
    if (isa_and_nonnull<arith::MaxSIOp>(op) && isConstantIntValue(op->getOperand(1), 0))
      return text(op->getOperand(0));
    return "";
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
        return name.getValue().contains(' ') ? "(" + name.str() + ")" : name.str();
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
    auto binary = cast<AffineBinaryOpExpr>(part);
    std::string lhs = expression(op, binary.getLHS()), rhs = expression(op, binary.getRHS());
    if (lhs.empty() || rhs.empty())
      return "";
    if (part.getKind() == AffineExprKind::Add)
      return "(" + lhs + " + " + rhs + ")";
    return part.getKind() == AffineExprKind::Mul ? lhs + " * " + rhs : "";
  }

  func::FuncOp main;
  DenseMap<Value, std::string> texts;
};

} // namespace

std::string sizeText(func::FuncOp main, Value size) { return SizeWriter(main).text(size); }

} // namespace moec
