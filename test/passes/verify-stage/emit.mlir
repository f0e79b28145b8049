// After lowering only the LLVM dialect is left, and the list of weights.
// RUN: moec-opt %s --moec-verify-stage=stage=emit --split-input-file --verify-diagnostics

rt.weight @w type tensor<4xf32> source {file = "", offset = 0 : i64, length = 16 : i64}
llvm.func @moec_entry() {
  llvm.return
}

// -----

llvm.func @moec_entry(%x: i64) {
  // expected-error @below {{'builtin.unrealized_conversion_cast' was not lowered to the LLVM dialect}}
  %i = builtin.unrealized_conversion_cast %x : i64 to index
  llvm.return
}
