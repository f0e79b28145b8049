// Products of every kind of operands, and what they are by the definition.
#pragma once

#include "lib/kernels/cpu/LaunchProgram.h"
#include "lib/kernels/cpu/Matmul.h"
#include "mlir/IR/DialectRegistry.h"
#include "moec/InitAll.h"
#include "test/unit/dialects/program.h"

namespace moec::test {

/// @main launches the kernel on tensors of its arguments' shapes.
template <typename Spec>
std::string launchText(const Spec &spec, const Chip &chip, unsigned rows,
                       llvm::function_ref<mlir::Value(mlir::OpBuilder &, mlir::Value)> grid,
                       unsigned outputs = 1) {
  mlir::DialectRegistry registry;
  registerAllDialects(registry);
  mlir::MLIRContext context(registry);
  context.loadAllAvailableDialects();
  auto module = launchProgram(
      context, [&](mlir::OpBuilder &builder) { return spec.build(builder, chip); }, rows, grid,
      outputs);
  std::string text;
  llvm::raw_string_ostream(text) << *module;
  return text;
}

/// One row of a matrix.
Array row(const Array &x, int64_t index);

/// Matrices [groups][n][k] with their scales and zero points [groups][n][blocks].
struct Matrices {
  /// Weights as the kernel means them, and what they are stored as.
  Array weights, stored, scales, zeros;
};

Matrices randomMatrices(std::mt19937 &random, const Matmul &matmul);

/// The arrays of a product's matrices, packed by the definition of the layout.
std::vector<Array> packed(const Matrices &matrices, const Matmul &matmul);

/// Rows by the definition of QuantizeRows: q, scales and sums.
std::vector<Array> quantised(const Array &x, int64_t block);
/// What these stand for.
Array dequantised(const std::vector<Array> &rows, int64_t columns, int64_t block);

/// 1 - 2 sum(x y) / sum(x^2 + y^2).
double calcDiff(const Array &x, const Array &y);

} // namespace moec::test
