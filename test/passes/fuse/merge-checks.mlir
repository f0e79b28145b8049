// Equal computations that check something are merged, also if they are equal
// only since others were; one that checks something else stays.
// RUN: moec-opt %s --moec-merge-checks | FileCheck %s

#id = affine_map<(i) -> (i)>
// CHECK-LABEL: func.func @main(
// CHECK-SAME: %[[X:[^:]*]]: tensor<8xi64>
func.func @main(%x: tensor<8xi64>, %e: tensor<8xi64>) -> (tensor<8xi64>, tensor<8xi64>, tensor<8xi64>) {
  %c4 = arith.constant 4 : i64
  %c5 = arith.constant 5 : i64
  // CHECK: %[[CHECKED:.*]] = linalg.generic {{.*}} ins(%[[X]] :
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%x : tensor<8xi64>) outs(%e : tensor<8xi64>) {
  ^bb0(%in: i64, %out: i64):
    %less = arith.cmpi slt, %in, %c4 : i64
    cf.assert %less, "too large"
    linalg.yield %in : i64
  } -> tensor<8xi64>
  %1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%x : tensor<8xi64>) outs(%e : tensor<8xi64>) {
  ^bb0(%in: i64, %out: i64):
    %less = arith.cmpi slt, %in, %c4 : i64
    cf.assert %less, "too large"
    linalg.yield %in : i64
  } -> tensor<8xi64>
  // CHECK: %[[SECOND:.*]] = linalg.generic {{.*}} ins(%[[CHECKED]] :
  %2 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%0 : tensor<8xi64>) outs(%e : tensor<8xi64>) {
  ^bb0(%in: i64, %out: i64):
    %less = arith.cmpi slt, %in, %c5 : i64
    cf.assert %less, "too large"
    linalg.yield %in : i64
  } -> tensor<8xi64>
  %3 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%1 : tensor<8xi64>) outs(%e : tensor<8xi64>) {
  ^bb0(%in: i64, %out: i64):
    %less = arith.cmpi slt, %in, %c5 : i64
    cf.assert %less, "too large"
    linalg.yield %in : i64
  } -> tensor<8xi64>
  // CHECK: %[[OTHER:.*]] = linalg.generic {{.*}} ins(%[[CHECKED]] :
  %4 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%1 : tensor<8xi64>) outs(%e : tensor<8xi64>) {
  ^bb0(%in: i64, %out: i64):
    %less = arith.cmpi slt, %in, %c5 : i64
    cf.assert %less, "far too large"
    linalg.yield %in : i64
  } -> tensor<8xi64>
  // CHECK: return %[[SECOND]], %[[SECOND]], %[[OTHER]]
  return %2, %3, %4 : tensor<8xi64>, tensor<8xi64>, tensor<8xi64>
}
