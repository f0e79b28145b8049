// A router becomes one kernel, unless its experts are not counted.
// RUN: moec-opt %s --moec-select-kernels=chip=x86-64-v3 | FileCheck %s

// CHECK-DAG: func.func private @route_f32_64_top8_sigmoid_groups8(
// CHECK-DAG: func.func private @route_f32_64_top2_sparse_mixer(
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<?x64xf32>, %b: tensor<64xf32>, %y: tensor<?x?xf32>) -> (tensor<?x8xi32>, tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xi32>) {
  // CHECK: rt.launch @route_f32_64_top8_sigmoid_groups8 grid(%{{.*}}) ins(%{{.*}}, %{{.*}} : tensor<?x64xf32>, tensor<64xf32>) outs(%{{.*}}, %{{.*}} : tensor<?x8xi32>, tensor<?x8xf32>) {rt.op = "moe.route"}
  %ids, %w = moe.route %x selection_bias(%b : tensor<64xf32>) {router = #moe.router<top_k = 8, score = sigmoid, groups = 8, kept_groups = 4, group_score = top2_sum, normalize = sum>} : tensor<?x64xf32> -> tensor<?x8xi32>, tensor<?x8xf32>
  // CHECK: rt.launch @route_f32_64_top2_sparse_mixer grid
  // CHECK: moe.route
  // CHECK-NOT: rt.launch
  %mixed, %v = moe.route %x {router = #moe.router<top_k = 2, score = sparse_mixer>} : tensor<?x64xf32> -> tensor<?x2xi32>, tensor<?x2xf32>
  %open, %u = moe.route %y {router = #moe.router<top_k = 2>} : tensor<?x?xf32> -> tensor<?x2xi32>, tensor<?x2xf32>
  return %ids, %w, %mixed, %open : tensor<?x8xi32>, tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xi32>
}
