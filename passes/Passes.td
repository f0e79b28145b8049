//===- Passes.td - every pass of moec ------------------------------------===//
#ifndef MOEC_PASSES
#define MOEC_PASSES

include "mlir/Pass/PassBase.td"

def CleanPass : Pass<"moec-clean", "mlir::ModuleOp"> {
  let summary = "Canonicalise functions, and share their common subexpressions";
  let description = [{
    What canonicalisation and the elimination of common subexpressions do, but
    without `kernels` only to host code: a finished kernel is many times larger,
    and there is nothing left to do in it.
  }];
  let options = [Option<"kernels", "kernels", "bool", "true", "clean kernels too">];
}

def BindOutputsPass : Pass<"rt-bind-outputs", "mlir::ModuleOp"> {
  let summary = "Write the results of @main where the caller wants them";
  let description = [{
    Each result becomes an `rt.output` of its size, into which the tensor is
    materialised. Sizes are expressed by the inputs' dimensions and the
    `rt.output` moves to the start where possible, so that bufferisation can
    compute the tensor in place. A tensor whose dimensions are split at the end, by
    `tensor.expand_shape`, is materialised before that, into the output collapsed.

    ```mlir
    return %y : tensor<?xf32>
    ```
    becomes
    ```mlir
    %d = tensor.dim %x, %c0 : tensor<?xf32>
    %out = rt.output 0 [%d] : memref<?xf32>
    ...
    bufferization.materialize_in_destination %y in restrict writable %out
    return
    ```
  }];
  let dependentDialects = ["mlir::bufferization::BufferizationDialect", "mlir::tensor::TensorDialect",
                           "moec::rt::RtDialect"];
}

def PlaceResultsPass : Pass<"rt-place-results", "mlir::ModuleOp"> {
  let summary = "Compute results where they are inserted";
  let description = [{
    Tensors that start as a `tensor.empty` and end inserted into another one, or
    into an `rt.output`, start there. What leads to an output must not be needed
    once it is overwritten, because nothing would keep it.

    ```mlir
    %e = tensor.empty(%d) : tensor<?xf32>
    %y = linalg.exp ins(%x : tensor<?xf32>) outs(%e : tensor<?xf32>)
    bufferization.materialize_in_destination %y in restrict writable %out
    ```
    becomes
    ```mlir
    %e = bufferization.to_tensor %out restrict writable
    %y = linalg.exp ins(%x : tensor<?xf32>) outs(%e : tensor<?xf32>)
    bufferization.materialize_in_destination %y in restrict writable %out
    ```
  }];
  let dependentDialects = ["mlir::bufferization::BufferizationDialect", "mlir::linalg::LinalgDialect",
                           "mlir::memref::MemRefDialect", "mlir::tensor::TensorDialect"];
}

def ReleaseHeapPass : Pass<"rt-release-heap", "mlir::ModuleOp"> {
  let summary = "Release buffers that are left on the heap when their last owner goes";
  let description = [{
    Upstream's ownership-based deallocation. Most models leave nothing on the
    heap, and save the time of its passes.
  }];
  let dependentDialects = ["mlir::arith::ArithDialect", "mlir::bufferization::BufferizationDialect",
                           "mlir::memref::MemRefDialect", "mlir::scf::SCFDialect"];
}

def PlanMemoryPass : Pass<"rt-plan-memory", "mlir::ModuleOp"> {
  let summary = "Give buffers whose sizes follow from the inputs' sizes a place in one arena";
  let description = [{
    Buffers are grouped by the product of dimensions that their sizes are
    multiples of; inside a group they share memory by lifetime, at offsets that
    are constant multiples of the product. Buffers whose sizes depend on data,
    or which outlive an iteration of a loop, stay on the heap.

    ```mlir
    %a = memref.alloc(%n) : memref<?x16xf32>
    ```
    becomes
    ```mlir
    %arena = rt.arena %bytes : memref<?xi8>
    %a = memref.view %arena[%offset][%n] : memref<?xi8> to memref<?x16xf32>
    ```
  }];
  let dependentDialects = ["mlir::arith::ArithDialect", "mlir::memref::MemRefDialect",
                           "moec::rt::RtDialect"];
}

def BindConstantsPass : Pass<"rt-bind-constants", "mlir::ModuleOp"> {
  let summary = "Make the constants of @main weights, for devices with a memory of their own";
  let description = [{
    ```mlir
    memref.global "private" constant @scale : memref<4xf32> = dense<[1.0, 2.0, 3.0, 4.0]>
    %s = memref.get_global @scale : memref<4xf32>
    ```
    becomes
    ```mlir
    rt.weight @scale type tensor<4xf32> source {data = dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>}
    %s = rt.load_weight @scale : memref<4xf32>
    ```
  }];
  let dependentDialects = ["moec::rt::RtDialect"];
}

def OutlineKernelsPass : Pass<"rt-outline-kernels", "mlir::ModuleOp"> {
  let summary = "Turn every computation of @main into the launch of a kernel";
  let description = [{
    Each linalg operation and copy on memrefs becomes loops in a function with
    the attribute `rt.kernel`, equal ones sharing one function, and an
    `rt.launch`. The outer parallel loops are the launch's grid. Computations
    of a few steps stay in host code: they are shape arithmetic.

    With `device`, buffers are in the memory of a device that host code cannot
    access. All parallel loops are the grid, so that each index is one element,
    and everything that accesses elements becomes a kernel: loops of the host
    program too, as kernels of one index. What remains, because sizes or control
    flow depend on it, is read by an `rt.read`, which waits for the device.

    ```mlir
    scf.for %i = %c0 to %n step %c1 {
      %e = memref.load %ids[%i] : memref<?xi64>
      memref.store %x, %marks[%e] : memref<8xi32>
    }
    %length = memref.load %lengths[%c0] : memref<1xi64>
    ```
    becomes
    ```mlir
    rt.launch @host grid(%c1) ins(%n, %ids, %x : ...) outs(%marks : memref<8xi32>)
    %view = memref.subview %lengths[%c0] [1] [1] : memref<1xi64> to memref<i64, strided<[], offset: ?>>
    %length = rt.read %view : memref<i64, strided<[], offset: ?>> -> i64
    ```
  }];
  let options = [Option<"device", "device", "bool", "false",
                        "host code cannot access buffers, and an index is one element">];
  let dependentDialects = ["mlir::affine::AffineDialect", "mlir::arith::ArithDialect",
                           "mlir::linalg::LinalgDialect", "mlir::memref::MemRefDialect",
                           "mlir::scf::SCFDialect", "moec::rt::RtDialect"];
}

def LowerKernelSignaturesPass : Pass<"rt-lower-kernel-signatures", "mlir::ModuleOp"> {
  let summary = "Make kernels read their arguments from the table of the module ABI";
  let dependentDialects = ["mlir::arith::ArithDialect", "mlir::LLVM::LLVMDialect"];
}

def LowerHostPass : Pass<"rt-lower-host", "mlir::ModuleOp"> {
  let summary = "Lower the rt operations of @main to calls of the runtime's services";
  let description = [{
    @main becomes `moec_entry` of include/moec/module_abi.h. The tables that
    the metadata lists (inputs, weights, kernels, sites) are recorded as
    attributes of the function.
  }];
  let dependentDialects = ["mlir::arith::ArithDialect", "mlir::LLVM::LLVMDialect"];
}

def LowerAssertsPass : Pass<"rt-lower-asserts", "mlir::ModuleOp"> {
  let summary = "Make failed checks end the execution with a message";
  let description = [{
    Runs on the control-flow form. In host code a failed `cf.assert` calls the
    `fail` service, in a kernel it sets the status word and leaves the kernel.
    The messages are recorded as `rt.messages` of the module.
  }];
  let dependentDialects = ["mlir::cf::ControlFlowDialect", "mlir::LLVM::LLVMDialect"];
}

def MergeChecksPass : Pass<"moec-merge-checks", "mlir::ModuleOp"> {
  let summary = "Merge equal computations that check something";
  let description = [{
    Every attention of a model checks the same lengths and computes the same
    positions from them. A `linalg.generic` with a `cf.assert` is replaced by an
    equal one before it in its block, which has failed where it would; common
    subexpression elimination leaves both, since a check is an effect.
  }];
}

def FuseElementwisePass : Pass<"moec-fuse-elementwise", "mlir::ModuleOp"> {
  let summary = "Fuse elementwise producers into consumers that read each element once";
  let dependentDialects = ["mlir::affine::AffineDialect", "mlir::linalg::LinalgDialect",
                           "mlir::tensor::TensorDialect"];
}

def ScheduleExpertsPass : Pass<"moe-schedule-experts", "mlir::ModuleOp"> {
  let summary = "Sort slots by expert, so that each expert's rows are multiplied together";
  let description = [{
    ```mlir
    %y = moe.experts %x, %ids, %weights w_in(%w1) w_out(%w2) {activation = ...}
    ```
    becomes
    ```mlir
    %offsets, %slots, %positions = moe.permute %ids {experts = 8}
    %a = moe.grouped_matmul %x, %w1 slots(%slots) offsets(%offsets) {activation = ..., slots_per_row = 2}
    %rows = moe.grouped_matmul %a, %w2 offsets(%offsets)
    %y = moe.combine %rows, %positions weights(%weights)
    ```
    with the same bits. A block whose number of experts or of experts per token
    is unknown stays as it is.
  }];
  let dependentDialects = ["moec::moe::MoeDialect"];
}

def SelectKernelsPass : Pass<"moec-select-kernels", "mlir::ModuleOp"> {
  let summary = "Replace operations that have a fast kernel by its launch";
  let description = [{
    Kernels are generated for the chip, equal ones once. Weights that a kernel
    reads in a layout of its own become weights with a recipe. What has no
    kernel, or not for its types, stays and is decomposed.

    `weights` converts the floats of matrices while they are packed (f32, bf16,
    int8 per row, int4 per 32 columns); integers of the model stay as they are.
    `activations` says what rows may be rounded to: bf16 where the weights are,
    int8 where they are integers, block by block; unless it is stated, what the
    model permits (`int8_rows`). The recipes of the weights tell what became of
    each.

    ```mlir
    %y = linalg.matmul ins(%x, %w : tensor<?x64xf32>, tensor<64x32xf32>) outs(%zero : tensor<?x32xf32>)
    ```
    becomes
    ```mlir
    %p = rt.load_weight @w.packed : tensor<1x1x64x64xf32>
    %y = rt.launch @matmul_f32_32x64 grid(%n) ins(%x, %p : ...) outs(%e : tensor<?x32xf32>)
    ```
  }];
  let options = [Option<"chip", "chip", "std::string", "\"native\"",
                        "what to generate code for: native, or a level such as x86-64-v3">,
                 Option<"weights", "weights", "std::string", "\"keep\"",
                        "what float matrices become: keep, f32, bf16, int8 or int4">,
                 Option<"activations", "activations", "std::string", "\"\"",
                        "what rows may be rounded to: keep, bf16 or int8">];
  let dependentDialects = ["mlir::arith::ArithDialect", "mlir::cf::ControlFlowDialect",
                           "mlir::func::FuncDialect", "mlir::linalg::LinalgDialect",
                           "mlir::LLVM::LLVMDialect",
                           "mlir::math::MathDialect", "mlir::memref::MemRefDialect",
                           "mlir::scf::SCFDialect", "mlir::tensor::TensorDialect",
                           "mlir::vector::VectorDialect", "moec::rt::RtDialect"];
}

def SelectCudaKernelsPass : Pass<"moec-select-cuda-kernels", "mlir::ModuleOp"> {
  let summary = "Replace operations that have a kernel of whole blocks by its launch";
  let description = [{
    As moec-select-kernels, for GPUs: each kernel is generated for several sizes
    of tiles, which give the same result, and host code launches the one that
    fits the number of rows. For sm_90a some kernels have a variant, which takes
    their place there; code for older chips is in the artifact beside it. Where
    an attention reads rotated queries and two caches that have grown, one kernel
    does all that before it; a norm's kernel also computes the sum that it reads.

    ```mlir
    %y = linalg.matmul ins(%x, %w : tensor<?x64xf32>, tensor<64x32xf32>) outs(%zero : tensor<?x32xf32>)
    ```
    becomes
    ```mlir
    %p = rt.load_weight @w.packed : tensor<1x1x16x512xf32>
    %y = scf.if %is_more -> (tensor<?x32xf32>) {
      ...
    } else {
      %f = rt.launch @matmul_f32_32x64_tokens8 grid(%blocks) ins(%x, %p : ...) outs(%e : tensor<?x32xf32>)
      scf.yield %f
    }
    ```
  }];
  let options = [Option<"chip", "chip", "std::string", "\"native\"",
                        "what to generate code for: native, sm_80 or sm_90a">,
                 Option<"weights", "weights", "std::string", "\"keep\"",
                        "what float matrices become: keep, f32, bf16, int8 or int4">,
                 Option<"activations", "activations", "std::string", "\"\"",
                        "what rows may be rounded to: keep or bf16">];
  let dependentDialects = ["mlir::arith::ArithDialect", "mlir::cf::ControlFlowDialect",
                           "mlir::func::FuncDialect", "mlir::linalg::LinalgDialect",
                           "mlir::LLVM::LLVMDialect", "mlir::NVVM::NVVMDialect",
                           "mlir::math::MathDialect", "mlir::memref::MemRefDialect", "mlir::scf::SCFDialect",
                           "mlir::tensor::TensorDialect", "mlir::vector::VectorDialect",
                           "moec::rt::RtDialect"];
}

def DecomposePass : Pass<"moec-decompose", "mlir::ModuleOp"> {
  let summary = "Replace each moe and attn operation by its decomposition";
  let description = [{
    What no kernel has replaced becomes linalg, tensor, arith and scf: the
    operation's reference semantics.
  }];
  let dependentDialects = ["mlir::affine::AffineDialect", "mlir::arith::ArithDialect",
                           "mlir::cf::ControlFlowDialect", "mlir::linalg::LinalgDialect",
                           "mlir::math::MathDialect", "mlir::scf::SCFDialect",
                           "mlir::tensor::TensorDialect"];
}

def LowerMathPass : Pass<"moec-lower-math", "mlir::ModuleOp"> {
  let summary = "Express exp, tanh, log and conversions of narrow floats by arithmetic";
  let description = [{
    One polynomial serves scalars and vectors alike, so that a loop's tail gives
    the same bits as its body, on every chip. Narrow floats are computed in f32
    and rounded where the IR says so. Other functions call libm; with `device`,
    where there is none, those of f32 that have an expansion get it, and any
    other is an error.
  }];
  let options = [Option<"device", "device", "bool", "false", "kernels cannot call libm">];
  let dependentDialects = ["mlir::arith::ArithDialect", "mlir::math::MathDialect",
                           "mlir::vector::VectorDialect"];
}

def DetectStatePass : Pass<"moec-detect-state", "mlir::ModuleOp"> {
  let summary = "Find the caches that a session can keep between executions";
  let description = [{
    An input and a result of @main are state when the result is the input with
    rows appended (`attn.cache_append`), nothing else reads the input, and they
    differ in the number of positions only. Names play no part. The result gets
    the attribute `rt.state`, the input a layout whose strides are known at run
    time, because a session appends in place inside a larger buffer. A result
    that grows an input but is no state gets `rt.plain`, which says why.
  }];
}

def RaiseOnnxPass : Pass<"moec-raise-onnx", "mlir::ModuleOp"> {
  let summary = "Raise the nodes of an ONNX graph to tensors, moe and attn";
  let description = [{
    Every operator's row in the table of passes/raise/Operators.h lowers its
    nodes, in order. Shape arithmetic stays scalar and folds on the way; sizes
    are symbolic, equal symbols of the model are one value. Operators without a
    row are all reported at once.

    ```mlir
    %y = onnx.node "Relu" version 14 (%x) : (tensor<?xf32>) -> !onnx.unknown
    ```
    becomes
    ```mlir
    %y = linalg.generic {...} ins(%x : tensor<?xf32>) ... { arith.maximumf }
    ```
  }];
  let dependentDialects = ["mlir::arith::ArithDialect", "mlir::cf::ControlFlowDialect",
                           "mlir::linalg::LinalgDialect", "mlir::math::MathDialect",
                           "mlir::scf::SCFDialect", "mlir::tensor::TensorDialect",
                           "moec::attn::AttnDialect", "moec::moe::MoeDialect",
                           "moec::rt::RtDialect"];
}

def VerifyStagePass : Pass<"moec-verify-stage", "mlir::ModuleOp"> {
  let summary = "Report what a stage of the compiler should not have left";
  let description = [{
    After `raise` there is no ONNX node, after `fuse` no moe or attn operation.
    After `plan` there are no tensors and no linalg operations, host code for a
    `device` accesses no elements, and memory is what the caller, the arena or the weights file holds, or the host program's
    `memref.alloc`: the heap. After `emit` there is only the LLVM dialect beside
    the list of weights.

    Each pipeline ends with it, so that a mistake is reported by the stage that
    made it, at the ONNX node, and not by a later one.
  }];
  let options = [Option<"stage", "stage", "::moec::Stage", "::moec::Stage::raise", "the stage that has just ended",
                        [{llvm::cl::values(clEnumValN(::moec::Stage::raise, "raise", "no ONNX nodes"),
                                           clEnumValN(::moec::Stage::fuse, "fuse", "no moe and attn operations"),
                                           clEnumValN(::moec::Stage::plan, "plan", "no tensors, memory in its place"),
                                           clEnumValN(::moec::Stage::emit, "emit", "only the LLVM dialect"))}]>,
                 Option<"device", "device", "bool", "false", "host code cannot access buffers">];
}

def LowerExpandShapePass : Pass<"moec-lower-expand-shape", "mlir::ModuleOp"> {
  let summary = "Lower memref.expand_shape by its stated sizes";
  let description = [{
    Upstream's lowering computes the one size of a group that is not static by
    division, and fails when a group has two. The sizes are operands of the
    operation, so nothing needs to be computed.
  }];
  let dependentDialects = ["mlir::affine::AffineDialect", "mlir::memref::MemRefDialect"];
}

#endif
