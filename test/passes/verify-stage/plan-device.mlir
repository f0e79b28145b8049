// Host code for a device accesses no elements; kernels do.
// RUN: moec-opt %s --moec-verify-stage="stage=plan device" --verify-diagnostics

func.func private @kernel(%x: memref<4xi64>, %from: index, %to: index) attributes {rt.kernel} {
  %v = memref.load %x[%from] : memref<4xi64>
  memref.store %v, %x[%to] : memref<4xi64>
  return
}
func.func @main(%x: memref<4xi64>, %i: index) -> i64 {
  // expected-error @below {{'memref.load' accesses the device's memory in host code}}
  %v = memref.load %x[%i] : memref<4xi64>
  return %v : i64
}
