// Results are written where the caller wants them, and that place is known
// before the computation starts, if its size is.
// RUN: moec-opt %s --rt-bind-outputs --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[X:.*]]: tensor<?xf32>)
// CHECK-SAME: rt.outputs = [{onnx.name = "y", rt.type = tensor<?xf32>}]
// CHECK: %[[D:.*]] = tensor.dim %[[X]]
// CHECK: %[[OUT:.*]] = rt.output 0[%[[D]]] : memref<?xf32>
// CHECK: %[[Y:.*]] = linalg.map
// CHECK: bufferization.materialize_in_destination %[[Y]] in restrict writable %[[OUT]]
// CHECK: return{{$}}
func.func @main(%x: tensor<?xf32>) -> (tensor<?xf32> {onnx.name = "y"}) {
  %c0 = arith.constant 0 : index
  %d = tensor.dim %x, %c0 : tensor<?xf32>
  %e = tensor.empty(%d) : tensor<?xf32>
  %y = linalg.map { math.absf } ins(%x : tensor<?xf32>) outs(%e : tensor<?xf32>)
  return %y : tensor<?xf32>
}

// -----

// A size that depends on data is known only after the data: the output stays
// behind it.
// CHECK-LABEL: func.func @main
// CHECK: %[[N:.*]] = tensor.extract
// CHECK: %[[Y:.*]] = linalg.fill
// CHECK: %[[OUT:.*]] = rt.output 0
// CHECK: materialize_in_destination %[[Y]] in restrict writable %[[OUT]]
func.func @main(%x: tensor<4xindex>, %i: index) -> tensor<?xf32> {
  %zero = arith.constant 0.0 : f32
  %e0 = tensor.empty() : tensor<4xindex>
  %sizes = linalg.map { index.add } ins(%x, %x : tensor<4xindex>, tensor<4xindex>) outs(%e0 : tensor<4xindex>)
  %n = tensor.extract %sizes[%i] : tensor<4xindex>
  %e = tensor.empty(%n) : tensor<?xf32>
  %y = linalg.fill ins(%zero : f32) outs(%e : tensor<?xf32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

// State may be part of a larger buffer: its strides come with it.
// CHECK-LABEL: func.func @main
// CHECK: rt.output 0[%{{.*}}] : memref<?xf32, strided<[1]>>
func.func @main(%x: tensor<?xf32>) -> (tensor<?xf32> {rt.state = {input = 0 : i64, axis = 0 : i64}}) {
  return %x : tensor<?xf32>
}

// -----

// What is only reshaped at the end is computed in the caller's memory.
// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[X:.*]]: tensor<?x?x8xf32>)
// CHECK: %[[OUT:.*]] = rt.output 0[%{{.*}}, %{{.*}}] : memref<?x?x8xf32>
// CHECK: %[[ROWS:.*]] = memref.collapse_shape %[[OUT]] {{\[\[}}0, 1], [2]]
// CHECK: %[[Y:.*]] = linalg.exp
// CHECK: bufferization.materialize_in_destination %[[Y]] in restrict writable %[[ROWS]]
func.func @main(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %b = tensor.dim %x, %c0 : tensor<?x?x8xf32>
  %s = tensor.dim %x, %c1 : tensor<?x?x8xf32>
  %rows = tensor.collapse_shape %x [[0, 1], [2]] : tensor<?x?x8xf32> into tensor<?x8xf32>
  %n = arith.muli %b, %s : index
  %e = tensor.empty(%n) : tensor<?x8xf32>
  %y = linalg.exp ins(%rows : tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) -> tensor<?x8xf32>
  %z = tensor.expand_shape %y [[0, 1], [2]] output_shape [%b, %s, 8] : tensor<?x8xf32> into tensor<?x?x8xf32>
  return %z : tensor<?x?x8xf32>
}
