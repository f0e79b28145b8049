// A sort becomes one kernel, unless it is not known how many experts a token has.
// RUN: moec-opt %s --moec-select-kernels=chip=x86-64-v3 | FileCheck %s

// CHECK: func.func private @permute_8_top2(
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<?x2xi32>, %y: tensor<?x?xi32>) -> (tensor<9xi32>, tensor<?xi32>, tensor<?x2xi32>, tensor<?xi32>) {
  // CHECK: rt.launch @permute_8_top2 grid(%{{.*}}) ins(%{{.*}} : tensor<?x2xi32>) outs(%{{.*}}, %{{.*}}, %{{.*}} : tensor<9xi32>, tensor<?xi32>, tensor<?x2xi32>) {rt.op = "moe.permute"}
  %offsets, %slots, %positions = moe.permute %x {experts = 8} : tensor<?x2xi32> -> tensor<9xi32>, tensor<?xi32>, tensor<?x2xi32>
  // CHECK: moe.permute
  %o, %s, %p = moe.permute %y {experts = 8} : tensor<?x?xi32> -> tensor<9xi32>, tensor<?xi32>, tensor<?x?xi32>
  return %offsets, %slots, %positions, %s : tensor<9xi32>, tensor<?xi32>, tensor<?x2xi32>, tensor<?xi32>
}
