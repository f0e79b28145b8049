// Every op of the dialect survives a round trip, and each constraint is checked.
// RUN: moec-opt %s --split-input-file --verify-diagnostics | moec-opt --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @route
func.func @route(%l: tensor<?x8xf32>, %bias: tensor<8xf32>) -> tensor<?x2xf32> {
  // CHECK: moe.route %{{.*}} {router = #moe.router<top_k = 2, normalize = sum>} : tensor<?x8xf32> -> tensor<?x2xi32>, tensor<?x2xf32>
  %ids, %weights = moe.route %l {router = #moe.router<top_k = 2, normalize = sum>}
       : tensor<?x8xf32> -> tensor<?x2xi32>, tensor<?x2xf32>
  // CHECK: moe.route %{{.*}} selection_bias(%{{.*}} : tensor<8xf32>) values(%{{.*}} : tensor<?x8xf32>) {router = #moe.router<top_k = 2, score = sigmoid, groups = 4, kept_groups = 2, group_score = top2_sum, masked = zero, normalize = sum, epsilon = 9.9999999999999995E-21, scale = 2.500000e+00, min_weight = 1.000000e-08, ties = higher>}
  %ids2, %weights2 = moe.route %l selection_bias(%bias : tensor<8xf32>) values(%l : tensor<?x8xf32>)
       {router = #moe.router<top_k = 2, score = sigmoid, groups = 4, kept_groups = 2,
                             group_score = top2_sum, masked = zero, normalize = sum, epsilon = 1.0e-20,
                             scale = 2.5, min_weight = 1.0e-8, ties = higher>}
       : tensor<?x8xf32> -> tensor<?x2xi32>, tensor<?x2xf32>
  return %weights2 : tensor<?x2xf32>
}

// CHECK-LABEL: func.func @experts
func.func @experts(%x: tensor<?x16xf32>, %ids: tensor<?x2xi32>, %w: tensor<?x2xf32>,
                   %w1: tensor<8x64x16xf32>, %w2: tensor<8x16x32xf32>, %b1: tensor<8x64xf32>,
                   %b2: tensor<8x16xf32>) -> tensor<?x16xf32> {
  // CHECK: moe.experts %{{.*}}, %{{.*}}, %{{.*}} w_in(%{{.*}} : tensor<8x64x16xf32>) w_out(%{{.*}} : tensor<8x16x32xf32>) b_in(%{{.*}} : tensor<8x64xf32>) b_out(%{{.*}} : tensor<8x16xf32>) {activation = #moe.activation<silu, gate = interleaved, alpha = 1.702000e+00, beta = 1.000000e+00, limit = 7.000000e+00>} : tensor<?x16xf32>, tensor<?x2xi32>, tensor<?x2xf32> -> tensor<?x16xf32>
  %y = moe.experts %x, %ids, %w w_in(%w1 : tensor<8x64x16xf32>) w_out(%w2 : tensor<8x16x32xf32>)
       b_in(%b1 : tensor<8x64xf32>) b_out(%b2 : tensor<8x16xf32>)
       {activation = #moe.activation<silu, gate = interleaved, alpha = 1.702, beta = 1.0, limit = 7.0>}
       : tensor<?x16xf32>, tensor<?x2xi32>, tensor<?x2xf32> -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// CHECK-LABEL: func.func @quantised_experts
func.func @quantised_experts(%x: tensor<?x64xf32>, %ids: tensor<?x2xi32>, %w: tensor<?x2xf32>,
                             %w1: tensor<8x32x32xi8>, %s1: tensor<8x32x2xf16>, %z1: tensor<8x32x1xi8>,
                             %w2: tensor<8x64x16xi8>, %s2: tensor<8x64x1xf16>, %z2: tensor<8x32xi8>)
    -> tensor<?x64xf32> {
  // CHECK: activation = #moe.activation<relu>, quant = #moe.quant<bits = 4, block = 32>, scale_input
  %y = moe.experts %x, %ids, %w w_in(%w1 : tensor<8x32x32xi8>) w_out(%w2 : tensor<8x64x16xi8>)
       s_in(%s1 : tensor<8x32x2xf16>) s_out(%s2 : tensor<8x64x1xf16>)
       z_in(%z1 : tensor<8x32x1xi8>) z_out(%z2 : tensor<8x32xi8>)
       {activation = #moe.activation<relu>, quant = #moe.quant<bits = 4, block = 32>, scale_input}
       : tensor<?x64xf32>, tensor<?x2xi32>, tensor<?x2xf32> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// CHECK-LABEL: func.func @scheduled
func.func @scheduled(%x: tensor<?x16xf32>, %ids: tensor<?x2xi32>, %w: tensor<?x2xf32>,
                     %w1: tensor<8x64x16xf32>, %w2: tensor<8x16x32xf32>) -> tensor<?x16xf32> {
  // CHECK: moe.permute %{{.*}} {experts = 8 : i64} : tensor<?x2xi32> -> tensor<9xi32>, tensor<?xi32>, tensor<?x2xi32>
  %offsets, %slots, %positions = moe.permute %ids {experts = 8}
       : tensor<?x2xi32> -> tensor<9xi32>, tensor<?xi32>, tensor<?x2xi32>
  // CHECK: moe.grouped_matmul %{{.*}}, %{{.*}} slots(%{{.*}} : tensor<?xi32>) offsets(%{{.*}} : tensor<9xi32>) {activation = #moe.activation<silu, gate = halves>, element = f32, slots_per_row = 2 : i64} : tensor<?x16xf32>, tensor<8x64x16xf32> -> tensor<?x32xf32>
  %a = moe.grouped_matmul %x, %w1 slots(%slots : tensor<?xi32>) offsets(%offsets : tensor<9xi32>)
       {slots_per_row = 2, activation = #moe.activation<silu, gate = halves>, element = f32}
       : tensor<?x16xf32>, tensor<8x64x16xf32> -> tensor<?x32xf32>
  %rows = moe.grouped_matmul %a, %w2 offsets(%offsets : tensor<9xi32>) {element = f32}
       : tensor<?x32xf32>, tensor<8x16x32xf32> -> tensor<?x16xf32>
  // CHECK: moe.combine %{{.*}}, %{{.*}} weights(%{{.*}} : tensor<?x2xf32>) addend(%{{.*}} : tensor<?x16xf32>) {element = f32} : tensor<?x16xf32>, tensor<?x2xi32> -> tensor<?x16xf32>
  %y = moe.combine %rows, %positions weights(%w : tensor<?x2xf32>) addend(%x : tensor<?x16xf32>) {element = f32}
       : tensor<?x16xf32>, tensor<?x2xi32> -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// expected-error @below {{requires a positive top_k, but it is 0}}
func.func private @router() attributes {a = #moe.router<top_k = 0>}

// -----

// expected-error @below {{requires 1 <= kept_groups <= groups, but they are 3 and 2}}
func.func private @router_groups() attributes {a = #moe.router<top_k = 1, groups = 2, kept_groups = 3>}

// -----

// expected-error @below {{requires a gate for beta and limit}}
func.func private @activation() attributes {a = #moe.activation<relu, beta = 1.0>}

// -----

// expected-error @below {{requires 2, 4 or 8 bits, but they are 3}}
func.func private @quant() attributes {a = #moe.quant<bits = 3>}

// -----

func.func @route_c1(%l: tensor<?x8xf32>, %bias: tensor<7xf32>) {
  // expected-error @below {{requires dimension 0 of selection_bias and 1 of logits to be equal, but they are 7 and 8}}
  %ids, %weights = moe.route %l selection_bias(%bias : tensor<7xf32>) {router = #moe.router<top_k = 2>}
       : tensor<?x8xf32> -> tensor<?x2xi32>, tensor<?x2xf32>
  return
}

// -----

func.func @route_c2(%l: tensor<?x8xf32>) {
  // expected-error @below {{requires 1 <= top_k <= 8, but top_k is 9}}
  %ids, %weights = moe.route %l {router = #moe.router<top_k = 9>}
       : tensor<?x8xf32> -> tensor<?x9xi32>, tensor<?x9xf32>
  return
}

// -----

func.func @route_c2_groups(%l: tensor<?x8xf32>) {
  // expected-error @below {{requires top_k of at most the 4 experts of the kept groups, but it is 5}}
  %ids, %weights = moe.route %l {router = #moe.router<top_k = 5, groups = 4, kept_groups = 2>}
       : tensor<?x8xf32> -> tensor<?x5xi32>, tensor<?x5xf32>
  return
}

// -----

func.func @route_c3(%l: tensor<?x8xf32>, %bias: tensor<8xf32>) {
  // expected-error @below {{requires the sparse mixer to have neither bias nor values}}
  %ids, %weights = moe.route %l selection_bias(%bias : tensor<8xf32>) {router = #moe.router<top_k = 2, score = sparse_mixer>}
       : tensor<?x8xf32> -> tensor<?x2xi32>, tensor<?x2xf32>
  return
}

// -----

func.func @experts_c1(%x: tensor<?x16xf32>, %ids: tensor<?x2xi32>, %w: tensor<?x3xf32>,
                      %w1: tensor<8x32x16xf32>, %w2: tensor<8x16x32xf32>) {
  // expected-error @below {{requires dimension 1 of weights and 1 of ids to be equal, but they are 3 and 2}}
  %y = moe.experts %x, %ids, %w w_in(%w1 : tensor<8x32x16xf32>) w_out(%w2 : tensor<8x16x32xf32>)
       {activation = #moe.activation<relu>}
       : tensor<?x16xf32>, tensor<?x2xi32>, tensor<?x3xf32> -> tensor<?x16xf32>
  return
}

// -----

func.func @experts_c2(%x: tensor<?x16xf32>, %ids: tensor<?x2xi32>, %w: tensor<?x2xf32>,
                      %w1: tensor<8x64x16xf32>, %w2: tensor<8x16x64xf32>) {
  // expected-error @below {{requires dimension 2 of w_out to be 32, but it is 64}}
  %y = moe.experts %x, %ids, %w w_in(%w1 : tensor<8x64x16xf32>) w_out(%w2 : tensor<8x16x64xf32>)
       {activation = #moe.activation<silu, gate = halves>}
       : tensor<?x16xf32>, tensor<?x2xi32>, tensor<?x2xf32> -> tensor<?x16xf32>
  return
}

// -----

func.func @experts_c3(%x: tensor<?x16xf32>, %ids: tensor<?x2xi32>, %w: tensor<?x2xf32>,
                      %w1: tensor<8x32x16xf32>, %w2: tensor<8x16x32xf32>, %b: tensor<8x16xf32>) {
  // expected-error @below {{requires dimension 1 of b_in to be 32, but it is 16}}
  %y = moe.experts %x, %ids, %w w_in(%w1 : tensor<8x32x16xf32>) w_out(%w2 : tensor<8x16x32xf32>)
       b_in(%b : tensor<8x16xf32>) {activation = #moe.activation<relu>}
       : tensor<?x16xf32>, tensor<?x2xi32>, tensor<?x2xf32> -> tensor<?x16xf32>
  return
}

// -----

func.func @experts_c4(%x: tensor<?x16xf32>, %ids: tensor<?x2xi32>, %w: tensor<?x2xf32>,
                      %w1: tensor<8x32x16xf32>, %w2: tensor<8x16x32xf32>) {
  // expected-error @below {{requires w_up for a separate gate, and only for it}}
  %y = moe.experts %x, %ids, %w w_in(%w1 : tensor<8x32x16xf32>) w_out(%w2 : tensor<8x16x32xf32>)
       {activation = #moe.activation<silu, gate = separate>}
       : tensor<?x16xf32>, tensor<?x2xi32>, tensor<?x2xf32> -> tensor<?x16xf32>
  return
}

// -----

func.func @experts_c5(%x: tensor<?x64xf32>, %ids: tensor<?x2xi32>, %w: tensor<?x2xf32>,
                      %w1: tensor<8x32x32xi8>, %s1: tensor<8x32x3xf16>,
                      %w2: tensor<8x64x16xi8>, %s2: tensor<8x64x1xf16>) {
  // expected-error @below {{requires dimension 2 of s_in to be 2, but it is 3}}
  %y = moe.experts %x, %ids, %w w_in(%w1 : tensor<8x32x32xi8>) w_out(%w2 : tensor<8x64x16xi8>)
       s_in(%s1 : tensor<8x32x3xf16>) s_out(%s2 : tensor<8x64x1xf16>)
       {activation = #moe.activation<relu>, quant = #moe.quant<bits = 4, block = 32>}
       : tensor<?x64xf32>, tensor<?x2xi32>, tensor<?x2xf32> -> tensor<?x64xf32>
  return
}

// -----

func.func @permute_c1(%ids: tensor<?x2xi32>) {
  // expected-error @below {{requires a positive number of experts, but it is 0}}
  %offsets, %slots, %positions = moe.permute %ids {experts = 0}
       : tensor<?x2xi32> -> tensor<1xi32>, tensor<?xi32>, tensor<?x2xi32>
  return
}

// -----

func.func @grouped_matmul_c1(%x: tensor<?x16xf32>, %w: tensor<1x64x8xf32>) {
  // expected-error @below {{requires dimension 2 of w to be 16, but it is 8}}
  %y = moe.grouped_matmul %x, %w {element = f32} : tensor<?x16xf32>, tensor<1x64x8xf32> -> tensor<?x64xf32>
  return
}

// -----

func.func @grouped_matmul_c2(%x: tensor<?x16xf32>, %w: tensor<1x64x16xf32>, %s: tensor<?x2xf32>) {
  // expected-error @below {{requires slots for input_scales}}
  %y = moe.grouped_matmul %x, %w input_scales(%s : tensor<?x2xf32>) {element = f32}
       : tensor<?x16xf32>, tensor<1x64x16xf32> -> tensor<?x64xf32>
  return
}

// -----

func.func @grouped_matmul_c3(%x: tensor<?x16xf32>, %w: tensor<1x64x16xf32>, %b: tensor<1x16xf32>) {
  // expected-error @below {{requires dimension 1 of b to be 64, but it is 16}}
  %y = moe.grouped_matmul %x, %w bias(%b : tensor<1x16xf32>) {element = f32}
       : tensor<?x16xf32>, tensor<1x64x16xf32> -> tensor<?x64xf32>
  return
}

// -----

func.func @grouped_matmul_c4(%x: tensor<?x16xf32>, %w: tensor<8x64x16xf32>) {
  // expected-error @below {{requires offsets or experts to choose among 8 matrices}}
  %y = moe.grouped_matmul %x, %w {element = f32} : tensor<?x16xf32>, tensor<8x64x16xf32> -> tensor<?x64xf32>
  return
}

// -----

func.func @grouped_matmul_c5(%x: tensor<?x16xf32>, %w: tensor<1x64x16xf32>) {
  // expected-error @below {{requires w_up for a separate gate, and only for it}}
  %y = moe.grouped_matmul %x, %w w_up(%w : tensor<1x64x16xf32>) {element = f32}
       : tensor<?x16xf32>, tensor<1x64x16xf32> -> tensor<?x64xf32>
  return
}

// -----

func.func @combine_c1(%rows: tensor<?x16xf32>, %p: tensor<?x2xi32>, %w: tensor<?x3xf32>) {
  // expected-error @below {{requires dimension 1 of weights and 1 of positions to be equal, but they are 3 and 2}}
  %y = moe.combine %rows, %p weights(%w : tensor<?x3xf32>) {element = f32}
       : tensor<?x16xf32>, tensor<?x2xi32> -> tensor<?x16xf32>
  return
}

// -----

func.func @dequantize_c1(%x: tensor<64x16xi8>, %s: tensor<2x16xf32>, %z: tensor<2x16xi4>) {
  // expected-error @below {{requires zero points of type 'tensor<2x16xi8>', but they are 'tensor<2x16xi4>'}}
  %y = moe.dequantize %x scales(%s : tensor<2x16xf32>) zero_points(%z : tensor<2x16xi4>)
       {axis = 0, block = 32, element = f32} : tensor<64x16xi8> -> tensor<64x16xf32>
  return
}

// -----

func.func @dequantize_c2(%x: tensor<64x16xi8>, %s: tensor<3x16xf32>) {
  // expected-error @below {{requires dimension 0 of scales to be 2, but it is 3}}
  %y = moe.dequantize %x scales(%s : tensor<3x16xf32>) {axis = 0, block = 32, element = f32}
       : tensor<64x16xi8> -> tensor<64x16xf32>
  return
}

// -----

func.func @dequantize_c3(%x: tensor<64x16xi8>, %s: tensor<1x16xf32>) {
  // expected-error @below {{requires a dimension and a block that is not negative, but they are 2 and 0}}
  %y = moe.dequantize %x scales(%s : tensor<1x16xf32>) {axis = 2, element = f32}
       : tensor<64x16xi8> -> tensor<64x16xf32>
  return
}
