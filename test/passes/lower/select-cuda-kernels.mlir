// Products by weights become launches of kernels of blocks, in the tile that
// fits the number of rows; what has no kernel stays.
// RUN: moec-opt %s --moec-select-cuda-kernels | FileCheck %s --implicit-check-not=nvvm.mma.sync
// RUN: moec-opt %s --moec-select-cuda-kernels="weights=bf16 activations=bf16" | FileCheck %s --check-prefix=BF16
// RUN: not moec-opt %s --moec-select-cuda-kernels=activations=int8 2>&1 | FileCheck %s --check-prefix=INT8

// INT8: no kernel of blocks has weights 'keep' and activations 'int8'

// Panels have 128 rows, of which 16 bytes lie together.
// CHECK-DAG: rt.weight @w.packed type tensor<1x1x2x512xf32> {{.*}}together = 4 : i64, width = 128 : i64
// CHECK-DAG: rt.weight @gate.packed type tensor<2x1x2x512xf32> {{.*}}gate = "halves"
// BF16-DAG: rt.weight @w.packed type tensor<1x1x1x1024xbf16> {{.*}}together = 8 : i64, width = 128 : i64

// Floats are multiplied and added in f32, unless both are narrow.
// CHECK-DAG: func.func private @matmul_f32_4x8_tokens8({{.*}}rt.block = {shared = {{.*}}, threads = 64 : i64}
// BF16-DAG: func.func private @matmul_bf16_by_bf16_4x8_tokens8(
// BF16-DAG: nvvm.mma.sync
// CHECK-DAG: llvm.mlir.global external @moec_shared_memory() {addr_space = 3 : i32, alignment = 1024 : i64}

rt.weight @w type tensor<8x4xf32> source {file = "w.data", offset = 64 : i64, length = 128 : i64}
rt.weight @gate type tensor<2x16x8xf32> source {file = "", offset = 64 : i64, length = 1024 : i64}
rt.weight @up type tensor<2x16x8xf32> source {file = "", offset = 1088 : i64, length = 1024 : i64}

// CHECK-LABEL: func.func @main(
// CHECK-SAME: %[[X:[^:]*]]: tensor<?x8xf32>
func.func @main(%x: tensor<?x8xf32>, %y: tensor<8x4xf32>, %slots: tensor<?xi32>, %offsets: tensor<3xi32>, %scales: tensor<?x2xf32>)
    -> (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x16xf32>, tensor<?x16xf32>) {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %rows = tensor.dim %x, %c0 : tensor<?x8xf32>
  %empty = tensor.empty(%rows) : tensor<?x4xf32>
  %fill = linalg.fill ins(%zero : f32) outs(%empty : tensor<?x4xf32>) -> tensor<?x4xf32>
  %w = rt.load_weight @w : tensor<8x4xf32>

  // CHECK: %[[P:.*]] = rt.load_weight @w.packed
  // CHECK: %[[E:.*]] = tensor.empty(%[[ROWS:.*]]) : tensor<?x4xf32>
  // CHECK: %[[MORE:.*]] = arith.cmpi slt, %c2{{.*}}, %[[ROWS]] : index
  // CHECK: scf.if %[[MORE]] -> (tensor<?x4xf32>) {
  // CHECK: arith.cmpi slt, %c12{{.*}}, %[[ROWS]] : index
  // CHECK: rt.launch @matmul_f32_4x8_tokens64 grid(%{{.*}}) ins(%[[X]], %[[P]] : {{.*}}) outs(%[[E]] : tensor<?x4xf32>)
  // CHECK: rt.launch @matmul_f32_4x8_tokens32 grid(%{{.*}}) ins(%[[X]], %[[P]] : {{.*}}) outs(%[[E]] : tensor<?x4xf32>)
  // CHECK: } else {
  // CHECK: rt.launch @matmul_f32_4x8_tokens8 grid(%{{.*}}) ins(%[[X]], %[[P]] : {{.*}}) outs(%[[E]] : tensor<?x4xf32>)
  %0 = linalg.matmul ins(%x, %w : tensor<?x8xf32>, tensor<8x4xf32>) outs(%fill : tensor<?x4xf32>) -> tensor<?x4xf32>

  // CHECK: linalg.matmul
  // BF16: linalg.matmul
  %1 = linalg.matmul ins(%x, %y : tensor<?x8xf32>, tensor<8x4xf32>) outs(%fill : tensor<?x4xf32>) -> tensor<?x4xf32>

  // Rows are few by group; profiles learn where each group begins.
  // CHECK: arith.cmpi slt, %c4{{.*}}, %{{.*}} : index
  // CHECK: rt.launch @matmul_f32_32x8_groups2_rows2_offsets_silu_tokens8 {{.*}}rt.offsets = 2 : i64
  %gate = rt.load_weight @gate : tensor<2x16x8xf32>
  %up = rt.load_weight @up : tensor<2x16x8xf32>
  %2 = moe.grouped_matmul %x, %gate slots(%slots : tensor<?xi32>) offsets(%offsets : tensor<3xi32>) w_up(%up : tensor<2x16x8xf32>)
       {activation = #moe.activation<silu, gate = separate>, element = f32, slots_per_row = 2 : i64}
       : tensor<?x8xf32>, tensor<2x16x8xf32> -> tensor<?x16xf32>

  // Rows with a scale each are gathered and scaled before the kernel reads them.
  // CHECK: %[[SCALED:.*]] = linalg.generic
  // CHECK: arith.mulf
  // CHECK: rt.launch @matmul_f32_16x8_groups2_offsets_tokens8 grid(%{{.*}}) ins(%[[SCALED]], %{{.*}} : tensor<?x8xf32>, tensor<3xi32>,
  %3 = moe.grouped_matmul %x, %gate slots(%slots : tensor<?xi32>) offsets(%offsets : tensor<3xi32>) input_scales(%scales : tensor<?x2xf32>)
       {element = f32, slots_per_row = 2 : i64} : tensor<?x8xf32>, tensor<2x16x8xf32> -> tensor<?x16xf32>
  return %0, %1, %2, %3 : tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x16xf32>, tensor<?x16xf32>
}
