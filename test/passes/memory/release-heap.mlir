// A buffer on the heap is released behind its last use.
// RUN: moec-opt %s --rt-release-heap --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @main
// CHECK: %[[A:.*]] = memref.alloc(%arg0)
// CHECK: memref.store %{{.*}}, %[[A]]
// CHECK: memref.load %[[A]]
// CHECK: memref.dealloc %[[A]]
// CHECK-NEXT: return
func.func @main(%n: index, %x: f32) -> f32 {
  %zero = arith.constant 0 : index
  %a = memref.alloc(%n) : memref<?xf32>
  memref.store %x, %a[%zero] : memref<?xf32>
  %y = memref.load %a[%zero] : memref<?xf32>
  return %y : f32
}

// -----

// Where nothing is on the heap, nothing changes, not even what could be cleaned.
// CHECK-LABEL: func.func @main
// CHECK-NEXT: arith.constant 0 : index
// CHECK-NEXT: %[[SAME:.*]] = arith.addi
// CHECK-NEXT: return %[[SAME]]
func.func @main(%n: index) -> index {
  %zero = arith.constant 0 : index
  %same = arith.addi %n, %zero : index
  return %same : index
}
