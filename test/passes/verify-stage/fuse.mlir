// After fusion what is not a kernel is linalg and tensor.
// RUN: moec-opt %s --moec-verify-stage=stage=fuse --split-input-file --verify-diagnostics

func.func @main(%x: tensor<4xf32>, %e: tensor<4xf32>) -> tensor<4xf32> {
  %y = linalg.map { math.absf } ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>)
  return %y : tensor<4xf32>
}

// -----

func.func @main(%logits: tensor<?x4xf32>) -> tensor<?x2xi32> {
  // expected-error @below {{'moe.route' has neither a kernel nor a decomposition}}
  %ids, %weights = moe.route %logits {router = #moe.router<top_k = 2>} : tensor<?x4xf32> -> tensor<?x2xi32>, tensor<?x2xf32>
  return %ids : tensor<?x2xi32>
}
