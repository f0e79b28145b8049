// Every op of the dialect survives a round trip, and each constraint is checked.
// RUN: moec-opt %s --split-input-file --verify-diagnostics | moec-opt --split-input-file | FileCheck %s

// CHECK: rt.weight @w type tensor<64x32xf32> source {file = "model.onnx.data", length = 8192 : i64, offset = 0 : i64}
rt.weight @w type tensor<64x32xf32> source {file = "model.onnx.data", offset = 0 : i64, length = 8192 : i64}

func.func private @scale(memref<?xf32>, memref<?xf32>, index, index) attributes {rt.kernel}

// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<?xf32>, %n: index, %m: memref<i64>) -> tensor<?xf32> {
  // CHECK: rt.load_weight @w : tensor<64x32xf32>
  %w = rt.load_weight @w : tensor<64x32xf32>
  // CHECK: rt.output 0[%{{.*}}] : memref<?xf32>
  %o = rt.output 0 [%n] : memref<?xf32>
  // CHECK: rt.arena %{{.*}} : memref<?xi8>
  %a = rt.arena %n : memref<?xi8>
  // CHECK: rt.read %{{.*}} : memref<i64> -> i64
  %r = rt.read %m : memref<i64> -> i64
  %e = tensor.empty(%n) : tensor<?xf32>
  // CHECK: rt.launch @scale grid(%{{.*}}) ins(%{{.*}} : tensor<?xf32>) outs(%{{.*}} : tensor<?xf32>) -> tensor<?xf32>
  %y = rt.launch @scale grid(%n) ins(%x : tensor<?xf32>) outs(%e : tensor<?xf32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

rt.weight @w type tensor<64xf32> source {}

func.func @load_weight_c1() {
  // expected-error @below {{loads 'tensor<32xf32>', but the weight is 'tensor<64xf32>'}}
  // expected-note @-4 {{declared here}}
  %w = rt.load_weight @w : tensor<32xf32>
  return
}

// -----

func.func private @f(memref<?xf32>, index, index)

func.func @launch_c1(%m: memref<?xf32>, %n: index) {
  // expected-error @below {{requires a func.func with the attribute rt.kernel, but @f is none}}
  rt.launch @f grid(%n) outs(%m : memref<?xf32>)
  return
}

// -----

// expected-note @below {{declared here}}
func.func private @f(memref<?xf32>, index) attributes {rt.kernel}

func.func @launch_c2(%m: memref<?xf32>, %n: index) {
  // expected-error @below {{passes 3 arguments, but the kernel takes 2}}
  rt.launch @f grid(%n) outs(%m : memref<?xf32>)
  return
}

// -----

func.func @read_c1(%m: memref<?xi64>) {
  // expected-error @below {{requires a buffer of rank 0, but its rank is 1}}
  %r = rt.read %m : memref<?xi64> -> i64
  return
}

// -----

func.func @read_c2(%m: memref<i64>) {
  // expected-error @below {{yields 'i32', but the element is 'i64'}}
  %r = rt.read %m : memref<i64> -> i32
  return
}
