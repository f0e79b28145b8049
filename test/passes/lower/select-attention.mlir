// Attention whose heads and widths are known becomes one kernel, which takes
// queries, keys and values where they are.
// RUN: moec-opt %s --moec-select-kernels=chip=x86-64-v3 --split-input-file | FileCheck %s

// CHECK: func.func private @attention_f32_2x4_64_causal({{.*}}: memref<?x?x8x64xf32, strided<[?, ?, ?, 1], offset: ?>>, {{.*}}: memref<?x2x?x64xf32, strided<[?, ?, ?, 1], offset: ?>>
// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[Q:.*]]: tensor<?x3x8x64xf32>, %[[K:.*]]: tensor<?x2x?x64xf32>, %[[V:.*]]: tensor<?x2x?x64xf32>
func.func @main(%q: tensor<?x3x8x64xf32>, %k: tensor<?x2x?x64xf32>, %v: tensor<?x2x?x64xf32>, %n: tensor<?xi64>, %p: tensor<?xi64>) -> (tensor<?x3x8x64xf32>, tensor<?x3x8x64xf32>) {
  // CHECK: %[[Q4:.*]] = tensor.cast %[[Q]] : tensor<?x3x8x64xf32> to tensor<?x?x8x64xf32>
  // CHECK: rt.launch @attention_f32_2x4_64_causal grid(%{{.*}}) ins(%[[Q4]], %[[K]], %[[V]], %{{.*}}, %{{.*}} : {{.*}}) outs(%{{.*}} : tensor<?x?x8x64xf32>) {rt.op = "attn.attention"}
  %y = attn.attention %q, %k, %v kv_lengths(%n : tensor<?xi64>) q_offsets(%p : tensor<?xi64>) {scale = 0.125 : f64, right = 0}
       : tensor<?x3x8x64xf32>, tensor<?x2x?x64xf32>, tensor<?x2x?x64xf32> -> tensor<?x3x8x64xf32>
  // An equal attention has the same kernel, another one its own.
  // CHECK: rt.launch @attention_f32_2x4_64_causal grid
  %z = attn.attention %y, %k, %v kv_lengths(%n : tensor<?xi64>) q_offsets(%p : tensor<?xi64>) {scale = 0.125 : f64, right = 0}
       : tensor<?x3x8x64xf32>, tensor<?x2x?x64xf32>, tensor<?x2x?x64xf32> -> tensor<?x3x8x64xf32>
  // CHECK: rt.launch @attention_f32_2x4_64_causal_{{[0-9]+}} grid
  %t = attn.attention %z, %k, %v kv_lengths(%n : tensor<?xi64>) q_offsets(%p : tensor<?xi64>) {scale = 0.25 : f64, right = 0}
       : tensor<?x3x8x64xf32>, tensor<?x2x?x64xf32>, tensor<?x2x?x64xf32> -> tensor<?x3x8x64xf32>
  return %z, %t : tensor<?x3x8x64xf32>, tensor<?x3x8x64xf32>
}

// -----

// Masks come as bytes, biases as f32.
// CHECK: func.func private @attention_bf16_2x2_16x8_bias_mask_softcap_sink
// CHECK-LABEL: func.func @main
func.func @main(%q: tensor<1x5x4x16xbf16>, %k: tensor<1x2x7x16xbf16>, %v: tensor<1x2x7x8xbf16>, %bias: tensor<1x1x5x7xbf16>, %mask: tensor<1x1x5x7xi1>, %sink: tensor<4xbf16>) -> tensor<1x5x4x8xbf16> {
  // CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<1x1x5x7xf32>)
  // CHECK: arith.extf
  // CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<1x1x5x7xi8>)
  // CHECK: arith.extui
  // CHECK: rt.launch @attention_bf16_2x2_16x8_bias_mask_softcap_sink
  %y = attn.attention %q, %k, %v bias(%bias : tensor<1x1x5x7xbf16>) mask(%mask : tensor<1x1x5x7xi1>) sink(%sink : tensor<4xbf16>) {scale = 0.125 : f64, softcap = 2.0 : f64}
       : tensor<1x5x4x16xbf16>, tensor<1x2x7x16xbf16>, tensor<1x2x7x8xbf16> -> tensor<1x5x4x8xbf16>
  return %y : tensor<1x5x4x8xbf16>
}

// -----

// Neither f64, nor an unknown width, nor heads beyond any stack has a kernel.
// CHECK-LABEL: func.func @main
// CHECK-COUNT-3: attn.attention
// CHECK-NOT: rt.launch
func.func @main(%a: tensor<1x5x4x16xf64>, %b: tensor<1x2x7x16xf64>, %c: tensor<1x5x4x?xf32>, %d: tensor<1x2x7x?xf32>, %e: tensor<1x5x4x4096xf32>, %f: tensor<1x2x7x4096xf32>) -> (tensor<1x5x4x16xf64>, tensor<1x5x4x?xf32>, tensor<1x5x4x4096xf32>) {
  %x = attn.attention %a, %b, %b {scale = 0.125 : f64} : tensor<1x5x4x16xf64>, tensor<1x2x7x16xf64>, tensor<1x2x7x16xf64> -> tensor<1x5x4x16xf64>
  %y = attn.attention %c, %d, %d {scale = 0.125 : f64} : tensor<1x5x4x?xf32>, tensor<1x2x7x?xf32>, tensor<1x2x7x?xf32> -> tensor<1x5x4x?xf32>
  %z = attn.attention %e, %f, %f {scale = 0.125 : f64} : tensor<1x5x4x4096xf32>, tensor<1x2x7x4096xf32>, tensor<1x2x7x4096xf32> -> tensor<1x5x4x4096xf32>
  return %x, %y, %z : tensor<1x5x4x16xf64>, tensor<1x5x4x?xf32>, tensor<1x5x4x4096xf32>
}
