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
