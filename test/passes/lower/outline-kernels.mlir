// Computations become launches of kernels, equal ones of one kernel.
// RUN: moec-opt %s --rt-outline-kernels --canonicalize --split-input-file | FileCheck %s

// Rows are the grid; the sum over k ascends inside, and the contiguous
// dimension is innermost.
// CHECK-LABEL: func.func private @matmul
// CHECK-SAME: %[[BEGIN:[a-z0-9]+]]: index, %[[END:[a-z0-9]+]]: index) attributes {rt.kernel}
// CHECK: scf.for %[[M:.*]] = %[[BEGIN]] to %[[END]]
// CHECK: scf.for %[[K:.*]] =
// CHECK: scf.for %[[N:.*]] =
// CHECK: memref.load %{{.*}}[%[[M]], %[[N]]]
// CHECK-NOT: func.func private
// CHECK-LABEL: func.func @main
// CHECK: rt.launch @matmul
// CHECK: rt.launch @matmul
func.func @main(%a: memref<?x8xf32>, %b: memref<8x16xf32>, %c: memref<?x16xf32>, %d: memref<?x16xf32>) {
  linalg.matmul ins(%a, %b : memref<?x8xf32>, memref<8x16xf32>) outs(%c : memref<?x16xf32>)
  linalg.matmul ins(%a, %b : memref<?x8xf32>, memref<8x16xf32>) outs(%d : memref<?x16xf32>)
  return
}

// -----

// Several parallel loops are one grid. A reduction that walks memory along
// stays innermost.
// CHECK-LABEL: func.func private @generic
// CHECK: scf.for %[[G:.*]] =
// CHECK: %[[IJ:.*]]:2 = affine.delinearize_index %[[G]]
// CHECK: scf.for %[[K:.*]] =
// CHECK: memref.load %{{.*}}[%[[IJ]]#0, %[[IJ]]#1, %[[K]]]
// CHECK-LABEL: func.func @main
// CHECK: %[[GRID:.*]] = affine.apply
// CHECK: rt.launch @generic grid(%[[GRID]])
func.func @main(%x: memref<?x?x64xf32>, %y: memref<?x?xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, j, k)>, affine_map<(i, j, k) -> (i, j)>],
                  iterator_types = ["parallel", "parallel", "reduction"]}
    ins(%x : memref<?x?x64xf32>) outs(%y : memref<?x?xf32>) {
  ^bb0(%a: f32, %s: f32):
    %t = arith.addf %s, %a : f32
    linalg.yield %t : f32
  }
  return
}

// -----

// A few steps are shape arithmetic and stay in host code; a copy does not.
// CHECK: func.func private @generic
// CHECK-LABEL: func.func @main
// CHECK: scf.for
// CHECK: rt.launch @generic
// CHECK-NOT: rt.launch
func.func @main(%x: memref<4xi64>, %y: memref<4xi64>, %a: memref<?xf32>, %b: memref<?xf32>) {
  linalg.map { math.absi } ins(%x : memref<4xi64>) outs(%y : memref<4xi64>)
  memref.copy %a, %b : memref<?xf32> to memref<?xf32>
  return
}

// -----

// What has no parallel loop runs once, whatever the range is split into; what
// the body captures is passed.
// CHECK-LABEL: func.func private @generic
// CHECK-SAME: (%{{.*}}: memref<?xf32>, %{{.*}}: f32, %{{.*}}: memref<f32>, %{{.*}}: index, %{{.*}}: index)
// CHECK: scf.for
// CHECK: scf.for
// CHECK-LABEL: func.func @main
// CHECK: rt.launch @generic grid(%c1) ins(%{{.*}}, %{{.*}} : memref<?xf32>, f32)
func.func @main(%x: memref<?xf32>, %scale: f32, %y: memref<f32>) {
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> ()>], iterator_types = ["reduction"]}
    ins(%x : memref<?xf32>) outs(%y : memref<f32>) {
  ^bb0(%a: f32, %s: f32):
    %m = arith.mulf %a, %scale : f32
    %t = arith.addf %s, %m : f32
    linalg.yield %t : f32
  }
  return
}
