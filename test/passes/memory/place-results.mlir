// Results are computed in the memory that they belong in, unless what is there
// before is needed later: bufferisation does not see that it is overwritten.
// RUN: moec-opt %s --rt-bind-outputs --rt-place-results --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @main
// CHECK: %[[OUT:.*]] = rt.output 0
// CHECK: %[[PLACE:.*]] = bufferization.to_tensor %[[OUT]] restrict writable
// CHECK: %[[ZERO:.*]] = linalg.fill {{.*}} outs(%[[PLACE]]
// CHECK: linalg.reduce {{.*}} outs(%[[ZERO]]
func.func @main(%x: tensor<4x6xf32>) -> tensor<4xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  %y = linalg.reduce { arith.addf } ins(%x : tensor<4x6xf32>) outs(%f : tensor<4xf32>) dimensions = [1]
  return %y : tensor<4xf32>
}

// -----

// One fill for two results becomes two, each in its place.
// CHECK-LABEL: func.func @main
// CHECK-DAG: %[[OUT0:.*]] = rt.output 0
// CHECK-DAG: %[[OUT1:.*]] = rt.output 1
// CHECK-DAG: %[[PLACE0:.*]] = bufferization.to_tensor %[[OUT0]] restrict writable
// CHECK-DAG: %[[PLACE1:.*]] = bufferization.to_tensor %[[OUT1]] restrict writable
// CHECK-DAG: %[[ZERO0:.*]] = linalg.fill {{.*}} outs(%[[PLACE0]]
// CHECK-DAG: %[[ZERO1:.*]] = linalg.fill {{.*}} outs(%[[PLACE1]]
// CHECK-DAG: linalg.reduce {{.*}}ins(%arg0 {{.*}} outs(%[[ZERO0]]
// CHECK-DAG: linalg.reduce {{.*}}ins(%arg1 {{.*}} outs(%[[ZERO1]]
func.func @main(%x: tensor<4x6xf32>, %z: tensor<4x6xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  %y = linalg.reduce { arith.addf } ins(%x : tensor<4x6xf32>) outs(%f : tensor<4xf32>) dimensions = [1]
  %w = linalg.reduce { arith.addf } ins(%z : tensor<4x6xf32>) outs(%f : tensor<4xf32>) dimensions = [1]
  return %y, %w : tensor<4xf32>, tensor<4xf32>
}

// -----

// The head of both results is needed for the second, when the first is there.
// CHECK-LABEL: func.func @main
// CHECK-NOT: to_tensor
// CHECK: return
func.func @main(%a: tensor<2xf32>, %b: tensor<3xf32>, %c: tensor<3xf32>) -> (tensor<5xf32>, tensor<5xf32>) {
  %e = tensor.empty() : tensor<5xf32>
  %head = tensor.insert_slice %a into %e[0] [2] [1] : tensor<2xf32> into tensor<5xf32>
  %y = tensor.insert_slice %b into %head[2] [3] [1] : tensor<3xf32> into tensor<5xf32>
  %z = tensor.insert_slice %c into %head[2] [3] [1] : tensor<3xf32> into tensor<5xf32>
  return %y, %z : tensor<5xf32>, tensor<5xf32>
}

// -----

// A result that another one starts from is in its own place, the other is copied.
// CHECK-LABEL: func.func @main
// CHECK: %[[OUT0:.*]] = rt.output 0
// CHECK: %[[PLACE:.*]] = bufferization.to_tensor %[[OUT0]] restrict writable
// CHECK: linalg.exp ins(%arg0 {{.*}} outs(%[[PLACE]]
// CHECK-NOT: to_tensor
// CHECK: return
func.func @main(%x: tensor<4xf32>, %z: tensor<4x6xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %e = tensor.empty() : tensor<4xf32>
  %y = linalg.exp ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  %w = linalg.reduce { arith.addf } ins(%z : tensor<4x6xf32>) outs(%y : tensor<4xf32>) dimensions = [1]
  return %y, %w : tensor<4xf32>, tensor<4xf32>
}

// -----

// A part of what the first result overwrites is the second result.
// CHECK-LABEL: func.func @main
// CHECK-NOT: to_tensor %{{.*}} : memref<4x6xf32>
// CHECK: linalg.exp
func.func @main(%x: tensor<4x6xf32>, %z: tensor<4x6xf32>) -> (tensor<4x6xf32>, tensor<2x6xf32>) {
  %e = tensor.empty() : tensor<4x6xf32>
  %y = linalg.exp ins(%x : tensor<4x6xf32>) outs(%e : tensor<4x6xf32>) -> tensor<4x6xf32>
  %part = tensor.extract_slice %y[0, 0] [2, 6] [1, 1] : tensor<4x6xf32> to tensor<2x6xf32>
  %w = linalg.map { arith.addf } ins(%z, %y : tensor<4x6xf32>, tensor<4x6xf32>) outs(%y : tensor<4x6xf32>)
  return %w, %part : tensor<4x6xf32>, tensor<2x6xf32>
}

// -----

// Whatever branch computes a result, it does so in its place, which has another shape.
// CHECK-LABEL: func.func @main
// CHECK: %[[OUT:.*]] = rt.output 0
// CHECK: %[[ROWS:.*]] = memref.collapse_shape %[[OUT]]
// CHECK: %[[PLACE:.*]] = bufferization.to_tensor %[[ROWS]] restrict writable
// CHECK: linalg.exp {{.*}} outs(%[[PLACE]]
// CHECK: linalg.abs {{.*}} outs(%[[PLACE]]
func.func @main(%x: tensor<6x8xf32>, %isFirst: i1) -> tensor<2x3x8xf32> {
  %e = tensor.empty() : tensor<6x8xf32>
  %y = scf.if %isFirst -> tensor<6x8xf32> {
    %a = linalg.exp ins(%x : tensor<6x8xf32>) outs(%e : tensor<6x8xf32>) -> tensor<6x8xf32>
    scf.yield %a : tensor<6x8xf32>
  } else {
    %b = linalg.abs ins(%x : tensor<6x8xf32>) outs(%e : tensor<6x8xf32>) -> tensor<6x8xf32>
    scf.yield %b : tensor<6x8xf32>
  }
  %z = tensor.expand_shape %y [[0, 1], [2]] output_shape [2, 3, 8] : tensor<6x8xf32> into tensor<2x3x8xf32>
  return %z : tensor<2x3x8xf32>
}

// -----

// What is no result stays in one place.
// CHECK-LABEL: func.func @main
// CHECK: %[[PLACE:.*]] = tensor.empty() : tensor<6x8xf32>
// CHECK-NOT: tensor.empty() : tensor<6x8xf32>
// CHECK: linalg.exp {{.*}} outs(%[[PLACE]]
// CHECK: linalg.abs {{.*}} outs(%[[PLACE]]
func.func @main(%x: tensor<6x8xf32>, %isFirst: i1) -> tensor<6xf32> {
  %e = tensor.empty() : tensor<6x8xf32>
  %y = scf.if %isFirst -> tensor<6x8xf32> {
    %a = linalg.exp ins(%x : tensor<6x8xf32>) outs(%e : tensor<6x8xf32>) -> tensor<6x8xf32>
    scf.yield %a : tensor<6x8xf32>
  } else {
    %b = linalg.abs ins(%x : tensor<6x8xf32>) outs(%e : tensor<6x8xf32>) -> tensor<6x8xf32>
    scf.yield %b : tensor<6x8xf32>
  }
  %zero = arith.constant 0.0 : f32
  %s = tensor.empty() : tensor<6xf32>
  %f = linalg.fill ins(%zero : f32) outs(%s : tensor<6xf32>) -> tensor<6xf32>
  %z = linalg.reduce { arith.addf } ins(%y : tensor<6x8xf32>) outs(%f : tensor<6xf32>) dimensions = [1]
  return %z : tensor<6xf32>
}
