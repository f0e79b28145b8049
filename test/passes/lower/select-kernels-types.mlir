// Weights of every type are packed as they are, or as the options say, and what
// reads them follows from the types and from the chip.
// RUN: moec-opt %s --moec-select-kernels=chip=x86-64-v4 | FileCheck %s
// RUN: moec-opt %s '--moec-select-kernels=chip=x86-64-v4 weights=int4' | FileCheck %s --check-prefix=INT4
// RUN: moec-opt %s '--moec-select-kernels=chip=x86-64-v4 weights=int8 activations=int8' | FileCheck %s --check-prefix=INT8
// RUN: moec-opt %s '--moec-select-kernels=chip=x86-64-v4 weights=bf16 activations=bf16' | FileCheck %s --check-prefix=ROUNDED
// RUN: moec-opt %s '--moec-select-kernels=chip=znver4 weights=bf16 activations=bf16' | FileCheck %s --check-prefix=PAIRS
// RUN: moec-opt %s '--moec-select-kernels=chip=x86-64-v4 activations=keep' | FileCheck %s --check-prefix=KEEP
// RUN: not moec-opt %s '--moec-select-kernels=weights=int3' 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// UNKNOWN: weights 'int3' or activations '' are not known

// Two columns of f16 are a word; integers have scales, and zero points where
// the model has some, beside them.
// CHECK-DAG: rt.weight @half.packed type tensor<1x1x32x128xf16> {{.*}} recipe [{block = 0 : i64, element = "f16", {{.*}} step = "pack", together = 2 : i64
// CHECK-DAG: rt.weight @nibbles.packed type tensor<1x1x8x128xi8> {{.*}} recipe [{block = 32 : i64, element = "int4", {{.*}} element = i4, {{.*}} step = "pack", together = 8 : i64
// CHECK-DAG: rt.weight @nibbles.scales type tensor<1x1x2x32xf32> {{.*}} element = "f32", {{.*}} step = "pack", together = 1 : i64
// CHECK-DAG: rt.weight @nibbles.zeros type tensor<1x1x2x32xi8> {{.*}} element = "int8", {{.*}} element = i4,
// A small tensor is in no file: the recipe holds its bytes.
// CHECK-DAG: rt.weight @constant.packed {{.*}}bytes = "{{.+}}"

// Floats become integers, with the scales that quantising gives; integers of
// the model stay as they are.
// INT4-DAG: rt.weight @half.packed type tensor<1x1x8x256xi8> {{.*}} recipe [{block = 32 : i64, element = "int4", {{.*}} element = f16, {{.*}} step = "pack"
// INT4-DAG: rt.weight @half.scales type tensor<1x1x2x64xf16> {{.*}} recipe [{{.*}} step = "pack_scales"
// INT4-DAG: rt.weight @nibbles.zeros

rt.weight @half type tensor<64x48xf16> source {file = "w.data", offset = 64 : i64, length = 6144 : i64}
rt.weight @nibbles type tensor<1x32x32xi8> source {file = "w.data", offset = 8192 : i64, length = 1024 : i64}
rt.weight @scales type tensor<1x32x2xf32> source {file = "w.data", offset = 16384 : i64, length = 256 : i64}
rt.weight @zeros type tensor<1x32x1xi8> source {file = "w.data", offset = 32768 : i64, length = 32 : i64}

// CHECK-LABEL: func.func @main(
// CHECK-SAME: %[[X:[^:]*]]: tensor<?x64xf16>
func.func @main(%x: tensor<?x64xf16>, %f: tensor<?x64xf32>) -> (tensor<?x48xf32>, tensor<?x32xf32>, tensor<?x8xf32>) {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %rows = tensor.dim %x, %c0 : tensor<?x64xf16>
  %empty = tensor.empty(%rows) : tensor<?x48xf32>
  %fill = linalg.fill ins(%zero : f32) outs(%empty : tensor<?x48xf32>) -> tensor<?x48xf32>

  // Rows of f16 are widened, which is exact.
  // CHECK: %[[WIDE:.*]] = linalg.generic {{.*}} ins(%[[X]] : tensor<?x64xf16>)
  // CHECK: arith.extf
  // CHECK: rt.launch @matmul_f16_48x64 grid(%{{.*}}) ins(%[[WIDE]], %{{.*}} : tensor<?x64xf32>, tensor<1x1x32x128xf16>)
  // INT4: rt.launch @matmul_int4_48x64 grid
  // INT8: rt.launch @quantize_64_by_64 grid
  // INT8: rt.launch @matmul_int8_by_int8_48x64 grid
  // Without instructions for pairs, rounded rows are multiplied in f32.
  // ROUNDED: arith.truncf {{.*}} : f{{.*}} to bf16
  // ROUNDED: arith.extf {{.*}} : bf16 to f32
  // ROUNDED: rt.launch @matmul_bf16_48x64 grid
  // PAIRS: arith.truncf {{.*}} : f{{.*}} to bf16
  // PAIRS: rt.launch @matmul_bf16_by_bf16_48x64 grid
  %half = rt.load_weight @half : tensor<64x48xf16>
  %0 = linalg.matmul ins(%x, %half : tensor<?x64xf16>, tensor<64x48xf16>) outs(%fill : tensor<?x48xf32>) -> tensor<?x48xf32>

  // Rows are rounded where the model permits it, unless the user does not.
  // CHECK: rt.launch @quantize_64_by_32 grid
  // CHECK: rt.launch @matmul_int4_by_int8_32x64 grid
  // KEEP: rt.launch @matmul_int4_32x64 grid
  %nibbles = rt.load_weight @nibbles : tensor<1x32x32xi8>
  %scales = rt.load_weight @scales : tensor<1x32x2xf32>
  %zeros = rt.load_weight @zeros : tensor<1x32x1xi8>
  %1 = moe.grouped_matmul %f, %nibbles scales(%scales : tensor<1x32x2xf32>) zero_points(%zeros : tensor<1x32x1xi8>)
       {element = f32, int8_rows, quant = #moe.quant<bits = 4, block = 32>}
       : tensor<?x64xf32>, tensor<1x32x32xi8> -> tensor<?x32xf32>

  // A constant, widened on the way, is packed as the f16 that it is.
  // CHECK: rt.launch @matmul_f16_8x64 grid
  %constant = arith.constant dense<1.5> : tensor<64x8xf16>
  %wide = tensor.empty() : tensor<64x8xf32>
  %widened = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%constant : tensor<64x8xf16>) outs(%wide : tensor<64x8xf32>) {
    ^bb0(%in: f16, %out: f32):
      %e = arith.extf %in : f16 to f32
      linalg.yield %e : f32
  } -> tensor<64x8xf32>
  %few = tensor.empty(%rows) : tensor<?x8xf32>
  %zeroed = linalg.fill ins(%zero : f32) outs(%few : tensor<?x8xf32>) -> tensor<?x8xf32>
  %2 = linalg.matmul ins(%f, %widened : tensor<?x64xf32>, tensor<64x8xf32>) outs(%zeroed : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %0, %1, %2 : tensor<?x48xf32>, tensor<?x32xf32>, tensor<?x8xf32>
}
