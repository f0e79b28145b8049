// Every op of the dialect survives a round trip, and each constraint is checked.
// RUN: moec-opt %s --split-input-file --verify-diagnostics | moec-opt --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @node
func.func @node(%a: tensor<?x4xf32>, %c: tensor<i1>) -> !onnx.unknown {
  // CHECK: onnx.constant dense<[0, 1]> : tensor<2xsi64>
  %axes = onnx.constant dense<[0, 1]> : tensor<2xsi64>
  // CHECK: onnx.absent : none
  %none = onnx.absent : none
  // CHECK: onnx.node "ReduceSum" version 13 parameters {keepdims = 0 : i64}(%{{.*}}, %{{.*}}) : (tensor<?x4xf32>, tensor<2xsi64>) -> !onnx.unknown
  %s = onnx.node "ReduceSum" version 13 parameters {keepdims = 0 : i64} (%a, %axes) : (tensor<?x4xf32>, tensor<2xsi64>) -> !onnx.unknown
  // CHECK: onnx.node domain "com.microsoft" "GatedAdd" version 1
  %g = onnx.node domain "com.microsoft" "GatedAdd" version 1 (%s, %none) : (!onnx.unknown, none) -> !onnx.unknown
  // CHECK: onnx.node "If" version 19(%{{.*}}) {
  %r = onnx.node "If" version 19 (%c) {
    onnx.yield %g : !onnx.unknown
  }, {
    onnx.yield %s : !onnx.unknown
  } : (tensor<i1>) -> !onnx.unknown
  return %r : !onnx.unknown
}

// -----

func.func @node_c1(%a: tensor<4xf32>) {
  // expected-error @below {{requires a positive version, but version is 0}}
  onnx.node "Abs" version 0 (%a) : (tensor<4xf32>) -> ()
  return
}
