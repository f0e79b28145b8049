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
