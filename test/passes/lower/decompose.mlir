// What has no kernel becomes operations of linalg and tensor; sizes that only
// one side knows are cast.
// RUN: moec-opt %s --moec-decompose | FileCheck %s

// CHECK-LABEL: func.func @main(
// CHECK-SAME: %[[X:[^:]*]]: tensor<?x8xf32>, %[[SCALE:[^:]*]]: tensor<8xf32>
func.func @main(%x: tensor<?x8xf32>, %scale: tensor<8xf32>, %ids: tensor<?x2xi32>) -> (tensor<?x8xf32>, tensor<?xi32>) {
  // CHECK-NOT: attn.rms_norm
  // CHECK: %[[SUM:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]{{.*}} ins(%[[X]]
  // CHECK: %[[Y:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]{{.*}} ins(%[[X]]{{.*}}%[[SCALE]]
  %y = attn.rms_norm %x, %scale {axis = 1, epsilon = 1.0e-6 : f64} : tensor<?x8xf32>, tensor<8xf32> -> tensor<?x8xf32>

  // All results of an operation are replaced.
  // CHECK-NOT: moe.permute
  // CHECK: scf.for
  // CHECK: %[[PLACED:.*]]:3 = scf.for
  %offsets, %slots, %positions = moe.permute %ids {experts = 4} : tensor<?x2xi32> -> tensor<5xi32>, tensor<?xi32>, tensor<?x2xi32>

  // CHECK: return %[[Y]], %[[PLACED]]#1
  return %y, %slots : tensor<?x8xf32>, tensor<?xi32>
}
