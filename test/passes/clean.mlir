// Functions are canonicalised and share their common subexpressions; finished
// kernels are left alone unless they are asked for.
// RUN: moec-opt %s --moec-clean | FileCheck %s --check-prefixes=CHECK,ALL
// RUN: moec-opt %s --moec-clean=kernels=false | FileCheck %s --check-prefixes=CHECK,HOST

// CHECK-LABEL: func.func private @kernel
// ALL-NEXT: %[[SUM:.*]] = arith.addi %arg1, %arg2 : index
// ALL-NEXT: memref.store %{{.*}}, %arg0[%[[SUM]]]
// ALL-NEXT: memref.store %{{.*}}, %arg0[%[[SUM]]]
// HOST-COUNT-2: arith.addi %arg1
func.func private @kernel(%y: memref<?xindex>, %begin: index, %end: index) attributes {rt.kernel} {
  %a = arith.addi %begin, %end : index
  %b = arith.addi %begin, %end : index
  memref.store %begin, %y[%a] : memref<?xindex>
  memref.store %end, %y[%b] : memref<?xindex>
  return
}

// CHECK-LABEL: func.func @main
// CHECK-NEXT: %[[SUM:.*]] = arith.addi %arg0, %arg1 : index
// CHECK-NEXT: return %[[SUM]], %[[SUM]]
func.func @main(%n: index, %m: index) -> (index, index) {
  %zero = arith.constant 0 : index
  %same = arith.addi %n, %zero : index
  %a = arith.addi %same, %m : index
  %b = arith.addi %n, %m : index
  return %a, %b : index, index
}
