// Products of every kind of operands, and what they are by the definition.
#pragma once

#include "lib/kernels/LaunchProgram.h"
#include "lib/kernels/cpu/Matmul.h"
#include "mlir/IR/DialectRegistry.h"
#include "moec/InitAll.h"
#include "test/unit/dialects/program.h"

namespace moec::test {

/// A program whose @main launches the kernel that `build` makes on tensors of
/// its arguments' shapes.
inline std::string launchText(llvm::function_ref<mlir::func::FuncOp(mlir::OpBuilder &)> build,
                              unsigned rows,
                              llvm::function_ref<mlir::Value(mlir::OpBuilder &, mlir::Value)> grid,
                              unsigned outputs = 1) {
  mlir::DialectRegistry registry;
  registerAllDialects(registry);
  mlir::MLIRContext context(registry);
  context.loadAllAvailableDialects();
  auto module = launchProgram(context, build, rows, grid, outputs);
  std::string text;
  llvm::raw_string_ostream(text) << *module;
  return text;
}

/// The same of a kernel for a chip of the CPU.
template <typename Spec>
std::string launchText(const Spec &spec, const Chip &chip, unsigned rows,
                       llvm::function_ref<mlir::Value(mlir::OpBuilder &, mlir::Value)> grid,
                       unsigned outputs = 1) {
  return launchText([&](mlir::OpBuilder &builder) { return spec.build(builder, chip); }, rows, grid,
                    outputs);
}

/// One row of a matrix.
Array row(const Array &x, int64_t index);

/// Matrices [groups][n][k] with their scales and zero points [groups][n][blocks].
struct Matrices {
  /// Weights as the kernel means them, and what they are stored as.
  Array weights, stored, scales, zeros;
};

/// What matrices are made of.
struct MatrixTypes {
  MatrixTypes(const PackedLayout &layout, WeightType scales, std::optional<WeightType> zeros)
      : layout(layout), scales(scales), zeros(zeros) {}
  MatrixTypes(const Matmul &matmul) : MatrixTypes(matmul.layout, matmul.scales, matmul.zeros) {}

  PackedLayout layout;
  /// Of integers.
  WeightType scales;
  std::optional<WeightType> zeros;
};

Matrices randomMatrices(std::mt19937 &random, const MatrixTypes &types);

/// The arrays of a product's matrices, packed by the definition of the layout.
std::vector<Array> packed(const Matrices &matrices, const MatrixTypes &types);

/// Rows by the definition of QuantizeRows: q, scales and sums.
std::vector<Array> quantised(const Array &x, int64_t block);
/// What these stand for.
Array dequantised(const std::vector<Array> &rows, int64_t columns, int64_t block);

/// 1 - 2 sum(x y) / sum(x^2 + y^2).
double calcDiff(const Array &x, const Array &y);

} // namespace moec::test
