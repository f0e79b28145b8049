// Shapes are symbolic: the reshape by [batch, sequence, 3, 4] is an expansion
// that nothing has to check, and equal symbols are one size. A size that may be
// 1 at run time is broadcast by reading, and checked.
// RUN: moec-opt %s --moec-raise | FileCheck %s

// CHECK-LABEL: func.func @main
// CHECK-DAG: %[[B:.*]] = tensor.dim %arg0, %c0
// CHECK-DAG: %[[S:.*]] = tensor.dim %arg0, %c1
// CHECK: linalg.matmul ins(%{{.*}}, %{{.*}} : tensor<?x8xf32>, tensor<8x12xf32>)
// CHECK: tensor.expand_shape %{{.*}} {{\[\[}}0, 1], [2, 3]] output_shape [%[[B]], %[[S]], 3, 4]
// CHECK-NOT: cf.assert
// CHECK: arith.maximumf
// CHECK: math.exp
// CHECK: arith.divf
// CHECK: cf.assert %{{.*}}, "sizes that are to be broadcast differ"
// CHECK: tensor.extract
// CHECK: return %{{.*}} : tensor<?x?x3x4xf32>
module {
  func.func @main(%arg0: tensor<?x?x8xf32> {onnx.dims = ["B", "S", 8], onnx.name = "x", onnx.type = 1 : i64}, %arg1: tensor<8x12xf32> {onnx.dims = [8, 12], onnx.name = "w", onnx.type = 1 : i64}, %arg2: tensor<?x1xf32> {onnx.dims = ["q", 1], onnx.name = "bias", onnx.type = 1 : i64}) -> (tensor<*xf32> {onnx.name = "z", onnx.type = 1 : i64}) {
    %0 = onnx.constant dense<[0, 1]> : tensor<2xsi64>
    %1 = onnx.constant dense<[3, 4]> : tensor<2xsi64>
    %2 = onnx.node "MatMul" version 21(%arg0, %arg1) : (tensor<?x?x8xf32>, tensor<8x12xf32>) -> !onnx.unknown
    %3 = onnx.node "Shape" version 21(%2) : (!onnx.unknown) -> !onnx.unknown
    %4 = onnx.node "Gather" version 21 parameters {axis = 0 : i64}(%3, %0) : (!onnx.unknown, tensor<2xsi64>) -> !onnx.unknown
    %5 = onnx.node "Concat" version 21 parameters {axis = 0 : i64}(%4, %1) : (!onnx.unknown, tensor<2xsi64>) -> !onnx.unknown
    %6 = onnx.node "Reshape" version 21(%2, %5) : (!onnx.unknown, !onnx.unknown) -> !onnx.unknown
    %7 = onnx.node "Softmax" version 21 parameters {axis = -1 : i64}(%6) : (!onnx.unknown) -> !onnx.unknown
    %8 = onnx.node "Add" version 21(%7, %arg2) : (!onnx.unknown, tensor<?x1xf32>) -> tensor<*xf32>
    return %8 : tensor<*xf32>
  }
}

