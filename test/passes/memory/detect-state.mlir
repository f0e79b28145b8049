// A cache is state by dataflow: the result is the input with rows appended, and
// nothing else reads the input.
// RUN: moec-opt %s --moec-detect-state --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @main
// CHECK-SAME: %{{.*}}: tensor<?x2x?x8xf32> {bufferization.buffer_layout = strided<[?, ?, ?, 1]>, onnx.name = "past"}
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
// CHECK-SAME: rt.plain = {input = 0 : i64, why = "the past is read elsewhere, too"}
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
// CHECK-SAME: rt.plain = {input = 0 : i64, why = "past and present differ in more than an open number of positions"}
// CHECK-NOT: rt.state
func.func @main(%past: tensor<1x2x16x8xf32>, %new: tensor<1x1x2x8xf32>, %dest: tensor<1x2x16x8xf32>)
    -> tensor<1x2x16x8xf32> {
  %present = attn.cache_append %past, %new outs(%dest : tensor<1x2x16x8xf32>)
      : tensor<1x2x16x8xf32>, tensor<1x1x2x8xf32> -> tensor<1x2x16x8xf32>
  return %present : tensor<1x2x16x8xf32>
}

// -----

// A concatenation grows its first part, but nothing says that attention reads it.
// CHECK-LABEL: func.func @main
// CHECK-SAME: rt.plain = {input = 0 : i64, why = "it is concatenated, not appended to by attention"}
// CHECK-NOT: rt.plain
func.func @main(%past: tensor<?x8xf32>, %new: tensor<?x8xf32>, %dest: tensor<?x8xf32>, %n: index, %m: index)
    -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  %start = tensor.insert_slice %past into %dest[0, 0] [%n, 8] [1, 1] : tensor<?x8xf32> into tensor<?x8xf32>
  %present = tensor.insert_slice %new into %start[%n, 0] [%m, 8] [1, 1] : tensor<?x8xf32> into tensor<?x8xf32>
  %end = tensor.insert_slice %past into %dest[%n, 0] [%n, 8] [1, 1] : tensor<?x8xf32> into tensor<?x8xf32>
  return %present, %end : tensor<?x8xf32>, tensor<?x8xf32>
}

// -----

// Recurrent states keep their size: a call returns what takes their place.
// CHECK-LABEL: func.func @main
// CHECK-SAME: tensor<?x2x64x32xf32> {rt.plain = {input = 2 : i64, why = "it is replaced by each call, not appended to"}}
// CHECK-SAME: tensor<?x8x3xf32> {rt.plain = {input = 3 : i64, why = "it is replaced by each call, not appended to"}}
func.func @main(%q: tensor<?x?x2x64xf32>, %v: tensor<?x?x2x32xf32>, %s: tensor<?x2x64x32xf32>, %p: tensor<?x8x3xf32>,
                %x: tensor<?x8x?xf32>, %dest: tensor<?x8x?xf32>, %b: index, %t: index) -> (tensor<?x2x64x32xf32>, tensor<?x8x3xf32>) {
  %y, %present = attn.linear_attention %q, %q, %v state(%s : tensor<?x2x64x32xf32>) {scale = 1.0 : f64}
      : tensor<?x?x2x64xf32>, tensor<?x?x2x64xf32>, tensor<?x?x2x32xf32> -> tensor<?x?x2x32xf32>, tensor<?x2x64x32xf32>
  %old = tensor.insert_slice %p into %dest[0, 0, 0] [%b, 8, 3] [1, 1, 1] : tensor<?x8x3xf32> into tensor<?x8x?xf32>
  %all = tensor.insert_slice %x into %old[0, 0, 3] [%b, 8, %t] [1, 1, 1] : tensor<?x8x?xf32> into tensor<?x8x?xf32>
  %end = tensor.extract_slice %all[0, 0, %t] [%b, 8, 3] [1, 1, 1] : tensor<?x8x?xf32> to tensor<?x8x3xf32>
  return %present, %end : tensor<?x2x64x32xf32>, tensor<?x8x3xf32>
}
