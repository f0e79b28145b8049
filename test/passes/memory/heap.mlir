// A tensor that grows in a loop lives on the heap and is released when the next
// iteration has replaced it; the arena is for sizes that the inputs determine.
// RUN: moec-opt %s --moec-fuse --moec-plan | FileCheck %s

// CHECK-LABEL: func.func @main
// CHECK-NOT: rt.arena
// CHECK: %[[R:.*]]:2 = scf.for {{.*}} iter_args(%[[A:.*]] = %arg0, %[[OWNED:.*]] = %false)
// CHECK: memref.alloc
// CHECK: scf.if %[[OWNED]] {
// CHECK-NEXT: memref.dealloc
// CHECK: rt.output 0
// CHECK: scf.if %[[R]]#1 {
// CHECK-NEXT: memref.dealloc
func.func @main(%x: tensor<?xf32>, %n: tensor<i64>) -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %nv = tensor.extract %n[] : tensor<i64>
  %ni = arith.index_cast %nv : i64 to index
  %r = scf.for %i = %c0 to %ni step %c1 iter_args(%a = %x) -> (tensor<?xf32>) {
    %d = tensor.dim %a, %c0 : tensor<?xf32>
    %d1 = arith.addi %d, %c1 : index
    %e = tensor.empty(%d1) : tensor<?xf32>
    %f = tensor.insert_slice %a into %e[0][%d][1] : tensor<?xf32> into tensor<?xf32>
    %y = linalg.map { math.absf } ins(%f : tensor<?xf32>) outs(%e : tensor<?xf32>)
    scf.yield %y : tensor<?xf32>
  }
  return %r : tensor<?xf32>
}
