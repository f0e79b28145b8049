// A permutation becomes the launch of one block; where the counts of all warps
// do not fit into its memory, it stays.
// RUN: moec-opt %s --moec-select-cuda-kernels | FileCheck %s

// CHECK: func.func private @permute_8_top2({{.*}}rt.block = {shared = 1188 : i64, threads = 1024 : i64}
// CHECK-LABEL: func.func @main(
// CHECK-SAME: %[[IDS:.*]]: tensor<?x2xi32>)
func.func @main(%ids: tensor<?x2xi32>) -> (tensor<9xi32>, tensor<?xi32>, tensor<?x2xi32>, tensor<2001xi32>) {
  // CHECK: rt.launch @permute_8_top2 grid(%c1{{.*}}) ins(%[[IDS]] : tensor<?x2xi32>) outs({{.*}} : tensor<9xi32>, tensor<?xi32>, tensor<?x2xi32>)
  %o, %s, %p = moe.permute %ids {experts = 8 : i64} : tensor<?x2xi32> -> tensor<9xi32>, tensor<?xi32>, tensor<?x2xi32>
  // CHECK: moe.permute
  %q, %t, %r = moe.permute %ids {experts = 2000 : i64} : tensor<?x2xi32> -> tensor<2001xi32>, tensor<?xi32>, tensor<?x2xi32>
  return %o, %s, %p, %q : tensor<9xi32>, tensor<?xi32>, tensor<?x2xi32>, tensor<2001xi32>
}
