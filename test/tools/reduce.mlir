// The reducer knows moec's dialects: what does not matter to the test goes away.
// RUN: moec-reduce %s '--opt-reduction-pass=opt-pass=symbol-dce test=%sources/test/tools/Inputs/has-launch.sh' | FileCheck %s

// CHECK-NOT: @unused
// CHECK: rt.launch
func.func private @unused(index) -> index
func.func private @scale(memref<?xf32>, index, index) attributes {rt.kernel}
func.func @main(%n: index, %m: memref<?xf32>) {
  rt.launch @scale grid(%n) outs(%m : memref<?xf32>)
  return
}
