// What the operators with a recurrent state cannot mean is refused by name.
// RUN: moec-opt %s --moec-raise-onnx --split-input-file --verify-diagnostics

func.func @main(%q: tensor<?x?x24xf32>, %k: tensor<?x?x12xf32>, %v: tensor<?x?x10xf32>, %g: tensor<?x?x2xf32>, %b: tensor<?x?x2xf32>) -> !onnx.unknown {
  %none = onnx.absent : none
  // expected-error @below {{cannot raise LinearAttention: q_num_heads must be a multiple of kv_num_heads, but they are 4 and 3}}
  %y:2 = onnx.node domain "com.microsoft" "LinearAttention" version 1 parameters {q_num_heads = 4 : i64, kv_num_heads = 3 : i64} (%q, %k, %v, %none, %g, %b)
       : (tensor<?x?x24xf32>, tensor<?x?x12xf32>, tensor<?x?x10xf32>, none, tensor<?x?x2xf32>, tensor<?x?x2xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

// Fewer query heads than states are ONNX Runtime's alone.
func.func @main(%q: tensor<?x?x24xf32>, %k: tensor<?x?x12xf32>, %v: tensor<?x?x10xf32>, %g: tensor<?x?x2xf32>, %b: tensor<?x?x2xf32>) -> !onnx.unknown {
  %none = onnx.absent : none
  // expected-error @below {{cannot raise LinearAttention: q_num_heads must be a multiple of kv_num_heads, but they are 2 and 4}}
  %y:2 = onnx.node "LinearAttention" version 27 parameters {q_num_heads = 2 : i64, kv_num_heads = 4 : i64} (%q, %k, %v, %none, %g, %b)
       : (tensor<?x?x24xf32>, tensor<?x?x12xf32>, tensor<?x?x10xf32>, none, tensor<?x?x2xf32>, tensor<?x?x2xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

// So are keys of fewer heads.
func.func @main(%q: tensor<?x?x24xf32>, %k: tensor<?x?x6xf32>, %v: tensor<?x?x10xf32>, %g: tensor<?x?x2xf32>, %b: tensor<?x?x2xf32>) -> !onnx.unknown {
  %none = onnx.absent : none
  // expected-error @below {{cannot raise LinearAttention: dimension 2 of the key must be 12, but it is 6}}
  %y:2 = onnx.node "LinearAttention" version 27 parameters {q_num_heads = 4 : i64, kv_num_heads = 2 : i64} (%q, %k, %v, %none, %g, %b)
       : (tensor<?x?x24xf32>, tensor<?x?x6xf32>, tensor<?x?x10xf32>, none, tensor<?x?x2xf32>, tensor<?x?x2xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%q: tensor<?x?x24xf32>, %k: tensor<?x?x12xf32>, %v: tensor<?x?x10xf32>, %g: tensor<?x?x2xf32>, %b: tensor<?x?x2xf32>) -> !onnx.unknown {
  %none = onnx.absent : none
  // expected-error @below {{cannot raise LinearAttention: attribute 'state_window' = 1 : i64 is not supported}}
  %y:2 = onnx.node "LinearAttention" version 27 parameters {q_num_heads = 4 : i64, kv_num_heads = 2 : i64, state_window = 1 : i64} (%q, %k, %v, %none, %g, %b)
       : (tensor<?x?x24xf32>, tensor<?x?x12xf32>, tensor<?x?x10xf32>, none, tensor<?x?x2xf32>, tensor<?x?x2xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%q: tensor<?x24xf32>, %k: tensor<?x?x12xf32>, %v: tensor<?x?x10xf32>, %g: tensor<?x?x2xf32>, %b: tensor<?x?x2xf32>) -> !onnx.unknown {
  %none = onnx.absent : none
  // expected-error @below {{cannot raise LinearAttention: the query has 3 dimensions, but this one has 2}}
  %y:2 = onnx.node domain "com.microsoft" "LinearAttention" version 1 parameters {q_num_heads = 4 : i64, kv_num_heads = 2 : i64} (%q, %k, %v, %none, %g, %b)
       : (tensor<?x24xf32>, tensor<?x?x12xf32>, tensor<?x?x10xf32>, none, tensor<?x?x2xf32>, tensor<?x?x2xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%q: tensor<?x?x24xf32>, %k: tensor<?x?x2x6xf32>, %v: tensor<?x?x10xf32>, %g: tensor<?x?x2xf32>, %b: tensor<?x?x2xf32>) -> !onnx.unknown {
  %none = onnx.absent : none
  // expected-error @below {{cannot raise LinearAttention: the key has 3 dimensions, but this one has 4}}
  %y:2 = onnx.node domain "com.microsoft" "LinearAttention" version 1 parameters {q_num_heads = 4 : i64, kv_num_heads = 2 : i64} (%q, %k, %v, %none, %g, %b)
       : (tensor<?x?x24xf32>, tensor<?x?x2x6xf32>, tensor<?x?x10xf32>, none, tensor<?x?x2xf32>, tensor<?x?x2xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%q: tensor<2x?x24xf32>, %k: tensor<?x?x12xf32>, %v: tensor<3x?x10xf32>, %g: tensor<?x?x2xf32>, %b: tensor<?x?x2xf32>) -> !onnx.unknown {
  %none = onnx.absent : none
  // expected-error @below {{cannot raise LinearAttention: dimension 0 of the value must be 2, but it is 3}}
  %y:2 = onnx.node domain "com.microsoft" "LinearAttention" version 1 parameters {q_num_heads = 4 : i64, kv_num_heads = 2 : i64} (%q, %k, %v, %none, %g, %b)
       : (tensor<2x?x24xf32>, tensor<?x?x12xf32>, tensor<3x?x10xf32>, none, tensor<?x?x2xf32>, tensor<?x?x2xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%q: tensor<?x?x26xf32>, %k: tensor<?x?x12xf32>, %v: tensor<?x?x10xf32>, %g: tensor<?x?x2xf32>, %b: tensor<?x?x2xf32>) -> !onnx.unknown {
  %none = onnx.absent : none
  // expected-error @below {{cannot raise LinearAttention: the query must be of 4 heads, but its size is 26}}
  %y:2 = onnx.node domain "com.microsoft" "LinearAttention" version 1 parameters {q_num_heads = 4 : i64, kv_num_heads = 2 : i64} (%q, %k, %v, %none, %g, %b)
       : (tensor<?x?x26xf32>, tensor<?x?x12xf32>, tensor<?x?x10xf32>, none, tensor<?x?x2xf32>, tensor<?x?x2xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%q: tensor<?x?x24xf32>, %k: tensor<?x?x12xf32>, %v: tensor<?x?x11xf32>, %g: tensor<?x?x2xf32>, %b: tensor<?x?x2xf32>) -> !onnx.unknown {
  %none = onnx.absent : none
  // expected-error @below {{cannot raise LinearAttention: the value must be of 2 heads, but its size is 11}}
  %y:2 = onnx.node domain "com.microsoft" "LinearAttention" version 1 parameters {q_num_heads = 4 : i64, kv_num_heads = 2 : i64} (%q, %k, %v, %none, %g, %b)
       : (tensor<?x?x24xf32>, tensor<?x?x12xf32>, tensor<?x?x11xf32>, none, tensor<?x?x2xf32>, tensor<?x?x2xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%q: tensor<?x?x?xf32>, %k: tensor<?x?x12xf32>, %v: tensor<?x?x10xf32>, %g: tensor<?x?x2xf32>, %b: tensor<?x?x2xf32>) -> !onnx.unknown {
  %none = onnx.absent : none
  // expected-error @below {{cannot raise LinearAttention: the size of a query head must be known and positive}}
  %y:2 = onnx.node domain "com.microsoft" "LinearAttention" version 1 parameters {q_num_heads = 4 : i64, kv_num_heads = 2 : i64} (%q, %k, %v, %none, %g, %b)
       : (tensor<?x?x?xf32>, tensor<?x?x12xf32>, tensor<?x?x10xf32>, none, tensor<?x?x2xf32>, tensor<?x?x2xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%q: tensor<?x?x24xf32>, %k: tensor<?x?x12xf32>, %v: tensor<?x?x10xf32>, %g: tensor<?x?x2xf32>, %b: tensor<?x?x2xf32>) -> !onnx.unknown {
  %none = onnx.absent : none
  // expected-error @below {{cannot raise LinearAttention: update_rule 'retention' is unknown}}
  %y:2 = onnx.node domain "com.microsoft" "LinearAttention" version 1 parameters {q_num_heads = 4 : i64, kv_num_heads = 2 : i64, update_rule = "retention"} (%q, %k, %v, %none, %g, %b)
       : (tensor<?x?x24xf32>, tensor<?x?x12xf32>, tensor<?x?x10xf32>, none, tensor<?x?x2xf32>, tensor<?x?x2xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%q: tensor<?x?x24xf32>, %k: tensor<?x?x12xf32>, %v: tensor<?x?x10xf32>) -> !onnx.unknown {
  // expected-error @below {{cannot raise LinearAttention: update_rule 'gated' needs decay}}
  %y:2 = onnx.node domain "com.microsoft" "LinearAttention" version 1 parameters {q_num_heads = 4 : i64, kv_num_heads = 2 : i64, update_rule = "gated"} (%q, %k, %v)
       : (tensor<?x?x24xf32>, tensor<?x?x12xf32>, tensor<?x?x10xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%q: tensor<?x?x24xf32>, %k: tensor<?x?x12xf32>, %v: tensor<?x?x10xf32>, %g: tensor<?x?x2xf32>) -> !onnx.unknown {
  %none = onnx.absent : none
  // expected-error @below {{cannot raise LinearAttention: update_rule 'gated_delta' needs beta}}
  %y:2 = onnx.node domain "com.microsoft" "LinearAttention" version 1 parameters {q_num_heads = 4 : i64, kv_num_heads = 2 : i64} (%q, %k, %v, %none, %g)
       : (tensor<?x?x24xf32>, tensor<?x?x12xf32>, tensor<?x?x10xf32>, none, tensor<?x?x2xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%q: tensor<?x?x24xf32>, %k: tensor<?x?x12xf32>, %v: tensor<?x?x10xf32>, %g: tensor<?x?x2xf32>, %b: tensor<?x?x2xf32>) -> !onnx.unknown {
  %none = onnx.absent : none
  // expected-error @below {{cannot raise LinearAttention: update_rule 'delta' has no decay}}
  %y:2 = onnx.node domain "com.microsoft" "LinearAttention" version 1 parameters {q_num_heads = 4 : i64, kv_num_heads = 2 : i64, update_rule = "delta"} (%q, %k, %v, %none, %g, %b)
       : (tensor<?x?x24xf32>, tensor<?x?x12xf32>, tensor<?x?x10xf32>, none, tensor<?x?x2xf32>, tensor<?x?x2xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%q: tensor<?x?x24xf32>, %k: tensor<?x?x12xf32>, %v: tensor<?x?x10xf32>, %g: tensor<?x?x2xf32>, %b: tensor<?x?x2xf32>) -> !onnx.unknown {
  %none = onnx.absent : none
  // expected-error @below {{cannot raise LinearAttention: update_rule 'gated' has no beta}}
  %y:2 = onnx.node domain "com.microsoft" "LinearAttention" version 1 parameters {q_num_heads = 4 : i64, kv_num_heads = 2 : i64, update_rule = "gated"} (%q, %k, %v, %none, %g, %b)
       : (tensor<?x?x24xf32>, tensor<?x?x12xf32>, tensor<?x?x10xf32>, none, tensor<?x?x2xf32>, tensor<?x?x2xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%q: tensor<?x?x24xf32>, %k: tensor<?x?x12xf32>, %v: tensor<?x?x10xf32>, %g: tensor<?x?x4xf32>, %b: tensor<?x?x2xf32>) -> !onnx.unknown {
  %none = onnx.absent : none
  // expected-error @below {{cannot raise LinearAttention: decay must be of the size 12 or 2, but it is 4}}
  %y:2 = onnx.node domain "com.microsoft" "LinearAttention" version 1 parameters {q_num_heads = 4 : i64, kv_num_heads = 2 : i64} (%q, %k, %v, %none, %g, %b)
       : (tensor<?x?x24xf32>, tensor<?x?x12xf32>, tensor<?x?x10xf32>, none, tensor<?x?x4xf32>, tensor<?x?x2xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%q: tensor<?x?x24xf32>, %k: tensor<?x?x12xf32>, %v: tensor<?x?x10xf32>, %g: tensor<?x?x?xf32>, %b: tensor<?x?x2xf32>) -> !onnx.unknown {
  %none = onnx.absent : none
  // expected-error @below {{cannot raise LinearAttention: decay must be of the size 12 or 2}}
  %y:2 = onnx.node domain "com.microsoft" "LinearAttention" version 1 parameters {q_num_heads = 4 : i64, kv_num_heads = 2 : i64} (%q, %k, %v, %none, %g, %b)
       : (tensor<?x?x24xf32>, tensor<?x?x12xf32>, tensor<?x?x10xf32>, none, tensor<?x?x?xf32>, tensor<?x?x2xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%q: tensor<?x?x24xf32>, %k: tensor<?x?x12xf32>, %v: tensor<?x?x10xf32>, %g: tensor<?x?x2xf32>, %b: tensor<?x?x4xf32>) -> !onnx.unknown {
  %none = onnx.absent : none
  // expected-error @below {{cannot raise LinearAttention: beta must be of the size 2 or 1, but it is 4}}
  %y:2 = onnx.node domain "com.microsoft" "LinearAttention" version 1 parameters {q_num_heads = 4 : i64, kv_num_heads = 2 : i64} (%q, %k, %v, %none, %g, %b)
       : (tensor<?x?x24xf32>, tensor<?x?x12xf32>, tensor<?x?x10xf32>, none, tensor<?x?x2xf32>, tensor<?x?x4xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%q: tensor<?x?x24xf32>, %k: tensor<?x?x12xf32>, %v: tensor<?x?x10xf32>, %p: tensor<?x2x5x5xf32>, %g: tensor<?x?x2xf32>, %b: tensor<?x?x2xf32>) -> !onnx.unknown {
  // expected-error @below {{cannot raise LinearAttention: dimension 2 of past_state must be 6, but it is 5}}
  %y:2 = onnx.node domain "com.microsoft" "LinearAttention" version 1 parameters {q_num_heads = 4 : i64, kv_num_heads = 2 : i64} (%q, %k, %v, %p, %g, %b)
       : (tensor<?x?x24xf32>, tensor<?x?x12xf32>, tensor<?x?x10xf32>, tensor<?x2x5x5xf32>, tensor<?x?x2xf32>, tensor<?x?x2xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%q: tensor<?x?x24xf32>, %k: tensor<?x?x12xf32>, %v: tensor<?x?x10xf32>, %p: tensor<?x2x6x5xf32>, %g: tensor<?x?x2xf32>, %b: tensor<?x?x2xf32>) -> !onnx.unknown {
  // expected-error @below {{cannot raise LinearAttention: past_state has 5 dimensions, but this one has 4}}
  %y:2 = onnx.node domain "com.microsoft" "LinearAttention" version 1 parameters {q_num_heads = 4 : i64, kv_num_heads = 2 : i64, state_window = 2 : i64} (%q, %k, %v, %p, %g, %b)
       : (tensor<?x?x24xf32>, tensor<?x?x12xf32>, tensor<?x?x10xf32>, tensor<?x2x6x5xf32>, tensor<?x?x2xf32>, tensor<?x?x2xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%q: tensor<?x?x24xf32>, %k: tensor<?x?x12xf32>, %v: tensor<?x?x10xf32>, %g: tensor<?x?x2xf32>, %b: tensor<?x?x2xf32>) -> !onnx.unknown {
  %none = onnx.absent : none
  // expected-error @below {{cannot raise LinearAttention: state_window is 0 to 8, but it is 9}}
  %y:2 = onnx.node domain "com.microsoft" "LinearAttention" version 1 parameters {q_num_heads = 4 : i64, kv_num_heads = 2 : i64, state_window = 9 : i64} (%q, %k, %v, %none, %g, %b)
       : (tensor<?x?x24xf32>, tensor<?x?x12xf32>, tensor<?x?x10xf32>, none, tensor<?x?x2xf32>, tensor<?x?x2xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%q: tensor<?x?x24xf32>, %k: tensor<?x?x12xf16>, %v: tensor<?x?x10xf32>, %g: tensor<?x?x2xf32>, %b: tensor<?x?x2xf32>) -> !onnx.unknown {
  %none = onnx.absent : none
  // expected-error @below {{cannot raise LinearAttention: query, key and value must be of one type}}
  %y:2 = onnx.node domain "com.microsoft" "LinearAttention" version 1 parameters {q_num_heads = 4 : i64, kv_num_heads = 2 : i64} (%q, %k, %v, %none, %g, %b)
       : (tensor<?x?x24xf32>, tensor<?x?x12xf16>, tensor<?x?x10xf32>, none, tensor<?x?x2xf32>, tensor<?x?x2xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%q: tensor<?x?x24xf32>, %k: tensor<?x?x12xf32>, %v: tensor<?x?x10xf32>, %g: tensor<?x?x2xsi32>, %b: tensor<?x?x2xf32>) -> !onnx.unknown {
  %none = onnx.absent : none
  // expected-error @below {{cannot raise LinearAttention: input 4 must be of floats}}
  %y:2 = onnx.node domain "com.microsoft" "LinearAttention" version 1 parameters {q_num_heads = 4 : i64, kv_num_heads = 2 : i64} (%q, %k, %v, %none, %g, %b)
       : (tensor<?x?x24xf32>, tensor<?x?x12xf32>, tensor<?x?x10xf32>, none, tensor<?x?x2xsi32>, tensor<?x?x2xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

// What ONNX Runtime's CUDA kernel alone knows is refused, unless it means nothing.
func.func @main(%x: tensor<?x?x6xf32>, %w: tensor<6x1x4xf32>) -> !onnx.unknown {
  // expected-error @below {{cannot raise CausalConvWithState: state_update_capacity = 4 is not supported}}
  %y:2 = onnx.node domain "com.microsoft" "CausalConvWithState" version 1 parameters {channels_last = 1 : i64, state_update_capacity = 4 : i64} (%x, %w)
       : (tensor<?x?x6xf32>, tensor<6x1x4xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%x: tensor<?x?x6xf32>, %w: tensor<6x1x4xf32>) -> !onnx.unknown {
  // expected-error @below {{cannot raise CausalConvWithState: state_channels_last = 1 is not supported}}
  %y:2 = onnx.node domain "com.microsoft" "CausalConvWithState" version 1 parameters {channels_last = 1 : i64, state_channels_last = 1 : i64} (%x, %w)
       : (tensor<?x?x6xf32>, tensor<6x1x4xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%x: tensor<?x?x6xf32>, %w: tensor<6x1x4xf32>) -> !onnx.unknown {
  // expected-error @below {{cannot raise CausalConvWithState: state_length = 8 is not supported}}
  %y:2 = onnx.node domain "com.microsoft" "CausalConvWithState" version 1 parameters {channels_last = 1 : i64, state_length = 8 : i64} (%x, %w)
       : (tensor<?x?x6xf32>, tensor<6x1x4xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%x: tensor<?x?x6xf32>, %w: tensor<6x1x4xf32>) -> !onnx.unknown {
  // expected-error @below {{cannot raise CausalConvWithState: input_channel_offset = 2 is not supported}}
  %y:2 = onnx.node domain "com.microsoft" "CausalConvWithState" version 1 parameters {channels_last = 1 : i64, input_channel_offset = 2 : i64} (%x, %w)
       : (tensor<?x?x6xf32>, tensor<6x1x4xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%x: tensor<?x?x6xf32>, %w: tensor<6x1x4xf32>) -> !onnx.unknown {
  // expected-error @below {{cannot raise CausalConvWithState: input_channels = 3 is not supported}}
  %y:2 = onnx.node domain "com.microsoft" "CausalConvWithState" version 1 parameters {channels_last = 1 : i64, input_channels = 3 : i64} (%x, %w)
       : (tensor<?x?x6xf32>, tensor<6x1x4xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%x: tensor<?x6x?xf32>, %w: tensor<6x1x4xf32>) -> !onnx.unknown {
  // expected-error @below {{cannot raise CausalConvWithState: output 2 is used, but not computed}}
  %y:3 = onnx.node domain "com.microsoft" "CausalConvWithState" version 1 (%x, %w)
       : (tensor<?x6x?xf32>, tensor<6x1x4xf32>) -> (!onnx.unknown, !onnx.unknown, !onnx.unknown)
  return %y#2 : !onnx.unknown
}

// -----

// ONNX Runtime does not say how the other dimensions are padded.
func.func @main(%x: tensor<?x6x?x?xf32>, %w: tensor<6x1x2x4xf32>) -> !onnx.unknown {
  // expected-error @below {{cannot raise CausalConvWithState: ndim of 1 is supported, but it is 2}}
  %y:2 = onnx.node domain "com.microsoft" "CausalConvWithState" version 1 parameters {ndim = 2 : i64} (%x, %w)
       : (tensor<?x6x?x?xf32>, tensor<6x1x2x4xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%x: tensor<?x6x?xf32>, %w: tensor<6x1x4xf32>) -> !onnx.unknown {
  // expected-error @below {{cannot raise CausalConvWithState: dilation is at least 1, but it is 0}}
  %y:2 = onnx.node domain "com.microsoft" "CausalConvWithState" version 1 parameters {dilation = 0 : i64} (%x, %w)
       : (tensor<?x6x?xf32>, tensor<6x1x4xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%x: tensor<?x6x?xf32>, %w: tensor<6x1x4xf32>) -> !onnx.unknown {
  // expected-error @below {{cannot raise CausalConvWithState: state_window is 0 to 8, but it is -1}}
  %y:2 = onnx.node domain "com.microsoft" "CausalConvWithState" version 1 parameters {state_window = -1 : i64} (%x, %w)
       : (tensor<?x6x?xf32>, tensor<6x1x4xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%x: tensor<?x6x?xf32>, %w: tensor<6x1x4xf32>) -> !onnx.unknown {
  // expected-error @below {{cannot raise CausalConvWithState: activation 'gelu' is unknown}}
  %y:2 = onnx.node domain "com.microsoft" "CausalConvWithState" version 1 parameters {activation = "gelu"} (%x, %w)
       : (tensor<?x6x?xf32>, tensor<6x1x4xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%x: tensor<?x6x?x1xf32>, %w: tensor<6x1x4xf32>) -> !onnx.unknown {
  // expected-error @below {{cannot raise CausalConvWithState: the input has 3 dimensions, but this one has 4}}
  %y:2 = onnx.node domain "com.microsoft" "CausalConvWithState" version 1 (%x, %w)
       : (tensor<?x6x?x1xf32>, tensor<6x1x4xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%x: tensor<?x6xf32>, %w: tensor<6x1x4xf32>) -> !onnx.unknown {
  // expected-error @below {{cannot raise CausalConvWithState: the input has 3 dimensions or more, but this one has 2}}
  %y:2 = onnx.node domain "com.microsoft" "CausalConvWithState" version 1 parameters {channels_last = 1 : i64} (%x, %w)
       : (tensor<?x6xf32>, tensor<6x1x4xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%x: tensor<?x6x?xf32>, %w: tensor<6x4xf32>) -> !onnx.unknown {
  // expected-error @below {{cannot raise CausalConvWithState: the weight has 3 dimensions, but this one has 2}}
  %y:2 = onnx.node domain "com.microsoft" "CausalConvWithState" version 1 (%x, %w)
       : (tensor<?x6x?xf32>, tensor<6x4xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%x: tensor<?x6x?xf32>, %w: tensor<5x1x4xf32>) -> !onnx.unknown {
  // expected-error @below {{cannot raise CausalConvWithState: dimension 0 of the weight must be 6, but it is 5}}
  %y:2 = onnx.node domain "com.microsoft" "CausalConvWithState" version 1 (%x, %w)
       : (tensor<?x6x?xf32>, tensor<5x1x4xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%x: tensor<?x6x?xf32>, %w: tensor<6x1x0xf32>) -> !onnx.unknown {
  // expected-error @below {{cannot raise CausalConvWithState: the weight has no taps}}
  %y:2 = onnx.node domain "com.microsoft" "CausalConvWithState" version 1 (%x, %w)
       : (tensor<?x6x?xf32>, tensor<6x1x0xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%x: tensor<?x6x?xf32>, %w: tensor<6x1x4xf32>, %b: tensor<5xf32>) -> !onnx.unknown {
  // expected-error @below {{cannot raise CausalConvWithState: dimension 0 of the bias must be 6, but it is 5}}
  %y:2 = onnx.node domain "com.microsoft" "CausalConvWithState" version 1 (%x, %w, %b)
       : (tensor<?x6x?xf32>, tensor<6x1x4xf32>, tensor<5xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%x: tensor<?x6x?xf32>, %w: tensor<6x1x4xf32>, %p: tensor<?x6x3xf32>) -> !onnx.unknown {
  %none = onnx.absent : none
  // expected-error @below {{cannot raise CausalConvWithState: dimension 2 of past_state must be 6, but it is 3}}
  %y:2 = onnx.node domain "com.microsoft" "CausalConvWithState" version 1 parameters {dilation = 2 : i64} (%x, %w, %none, %p)
       : (tensor<?x6x?xf32>, tensor<6x1x4xf32>, none, tensor<?x6x3xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%x: tensor<?x6x?xf32>, %w: tensor<6x1x4xf32>, %p: tensor<?x6x3xf32>) -> !onnx.unknown {
  %none = onnx.absent : none
  // expected-error @below {{cannot raise CausalConvWithState: past_state has 4 dimensions, but this one has 3}}
  %y:2 = onnx.node domain "com.microsoft" "CausalConvWithState" version 1 parameters {state_window = 2 : i64} (%x, %w, %none, %p)
       : (tensor<?x6x?xf32>, tensor<6x1x4xf32>, none, tensor<?x6x3xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%x: tensor<?x6x?xf32>, %w: tensor<6x1x4xf32>) -> !onnx.unknown {
  // expected-error @below {{cannot raise CausalConvWithState: attribute 'dilation' = 2 : i64 is not supported}}
  %y:2 = onnx.node "CausalConvWithState" version 27 parameters {dilation = 2 : i64} (%x, %w)
       : (tensor<?x6x?xf32>, tensor<6x1x4xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%x: tensor<?x6x?xf32>, %w: tensor<6x1x4xf32>) -> !onnx.unknown {
  // expected-error @below {{cannot raise CausalConvWithState: attribute 'channels_last' = 1 : i64 is not supported}}
  %y:2 = onnx.node "CausalConvWithState" version 27 parameters {channels_last = 1 : i64} (%x, %w)
       : (tensor<?x6x?xf32>, tensor<6x1x4xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%x: tensor<?x6x?xf32>, %w: tensor<6x1x4xf16>) -> !onnx.unknown {
  // expected-error @below {{cannot raise CausalConvWithState: its inputs must be of one type of floats}}
  %y:2 = onnx.node domain "com.microsoft" "CausalConvWithState" version 1 (%x, %w)
       : (tensor<?x6x?xf32>, tensor<6x1x4xf16>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

func.func @main(%x: tensor<?x6x?xsi32>, %w: tensor<6x1x4xsi32>) -> !onnx.unknown {
  // expected-error @below {{cannot raise CausalConvWithState: its inputs must be of one type of floats}}
  %y:2 = onnx.node domain "com.microsoft" "CausalConvWithState" version 1 (%x, %w)
       : (tensor<?x6x?xsi32>, tensor<6x1x4xsi32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}

// -----

// Both are ONNX's from version 27 on.
func.func @main(%x: tensor<?x6x?xf32>, %w: tensor<6x1x4xf32>) -> !onnx.unknown {
  // expected-error @below {{operator ai.onnx::CausalConvWithState version 26 is outside the versions 27 to 27 that moec knows, used 1 times}}
  %y:2 = onnx.node "CausalConvWithState" version 26 (%x, %w)
       : (tensor<?x6x?xf32>, tensor<6x1x4xf32>) -> (!onnx.unknown, !onnx.unknown)
  // expected-error @below {{operator ai.onnx::LinearAttention version 26 is outside the versions 27 to 27 that moec knows, used 1 times}}
  %z:2 = onnx.node "LinearAttention" version 26 (%x, %x, %x)
       : (tensor<?x6x?xf32>, tensor<?x6x?xf32>, tensor<?x6x?xf32>) -> (!onnx.unknown, !onnx.unknown)
  return %y#0 : !onnx.unknown
}
