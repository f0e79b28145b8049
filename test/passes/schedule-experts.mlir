// Experts become permute, two grouped products and combine; what is unknown stays.
// RUN: moec-opt %s --moe-schedule-experts | FileCheck %s

// CHECK-LABEL: func.func @fused(
// CHECK-SAME: %[[X:.*]]: tensor<?x16xf16>, %[[IDS:.*]]: tensor<?x2xi32>, %[[W:.*]]: tensor<?x2xf32>
// CHECK: %[[OFFSETS:.*]], %[[SLOTS:.*]], %[[POSITIONS:.*]] = moe.permute %[[IDS]] {experts = 8 : i64}
// CHECK: %[[A:.*]] = moe.grouped_matmul %[[X]], %{{.*}} slots(%[[SLOTS]] : tensor<?xi32>) offsets(%[[OFFSETS]] : tensor<9xi32>) bias(%{{.*}} : tensor<8x64xf16>) {activation = #moe.activation<silu, gate = halves>, element = f16, slots_per_row = 2 : i64} : tensor<?x16xf16>, tensor<8x64x16xf16> -> tensor<?x32xf16>
// CHECK: %[[ROWS:.*]] = moe.grouped_matmul %[[A]], %{{.*}} offsets(%[[OFFSETS]] : tensor<9xi32>) {element = f32} : tensor<?x32xf16>, tensor<8x16x32xf16> -> tensor<?x16xf32>
// CHECK: %[[Y:.*]] = moe.combine %[[ROWS]], %[[POSITIONS]] weights(%[[W]] : tensor<?x2xf32>) {element = f16}
// CHECK: return %[[Y]]
func.func @fused(%x: tensor<?x16xf16>, %ids: tensor<?x2xi32>, %w: tensor<?x2xf32>,
                 %w1: tensor<8x64x16xf16>, %b1: tensor<8x64xf16>, %w2: tensor<8x16x32xf16>) -> tensor<?x16xf16> {
  %y = moe.experts %x, %ids, %w w_in(%w1 : tensor<8x64x16xf16>) w_out(%w2 : tensor<8x16x32xf16>)
       b_in(%b1 : tensor<8x64xf16>) {activation = #moe.activation<silu, gate = halves>}
       : tensor<?x16xf16>, tensor<?x2xi32>, tensor<?x2xf32> -> tensor<?x16xf16>
  return %y : tensor<?x16xf16>
}

// CHECK-LABEL: func.func @separate_with_scaled_input(
// CHECK-SAME: %{{.*}}, %{{.*}}, %[[W:.*]]: tensor<?x2xf32>
// CHECK: moe.grouped_matmul {{.*}} input_scales(%[[W]] : tensor<?x2xf32>) w_up(%{{.*}} : tensor<8x32x16xf32>)
// CHECK: moe.combine %{{[^ ]*}}, %{{[^ ]*}} {element = f32}
func.func @separate_with_scaled_input(%x: tensor<?x16xf32>, %ids: tensor<?x2xi32>, %w: tensor<?x2xf32>,
                                      %w1: tensor<8x32x16xf32>, %w2: tensor<8x16x32xf32>) -> tensor<?x16xf32> {
  %y = moe.experts %x, %ids, %w w_in(%w1 : tensor<8x32x16xf32>) w_out(%w2 : tensor<8x16x32xf32>)
       w_up(%w1 : tensor<8x32x16xf32>) {activation = #moe.activation<silu, gate = separate>, scale_input}
       : tensor<?x16xf32>, tensor<?x2xi32>, tensor<?x2xf32> -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// CHECK-LABEL: func.func @unknown_top_k
// CHECK: moe.experts
func.func @unknown_top_k(%x: tensor<?x16xf32>, %ids: tensor<?x?xi32>, %w: tensor<?x?xf32>,
                         %w1: tensor<8x32x16xf32>, %w2: tensor<8x16x32xf32>) -> tensor<?x16xf32> {
  %y = moe.experts %x, %ids, %w w_in(%w1 : tensor<8x32x16xf32>) w_out(%w2 : tensor<8x16x32xf32>)
       {activation = #moe.activation<relu>}
       : tensor<?x16xf32>, tensor<?x?xi32>, tensor<?x?xf32> -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}
