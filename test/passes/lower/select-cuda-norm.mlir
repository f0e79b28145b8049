// Norms become launches of kernels of blocks: narrow rows have a warp each, wide
// ones a block; what no thread can hold stays.
// RUN: moec-opt %s --moec-select-cuda-kernels --split-input-file | FileCheck %s

// CHECK-DAG: func.func private @rms_norm_bf16_128({{.*}}rt.block = {shared = 0 : i64, threads = 128 : i64}
// CHECK-DAG: func.func private @layer_norm_f32_4096({{.*}}rt.block = {shared = 32 : i64, threads = 256 : i64}

// CHECK-LABEL: func.func @main(
// CHECK-SAME: %[[X:[^:]*]]: tensor<?x128xbf16>, %[[S:[^:]*]]: tensor<128xf32>
func.func @main(%x: tensor<?x128xbf16>, %s: tensor<128xf32>, %w: tensor<?x4096xf32>, %t: tensor<4096xf32>,
                %l: tensor<?x40000xf32>, %u: tensor<40000xf32>)
    -> (tensor<?x128xbf16>, tensor<?x4096xf32>, tensor<?x1xf32>, tensor<?x1xf32>, tensor<?x40000xf32>) {
  // CHECK: %[[BLOCKS:.*]] = arith.ceildivui %{{.*}}, %c4
  // CHECK: rt.launch @rms_norm_bf16_128 grid(%[[BLOCKS]]) ins(%[[X]], %[[S]] : tensor<?x128xbf16>, tensor<128xf32>)
  %0 = attn.rms_norm %x, %s {axis = 1, epsilon = 1.0e-5 : f64} : tensor<?x128xbf16>, tensor<128xf32> -> tensor<?x128xbf16>
  // CHECK: rt.launch @layer_norm_f32_4096 {{.*}} -> tensor<?x4096xf32>, tensor<?xf32>, tensor<?xf32>
  %1, %m, %i = attn.layer_norm %w, %t {axis = 1, epsilon = 1.0e-5 : f64}
    : tensor<?x4096xf32>, tensor<4096xf32> -> tensor<?x4096xf32>, tensor<?x1xf32>, tensor<?x1xf32>
  // CHECK: attn.rms_norm
  %2 = attn.rms_norm %l, %u {axis = 1, epsilon = 1.0e-5 : f64} : tensor<?x40000xf32>, tensor<40000xf32> -> tensor<?x40000xf32>
  return %0, %1, %m, %i, %2 : tensor<?x128xbf16>, tensor<?x4096xf32>, tensor<?x1xf32>, tensor<?x1xf32>, tensor<?x40000xf32>
}

// -----

// A sum that is normalised becomes a result of the kernel; one that is read
// before stays what it is.
#id = affine_map<(i, j) -> (i, j)>
// CHECK-DAG: func.func private @skip_rms_norm_bf16_128(
// CHECK-LABEL: func.func @main(
// CHECK-SAME: %[[X:[^:]*]]: tensor<?x128xbf16>, %[[Y:[^:]*]]: tensor<?x128xbf16>, %[[S:[^:]*]]: tensor<128xf32>
func.func @main(%x: tensor<?x128xbf16>, %y: tensor<?x128xbf16>, %s: tensor<128xf32>, %e: tensor<?x128xbf16>)
    -> (tensor<?x128xbf16>, tensor<?x128xbf16>, tensor<?x128xbf16>, tensor<?x128xbf16>) {
  // CHECK: %[[BOTH:.*]]:2 = rt.launch @skip_rms_norm_bf16_128 grid(%{{.*}}) ins(%[[X]], %[[Y]], %[[S]] :
  %sum = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%x, %y : tensor<?x128xbf16>, tensor<?x128xbf16>) outs(%e : tensor<?x128xbf16>) {
  ^bb0(%a: bf16, %b: bf16, %out: bf16):
    %t = arith.addf %a, %b : bf16
    linalg.yield %t : bf16
  } -> tensor<?x128xbf16>
  %0 = attn.rms_norm %sum, %s {axis = 1, epsilon = 1.0e-5 : f64} : tensor<?x128xbf16>, tensor<128xf32> -> tensor<?x128xbf16>
  // CHECK: %[[NEXT:.*]] = linalg.generic {{.*}} ins(%[[BOTH]]#1, %[[BOTH]]#0 :
  %next = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%sum, %0 : tensor<?x128xbf16>, tensor<?x128xbf16>) outs(%e : tensor<?x128xbf16>) {
  ^bb0(%a: bf16, %b: bf16, %out: bf16):
    %t = arith.addf %a, %b : bf16
    linalg.yield %t : bf16
  } -> tensor<?x128xbf16>
  // CHECK: rt.launch @rms_norm_bf16_128 {{.*}} ins(%[[NEXT]],
  %early = tensor.extract_slice %next[0, 0] [1, 128] [1, 1] : tensor<?x128xbf16> to tensor<1x128xbf16>
  %f = tensor.insert_slice %early into %e[0, 0] [1, 128] [1, 1] : tensor<1x128xbf16> into tensor<?x128xbf16>
  %1 = attn.rms_norm %next, %s {axis = 1, epsilon = 1.0e-5 : f64} : tensor<?x128xbf16>, tensor<128xf32> -> tensor<?x128xbf16>
  return %0, %sum, %f, %1 : tensor<?x128xbf16>, tensor<?x128xbf16>, tensor<?x128xbf16>, tensor<?x128xbf16>
}
