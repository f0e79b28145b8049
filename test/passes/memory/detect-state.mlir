// A cache is state by dataflow: the result is the input with rows appended, and
// nothing else reads the input.
// RUN: moec-opt %s --moec-detect-state --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @main
// CHECK-SAME: %{{.*}}: tensor<?x2x?x8xf32> {bufferization.buffer_layout = strided<[?, ?, ?, ?]>, onnx.name = "past"}
// CHECK-SAME: -> (tensor<?x2x?x8xf32> {onnx.name = "present", rt.state = {axis = 2 : i64, input = 0 : i64}})
func.func @main(%past: tensor<?x2x?x8xf32> {onnx.name = "past"}, %new: tensor<?x?x2x8xf32>, %dest: tensor<?x2x?x8xf32>)
    -> (tensor<?x2x?x8xf32> {onnx.name = "present"}) {
  %present = attn.cache_append %past, %new outs(%dest : tensor<?x2x?x8xf32>)
      : tensor<?x2x?x8xf32>, tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
  return %present : tensor<?x2x?x8xf32>
}

// -----

// The past is read elsewhere too: it stays a plain input.
// CHECK-LABEL: func.func @main
// CHECK-NOT: rt.state
func.func @main(%past: tensor<?x2x?x8xf32>, %new: tensor<?x?x2x8xf32>, %dest: tensor<?x2x?x8xf32>)
    -> (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) {
  %present = attn.cache_append %past, %new outs(%dest : tensor<?x2x?x8xf32>)
      : tensor<?x2x?x8xf32>, tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
  %twice = linalg.add ins(%past, %past : tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>)
                      outs(%dest : tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
  return %present, %twice : tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>
}

// -----

// The number of positions is fixed: such a cache does not grow.
// CHECK-LABEL: func.func @main
// CHECK-NOT: rt.state
func.func @main(%past: tensor<1x2x16x8xf32>, %new: tensor<1x1x2x8xf32>, %dest: tensor<1x2x16x8xf32>)
    -> tensor<1x2x16x8xf32> {
  %present = attn.cache_append %past, %new outs(%dest : tensor<1x2x16x8xf32>)
      : tensor<1x2x16x8xf32>, tensor<1x1x2x8xf32> -> tensor<1x2x16x8xf32>
  return %present : tensor<1x2x16x8xf32>
}
