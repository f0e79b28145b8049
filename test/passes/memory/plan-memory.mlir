// Buffers share memory when their lifetimes do not meet, inside the class of
// sizes that are multiples of one product of dimensions.
// RUN: moec-opt %s --split-input-file --rt-plan-memory --canonicalize | FileCheck %s

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

// -----

// What the plan costs is told by the names of the inputs' dimensions: what a
// runtime computes as it is, of other sizes what they depend on.
// CHECK-LABEL: func.func @main
// CHECK-SAME: rt.arena = [{bytes = 64 : i64, times = ["(rows + past)"]}, {bytes = 64 : i64, times = ["(rows + past)"]}, {bytes = 64 : i64, times = ["ceildiv(min((rows + past), rows), 4)"]}, {bytes = 64 : i64, times = ["past"]}, {bytes = 64 : i64, times = ["broadcast(past, rows)"]}, {bytes = 64 : i64, times = ["f(past, rows)"]}, {bytes = 64 : i64, times = []}]
// CHECK-SAME: rt.heap_buffers = 1 : i64
func.func private @k(memref<?x16xf32>, index, index) attributes {rt.kernel}
func.func private @l(memref<16xf32>, index, index) attributes {rt.kernel}
func.func @main(%x: memref<?x?xf32> {onnx.dims = ["rows", "past"]}, %n: memref<index>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %rows = memref.dim %x, %c0 : memref<?x?xf32>
  %past = memref.dim %x, %c1 : memref<?x?xf32>
  %sum = arith.addi %rows, %past : index
  %some = arith.maxsi %sum, %c0 : index
  %a = memref.alloc(%some) : memref<?x16xf32>
  rt.launch @k grid(%c1) outs(%a : memref<?x16xf32>)
  %b = memref.alloc(%sum) : memref<?x16xf32>
  rt.launch @k grid(%c1) outs(%b : memref<?x16xf32>)
  %less = arith.minsi %sum, %rows : index
  %c4 = arith.constant 4 : index
  %quarter = arith.ceildivui %less, %c4 : index
  %c = memref.alloc(%quarter) : memref<?x16xf32>
  rt.launch @k grid(%c1) outs(%c : memref<?x16xf32>)
  %zero = arith.constant 0 : index
  %size = arith.maxsi %past, %zero : index
  %is_one = arith.cmpi eq, %past, %c1 : index
  %same = arith.select %is_one, %size, %past : index
  %g = memref.alloc(%same) : memref<?x16xf32>
  rt.launch @k grid(%c1) outs(%g : memref<?x16xf32>)
  %wide = arith.select %is_one, %rows, %past : index
  %h = memref.alloc(%wide) : memref<?x16xf32>
  rt.launch @k grid(%c1) outs(%h : memref<?x16xf32>)
  %half = arith.shrui %sum, %c1 : index
  %f = memref.alloc(%half) : memref<?x16xf32>
  rt.launch @k grid(%c1) outs(%f : memref<?x16xf32>)
  %d = memref.alloc() : memref<16xf32>
  rt.launch @l grid(%c1) outs(%d : memref<16xf32>)
  %data = memref.load %n[] : memref<index>
  %e = memref.alloc(%data) : memref<?x16xf32>
  rt.launch @k grid(%c1) outs(%e : memref<?x16xf32>)
  memref.dealloc %e : memref<?x16xf32>
  return
}
