//===- KernelTable.h - kernels and packed weights of a module --------------===//
#pragma once

#include "dialects/TensorBuilder.h"
#include "dialects/rt/RtDialect.h"
#include "lib/weights/Pack.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/Any.h"
#include <optional>

namespace moec {

/// What the user wants operands of products to be.
struct OperandTypes {
  /// Of weights that are floats; none: as they are.
  std::optional<WeightType> weights;
  /// What rows may be rounded to: where nothing is stated, what the model
  /// permits.
  enum class Activations { unstated, keep, bf16, int8 } activations = Activations::unstated;

  /// From the words of the command line; none if one is not known.
  static std::optional<OperandTypes> parse(llvm::StringRef weights, llvm::StringRef activations);
};

/// Adds what selected kernels need to a module, equal things once.
class KernelTable {
public:
  KernelTable(mlir::ModuleOp module, const OperandTypes &operands)
      : symbols(module), operands(operands) {}

  const OperandTypes &getOperandTypes() const { return operands; }
  mlir::ModuleOp getModule() const { return llvm::cast<mlir::ModuleOp>(symbols.getOp()); }

  /// The kernel that `spec` describes: a value with operator==, and with
  /// build(builder, how...), which generates it.
  template <typename Spec, typename... How>
  mlir::func::FuncOp kernel(const Spec &spec, const How &...how) {
    for (auto &[known, kernel] : kernels)
      if (const Spec *same = llvm::any_cast<Spec>(&known); same && *same == spec)
        return kernel;
    mlir::OpBuilder builder(symbols.getOp()->getContext());
    return insert(spec, spec.build(builder, how...));
  }

  size_t kernelCount() const { return kernels.size(); }

  /// What the step packs, as a tensor called `name`.
  mlir::Value packedWeight(TensorBuilder &b, const PackStep &step, llvm::StringRef name);

private:
  mlir::func::FuncOp insert(llvm::Any spec, mlir::func::FuncOp kernel);

  mlir::SymbolTable symbols;
  OperandTypes operands;
  std::vector<std::pair<llvm::Any, mlir::func::FuncOp>> kernels;
  llvm::DenseMap<mlir::Attribute, rt::WeightOp> weights;
};

/// A kernel and the size of the grid that it is launched on.
struct KernelGrid {
  mlir::func::FuncOp kernel;
  mlir::Value grid;
};
/// What a target computes `count` rows or tokens of an operation with, if it can.
template <typename Spec>
using ChooseKernel = llvm::function_ref<std::optional<KernelGrid>(
    TensorBuilder &b, const Spec &spec, mlir::Value count)>;

/// Launches `kernel` into `outputs`; `op` is what it computes, for profiles.
llvm::SmallVector<mlir::Value> launch(TensorBuilder &b, mlir::func::FuncOp kernel, mlir::Value grid,
                                      mlir::ValueRange inputs, mlir::ValueRange outputs,
                                      llvm::StringRef op);
/// The same into a new tensor of `type` and `sizes`.
mlir::Value launch(TensorBuilder &b, mlir::func::FuncOp kernel, mlir::Value grid,
                   mlir::ValueRange inputs, mlir::RankedTensorType type, TensorBuilder::Sizes sizes,
                   llvm::StringRef op);

/// A tensor [dynamic, columns], as kernels take them.
inline mlir::RankedTensorType tensorOf(int64_t columns, mlir::Type element) {
  return mlir::RankedTensorType::get({mlir::ShapedType::kDynamic, columns}, element);
}
/// Whether kernels load and store elements of the type.
inline bool isKernelFloat(mlir::Type type) { return type.isF32() || type.isF16() || type.isBF16(); }
/// Whether a size can be part of a kernel's key.
inline bool isKnownSize(int64_t size) { return !mlir::ShapedType::isDynamic(size) && size > 0; }

} // namespace moec
