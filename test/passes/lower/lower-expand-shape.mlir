// Sizes come from the operation, strides from the source; a group may have
// several sizes that are known at run time only.
// RUN: moec-opt %s --moec-lower-expand-shape | FileCheck %s

// CHECK-LABEL: func.func @expand
// CHECK-SAME: (%[[X:.*]]: memref<?x4xf32>, %[[A:.*]]: index, %[[B:.*]]: index)
// CHECK: %[[BASE:.*]], %{{.*}}, %{{.*}}:2, %{{.*}}:2 = memref.extract_strided_metadata %[[X]]
// CHECK: %[[STRIDE:.*]] = affine.apply {{.*}}[%[[B]]]
// CHECK: memref.reinterpret_cast %[[BASE]] to offset: [0], sizes: [%[[A]], %[[B]], 2, 2], strides: [%[[STRIDE]], 4, 2, 1]
func.func @expand(%x: memref<?x4xf32>, %a: index, %b: index) -> memref<?x?x2x2xf32> {
  %y = memref.expand_shape %x [[0, 1], [2, 3]] output_shape [%a, %b, 2, 2] : memref<?x4xf32> into memref<?x?x2x2xf32>
  return %y : memref<?x?x2x2xf32>
}
