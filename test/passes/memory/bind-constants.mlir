// Constants of the host program are weights whose elements are stated, once each.
// RUN: moec-opt %s --rt-bind-constants | FileCheck %s

// CHECK-NOT: memref.global
// CHECK: rt.weight @[[SCALE:.*]] type tensor<2xf32> source {data = dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf32>}
// CHECK-NOT: rt.weight
memref.global "private" constant @scale : memref<2xf32> = dense<[1.0, 2.0]>

// CHECK-LABEL: func.func @main
func.func @main() -> (memref<2xf32>, memref<2xf32>) {
  // CHECK: rt.load_weight @[[SCALE]] : memref<2xf32>
  // CHECK: rt.load_weight @[[SCALE]] : memref<2xf32>
  %a = memref.get_global @scale : memref<2xf32>
  %b = memref.get_global @scale : memref<2xf32>
  return %a, %b : memref<2xf32>, memref<2xf32>
}
