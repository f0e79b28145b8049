// After planning all memory is in the arena, on the heap, the caller's or the
// weights file's, and computations are loops in kernels.
// RUN: moec-opt %s --moec-verify-stage=stage=plan --split-input-file --verify-diagnostics

func.func private @kernel(%x: memref<?xf32>, %y: memref<?xf32>, %from: index, %to: index) attributes {rt.kernel} {
  return
}
rt.weight @w type tensor<4xf32> source {file = "", offset = 0 : i64, length = 16 : i64}
func.func @main(%x: memref<?xf32>, %n: index) {
  %c0 = arith.constant 0 : index
  %w = rt.load_weight @w : memref<4xf32>
  %arena = rt.arena %n : memref<?xi8>
  %a = memref.view %arena[%c0][%n] : memref<?xi8> to memref<?xf32>
  %heap = memref.alloc(%n) : memref<?xf32>
  %out = rt.output 0 [%n] : memref<?xf32>
  rt.launch @kernel grid(%n) ins(%x : memref<?xf32>) outs(%heap : memref<?xf32>)
  rt.launch @kernel grid(%n) ins(%heap : memref<?xf32>) outs(%out : memref<?xf32>)
  memref.dealloc %heap : memref<?xf32>
  return
}

// -----

func.func @main(%n: index) {
  // expected-error @below {{'memref.alloca' allocates neither in the arena nor on the heap}}
  %a = memref.alloca(%n) : memref<?xf32>
  return
}

// -----

func.func private @kernel(%x: memref<?xf32>, %from: index, %to: index) attributes {rt.kernel} {
  // expected-error @below {{'memref.alloc' allocates in a kernel}}
  %a = memref.alloc(%to) : memref<?xf32>
  return
}

// -----

// Kernels have scratch memory on the stack, of a size that is known, once.
func.func private @kernel(%x: memref<?xf32>, %from: index, %to: index) attributes {rt.kernel} {
  %c1 = arith.constant 1 : index
  %a = memref.alloca() : memref<16xf32>
  // expected-error @below {{'memref.alloca' allocates stack memory without a bound}}
  %b = memref.alloca(%to) : memref<?xf32>
  scf.for %i = %from to %to step %c1 {
    // expected-error @below {{'memref.alloca' allocates stack memory without a bound}}
    %c = memref.alloca() : memref<16xf32>
  }
  return
}

// -----

func.func @main(%x: memref<4xf32>) {
  %c0 = arith.constant 0 : index
  // expected-error @below {{'bufferization.to_tensor' handles tensors after they became memory}}
  %t = bufferization.to_tensor %x : memref<4xf32> to tensor<4xf32>
  return
}

// -----

func.func @main(%x: memref<?xf32>, %y: memref<?xf32>) {
  // expected-error @below {{'linalg.copy' was not lowered}}
  linalg.copy ins(%x : memref<?xf32>) outs(%y : memref<?xf32>)
  return
}
