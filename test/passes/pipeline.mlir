// Tensors become memory in the arena or the caller's, computations become kernels.
// RUN: moec-opt %s --moec-fuse --moec-plan | FileCheck %s

// The two elementwise operations became one kernel, after the matmul.
// CHECK-LABEL: func.func private @matmul
// CHECK-SAME: attributes {rt.kernel}
// CHECK: scf.for
// CHECK: scf.for
// CHECK: scf.for
// CHECK-LABEL: func.func private @generic
// CHECK: math.tanh
// CHECK-NEXT: arith.addf
// CHECK-LABEL: func.func @main
// CHECK: %[[D:.*]] = memref.dim
// CHECK: %[[BYTES:.*]] = arith.muli %[[D]], %c128
// CHECK: %[[ARENA:.*]] = rt.arena %[[BYTES]]
// CHECK: %[[OUT:.*]] = rt.output 0[%[[D]]] : memref<?x32xf32>
// CHECK: %[[TMP:.*]] = memref.view %[[ARENA]]
// CHECK: rt.launch @fill grid(%[[D]]) outs(%[[TMP]]
// CHECK: rt.launch @matmul grid(%[[D]]) ins({{.*}}) outs(%[[TMP]]
// CHECK: rt.launch @generic grid(%[[D]]) ins(%[[TMP]] {{.*}}) outs(%[[OUT]]

func.func @main(%x: tensor<?x64xf32> {onnx.name="x"}, %w: tensor<64x32xf32> {onnx.name="w"}) -> (tensor<?x32xf32> {onnx.name="y"}) {
  %c0 = arith.constant 0 : index
  %cst = arith.constant 0.0 : f32
  %d = tensor.dim %x, %c0 : tensor<?x64xf32>
  %e = tensor.empty(%d) : tensor<?x32xf32>
  %f = linalg.fill ins(%cst : f32) outs(%e : tensor<?x32xf32>) -> tensor<?x32xf32>
  %m = linalg.matmul ins(%x, %w : tensor<?x64xf32>, tensor<64x32xf32>) outs(%f : tensor<?x32xf32>) -> tensor<?x32xf32>
  %e2 = tensor.empty(%d) : tensor<?x32xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i,j)->(i,j)>, affine_map<(i,j)->(i,j)>], iterator_types=["parallel","parallel"]} ins(%m : tensor<?x32xf32>) outs(%e2 : tensor<?x32xf32>) {
  ^bb0(%a: f32, %b: f32):
    %t = math.tanh %a : f32
    linalg.yield %t : f32
  } -> tensor<?x32xf32>
  %e3 = tensor.empty(%d) : tensor<?x32xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(i,j)->(i,j)>, affine_map<(i,j)->(i,j)>], iterator_types=["parallel","parallel"]} ins(%r : tensor<?x32xf32>) outs(%e3 : tensor<?x32xf32>) {
  ^bb0(%a: f32, %b: f32):
    %t = arith.addf %a, %a : f32
    linalg.yield %t : f32
  } -> tensor<?x32xf32>
  return %s : tensor<?x32xf32>
}
