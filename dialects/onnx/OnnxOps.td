//===- OnnxOps.td - an ONNX graph as it was read ------------------------===//
#ifndef MOEC_ONNX_OPS
#define MOEC_ONNX_OPS

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/OpBase.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Onnx_Dialect : Dialect {
  let name = "onnx";
  let cppNamespace = "::moec::onnx";
  let summary = "An ONNX graph, one operation per node, before anything is understood of it";
  let description = [{
    The importer knows no operator: every node becomes an `onnx.node` that
    names its operator. What moec knows of each operator stands in one table
    beside the raising pass. Element types keep ONNX's signedness (`ui8`,
    `si32`), and a value whose type the file does not state has the type
    `!onnx.unknown`.
  }];
  let useDefaultTypePrinterParser = 1;
}

class Onnx_Op<string mnemonic, list<Trait> traits = []> : Op<Onnx_Dialect, mnemonic, traits>;

def Onnx_UnknownType : TypeDef<Onnx_Dialect, "Unknown"> {
  let mnemonic = "unknown";
  let summary = "A tensor whose element type and shape the file does not state";
}

def Onnx_NodeOp : Onnx_Op<"node"> {
  let summary = "One node of an ONNX graph";
  let description = [{
    `version` is the version of the operator's domain that the model imports.
    An input that the node leaves out is an `onnx.absent`. Subgraphs (If, Loop,
    Scan) are regions of one block that ends in `onnx.yield`; they may use
    values of the graph around them.

    Constraints:
    * (C1) `version` is positive.

    Example:
    ```mlir
    %y = onnx.node "Add" version 14 (%a, %b) : (tensor<?x4xf32>, tensor<4xf32>) -> !onnx.unknown
    ```
  }];
  let arguments = (ins StrAttr:$op_type, DefaultValuedStrAttr<StrAttr, "">:$domain,
                       I64Attr:$version,
                       DefaultValuedAttr<DictionaryAttr, "{}">:$parameters,
                       Variadic<AnyType>:$inputs);
  let results = (outs Variadic<AnyType>:$outputs);
  let regions = (region VariadicRegion<SizedRegion<1>>:$bodies);
  let hasVerifier = 1;
  let assemblyFormat = [{
    (`domain` $domain^)? $op_type `version` $version (`parameters` $parameters^)?
    `(` $inputs `)` ($bodies^)? attr-dict `:` functional-type($inputs, $outputs)
  }];
}

def Onnx_ConstantOp : Onnx_Op<"constant", [Pure, AllTypesMatch<["value", "result"]>]> {
  let summary = "A small constant of the graph";
  let description = [{
    Tensors of 4 KiB and more are weights (`rt.weight`), never bytes in IR.

    Example:
    ```mlir
    %axes = onnx.constant dense<[0, 1]> : tensor<2xsi64>
    ```
  }];
  let arguments = (ins ElementsAttr:$value);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$value attr-dict";
  let builders = [OpBuilder<(ins "::mlir::ElementsAttr":$value),
                            [{ build($_builder, $_state, value.getShapedType(), value); }]>];
}

def Onnx_AbsentOp : Onnx_Op<"absent", [Pure]> {
  let summary = "An optional input that is not given";
  let description = [{
    Example:
    ```mlir
    %none = onnx.absent : none
    ```
  }];
  let results = (outs NoneType:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
}

def Onnx_YieldOp : Onnx_Op<"yield", [Pure, Terminator, ReturnLike]> {
  let summary = "Ends a subgraph with its outputs";
  let description = [{
    Example:
    ```mlir
    %y = onnx.node "If" version 16 (%c) {
      onnx.yield %a : tensor<4xf32>
    }, {
      onnx.yield %b : tensor<4xf32>
    } : (tensor<i1>) -> !onnx.unknown
    ```
  }];
  let arguments = (ins Variadic<AnyType>:$outputs);
  let assemblyFormat = "($outputs^ `:` type($outputs))? attr-dict";
}

#endif
