// Routers, sums of slots, rotations and appends to caches become launches of
// kernels of blocks; what lanes cannot hold stays.
// RUN: moec-opt %s --moec-select-cuda-kernels --split-input-file | FileCheck %s

// A warp has four tokens of 8 experts each; of 256 experts each lane has 8.
// CHECK-DAG: func.func private @route_f32_8_top2_softmax({{.*}}rt.block = {shared = 0 : i64, threads = 128 : i64}
// CHECK-DAG: func.func private @route_bf16_256_top8_sigmoid_groups8({{.*}}rt.block = {shared = 0 : i64, threads = 128 : i64}
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<?x8xf32>, %y: tensor<?x256xbf16>, %b: tensor<256xf32>, %z: tensor<?x1000xf32>)
    -> (tensor<?x2xi32>, tensor<?x8xi32>, tensor<?x2xi32>) {
  // CHECK: %[[BLOCKS:.*]] = arith.ceildivui %{{.*}}, %c16
  // CHECK: rt.launch @route_f32_8_top2_softmax grid(%[[BLOCKS]]) ins(%{{.*}} : tensor<?x8xf32>) outs(%{{.*}}, %{{.*}} : tensor<?x2xi32>, tensor<?x2xf32>)
  %i, %w = moe.route %x {router = #moe.router<top_k = 2, normalize = sum>} : tensor<?x8xf32> -> tensor<?x2xi32>, tensor<?x2xf32>
  // CHECK: %[[BLOCKS:.*]] = arith.ceildivui %{{.*}}, %c4
  // CHECK: rt.launch @route_bf16_256_top8_sigmoid_groups8 grid(%[[BLOCKS]]) ins(%{{.*}}, %{{.*}} : tensor<?x256xbf16>, tensor<256xf32>)
  %j, %v = moe.route %y selection_bias(%b : tensor<256xf32>) {router = #moe.router<top_k = 8, score = sigmoid, groups = 8, kept_groups = 4, group_score = top2_sum, normalize = sum>} : tensor<?x256xbf16> -> tensor<?x8xi32>, tensor<?x8xf32>
  // CHECK: moe.route
  %k, %u = moe.route %z {router = #moe.router<top_k = 2>} : tensor<?x1000xf32> -> tensor<?x2xi32>, tensor<?x2xf32>
  return %i, %j, %k : tensor<?x2xi32>, tensor<?x8xi32>, tensor<?x2xi32>
}

// -----

// A block has 512 columns of a token.
// CHECK: func.func private @combine_f32_2048_top2_to_bf16_addend({{.*}}rt.block = {shared = 0 : i64, threads = 128 : i64}
// CHECK-LABEL: func.func @main
func.func @main(%rows: tensor<?x2048xf32>, %positions: tensor<?x2xi32>, %w: tensor<?x2xf32>, %a: tensor<?x2048xbf16>) -> tensor<?x2048xbf16> {
  // CHECK: %[[BLOCKS:.*]] = arith.muli %{{.*}}, %c4
  // CHECK: rt.launch @combine_f32_2048_top2_to_bf16_addend grid(%[[BLOCKS]])
  %y = moe.combine %rows, %positions weights(%w : tensor<?x2xf32>) addend(%a : tensor<?x2048xbf16>) {element = bf16} : tensor<?x2048xf32>, tensor<?x2xi32> -> tensor<?x2048xbf16>
  return %y : tensor<?x2048xbf16>
}

// -----

// The append rotates what nothing else reads.
// CHECK-DAG: func.func private @rope_bf16_4x64_32(
// CHECK-DAG: func.func private @rope_cache_append_bf16_2x64(
// CHECK-DAG: func.func private @cache_append_bf16_2x64(
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[PAST:[^ ]*]]: tensor<?x2x?x64xbf16>, %[[Q:[^ ]*]]: tensor<?x?x4x64xbf16>, %[[K:[^ ]*]]: tensor<?x?x2x64xbf16>, %[[COS:[^ ]*]]: tensor<?x32xf32>, %[[P:[^ ]*]]: tensor<?x?xi64>, %[[N:[^ ]*]]: tensor<?xi64>, %[[DEST:[^ ]*]]: tensor<?x2x?x64xbf16>)
func.func @main(%past: tensor<?x2x?x64xbf16>, %q: tensor<?x?x4x64xbf16>, %k: tensor<?x?x2x64xbf16>, %cos: tensor<?x32xf32>, %p: tensor<?x?xi64>, %n: tensor<?xi64>, %dest: tensor<?x2x?x64xbf16>)
    -> (tensor<?x?x4x64xbf16>, tensor<?x2x?x64xbf16>, tensor<?x2x?x64xbf16>) {
  // CHECK: rt.launch @rope_bf16_4x64_32 grid(%{{.*}}) ins(%[[Q]], %[[COS]], %[[COS]], %[[P]] :
  %0 = attn.rope %q, %cos, %cos positions(%p : tensor<?x?xi64>) : tensor<?x?x4x64xbf16>, tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x?x4x64xbf16>
  // CHECK-NOT: = attn.rope
  %1 = attn.rope %k, %cos, %cos positions(%p : tensor<?x?xi64>) : tensor<?x?x2x64xbf16>, tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x?x2x64xbf16>
  // CHECK: rt.launch @rope_cache_append_bf16_2x64 grid(%{{.*}}) ins(%[[PAST]], %[[K]], %[[N]], %[[COS]], %[[COS]], %[[P]] : {{.*}}) outs(%[[DEST]] :
  %2 = attn.cache_append %past, %1 lengths(%n : tensor<?xi64>) outs(%dest : tensor<?x2x?x64xbf16>) : tensor<?x2x?x64xbf16>, tensor<?x?x2x64xbf16> -> tensor<?x2x?x64xbf16>
  // CHECK: rt.launch @cache_append_bf16_2x64 grid(%{{.*}}) ins(%[[PAST]], %[[K]] : {{.*}}) outs(%[[DEST]] :
  %3 = attn.cache_append %past, %k outs(%dest : tensor<?x2x?x64xbf16>) : tensor<?x2x?x64xbf16>, tensor<?x?x2x64xbf16> -> tensor<?x2x?x64xbf16>
  return %0, %2, %3 : tensor<?x?x4x64xbf16>, tensor<?x2x?x64xbf16>, tensor<?x2x?x64xbf16>
}

// -----

// What an attention reads is one kernel's: queries that are rotated, keys that
// are rotated and appended, values that are appended.
// CHECK-DAG: func.func private @rope_bf16_4x64_32_rope_cache_append_bf16_2x64(
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[PASTK:[^ ]*]]: tensor<?x2x?x64xbf16>, %[[PASTV:[^ ]*]]: tensor<?x2x?x64xbf16>, %[[Q:[^ ]*]]: tensor<?x?x4x64xbf16>, %[[K:[^ ]*]]: tensor<?x?x2x64xbf16>, %[[V:[^ ]*]]: tensor<?x?x2x64xbf16>, %[[COS:[^ ]*]]: tensor<?x32xf32>, %[[P:[^ ]*]]: tensor<?x?xi64>, %[[N:[^ ]*]]: tensor<?xi64>, %[[DEST:[^ ]*]]: tensor<?x2x?x64xbf16>)
func.func @main(%pk: tensor<?x2x?x64xbf16>, %pv: tensor<?x2x?x64xbf16>, %q: tensor<?x?x4x64xbf16>, %k: tensor<?x?x2x64xbf16>, %v: tensor<?x?x2x64xbf16>, %cos: tensor<?x32xf32>, %p: tensor<?x?xi64>, %n: tensor<?xi64>, %dest: tensor<?x2x?x64xbf16>)
    -> (tensor<?x?x4x64xbf16>, tensor<?x2x?x64xbf16>, tensor<?x2x?x64xbf16>) {
  // CHECK: %[[ALL:.*]]:3 = rt.launch @rope_bf16_4x64_32_rope_cache_append_bf16_2x64 grid(%{{[0-9]+}})
  // CHECK-SAME: ins(%[[Q]], %[[COS]], %[[COS]], %[[P]], %[[PASTK]], %[[K]], %[[N]], %[[COS]], %[[COS]], %[[P]], %[[PASTV]], %[[V]], %[[N]] :
  // CHECK-SAME: outs(%{{.*}}, %[[DEST]], %[[DEST]] :
  // CHECK-NOT: = attn.rope
  // CHECK: ins(%[[ALL]]#0, %[[ALL]]#1, %[[ALL]]#2, %[[N]] :
  %0 = attn.rope %q, %cos, %cos positions(%p : tensor<?x?xi64>) : tensor<?x?x4x64xbf16>, tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x?x4x64xbf16>
  %1 = attn.rope %k, %cos, %cos positions(%p : tensor<?x?xi64>) : tensor<?x?x2x64xbf16>, tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x?x2x64xbf16>
  %2 = attn.cache_append %pk, %1 lengths(%n : tensor<?xi64>) outs(%dest : tensor<?x2x?x64xbf16>) : tensor<?x2x?x64xbf16>, tensor<?x?x2x64xbf16> -> tensor<?x2x?x64xbf16>
  %3 = attn.cache_append %pv, %v lengths(%n : tensor<?xi64>) outs(%dest : tensor<?x2x?x64xbf16>) : tensor<?x2x?x64xbf16>, tensor<?x?x2x64xbf16> -> tensor<?x2x?x64xbf16>
  %y = attn.attention %0, %2, %3 kv_lengths(%n : tensor<?xi64>) {scale = 0.125 : f64} : tensor<?x?x4x64xbf16>, tensor<?x2x?x64xbf16>, tensor<?x2x?x64xbf16> -> tensor<?x?x4x64xbf16>
  return %y, %2, %3 : tensor<?x?x4x64xbf16>, tensor<?x2x?x64xbf16>, tensor<?x2x?x64xbf16>
}
