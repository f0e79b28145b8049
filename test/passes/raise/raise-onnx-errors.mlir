// RUN: moec-opt %s --moec-raise-onnx --split-input-file --verify-diagnostics

// All unknown operators are reported at once.
func.func @main(%x: tensor<4xf32>) -> !onnx.unknown {
  // expected-error @below {{unknown operator ai.onnx::Frobnicate version 21, used 2 times}}
  %a = onnx.node "Frobnicate" version 21 (%x) : (tensor<4xf32>) -> !onnx.unknown
  %b = onnx.node "Frobnicate" version 21 (%a) : (!onnx.unknown) -> !onnx.unknown
  // expected-error @below {{unknown operator com.example::Add version 1, used 1 times}}
  %c = onnx.node domain "com.example" "Add" version 1 (%b) : (!onnx.unknown) -> !onnx.unknown
  return %c : !onnx.unknown
}

// -----

func.func @main(%x: tensor<2x4xf32>) -> !onnx.unknown {
  // expected-error @below {{axis 2 is outside a tensor of rank 2}}
  %a = onnx.node "Softmax" version 21 parameters {axis = 2 : i64} (%x) : (tensor<2x4xf32>) -> !onnx.unknown
  return %a : !onnx.unknown
}

// -----

func.func @main(%x: tensor<2x4xf32>) -> !onnx.unknown {
  // expected-error @below {{input 1 is missing}}
  %a = onnx.node "Add" version 14 (%x) : (tensor<2x4xf32>) -> !onnx.unknown
  return %a : !onnx.unknown
}

// -----

// Versions that the lowerings were not written for are no guess: operators that
// are too old or too new are reported together, like unknown ones.
func.func @main(%x: tensor<2x4xf32>) -> !onnx.unknown {
  // expected-error @below {{operator ai.onnx::Gelu version 18 is outside the versions 20 to 27 that moec knows, used 1 times}}
  %a = onnx.node "Gelu" version 18 (%x) : (tensor<2x4xf32>) -> !onnx.unknown
  // expected-error @below {{operator ai.onnx::Relu version 99 is outside the versions 6 to 27 that moec knows, used 1 times}}
  %b = onnx.node "Relu" version 99 (%a) : (!onnx.unknown) -> !onnx.unknown
  // expected-error @below {{operator com.microsoft::FusedMatMul version 2 is outside the versions 1 to 1 that moec knows, used 1 times}}
  %c = onnx.node domain "com.microsoft" "FusedMatMul" version 2 (%b, %x) : (!onnx.unknown, tensor<2x4xf32>) -> !onnx.unknown
  return %c : !onnx.unknown
}

// -----

func.func @main(%x: tensor<2x?xf32>, %axes: tensor<?xsi64>) -> !onnx.unknown {
  // expected-error @below {{neither the axes nor the rank of the result are known}}
  %a = onnx.node "Squeeze" version 13 (%x, %axes) : (tensor<2x?xf32>, tensor<?xsi64>) -> !onnx.unknown
  return %a : !onnx.unknown
}

// -----

func.func @main(%x: tensor<2x4xf32>) -> !onnx.unknown {
  // expected-error @below {{a label of the equation's output is missing in its inputs or occurs twice}}
  %a = onnx.node "Einsum" version 12 parameters {equation = "ij->k"} (%x) : (tensor<2x4xf32>) -> !onnx.unknown
  return %a : !onnx.unknown
}

// -----

// What an operator does not read it does not mean: attributes are no comments.
func.func @main(%x: tensor<2x4xf32>) -> !onnx.unknown {
  // expected-error @below {{cannot raise Softmax: attribute 'beta' = 2.000000e+00 : f32 is not supported}}
  %a = onnx.node "Softmax" version 21 parameters {axis = 1 : i64, beta = 2.0 : f32} (%x) : (tensor<2x4xf32>) -> !onnx.unknown
  return %a : !onnx.unknown
}

// -----

// A number is no list of numbers.
func.func @main(%x: tensor<2x4xf32>) -> !onnx.unknown {
  // expected-error @below {{cannot raise Transpose: attribute 'perm' = 1 : i64 is not supported}}
  %a = onnx.node "Transpose" version 21 parameters {perm = 1 : i64} (%x) : (tensor<2x4xf32>) -> !onnx.unknown
  return %a : !onnx.unknown
}

// -----

// Attributes without effect are no errors, and every other one is reported.
func.func @main(%x: tensor<2x4xf32>, %k: tensor<1xsi64>) -> !onnx.unknown {
  // expected-error @below {{cannot raise TopK: attribute 'first' = 1 : i64 is not supported}}
  // expected-error @below {{cannot raise TopK: attribute 'second' = 2 : i64 is not supported}}
  %a:2 = onnx.node "TopK" version 21 parameters {sorted = 0 : i64, first = 1 : i64, second = 2 : i64} (%x, %k) : (tensor<2x4xf32>, tensor<1xsi64>) -> (!onnx.unknown, !onnx.unknown)
  return %a#0 : !onnx.unknown
}

// -----

func.func @main(%x: tensor<2x4xf16>, %scale: tensor<4xf16>) -> !onnx.unknown {
  // expected-error @below {{cannot raise RMSNormalization: stash_type 10 is not supported for 'f16'}}
  %a = onnx.node "RMSNormalization" version 23 parameters {stash_type = 10 : i64} (%x, %scale) : (tensor<2x4xf16>, tensor<4xf16>) -> !onnx.unknown
  return %a : !onnx.unknown
}

// -----

func.func @main(%x: tensor<f16>) -> !onnx.unknown {
  // expected-error @below {{cannot raise Range: stash_type 10 is not supported for 'f16'}}
  %a = onnx.node "Range" version 27 parameters {stash_type = 10 : i64} (%x, %x, %x) : (tensor<f16>, tensor<f16>, tensor<f16>) -> !onnx.unknown
  return %a : !onnx.unknown
}

// -----

func.func @main(%x: tensor<4x4xf32>) -> !onnx.unknown {
  // expected-error @below {{cannot raise FusedGemm: the activation 'ScaledTanh' is unknown}}
  %a = onnx.node domain "com.microsoft" "FusedGemm" version 1 parameters {activation = "ScaledTanh"} (%x, %x) : (tensor<4x4xf32>, tensor<4x4xf32>) -> !onnx.unknown
  return %a : !onnx.unknown
}

// -----

// A bias without its matrix has no meaning.
func.func @main(%x: tensor<2x8xf32>, %l: tensor<2x4xf32>, %w1: tensor<4x6x8xf32>, %w2: tensor<4x8x6xf32>, %b3: tensor<4x6xf32>) -> !onnx.unknown {
  %none = onnx.absent : none
  // expected-error @below {{cannot raise MoE: input 7 belongs to the weights of input 6, which are missing}}
  %a = onnx.node domain "com.microsoft" "MoE" version 1 parameters {k = 2 : i64} (%x, %l, %w1, %none, %w2, %none, %none, %b3)
      : (tensor<2x8xf32>, tensor<2x4xf32>, tensor<4x6x8xf32>, none, tensor<4x8x6xf32>, none, none, tensor<4x6xf32>) -> !onnx.unknown
  return %a : !onnx.unknown
}
