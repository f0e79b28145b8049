// A kernel reads pointers, dynamic sizes and dynamic strides from its table,
// starting at word 1; what the type says is not in the table.
// RUN: moec-opt %s --rt-lower-kernel-signatures | FileCheck %s

// CHECK: func.func @k(%[[TABLE:.*]]: !llvm.ptr, %[[BEGIN:.*]]: i64, %[[END:.*]]: i64) attributes {rt.kernel, rt.words = 4 : i64}
// CHECK: llvm.getelementptr %[[TABLE]][1]
// CHECK: llvm.getelementptr %[[TABLE]][2]
// CHECK: llvm.mlir.constant(8 : i64)
// CHECK: builtin.unrealized_conversion_cast %{{.*}} to memref<?x8xf32>
// CHECK: llvm.getelementptr %[[TABLE]][3]
// CHECK: llvm.load %{{.*}} : !llvm.ptr -> f32
// CHECK: arith.index_cast %[[BEGIN]]
// CHECK: arith.index_cast %[[END]]
// CHECK-NOT: llvm.getelementptr %[[TABLE]][4]
func.func private @k(%x: memref<?x8xf32>, %s: f32, %begin: index, %end: index) attributes {rt.kernel} {
  %c0 = arith.constant 0 : index
  memref.store %s, %x[%begin, %c0] : memref<?x8xf32>
  return
}
