// The loop over tokens updates one state in place: it allocates nothing, and its
// kernels are there once.
// RUN: moec-opt %s --moec-decompose --moec-plan | FileCheck %s

// CHECK-LABEL: func.func @main
// CHECK-NOT: memref.alloc
// CHECK: %[[TOKENS:.*]] = memref.dim %arg0
// CHECK: rt.launch {{.*}} ins(%arg3 : {{.*}}) outs(%[[STATE:.*]] : memref<?x2x6x5xf32>)
// CHECK: scf.for %{{.*}} = %{{.*}} to %[[TOKENS]]
// CHECK-NOT: iter_args
// CHECK: rt.launch {{.*}} outs(%[[STATE]] : memref<?x2x6x5xf32>)
// CHECK: rt.launch {{.*}} ins({{.*}}%[[STATE]] : {{.*}})
// CHECK: rt.launch {{.*}} outs(%{{.*}} : memref<?x4x5xf32, strided<[?, 5, 1], offset: ?>>)
// CHECK-NEXT: }
func.func @main(%q: tensor<?x?x4x6xf32>, %k: tensor<?x?x2x6xf32>, %v: tensor<?x?x2x5xf32>, %s: tensor<?x2x6x5xf32> {bufferization.writable = false},
                %g: tensor<?x?x2x1xf32>, %b: tensor<?x?x2xf32>) -> (tensor<?x?x4x5xf32>, tensor<?x2x6x5xf32>) {
  %y, %present = attn.linear_attention %q, %k, %v state(%s : tensor<?x2x6x5xf32>) decay(%g : tensor<?x?x2x1xf32>) beta(%b : tensor<?x?x2xf32>) {scale = 0.5 : f64}
      : tensor<?x?x4x6xf32>, tensor<?x?x2x6xf32>, tensor<?x?x2x5xf32> -> tensor<?x?x4x5xf32>, tensor<?x2x6x5xf32>
  return %y, %present : tensor<?x?x4x5xf32>, tensor<?x2x6x5xf32>
}
