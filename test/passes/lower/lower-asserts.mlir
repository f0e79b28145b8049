// A failed check ends the execution: host code calls the service, a kernel
// leaves its message's number + 1 in the status word. Host messages name the
// node; for kernels the runtime adds the name of the launch.
// RUN: moec-opt %s --rt-lower-asserts | FileCheck %s

// CHECK: rt.messages = ["index out of bounds", "node '/model/Reshape': sizes differ"]

// CHECK-LABEL: func.func @k
// CHECK: cf.cond_br %{{.*}}, ^[[OK:.*]], ^[[FAIL:.*]]
// CHECK: ^[[OK]]:
// CHECK: ^[[FAIL]]:
// CHECK: %[[STATUS:.*]] = llvm.load
// CHECK: %[[NUMBER:.*]] = llvm.mlir.constant(1 : i32)
// CHECK: llvm.store %[[NUMBER]], %[[STATUS]]
// CHECK-NEXT: return
func.func @k(%table: !llvm.ptr, %begin: i64, %end: i64) attributes {rt.kernel} {
  %ok = arith.cmpi slt, %begin, %end : i64
  cf.assert %ok, "index out of bounds"
  return
}

// CHECK-LABEL: func.func @moec_entry
// CHECK: cf.cond_br %{{.*}}, ^{{.*}}, ^[[FAIL:.*]]
// CHECK: ^[[FAIL]]:
// CHECK: %[[MESSAGE:.*]] = llvm.mlir.constant(1 : i32)
// CHECK: llvm.call %{{.*}}(%arg0, %[[MESSAGE]])
func.func @moec_entry(%call: !llvm.ptr, %services: !llvm.ptr, %inputs: !llvm.ptr, %weights: !llvm.ptr) -> i32 {
  %zero = arith.constant 0 : i32
  %ok = arith.constant false
  cf.assert %ok, "sizes differ" loc("/model/Reshape")
  return %zero : i32
}
