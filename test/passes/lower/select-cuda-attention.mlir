// Attention becomes a kernel of warps: where tiles of rows are few, one with a
// warp for each chunk of keys and one that merges them. Chunks that no lane can
// hold stay. Narrow rows that begin anywhere are not multiplied by tensor cores.
// RUN: moec-opt %s --moec-select-cuda-kernels | FileCheck %s

// CHECK-DAG: func.func private @attention_bf16_2x4_64_causal({{.*}}rt.block = {shared = 18432 : i64, threads = 128 : i64}
// CHECK-DAG: func.func private @attention_bf16_2x4_64_causal_chunks({{.*}}rt.block = {shared = 4608 : i64, threads = 32 : i64}
// CHECK-DAG: func.func private @attention_bf16_2x4_64_causal_merge({{.*}}rt.block = {shared = 0 : i64, threads = 128 : i64}
// CHECK-DAG: func.func private @attention_bf16_2x4_64_chunks({{.*}}rt.block = {shared = 4352 : i64, threads = 32 : i64}

// CHECK-LABEL: func.func @main(
// CHECK-SAME: %[[Q:[^:]*]]: tensor<?x?x8x64xbf16>, %[[K:[^:]*]]: tensor<?x2x?x64xbf16>, %[[V:[^:]*]]: tensor<?x2x?x64xbf16>
func.func @main(%q: tensor<?x?x8x64xbf16>, %k: tensor<?x2x?x64xbf16>, %v: tensor<?x2x?x64xbf16>,
                %w: tensor<?x?x8x67xbf16>)
    -> (tensor<?x?x8x64xbf16>, tensor<?x?x8x64xbf16>, tensor<?x?x8x64xbf16>) {
  // CHECK: %[[MANY:.*]] = arith.cmpi slt, %c256{{.*}}, %{{.*}} : index
  // CHECK: scf.if %[[MANY]] -> (tensor<?x?x8x64xbf16>) {
  // CHECK: rt.launch @attention_bf16_2x4_64_causal grid(%{{.*}}) ins(%[[Q]], %[[K]], %[[V]] : {{.*}}) outs(%[[Y:.*]] : tensor<?x?x8x64xbf16>)
  // CHECK: } else {
  // CHECK: %[[M:.*]] = tensor.empty({{.*}}) : tensor<?x2x?x?x2xf32>
  // CHECK: %[[O:.*]] = tensor.empty({{.*}}) : tensor<?x2x?x?x64xf32>
  // CHECK: %[[P:.*]]:2 = rt.launch @attention_bf16_2x4_64_causal_chunks grid(%{{.*}}) ins(%[[Q]], %[[K]], %[[V]] : {{.*}}) outs(%[[M]], %[[O]] : {{.*}})
  // CHECK: rt.launch @attention_bf16_2x4_64_causal_merge grid(%{{.*}}) ins(%[[P]]#0, %[[P]]#1, %[[Q]], %[[K]], %[[V]] : {{.*}}) outs(%[[Y]] : tensor<?x?x8x64xbf16>)
  %0 = attn.attention %q, %k, %v {scale = 0.125 : f64, right = 0}
    : tensor<?x?x8x64xbf16>, tensor<?x2x?x64xbf16>, tensor<?x2x?x64xbf16> -> tensor<?x?x8x64xbf16>
  // CHECK: attn.attention
  %1 = attn.attention %q, %k, %v {scale = 0.125 : f64, chunk = 128}
    : tensor<?x?x8x64xbf16>, tensor<?x2x?x64xbf16>, tensor<?x2x?x64xbf16> -> tensor<?x?x8x64xbf16>
  // CHECK: rt.launch @attention_bf16_2x4_64_chunks
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %b = tensor.dim %w, %c0 : tensor<?x?x8x67xbf16>
  %s = tensor.dim %w, %c1 : tensor<?x?x8x67xbf16>
  %part = tensor.extract_slice %w[0, 0, 0, 3] [%b, %s, 8, 64] [1, 1, 1, 1] : tensor<?x?x8x67xbf16> to tensor<?x?x8x64xbf16>
  %2 = attn.attention %part, %k, %v {scale = 0.125 : f64}
    : tensor<?x?x8x64xbf16>, tensor<?x2x?x64xbf16>, tensor<?x2x?x64xbf16> -> tensor<?x?x8x64xbf16>
  return %0, %1, %2 : tensor<?x?x8x64xbf16>, tensor<?x?x8x64xbf16>, tensor<?x?x8x64xbf16>
}
