// RUN: moec-opt --moec-raise-onnx --canonicalize --split-input-file %s | FileCheck %s

// Updates that replace: the last one of each row wins, whatever writes it.
// CHECK-LABEL: func.func @main
// CHECK:       %[[TARGETS:.*]] = linalg.generic
// CHECK:       cf.assert {{.*}}, "an index is out of bounds"
// CHECK:       scf.for
// CHECK:         tensor.insert
// CHECK:       linalg.generic
func.func @main(%data: tensor<?x4xf32>, %indices: tensor<?x1xsi64>, %updates: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %y = onnx.node "ScatterND" version 18 (%data, %indices, %updates) : (tensor<?x4xf32>, tensor<?x1xsi64>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// Updates that add up do so in their order: each row walks its own chain.
// CHECK-LABEL: func.func @main
// CHECK:       scf.for
// CHECK:         %[[NEXT:.*]] = tensor.insert
// CHECK:         %[[FIRST:.*]] = tensor.insert
// CHECK:         scf.yield %[[FIRST]], %[[NEXT]]
// CHECK:       linalg.generic
// CHECK:         scf.while
// CHECK:           arith.addf
func.func @main(%data: tensor<8x4xf32>, %indices: tensor<5x4xsi64>, %updates: tensor<5x4xf32>) -> tensor<8x4xf32> {
  %y = onnx.node "ScatterElements" version 18 parameters {axis = 0 : i64, reduction = "add"} (%data, %indices, %updates) : (tensor<8x4xf32>, tensor<5x4xsi64>, tensor<5x4xf32>) -> tensor<8x4xf32>
  return %y : tensor<8x4xf32>
}

// -----

// A merge sort whose every pass is one computation.
// CHECK-LABEL: func.func @main
// CHECK:       cf.assert {{.*}}, "k exceeds the number of elements"
// CHECK:       scf.while
// CHECK:         linalg.generic
func.func @main(%x: tensor<?x?xf32>, %k: tensor<1xsi64>) -> (tensor<?x?xf32>, tensor<?x?xsi64>) {
  %values, %indices = onnx.node "TopK" version 11 (%x, %k) : (tensor<?x?xf32>, tensor<1xsi64>) -> (tensor<?x?xf32>, tensor<?x?xsi64>)
  return %values, %indices : tensor<?x?xf32>, tensor<?x?xsi64>
}

// -----

// The size of the result is counted first.
// CHECK-LABEL: func.func @main
// CHECK:       %[[COUNT:.*]] = arith.index_cast
// CHECK:       tensor.empty(%[[COUNT]]) : tensor<?xi64>
// CHECK:       return {{.*}} : tensor<2x?xi64>
func.func @main(%x: tensor<?x4xi1>) -> tensor<2x?xsi64> {
  %y = onnx.node "NonZero" version 13 (%x) : (tensor<?x4xi1>) -> tensor<2x?xsi64>
  return %y : tensor<2x?xsi64>
}
