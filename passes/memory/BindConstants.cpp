//===- BindConstants.cpp - constants lie with the weights -----------------===//
#include "passes/Passes.h"

#include "dialects/rt/RtDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

namespace moec {
#define GEN_PASS_DEF_BINDCONSTANTSPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;

namespace moec {
namespace {

struct BindConstantsPass : impl::BindConstantsPassBase<BindConstantsPass> {
  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!main)
      return;
    SymbolTable symbols(getOperation());
    main.walk([&](memref::GetGlobalOp use) {
      auto global = symbols.lookup<memref::GlobalOp>(use.getName());
      auto value = dyn_cast_or_null<DenseElementsAttr>(global.getInitialValueAttr());
      if (!value)
        return;
      rt::WeightOp &weight = weights[global];
      if (!weight) {
        weight = declare(global, value);
        symbols.insert(weight, Block::iterator(global));
      }
      OpBuilder builder(use);
      use.replaceAllUsesWith(
          rt::LoadWeightOp::create(builder, use.getLoc(), use.getType(), weight.getSymName())
              .getResult());
      use.erase();
    });
    for (auto &[global, weight] : weights)
      global.erase();
  }

  static rt::WeightOp declare(memref::GlobalOp global, DenseElementsAttr value) {
    OpBuilder builder(global.getContext());
    auto type = cast<MemRefType>(global.getType());
    return rt::WeightOp::create(
        builder, global.getLoc(), global.getSymNameAttr(),
        TypeAttr::get(RankedTensorType::get(type.getShape(), type.getElementType())),
        builder.getDictionaryAttr(builder.getNamedAttr("data", value)), TypeAttr(), ArrayAttr());
  }

  llvm::MapVector<memref::GlobalOp, rt::WeightOp> weights;
};

} // namespace
} // namespace moec
