// After raising there is no ONNX node; moe and attn operations may be there.
// RUN: moec-opt %s --moec-verify-stage=stage=raise --split-input-file --verify-diagnostics

func.func @main(%logits: tensor<?x4xf32>) -> tensor<?x2xi32> {
  %ids, %weights = moe.route %logits {router = #moe.router<top_k = 2>} : tensor<?x4xf32> -> tensor<?x2xi32>, tensor<?x2xf32>
  return %ids : tensor<?x2xi32>
}

// -----

// The error names the node, wherever it is.
func.func @main(%x: tensor<4xf32>, %c: i1) -> tensor<4xf32> {
  %r = scf.if %c -> tensor<4xf32> {
    // expected-error @unknown {{'onnx.node' was not raised, from node '/layer/Relu'}}
    %y = onnx.node "Relu" version 14 (%x) : (tensor<4xf32>) -> tensor<4xf32> loc("/layer/Relu")
    scf.yield %y : tensor<4xf32>
  } else {
    scf.yield %x : tensor<4xf32>
  }
  return %r : tensor<4xf32>
}
