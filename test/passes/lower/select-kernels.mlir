// Products by weights become launches of kernels that read packed weights;
// what has no kernel stays.
// RUN: moec-opt %s --moec-select-kernels=chip=x86-64-v4 | FileCheck %s
// RUN: moec-opt %s --moec-select-kernels=chip=x86-64-v2 | FileCheck %s --check-prefix=V2

// A weight is packed once, whatever reads it; the recipe is read by the
// writer of the weights file.
// CHECK-DAG: rt.weight @w.packed type tensor<1x1x8x64xf32> {{.*}} stored tensor<1x1x8x64xf32> recipe [{block = 0 : i64, element = "f32", gate = "none", groups = 1 : i64, k = 8 : i64, n = 4 : i64, parts = [{bytes = "", element = f32, file = "w.data", group = 0 : i64, groups = 1 : i64, offset = 64 : i64, row = 0 : i64, rows = 4 : i64, signed = false, strides = array<i64: 0, 1, 4>}], step = "pack", together = 1 : i64, width = 64 : i64}]
// CHECK-DAG: rt.weight @turned.packed type tensor<1x1x8x64xf32> {{.*}} strides = array<i64: 0, 8, 1>
// The rows of w_in and w_up are the halves of one matrix.
// CHECK-DAG: rt.weight @gate.packed type tensor<2x1x8x64xf32> {{.*}}gate = "halves"{{.*}} row = 0 : i64, rows = 16 : i64{{.*}} row = 16 : i64, rows = 16 : i64
// V2-DAG: rt.weight @w.packed type tensor<1x1x8x8xf32>

// A product and its sum are rounded once, on every path.
// CHECK-DAG: func.func private @matmul_f32_4x8(
// CHECK-DAG: math.fma {{.*}} : vector<16xf32>
// CHECK-NOT: vector.fma
// V2-DAG: func.func private @matmul_f32_4x8(
// V2-DAG: arith.mulf {{.*}} : vector<4xf32>

rt.weight @w type tensor<8x4xf32> source {file = "w.data", offset = 64 : i64, length = 128 : i64}
rt.weight @turned type tensor<4x8xf32> source {file = "", offset = 0 : i64, length = 128 : i64}
rt.weight @gate type tensor<2x16x8xf32> source {file = "", offset = 64 : i64, length = 1024 : i64}
rt.weight @up type tensor<2x16x8xf32> source {file = "", offset = 1088 : i64, length = 1024 : i64}

// CHECK-LABEL: func.func @main(
// CHECK-SAME: %[[X:[^:]*]]: tensor<?x8xf32>
func.func @main(%x: tensor<?x8xf32>, %y: tensor<8x4xf32>, %slots: tensor<?xi32>, %offsets: tensor<3xi32>,
                %init: tensor<?x4xf32>, %scales: tensor<?x2xf32>)
    -> (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x16xf32>, tensor<?x16xf32>) {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %rows = tensor.dim %x, %c0 : tensor<?x8xf32>
  %empty = tensor.empty(%rows) : tensor<?x4xf32>
  %fill = linalg.fill ins(%zero : f32) outs(%empty : tensor<?x4xf32>) -> tensor<?x4xf32>
  %w = rt.load_weight @w : tensor<8x4xf32>

  // CHECK: %[[P:.*]] = rt.load_weight @w.packed : tensor<1x1x8x64xf32>
  // CHECK: rt.launch @matmul_f32_4x8 grid(%{{.*}}) ins(%[[X]], %[[P]] : tensor<?x8xf32>, tensor<1x1x8x64xf32>) outs(%{{.*}} : tensor<?x4xf32>)
  %0 = linalg.matmul ins(%x, %w : tensor<?x8xf32>, tensor<8x4xf32>) outs(%fill : tensor<?x4xf32>) -> tensor<?x4xf32>

  // A transposed weight is one that is read in another order, and equal
  // products share their kernel.
  // CHECK: rt.load_weight @turned.packed
  // CHECK: rt.launch @matmul_f32_4x8 grid
  %turned = rt.load_weight @turned : tensor<4x8xf32>
  %space = tensor.empty() : tensor<8x4xf32>
  %t = linalg.transpose ins(%turned : tensor<4x8xf32>) outs(%space : tensor<8x4xf32>) permutation = [1, 0]
  %1 = linalg.matmul ins(%x, %t : tensor<?x8xf32>, tensor<8x4xf32>) outs(%fill : tensor<?x4xf32>) -> tensor<?x4xf32>

  // Neither a product by what is not a weight nor one added to something is.
  // CHECK: linalg.matmul
  %2 = linalg.matmul ins(%x, %y : tensor<?x8xf32>, tensor<8x4xf32>) outs(%fill : tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: linalg.matmul
  %3 = linalg.matmul ins(%x, %w : tensor<?x8xf32>, tensor<8x4xf32>) outs(%init : tensor<?x4xf32>) -> tensor<?x4xf32>

  // CHECK: rt.launch @matmul_f32_32x8_groups2_rows2_offsets_silu grid(%{{.*}}) ins(%[[X]], %{{.*}}, %{{.*}}, %{{.*}} : tensor<?x8xf32>, tensor<?xi32>, tensor<3xi32>, tensor<2x1x8x64xf32>) outs(%{{.*}} : tensor<?x16xf32>) {rt.offsets = 2 : i64, rt.op = "moe.grouped_matmul"}
  %gate = rt.load_weight @gate : tensor<2x16x8xf32>
  %up = rt.load_weight @up : tensor<2x16x8xf32>
  %4 = moe.grouped_matmul %x, %gate slots(%slots : tensor<?xi32>) offsets(%offsets : tensor<3xi32>) w_up(%up : tensor<2x16x8xf32>)
       {activation = #moe.activation<silu, gate = separate>, element = f32, slots_per_row = 2 : i64}
       : tensor<?x8xf32>, tensor<2x16x8xf32> -> tensor<?x16xf32>

  // Rows with a scale each are gathered and scaled before the kernel reads them.
  // CHECK: %[[SCALED:.*]] = linalg.generic
  // CHECK: arith.mulf
  // CHECK: rt.launch @matmul_f32_16x8_groups2_offsets grid(%{{.*}}) ins(%[[SCALED]], %{{.*}} : tensor<?x8xf32>, tensor<3xi32>, tensor<2x1x8x64xf32>)
  %5 = moe.grouped_matmul %x, %gate slots(%slots : tensor<?xi32>) offsets(%offsets : tensor<3xi32>) input_scales(%scales : tensor<?x2xf32>)
       {element = f32, slots_per_row = 2 : i64} : tensor<?x8xf32>, tensor<2x16x8xf32> -> tensor<?x16xf32>
  return %0, %1, %2, %3, %4, %5 : tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x16xf32>, tensor<?x16xf32>
}
