// A device has no libm: functions of f32 become arithmetic, others are errors
// that name the nodes.
// RUN: moec-opt %s --moec-lower-math=device --split-input-file --verify-diagnostics | FileCheck %s

// The angle is reduced in double precision.
// CHECK-LABEL: func.func private @kernel
// CHECK-NOT: math.sin
// CHECK-NOT: math.erf
// CHECK: arith.extf %{{.*}} : f32 to f64
// CHECK: math.roundeven
// CHECK: arith.truncf %{{.*}} : f64 to f32
// CHECK-NOT: math.erf
// CHECK: return
func.func private @kernel(%x: memref<?xf32>, %begin: index, %end: index) attributes {rt.kernel} {
  %a = memref.load %x[%begin] : memref<?xf32>
  %b = math.sin %a : f32
  %c = math.erf %b : f32
  memref.store %c, %x[%begin] : memref<?xf32>
  return
}

// -----

func.func private @kernel(%x: memref<?xf64>, %begin: index, %end: index) attributes {rt.kernel} {
  %a = memref.load %x[%begin] : memref<?xf64>
  // expected-error @below {{no kernel of a device can compute 'math.exp' of 'f64', needed by node '/model/Exp'}}
  %b = math.exp %a : f64
  memref.store %b, %x[%begin] : memref<?xf64>
  return
}
func.func @main(%n: index, %x: memref<?xf64>) {
  rt.launch @kernel grid(%n) outs(%x : memref<?xf64>) loc("/model/Exp")
  return
}
