// For a device, what accesses elements becomes a kernel of one index, and what
// sizes depend on is read.
// RUN: moec-opt %s --rt-outline-kernels=device --canonicalize --split-input-file --verify-diagnostics | FileCheck %s

// All parallel loops are the grid, the contiguous one last; a sum is inside.
// CHECK-LABEL: func.func private @matmul
// CHECK-SAME: %[[BEGIN:[a-z0-9]+]]: index, %[[END:[a-z0-9]+]]: index) attributes {rt.kernel}
// CHECK: scf.for %[[G:.*]] = %[[BEGIN]] to %[[END]]
// CHECK: %[[MN:.*]]:2 = affine.delinearize_index %[[G]]
// CHECK: scf.for %[[K:.*]] =
// CHECK: memref.load %{{.*}}[%[[MN]]#0, %[[K]]]
// CHECK: memref.load %{{.*}}[%[[K]], %[[MN]]#1]
// CHECK-LABEL: func.func @main
func.func @main(%a: memref<?x8xf32>, %b: memref<8x16xf32>, %c: memref<?x16xf32>) {
  linalg.matmul ins(%a, %b : memref<?x8xf32>, memref<8x16xf32>) outs(%c : memref<?x16xf32>)
  return
}

// -----

// A few steps are a kernel, too.
// CHECK: func.func private @map
// CHECK-LABEL: func.func @main
// CHECK: rt.launch @map
func.func @main(%x: memref<4xi64>, %y: memref<4xi64>) {
  linalg.map { math.absi } ins(%x : memref<4xi64>) outs(%y : memref<4xi64>)
  return
}

// -----

// Stores and loops between two launches are one kernel; arithmetic that needs no
// element stays in host code.
// CHECK-LABEL: func.func private @host
// CHECK-SAME: (%[[X:[a-z0-9]+]]: i32, %[[N:[a-z0-9]+]]: index, %[[IDS:[a-z0-9]+]]: memref<?xi64>, %[[COUNTS:[a-z0-9]+]]: memref<8xi32>, %[[BEGIN:[a-z0-9]+]]: index, %[[END:[a-z0-9]+]]: index)
// CHECK: scf.for %{{.*}} = %[[BEGIN]] to %[[END]]
// CHECK: memref.store %[[X]], %[[COUNTS]][%{{.*}}]
// CHECK: scf.for %{{.*}} = %{{.*}} to %[[N]]
// CHECK: memref.load %[[IDS]]
// CHECK: memref.store %{{.*}}, %[[COUNTS]]
// CHECK-LABEL: func.func @main
// CHECK: %[[SUM:.*]] = arith.addi
// CHECK-NOT: memref.load
// CHECK: rt.launch @host grid(%c1) ins(%[[SUM]], {{.*}} : i32, index, memref<?xi64>) outs(%{{.*}} : memref<8xi32>)
// CHECK-NOT: rt.launch
func.func @main(%n: index, %a: i32, %ids: memref<?xi64>, %counts: memref<8xi32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %one = arith.constant 1 : i32
  %sum = arith.addi %a, %a : i32
  memref.store %sum, %counts[%c0] : memref<8xi32>
  scf.for %i = %c0 to %n step %c1 {
    %id = memref.load %ids[%i] : memref<?xi64>
    %expert = arith.index_cast %id : i64 to index
    %count = memref.load %counts[%expert] : memref<8xi32>
    %more = arith.addi %count, %one : i32
    memref.store %more, %counts[%expert] : memref<8xi32>
  }
  return
}

// -----

// What a size depends on is read, after what it depends on has been launched.
// CHECK-LABEL: func.func @main
// CHECK: rt.launch @host
// CHECK: memref.subview %{{.*}}[1] [1] [1]
// CHECK: %[[LENGTH:.*]] = rt.read %{{.*}} : memref<i64, strided<[], offset: {{.*}}>> -> i64
// CHECK: %[[SIZE:.*]] = arith.index_cast %[[LENGTH]]
// CHECK: memref.alloc(%[[SIZE]])
func.func @main(%lengths: memref<2xi64>, %x: i64) -> memref<?xf32> {
  %c1 = arith.constant 1 : index
  memref.store %x, %lengths[%c1] : memref<2xi64>
  %length = memref.load %lengths[%c1] : memref<2xi64>
  %size = arith.index_cast %length : i64 to index
  %y = memref.alloc(%size) : memref<?xf32>
  return %y : memref<?xf32>
}

// -----

// A check of an element is the kernel's.
// CHECK-LABEL: func.func private @host
// CHECK: cf.assert
// CHECK-LABEL: func.func @main
// CHECK-NOT: cf.assert
// CHECK: rt.launch @host
// CHECK-NOT: rt.read
func.func @main(%x: memref<i64>, %y: memref<i64>) {
  %c0 = arith.constant 0 : i64
  %value = memref.load %x[] : memref<i64>
  %valid = arith.cmpi sge, %value, %c0 : i64
  cf.assert %valid, "negative"
  memref.store %value, %y[] : memref<i64>
  return
}

// -----

// A loop with launches stays in host code, and its condition is read.
// CHECK-LABEL: func.func @main
// CHECK: scf.while
// CHECK: %[[GO:.*]] = rt.read %{{.*}} : memref<i1> -> i1
// CHECK: scf.condition(%[[GO]])
// CHECK: rt.launch @copy
func.func @main(%go: memref<i1>, %x: memref<?xf32>, %y: memref<?xf32>) {
  scf.while : () -> () {
    %more = memref.load %go[] : memref<i1>
    scf.condition(%more)
  } do {
    linalg.copy ins(%x : memref<?xf32>) outs(%y : memref<?xf32>)
    scf.yield
  }
  return
}

// -----

func.func @main(%n: index, %x: memref<?xi64>) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0 : i64
  // expected-error @below {{stores elements on the device and yields what the host needs}}
  %sum = scf.for %i = %c0 to %n step %c1 iter_args(%s = %zero) -> i64 {
    %e = memref.load %x[%i] : memref<?xi64>
    memref.store %s, %x[%i] : memref<?xi64>
    %t = arith.addi %s, %e : i64
    scf.yield %t : i64
  }
  return %sum : i64
}
