// Hot functions become arithmetic that scalars and vectors share; the others
// stay for libm.
// RUN: moec-opt %s --moec-lower-math | FileCheck %s

// CHECK-LABEL: func.func @hot
// CHECK-NOT: math.exp
// CHECK-NOT: math.tanh
// CHECK-NOT: math.log
// CHECK: return
func.func @hot(%x: f32, %v: vector<16xf32>) -> (f32, vector<16xf32>, f32) {
  %a = math.exp %x : f32
  %b = math.exp %v : vector<16xf32>
  %t = math.tanh %a : f32
  %l = math.log %t : f32
  return %a, %b, %l : f32, vector<16xf32>, f32
}

// CHECK-LABEL: func.func @cold
// CHECK: math.sin
func.func @cold(%x: f32) -> f32 {
  %a = math.sin %x : f32
  return %a : f32
}

// A bf16 is rounded by integer arithmetic, ties to even, on every chip.
// CHECK-LABEL: func.func @round
// CHECK-NOT: arith.truncf
// CHECK: arith.bitcast %{{.*}} : i16 to bf16
func.func @round(%x: f32) -> bf16 {
  %a = arith.truncf %x : f32 to bf16
  return %a : bf16
}

// Roundings stay where they are, whatever the passes before permit.
// CHECK-LABEL: func.func @keep
// CHECK: arith.truncf
// CHECK-NEXT: arith.extf
// CHECK-NOT: fastmath
// CHECK: return
func.func @keep(%x: f32, %y: f32) -> f16 {
  %a = arith.mulf %x, %x : f32
  %b = arith.truncf %a fastmath<contract> : f32 to f16
  %c = arith.extf %b fastmath<contract> : f16 to f32
  %d = arith.addf %c, %y : f32
  %e = arith.truncf %d fastmath<contract> : f32 to f16
  return %e : f16
}
