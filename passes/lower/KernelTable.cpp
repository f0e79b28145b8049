#include "passes/lower/KernelTable.h"

#include "llvm/ADT/StringSwitch.h"

using namespace mlir;

namespace moec {

std::optional<OperandTypes> OperandTypes::parse(StringRef weights, StringRef activations) {
  OperandTypes types;
  if (weights != "keep") {
    if (!llvm::is_contained({"f32", "bf16", "int8", "int4"}, weights))
      return std::nullopt;
    types.weights = weightTypeOf(weights);
  }
  auto known = llvm::StringSwitch<std::optional<Activations>>(activations)
                   .Case("", Activations::unstated)
                   .Case("keep", Activations::keep)
                   .Case("bf16", Activations::bf16)
                   .Case("int8", Activations::int8)
                   .Default(std::nullopt);
  if (!known)
    return std::nullopt;
  types.activations = *known;
  return types;
}

func::FuncOp KernelTable::insert(llvm::Any spec, func::FuncOp kernel) {
  symbols.insert(kernel, symbols.getOp()->getRegion(0).front().begin());
  kernels.push_back({std::move(spec), kernel});
  return kernel;
}

Value KernelTable::packedWeight(TensorBuilder &b, const PackStep &step, StringRef name) {
  DictionaryAttr recipe = step.toAttr(b.getContext());
  RankedTensorType type = packedType(b.getContext(), step.packed());
  rt::WeightOp &weight = weights[recipe];
  if (!weight) {
    OpBuilder::InsertionGuard guard(b);
    b.clearInsertionPoint();
    const MatrixPart &first = step.parts.front();
    auto source = b.getDictionaryAttr({b.getNamedAttr("file", b.getStringAttr(first.file)),
                                       b.getNamedAttr("offset", b.getI64IntegerAttr(first.offset)),
                                       b.getNamedAttr("length", b.getI64IntegerAttr(0))});
    auto stored = TypeAttr::get(type);
    weight = rt::WeightOp::create(b, b.getStringAttr(name), stored, source, stored,
                                  b.getArrayAttr(recipe));
    symbols.insert(weight, symbols.getOp()->getRegion(0).front().begin());
  }
  return rt::LoadWeightOp::create(b, type, weight.getSymName());
}

SmallVector<Value> launch(TensorBuilder &b, func::FuncOp kernel, Value grid, ValueRange inputs,
                          ValueRange outputs, StringRef op) {
  auto launch =
      rt::LaunchOp::create(b, outputs.getTypes(), kernel.getSymName(), grid, inputs, outputs);
  launch->setAttr("rt.op", b.getStringAttr(op));
  return llvm::to_vector_of<Value>(launch.getResults());
}

Value launch(TensorBuilder &b, func::FuncOp kernel, Value grid, ValueRange inputs,
             RankedTensorType type, TensorBuilder::Sizes sizes, StringRef op) {
  Value output = tensor::EmptyOp::create(b, sizes, type.getElementType());
  return launch(b, kernel, grid, inputs, b.castTo(output, type), op)[0];
}

} // namespace moec
