// Heads are unpacked for the operation; the state goes in and comes out as it is.
// A convolution that continues is a sum over its taps in one computation of the
// state with the input behind it, whose end is the next state.
// RUN: moec-opt %s --moec-raise --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[Q:.*]]: tensor<?x?x24xf16> {{.*}}, %[[K:.*]]: tensor<?x?x12xf16> {{.*}}, %[[V:.*]]: tensor<?x?x10xf16> {{.*}}, %[[PAST:.*]]: tensor<?x2x6x5xf32> {{.*}}, %[[DECAY:.*]]: tensor<?x?x2xf16> {{.*}}, %[[BETA:.*]]: tensor<?x?x1xf16>
// CHECK-NOT: cf.assert
// CHECK-DAG: %[[QUERIES:.*]] = tensor.expand_shape %[[Q]] {{.*}} into tensor<?x?x4x6xf16>
// CHECK-DAG: %[[KEYS:.*]] = tensor.expand_shape %[[K]] {{.*}} into tensor<?x?x2x6xf16>
// CHECK-DAG: %[[VALUES:.*]] = tensor.expand_shape %[[V]] {{.*}} into tensor<?x?x2x5xf16>
// CHECK-DAG: %[[DECAYS:.*]] = tensor.expand_shape %[[DECAY]] {{.*}} into tensor<?x?x2x1xf16>
// CHECK: %[[Y:.*]], %[[PRESENT:.*]] = attn.linear_attention %[[QUERIES]], %[[KEYS]], %[[VALUES]] state(%[[PAST]] : {{.*}}) decay(%[[DECAYS]] : {{.*}}) beta(%[[BETA]] : {{.*}}) {scale = 2.500000e-01 : f64}
// CHECK: %[[PACKED:.*]] = tensor.collapse_shape %[[Y]]
// CHECK: return %[[PACKED]], %[[PRESENT]] : tensor<?x?x20xf16>, tensor<?x2x6x5xf32>
func.func @main(%q: tensor<?x?x24xf16> {onnx.dims = ["B", "T", 24]}, %k: tensor<?x?x12xf16> {onnx.dims = ["B", "T", 12]},
                %v: tensor<?x?x10xf16> {onnx.dims = ["B", "T", 10]}, %p: tensor<?x2x6x5xf32> {onnx.dims = ["B", 2, 6, 5]},
                %g: tensor<?x?x2xf16> {onnx.dims = ["B", "T", 2]}, %b: tensor<?x?x1xf16> {onnx.dims = ["B", "T", 1]}) -> (!onnx.unknown, !onnx.unknown) {
  %y:2 = onnx.node domain "com.microsoft" "LinearAttention" version 1
      parameters {q_num_heads = 4 : i64, kv_num_heads = 2 : i64, scale = 0.25 : f32, chunk_size = 32 : i64} (%q, %k, %v, %p, %g, %b)
      : (tensor<?x?x24xf16>, tensor<?x?x12xf16>, tensor<?x?x10xf16>, tensor<?x2x6x5xf32>, tensor<?x?x2xf16>, tensor<?x?x1xf16>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0, %y#1 : !onnx.unknown, !onnx.unknown
}

// -----

// Without a past the state is zeros of the type that the model states; without
// a scale it is 1 / sqrt(16).
// CHECK-LABEL: func.func @main
// CHECK: %[[ZEROS:.*]] = linalg.fill {{.*}} -> tensor<?x2x16x5xf32>
// CHECK: attn.linear_attention {{.*}} state(%[[ZEROS]] : tensor<?x2x16x5xf32>) {scale = 2.500000e-01 : f64}
func.func @main(%q: tensor<?x?x32xf16>, %k: tensor<?x?x32xf16>, %v: tensor<?x?x10xf16>) -> tensor<?x2x16x5xf32> {
  %y:2 = onnx.node "LinearAttention" version 27 parameters {q_num_heads = 2 : i64, kv_num_heads = 2 : i64, update_rule = "linear"} (%q, %k, %v)
      : (tensor<?x?x32xf16>, tensor<?x?x32xf16>, tensor<?x?x10xf16>) -> (!onnx.unknown, tensor<?x2x16x5xf32>)
  return %y#1 : tensor<?x2x16x5xf32>
}

// -----

// A window of two states: all tokens but the last, then the last.
// CHECK-LABEL: func.func @main
// CHECK: %[[FIRST:.*]], %[[BEFORE:.*]] = attn.linear_attention
// CHECK: tensor.insert_slice %{{.*}} into %{{.*}}[0, 0, 0, 0, 0] [1, {{.*}}] {{.*}} into tensor<2x?x2x16x5xf32>
// CHECK: attn.linear_attention {{.*}} state(%[[BEFORE]] : tensor<?x2x16x5xf32>)
// CHECK: tensor.insert_slice %{{.*}} into %{{.*}}[1, 0, 0, 0, 0] [1, {{.*}}] {{.*}} into tensor<2x?x2x16x5xf32>
func.func @main(%q: tensor<?x?x32xf32>, %k: tensor<?x?x32xf32>, %v: tensor<?x?x10xf32>) -> (!onnx.unknown, !onnx.unknown) {
  %y:2 = onnx.node domain "com.microsoft" "LinearAttention" version 1
      parameters {q_num_heads = 2 : i64, kv_num_heads = 2 : i64, update_rule = "linear", state_window = 2 : i64} (%q, %k, %v)
      : (tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?x10xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0, %y#1 : !onnx.unknown, !onnx.unknown
}

// -----

// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[X:.*]]: tensor<?x6x?xf32> {{.*}}, %[[W:.*]]: tensor<6x1x4xf32> {{.*}}, %[[BIAS:.*]]: tensor<6xf32> {{.*}}, %[[PAST:.*]]: tensor<?x6x9xf32>
// CHECK: %[[OLD:.*]] = tensor.insert_slice %[[PAST]] into %{{.*}}[0, 0, 0]
// CHECK: %[[ALL:.*]] = tensor.insert_slice %[[X]] into %[[OLD]][0, 0, 9]
// CHECK: %[[Y:.*]] = linalg.generic
// CHECK: scf.for
// CHECK: tensor.extract %[[ALL]]
// CHECK: tensor.extract %[[W]]
// CHECK: tensor.extract %[[BIAS]]
// CHECK: math.exp
// CHECK: %[[END:.*]] = tensor.extract_slice %[[ALL]]
// CHECK: return %[[Y]], %[[END]]
func.func @main(%x: tensor<?x6x?xf32> {onnx.dims = ["B", 6, "T"]}, %w: tensor<6x1x4xf32>, %b: tensor<6xf32>,
                %p: tensor<?x6x9xf32> {onnx.dims = ["B", 6, 9]}) -> (!onnx.unknown, !onnx.unknown) {
  %y:2 = onnx.node domain "com.microsoft" "CausalConvWithState" version 1 parameters {activation = "silu", dilation = 3 : i64} (%x, %w, %b, %p)
       : (tensor<?x6x?xf32>, tensor<6x1x4xf32>, tensor<6xf32>, tensor<?x6x9xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0, %y#1 : !onnx.unknown, !onnx.unknown
}

// -----

// A kernel of one tap reaches no further back: its state is empty.
// CHECK-LABEL: func.func @main
// CHECK: %[[NONE:.*]] = tensor.empty() : tensor<2x6x0xf32>
// CHECK: return %{{.*}}, %[[NONE]]
func.func @main(%x: tensor<2x6x8xf32>, %w: tensor<6x1x1xf32>) -> (!onnx.unknown, !onnx.unknown) {
  %y:2 = onnx.node "CausalConvWithState" version 27 (%x, %w)
       : (tensor<2x6x8xf32>, tensor<6x1x1xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0, %y#1 : !onnx.unknown, !onnx.unknown
}
