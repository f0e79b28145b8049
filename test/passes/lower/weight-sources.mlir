// Matrices reach the kernels as parts of the model's weights, however operations
// on weights alone put them together.
// RUN: moec-opt %s --moec-select-kernels=chip=x86-64-v4 --canonicalize | FileCheck %s

// Integers keep their bits. Signed ones are packed as unsigned ones whose zero
// point is the middle; a scale for each row is one block, a scale for all has
// the stride 0.
// CHECK-DAG: rt.weight @bytes.packed type tensor<{{[^>]*}}> {{.*}} recipe [{block = 0 : i64, element = "int8", {{.*}} parts = [{{[{].*}} element = i8, {{.*}} signed = true, strides = array<i64: 0, 1, 32>
// CHECK-DAG: rt.weight @bytes.scales type tensor<{{[^>]*}}> {{.*}} parts = [{{[{].*}} offset = 16384 : i64, {{.*}} strides = array<i64: 0, 1, 1>
// Blocks along the columns of a matrix that is stored by columns.
// CHECK-DAG: rt.weight @nibbles.packed type tensor<{{[^>]*}}> {{.*}} recipe [{block = 32 : i64, element = "int4", {{.*}} element = i4, {{.*}} signed = false, strides = array<i64: 0, 1, 32>
// CHECK-DAG: rt.weight @nibbles.scales type tensor<{{[^>]*}}> {{.*}} strides = array<i64: 0, 1, 32>
// CHECK-DAG: rt.weight @nibbles.zeros type tensor<{{[^>]*}}> {{.*}} element = i4, {{.*}} strides = array<i64: 0, 1, 32>
// Unsigned integers without zero point have 0, not the middle.
// CHECK-DAG: rt.weight @unsigned.zeros {{.*}} parts = [{{[{]}}bytes = "\00", element = i8
// Experts of their own files lie one behind the other.
// CHECK-DAG: rt.weight @expert0.packed type tensor<{{[^>]*}}> {{.*}} parts = [{{[{].*}} file = "0.data", group = 0 : i64, groups = 1 : i64, offset = 0 : i64, row = 0 : i64, rows = 8 : i64, {{.*}}, {{[{].*}} file = "1.data", group = 1 : i64, groups = 1 : i64, offset = 64 : i64,
// CHECK-DAG: rt.weight @q0.packed {{.*}} element = "int8", {{.*}} parts = [{{[{].*}} group = 0 : i64, {{.*}} signed = true, {{.*}}, {{[{].*}} group = 1 : i64, {{.*}} signed = true
// CHECK-DAG: rt.weight @q0.scales {{.*}} parts = [{{[{].*}} group = 0 : i64, {{.*}}, {{[{].*}} group = 1 : i64, {{.*}} strides = array<i64: 0, 0, 1>

rt.weight @bytes type tensor<64x32xi8> source {file = "w.data", offset = 0 : i64, length = 2048 : i64}
rt.weight @scales type tensor<1x32xf32> source {file = "w.data", offset = 16384 : i64, length = 128 : i64}
rt.weight @nibbles type tensor<64x32xi4> source {file = "w.data", offset = 4096 : i64, length = 1024 : i64}
rt.weight @blocks type tensor<2x32xf32> source {file = "w.data", offset = 32768 : i64, length = 256 : i64}
rt.weight @middles type tensor<2x32xi4> source {file = "w.data", offset = 65536 : i64, length = 32 : i64}
rt.weight @unsigned type tensor<64x32xi8> source {file = "w.data", offset = 8192 : i64, length = 2048 : i64}
rt.weight @expert0 type tensor<8x16xf32> source {file = "0.data", offset = 0 : i64, length = 512 : i64}
rt.weight @expert1 type tensor<8x16xf32> source {file = "1.data", offset = 64 : i64, length = 512 : i64}
rt.weight @q0 type tensor<8x16xi8> source {file = "0.data", offset = 1024 : i64, length = 128 : i64}
rt.weight @q1 type tensor<8x16xi8> source {file = "1.data", offset = 1024 : i64, length = 128 : i64}

// CHECK-LABEL: func.func @main(
func.func @main(%x: tensor<?x64xf32>, %few: tensor<?x16xf32>, %offsets: tensor<3xi32>)
    -> (tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x8xf32>, tensor<?x8xf32>) {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %rows = tensor.dim %x, %c0 : tensor<?x64xf32>
  %empty = tensor.empty(%rows) : tensor<?x32xf32>
  %fill = linalg.fill ins(%zero : f32) outs(%empty : tensor<?x32xf32>) -> tensor<?x32xf32>

  // CHECK: rt.launch @matmul_int8_32x64 grid
  %bytes = rt.load_weight @bytes : tensor<64x32xi8>
  %scales = rt.load_weight @scales : tensor<1x32xf32>
  %w0 = moe.dequantize %bytes scales(%scales : tensor<1x32xf32>) {element = f32} : tensor<64x32xi8> -> tensor<64x32xf32>
  %0 = linalg.matmul ins(%x, %w0 : tensor<?x64xf32>, tensor<64x32xf32>) outs(%fill : tensor<?x32xf32>) -> tensor<?x32xf32>

  // CHECK: rt.launch @matmul_int4_32x64 grid
  %nibbles = rt.load_weight @nibbles : tensor<64x32xi4>
  %blocks = rt.load_weight @blocks : tensor<2x32xf32>
  %middles = rt.load_weight @middles : tensor<2x32xi4>
  %w1 = moe.dequantize %nibbles scales(%blocks : tensor<2x32xf32>) zero_points(%middles : tensor<2x32xi4>)
        {axis = 0, block = 32, element = f32, is_unsigned} : tensor<64x32xi4> -> tensor<64x32xf32>
  %1 = linalg.matmul ins(%x, %w1 : tensor<?x64xf32>, tensor<64x32xf32>) outs(%fill : tensor<?x32xf32>) -> tensor<?x32xf32>

  // CHECK: rt.launch @matmul_int8_32x64{{.*}} grid
  %unsigned = rt.load_weight @unsigned : tensor<64x32xi8>
  %one = arith.constant dense<0.5> : tensor<1x1xf32>
  %w2 = moe.dequantize %unsigned scales(%one : tensor<1x1xf32>) {element = f32, is_unsigned} : tensor<64x32xi8> -> tensor<64x32xf32>
  %2 = linalg.matmul ins(%x, %w2 : tensor<?x64xf32>, tensor<64x32xf32>) outs(%fill : tensor<?x32xf32>) -> tensor<?x32xf32>

  // Floats that are rounded after they were scaled are not what integers stand for.
  // CHECK: linalg.matmul
  %half = moe.dequantize %bytes scales(%scales : tensor<1x32xf32>) {element = f16} : tensor<64x32xi8> -> tensor<64x32xf16>
  %3 = linalg.matmul ins(%x, %half : tensor<?x64xf32>, tensor<64x32xf16>) outs(%fill : tensor<?x32xf32>) -> tensor<?x32xf32>

  // CHECK: rt.launch @matmul_f32_8x16_groups2_offsets grid
  %e0 = rt.load_weight @expert0 : tensor<8x16xf32>
  %e1 = rt.load_weight @expert1 : tensor<8x16xf32>
  %room = tensor.empty() : tensor<2x8x16xf32>
  %i0 = tensor.insert_slice %e0 into %room[0, 0, 0] [1, 8, 16] [1, 1, 1] : tensor<8x16xf32> into tensor<2x8x16xf32>
  %i1 = tensor.insert_slice %e1 into %i0[1, 0, 0] [1, 8, 16] [1, 1, 1] : tensor<8x16xf32> into tensor<2x8x16xf32>
  %4 = moe.grouped_matmul %few, %i1 offsets(%offsets : tensor<3xi32>) {element = f32} : tensor<?x16xf32>, tensor<2x8x16xf32> -> tensor<?x8xf32>

  // CHECK: rt.launch @matmul_int8_8x16_groups2_offsets grid
  %q0 = rt.load_weight @q0 : tensor<8x16xi8>
  %q1 = rt.load_weight @q1 : tensor<8x16xi8>
  %f0 = moe.dequantize %q0 scales(%one : tensor<1x1xf32>) {element = f32} : tensor<8x16xi8> -> tensor<8x16xf32>
  %f1 = moe.dequantize %q1 scales(%one : tensor<1x1xf32>) {element = f32} : tensor<8x16xi8> -> tensor<8x16xf32>
  %x0 = tensor.expand_shape %f0 [[0, 1], [2]] output_shape [1, 8, 16] : tensor<8x16xf32> into tensor<1x8x16xf32>
  %x1 = tensor.expand_shape %f1 [[0, 1], [2]] output_shape [1, 8, 16] : tensor<8x16xf32> into tensor<1x8x16xf32>
  %j0 = tensor.insert_slice %x0 into %room[0, 0, 0] [1, 8, 16] [1, 1, 1] : tensor<1x8x16xf32> into tensor<2x8x16xf32>
  %j1 = tensor.insert_slice %x1 into %j0[1, 0, 0] [1, 8, 16] [1, 1, 1] : tensor<1x8x16xf32> into tensor<2x8x16xf32>
  %5 = moe.grouped_matmul %few, %j1 offsets(%offsets : tensor<3xi32>) {element = f32} : tensor<?x16xf32>, tensor<2x8x16xf32> -> tensor<?x8xf32>
  return %0, %1, %2, %3, %4, %5 : tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x8xf32>, tensor<?x8xf32>
}
