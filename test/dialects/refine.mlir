// Sizes that operands know reach results, through casts that forgot them.
// RUN: moec-opt %s --canonicalize | FileCheck %s

// CHECK-LABEL: func.func @norm
// CHECK-SAME: %[[X:.*]]: tensor<?x7x256xf32>
// CHECK: %[[Y:.*]] = attn.rms_norm %[[X]], {{.*}} -> tensor<?x7x256xf32>
// CHECK: %[[CAST:.*]] = tensor.cast %[[Y]] : tensor<?x7x256xf32> to tensor<?x?x256xf32>
// CHECK: return %[[CAST]]
func.func @norm(%x: tensor<?x7x256xf32>, %s: tensor<256xf32>) -> tensor<?x?x256xf32> {
  %c = tensor.cast %x : tensor<?x7x256xf32> to tensor<?x?x256xf32>
  %y = attn.rms_norm %c, %s {axis = 2, epsilon = 1.0e-5 : f64}
       : tensor<?x?x256xf32>, tensor<256xf32> -> tensor<?x?x256xf32>
  return %y : tensor<?x?x256xf32>
}

// CHECK-LABEL: func.func @route
// CHECK: moe.route {{.*}} : tensor<3x8xf32> -> tensor<3x2xi32>, tensor<3x2xf32>
func.func @route(%l: tensor<3x8xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>) {
  %c = tensor.cast %l : tensor<3x8xf32> to tensor<?x8xf32>
  %ids, %weights = moe.route %c {router = #moe.router<top_k = 2>}
       : tensor<?x8xf32> -> tensor<?x2xi32>, tensor<?x2xf32>
  return %ids, %weights : tensor<?x2xi32>, tensor<?x2xf32>
}
