//===- RtOps.td - what a host program asks of the runtime ----------------===//
#ifndef MOEC_RT_OPS
#define MOEC_RT_OPS

include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/DestinationStyleOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Rt_Dialect : Dialect {
  let name = "rt";
  let cppNamespace = "::moec::rt";
  let summary = "What a host program asks of the runtime: weights, outputs, memory, kernels";
  let description = [{
    After fusion a program is shape arithmetic, control flow and kernel
    launches. Each op of this dialect becomes one access to a table, or one
    call of a service, of `include/moec/module_abi.h`.
  }];
}

class Rt_Op<string mnemonic, list<Trait> traits = []> : Op<Rt_Dialect, mnemonic, traits>;

def Rt_WeightOp : Rt_Op<"weight", [Symbol]> {
  let summary = "A weight of the model, by where its bytes are";
  let description = [{
    A weight is never bytes in IR. `source` says where they are: a dictionary
    with `file`, `offset` and `length` (bytes), relative to the model's folder;
    an empty `file` is the model itself, an absolute one holds what the compiler
    computed of weights alone. A small constant has its elements there instead,
    as `data`. `type` is the type of what the host program loads. `recipe`, when
    present, is an array of dictionaries, the steps that turn the source tensor
    (of type `stored`) into `type`, applied slice by slice while the weights file
    is written.

    Example:
    ```mlir
    rt.weight @w type tensor<64x32xf32> source {file = "model.onnx.data", offset = 0 : i64, length = 8192 : i64}
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<AnyRankedTensor>:$type,
                       DictionaryAttr:$source, OptionalAttr<TypeAttrOf<AnyRankedTensor>>:$stored,
                       OptionalAttr<ArrayAttr>:$recipe);
  let assemblyFormat = [{
    $sym_name `type` $type `source` $source (`stored` $stored^ `recipe` $recipe)? attr-dict
  }];
}

def Rt_LoadWeightOp : Rt_Op<"load_weight", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "The tensor of a weight, mapped and read-only";
  let description = [{
    Constraints:
    * (C1) the symbol is an `rt.weight` whose type is the result's, or a memref
      of the same shape and element type.

    Example:
    ```mlir
    %w = rt.load_weight @w : tensor<64x32xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$weight);
  let results = (outs AnyTypeOf<[AnyRankedTensor, AnyMemRef]>:$result);
  let assemblyFormat = "$weight attr-dict `:` type($result)";
}

def Rt_OutputOp : Rt_Op<"output", [MemoryEffects<[MemWrite]>]> {
  let summary = "Where the caller wants output `index`, of the given sizes";
  let description = [{
    Example:
    ```mlir
    %out = rt.output 0 [%b, %s] : memref<?x?x256xf32>
    ```
  }];
  let arguments = (ins I32Attr:$index, Variadic<Index>:$sizes);
  let results = (outs AnyMemRef:$result);
  let hasVerifier = 1;
  let assemblyFormat = "$index `[` $sizes `]` attr-dict `:` type($result)";
}

def Rt_ArenaOp : Rt_Op<"arena", [MemoryEffects<[MemWrite]>]> {
  let summary = "The session's arena, of at least the given number of bytes";
  let description = [{
    There is at most one in a host program. What it held before is undefined.

    Example:
    ```mlir
    %arena = rt.arena %bytes : memref<?xi8>
    ```
  }];
  let arguments = (ins Index:$bytes);
  let results = (outs MemRefRankOf<[I8], [1]>:$result);
  let assemblyFormat = "$bytes attr-dict `:` type($result)";
}

def Rt_ReadOp : Rt_Op<"read"> {
  let summary = "The element of a buffer in the device's memory, when it has been computed";
  let description = [{
    Waits for everything launched before, which leaves the device without work:
    programs read only what sizes and control flow depend on.

    Constraints:
    * (C1) the buffer has rank 0.
    * (C2) the result has its element type.

    Example:
    ```mlir
    %length = rt.read %max : memref<i64> -> i64
    ```
  }];
  let arguments = (ins Arg<AnyMemRef, "", [MemRead]>:$element);
  let results = (outs AnyType:$result);
  let hasVerifier = 1;
  let assemblyFormat = "$element attr-dict `:` type($element) `->` type($result)";
}

def Rt_LaunchOp : Rt_Op<"launch", [AttrSizedOperandSegments, DestinationStyleOpInterface,
                                   DeclareOpInterfaceMethods<SymbolUserOpInterface>,
                                   DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "Runs a kernel on the index range [0, grid)";
  let description = [{
    The kernel is a `func.func` with the attribute `rt.kernel`; its arguments
    are the inputs, the outputs as memrefs, and two indices, the range to
    compute. Ranges may be computed in any split and order, on any thread.
    With tensors each output yields one result, the output after the launch;
    with memrefs there are none.

    Constraints:
    * (C1) the callee is a `func.func` with the attribute `rt.kernel`.
    * (C2) the callee has one argument per input and output, then two indices.

    Example:
    ```mlir
    %y = rt.launch @scale grid(%n) ins(%x : tensor<?xf32>) outs(%e : tensor<?xf32>) -> tensor<?xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, Index:$grid, Variadic<AnyType>:$inputs,
                       Variadic<AnyShaped>:$outputs);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    $kernel `grid` `(` $grid `)` (`ins` `(` $inputs^ `:` type($inputs) `)`)?
    `outs` `(` $outputs `:` type($outputs) `)` attr-dict (`->` type($results)^)?
  }];
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getOutputsMutable(); }
    /// Attribute of functions that are kernels.
    static constexpr ::llvm::StringLiteral kKernelAttr = "rt.kernel";
    /// Attribute of kernels whose arguments are a table: its number of words.
    static constexpr ::llvm::StringLiteral kWordsAttr = "rt.words";
    /// Attribute of launches: the number of the input, a tensor<(e+1)xi32>, that
    /// says where the rows of each of e experts start and the last end.
    static constexpr ::llvm::StringLiteral kOffsetsAttr = "rt.offsets";
  }];
}

#endif
