// Norms over known widths become kernels on rows, whatever the rank.
// RUN: moec-opt %s --moec-select-kernels=chip=x86-64-v3 --split-input-file | FileCheck %s

// CHECK: func.func private @rms_norm_f32_64
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<?x?x64xf32>, %scale: tensor<64xf32>) -> tensor<?x?x64xf32> {
  // CHECK: %[[ROWS:.*]] = tensor.collapse_shape %{{.*}} {{\[\[}}0, 1], [2]] : tensor<?x?x64xf32> into tensor<?x64xf32>
  // CHECK: %[[Y:.*]] = rt.launch @rms_norm_f32_64 grid(%{{.*}}) ins(%[[ROWS]], %{{.*}} : tensor<?x64xf32>, tensor<64xf32>)
  // CHECK: tensor.expand_shape %[[Y]]
  %y = attn.rms_norm %x, %scale {axis = 2, epsilon = 1.0e-6 : f64} : tensor<?x?x64xf32>, tensor<64xf32> -> tensor<?x?x64xf32>
  return %y : tensor<?x?x64xf32>
}

// -----

// Statistics are computed where somebody reads them.
// CHECK: func.func private @layer_norm_bf16_32_{{[0-9]+}}({{.*}}: memref<?xf32>, {{.*}}: memref<?xf32>, {{.*}}: index
// CHECK: func.func private @layer_norm_bf16_32(
// CHECK-NOT: memref<?xf32>
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<?x32xbf16>, %s: tensor<32xbf16>) -> (tensor<?x32xbf16>, tensor<?x32xbf16>, tensor<?x1xf32>) {
  %y, %m, %i = attn.layer_norm %x, %s {axis = 1, epsilon = 1.0e-6 : f64} : tensor<?x32xbf16>, tensor<32xbf16> -> tensor<?x32xbf16>, tensor<?x1xf32>, tensor<?x1xf32>
  %z, %n, %j = attn.layer_norm %y, %s {axis = 1, epsilon = 1.0e-6 : f64} : tensor<?x32xbf16>, tensor<32xbf16> -> tensor<?x32xbf16>, tensor<?x1xf32>, tensor<?x1xf32>
  return %y, %z, %j : tensor<?x32xbf16>, tensor<?x32xbf16>, tensor<?x1xf32>
}

// -----

// Neither a width that is open, nor f64, nor a whole tensor as one row has a kernel.
// CHECK-LABEL: func.func @main
// CHECK-COUNT-3: attn.rms_norm
// CHECK-NOT: rt.launch
func.func @main(%a: tensor<4x?xf32>, %b: tensor<?xf32>, %c: tensor<4x8xf64>, %d: tensor<8xf64>, %e: tensor<8xf32>) -> (tensor<4x?xf32>, tensor<4x8xf64>, tensor<8xf32>) {
  %x = attn.rms_norm %a, %b {axis = 1, epsilon = 1.0e-6 : f64} : tensor<4x?xf32>, tensor<?xf32> -> tensor<4x?xf32>
  %y = attn.rms_norm %c, %d {axis = 1, epsilon = 1.0e-6 : f64} : tensor<4x8xf64>, tensor<8xf64> -> tensor<4x8xf64>
  %z = attn.rms_norm %e, %e {axis = 0, epsilon = 1.0e-6 : f64} : tensor<8xf32>, tensor<8xf32> -> tensor<8xf32>
  return %x, %y, %z : tensor<4x?xf32>, tensor<4x8xf64>, tensor<8xf32>
}
