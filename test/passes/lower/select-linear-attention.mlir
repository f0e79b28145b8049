// A recurrence of known sizes is one kernel, launched on the columns of all
// states: blocks of 4 vectors, of fewer when several heads read one state.
// RUN: moec-opt %s --moec-select-kernels=chip=x86-64-v3 --split-input-file | FileCheck %s

// CHECK: func.func private @linear_attention_f16_4x64_2x96_state_f32_decay1_beta2(
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[Q:.*]]: tensor<?x?x4x64xf16>
// CHECK-DAG: %[[C6:.*]] = arith.constant 6 : index
// CHECK-DAG: %[[BATCH:.*]] = tensor.dim %[[Q]], %c0
// CHECK: %[[GRID:.*]] = arith.muli %[[BATCH]], %[[C6]]
// CHECK: rt.launch @linear_attention_f16_4x64_2x96_state_f32_decay1_beta2 grid(%[[GRID]])
// CHECK-NOT: = attn.linear_attention
// CHECK: return
func.func @main(%q: tensor<?x?x4x64xf16>, %k: tensor<?x?x2x64xf16>, %v: tensor<?x?x2x96xf16>, %s: tensor<?x2x64x96xf32>,
                %g: tensor<?x?x2x1xf16>, %b: tensor<?x?x2xf16>) -> (tensor<?x?x4x96xf16>, tensor<?x2x64x96xf32>) {
  %y, %present = attn.linear_attention %q, %k, %v state(%s : tensor<?x2x64x96xf32>)
      decay(%g : tensor<?x?x2x1xf16>) beta(%b : tensor<?x?x2xf16>) {scale = 0.125 : f64}
      : tensor<?x?x4x64xf16>, tensor<?x?x2x64xf16>, tensor<?x?x2x96xf16> -> tensor<?x?x4x96xf16>, tensor<?x2x64x96xf32>
  return %y, %present : tensor<?x?x4x96xf16>, tensor<?x2x64x96xf32>
}

// -----

// Kernels compute in f32.
// CHECK-LABEL: func.func @main
// CHECK: attn.linear_attention
func.func @main(%q: tensor<?x?x2x8xf64>, %s: tensor<?x2x8x8xf64>) -> (tensor<?x?x2x8xf64>, tensor<?x2x8x8xf64>) {
  %y, %present = attn.linear_attention %q, %q, %q state(%s : tensor<?x2x8x8xf64>) {scale = 1.0 : f64}
      : tensor<?x?x2x8xf64>, tensor<?x?x2x8xf64>, tensor<?x?x2x8xf64> -> tensor<?x?x2x8xf64>, tensor<?x2x8x8xf64>
  return %y, %present : tensor<?x?x2x8xf64>, tensor<?x2x8x8xf64>
}

// -----

// CHECK-LABEL: func.func @main
// CHECK: attn.linear_attention
func.func @main(%q: tensor<?x?x?x8xf32>, %s: tensor<?x?x8x8xf32>) -> (tensor<?x?x?x8xf32>, tensor<?x?x8x8xf32>) {
  %y, %present = attn.linear_attention %q, %q, %q state(%s : tensor<?x?x8x8xf32>) {scale = 1.0 : f64}
      : tensor<?x?x?x8xf32>, tensor<?x?x?x8xf32>, tensor<?x?x?x8xf32> -> tensor<?x?x?x8xf32>, tensor<?x?x8x8xf32>
  return %y, %present : tensor<?x?x?x8xf32>, tensor<?x?x8x8xf32>
}
