// The host program calls the services of include/moec/module_abi.h, and the
// tables of the metadata are recorded by number.
// RUN: moec-opt %s --rt-lower-host | FileCheck %s

rt.weight @w type tensor<4xf32> source {}
func.func private @k(memref<?xf32>, memref<4xf32>, memref<?xf32, strided<[?]>>, index, index) attributes {rt.kernel}

// CHECK-LABEL: func.func @moec_entry
// CHECK-SAME: (%[[CALL:.*]]: !llvm.ptr, %[[SERVICES:.*]]: !llvm.ptr, %[[INPUTS:.*]]: !llvm.ptr, %[[WEIGHTS:.*]]: !llvm.ptr) -> i32
// CHECK-SAME: rt.inputs = [{onnx.name = "x", rt.type = memref<?xf32>}, {rt.type = memref<i64>}]
// CHECK-SAME: rt.kernels = ["k"]
// CHECK-SAME: rt.reads = 1 : i64
// CHECK-SAME: rt.sites = [{experts = 3 : i64, kernel = 0 : i64, name = "/model/scale", op = "k", word = 3 : i64}]
// CHECK-SAME: rt.weights = ["w"]
// Where the experts' rows start is word 3 of the launch's table.
// The size of input 0 is word 1 of its view.
// CHECK: llvm.getelementptr %[[INPUTS]][0]
// CHECK: llvm.getelementptr %{{.*}}[1]
// The weight is the pointer of slot 0.
// CHECK: llvm.getelementptr %[[WEIGHTS]][0]
// Where output 0 goes: service 3.
// CHECK: llvm.getelementptr %[[SERVICES]][3]
// CHECK: llvm.call %{{.*}}(%[[CALL]], %{{.*}}, %{{.*}}, %{{.*}}) : !llvm.ptr, (!llvm.ptr, i32, !llvm.ptr, !llvm.ptr) -> ()
// The kernel: service 4, with word 0 for the runtime, then pointer and size of
// the input, the weight, and pointer, size and stride of the output.
// CHECK: %[[COUNT:.*]] = llvm.mlir.constant(7 : i64)
// CHECK: llvm.getelementptr %[[SERVICES]][4]
// CHECK: llvm.call %{{.*}}(%[[CALL]], %{{.*}}, %{{.*}}, %[[COUNT]], %{{.*}}) : !llvm.ptr, (!llvm.ptr, i32, !llvm.ptr, i64, i64) -> ()
// An element is read by service 6, into a word of the host's.
// CHECK: llvm.getelementptr %[[SERVICES]][6]
// CHECK: llvm.call %{{.*}}(%[[CALL]], %{{.*}}, %[[WORD:.*]], %{{.*}}) : !llvm.ptr, (!llvm.ptr, !llvm.ptr, !llvm.ptr, i64) -> ()
// CHECK: llvm.load %[[WORD]] : !llvm.ptr -> i64
func.func @main(%x: memref<?xf32> {onnx.name = "x"}, %length: memref<i64>) {
  %c0 = arith.constant 0 : index
  %n = memref.dim %x, %c0 : memref<?xf32>
  %w = rt.load_weight @w : memref<4xf32>
  %out = rt.output 0 [%n] : memref<?xf32, strided<[?]>>
  rt.launch @k grid(%n) ins(%x, %w : memref<?xf32>, memref<4xf32>) outs(%out : memref<?xf32, strided<[?]>>) {rt.offsets = 1 : i64} loc("/model/scale")
  %l = rt.read %length : memref<i64> -> i64
  %keep = arith.cmpi sge, %l, %l : i64
  cf.assert %keep, "kept"
  return
}
