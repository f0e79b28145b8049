// Buffers share memory when their lifetimes do not meet, inside the class of
// sizes that are multiples of one product of dimensions.
// RUN: moec-opt %s --rt-plan-memory --canonicalize | FileCheck %s

func.func private @k(memref<?x16xf32>, memref<?x16xf32>, index, index) attributes {rt.kernel}

// Three buffers of 64 bytes a row, of which two are alive at a time: 128 a row.
// CHECK-LABEL: func.func @main
// CHECK-DAG: %[[C128:.*]] = arith.constant 128 : index
// CHECK-DAG: %[[C64:.*]] = arith.constant 64 : index
// CHECK-DAG: %[[C0:.*]] = arith.constant 0 : index
// CHECK: %[[D:.*]] = memref.dim
// CHECK: %[[BYTES:.*]] = arith.muli %[[D]], %[[C128]]
// CHECK: %[[ARENA:.*]] = rt.arena %[[BYTES]]
// CHECK: memref.view %[[ARENA]][%[[C0]]][%[[D]]]
// CHECK: %[[OFFSET:.*]] = arith.muli %[[D]], %[[C64]]
// CHECK: memref.view %[[ARENA]][%[[OFFSET]]][%[[D]]]
// CHECK: memref.view %[[ARENA]][%[[C0]]][%[[D]]]
func.func @main(%x: memref<?x16xf32>) {
  %c0 = arith.constant 0 : index
  %d = memref.dim %x, %c0 : memref<?x16xf32>
  %a = memref.alloc(%d) : memref<?x16xf32>
  rt.launch @k grid(%d) ins(%x : memref<?x16xf32>) outs(%a : memref<?x16xf32>)
  %b = memref.alloc(%d) : memref<?x16xf32>
  rt.launch @k grid(%d) ins(%a : memref<?x16xf32>) outs(%b : memref<?x16xf32>)
  %c = memref.alloc(%d) : memref<?x16xf32>
  rt.launch @k grid(%d) ins(%b : memref<?x16xf32>) outs(%c : memref<?x16xf32>)
  rt.launch @k grid(%d) ins(%c : memref<?x16xf32>) outs(%x : memref<?x16xf32>)
  return
}
