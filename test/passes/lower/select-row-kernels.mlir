// Rotations, appends to caches and the sums of experts' rows become kernels
// where the sizes behind tokens are known.
// RUN: moec-opt %s --moec-select-kernels=chip=x86-64-v3 --split-input-file | FileCheck %s

// CHECK-DAG: func.func private @rope_f32_8x64_32(
// CHECK-DAG: func.func private @rope_f32_8x64_32_interleaved(
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<?x?x8x64xf32>, %cos: tensor<100x32xf32>, %table: tensor<?x?x32xf32>, %p: tensor<?x?xi64>) -> (tensor<?x?x8x64xf32>, tensor<?x?x8x64xf32>) {
  // CHECK: rt.launch @rope_f32_8x64_32 grid(%{{.*}}) ins(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : tensor<?x?x8x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x?xi64>)
  %y = attn.rope %x, %cos, %cos positions(%p : tensor<?x?xi64>) : tensor<?x?x8x64xf32>, tensor<100x32xf32>, tensor<100x32xf32> -> tensor<?x?x8x64xf32>
  // CHECK: rt.launch @rope_f32_8x64_32_interleaved grid(%{{.*}}) ins(%{{.*}}, %{{.*}}, %{{.*}} : tensor<?x?x8x64xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32>)
  %z = attn.rope interleaved %x, %table, %table : tensor<?x?x8x64xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32> -> tensor<?x?x8x64xf32>
  return %y, %z : tensor<?x?x8x64xf32>, tensor<?x?x8x64xf32>
}

// -----

// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[DEST:[^ ]*]]: tensor<?x2x?x64xf16>)
func.func @main(%past: tensor<?x2x?x64xf16>, %new: tensor<?x?x2x64xf16>, %n: tensor<?xi64>, %dest: tensor<?x2x?x64xf16>) -> tensor<?x2x?x64xf16> {
  // CHECK: rt.launch @cache_append_f16_2x64 grid(%{{.*}}) ins(%{{.*}}, %{{.*}}, %{{.*}} : tensor<?x2x?x64xf16>, tensor<?x?x2x64xf16>, tensor<?xi64>) outs(%[[DEST]] : tensor<?x2x?x64xf16>)
  %y = attn.cache_append %past, %new lengths(%n : tensor<?xi64>) outs(%dest : tensor<?x2x?x64xf16>) : tensor<?x2x?x64xf16>, tensor<?x?x2x64xf16> -> tensor<?x2x?x64xf16>
  return %y : tensor<?x2x?x64xf16>
}

// -----

// CHECK-LABEL: func.func @main
func.func @main(%rows: tensor<?x16xf32>, %positions: tensor<?x2xi32>, %w: tensor<?x2xf32>, %a: tensor<?x16xbf16>) -> tensor<?x16xbf16> {
  // CHECK: rt.launch @combine_f32_16_top2_to_bf16_addend grid
  %y = moe.combine %rows, %positions weights(%w : tensor<?x2xf32>) addend(%a : tensor<?x16xbf16>) {element = bf16} : tensor<?x16xf32>, tensor<?x2xi32> -> tensor<?x16xbf16>
  return %y : tensor<?x16xbf16>
}

// -----

// CHECK-LABEL: func.func @main
// CHECK: attn.rope
// CHECK: attn.cache_append
// CHECK: moe.combine
// CHECK-NOT: rt.launch
func.func @main(%x: tensor<?x?x8x64xf32>, %cos: tensor<100x?xf32>, %p: tensor<?x?xi64>, %past: tensor<?x?x?x64xf16>, %new: tensor<?x?x?x64xf16>, %rows: tensor<?x16xf32>, %positions: tensor<?x?xi32>) -> (tensor<?x?x8x64xf32>, tensor<?x?x?x64xf16>, tensor<?x16xf32>) {
  %y = attn.rope %x, %cos, %cos positions(%p : tensor<?x?xi64>) : tensor<?x?x8x64xf32>, tensor<100x?xf32>, tensor<100x?xf32> -> tensor<?x?x8x64xf32>
  %z = attn.cache_append %past, %new outs(%past : tensor<?x?x?x64xf16>) : tensor<?x?x?x64xf16>, tensor<?x?x?x64xf16> -> tensor<?x?x?x64xf16>
  %s = moe.combine %rows, %positions {element = f32} : tensor<?x16xf32>, tensor<?x?xi32> -> tensor<?x16xf32>
  return %y, %z, %s : tensor<?x?x8x64xf32>, tensor<?x?x?x64xf16>, tensor<?x16xf32>
}
