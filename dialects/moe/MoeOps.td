//===- MoeOps.td - Mixture-of-Experts blocks ------------------------------===//
#ifndef MOEC_MOE_OPS
#define MOEC_MOE_OPS

include "dialects/TensorOps.td"

def Moe_Dialect : Dialect {
  let name = "moe";
  let cppNamespace = "::moec::moe";
  let summary = "Routing and experts of Mixture-of-Experts models";
  let description = [{
    Sizes are named T tokens, H hidden, E experts, K experts per token, I inner
    width of an expert. A slot is one of the T*K choices, number t*K + k. An id
    outside [0, E) is no expert: its slot contributes nothing.
  }];
  let useDefaultAttributePrinterParser = 1;
  let hasCanonicalizer = 1;
}

include "dialects/moe/MoeAttrs.td"

class Moe_Op<string mnemonic, list<Trait> traits = []>
    : Moec_TensorOp<Moe_Dialect, mnemonic, traits>;

/// A matrix per expert: floats, or bytes under #moe.quant.
def Moe_Weights : TensorRankOf<[F16, BF16, F32, F64, I8], [3]>;
/// [E,N,ceil(blocks/p)] packed along blocks, or [E,ceil(N/p)] along rows; as
/// floats [E,N,blocks].
def Moe_ZeroPoints : TensorRankOf<[I8, F16, BF16, F32], [2, 3]>;

def Moe_RouteOp : Moe_Op<"route", [AttrSizedOperandSegments]> {
  let summary = "Selects experts for each token and weighs them";
  let description = [{
    `logits` [T,E] give `ids` and `weights` [T,K], K = `router.top_k`, best
    first, as follows, in f32:

    1. Scores: s = softmax, sigmoid or identity of the logits. The sum of the
       softmax ascends; a kernel may add in another order, which then depends on
       the chip and the numbers of experts and groups alone.
    2. Choice: c = s + `selection_bias`. With groups (of E / `groups`
       neighbours), a group scores the largest c, or the sum of the two
       largest; outside the `kept_groups` best groups c becomes `masked`.
    3. The ids are the top K of c; a NaN ranks last.
    4. Weights: those of s, or of `values` [T,E] if given, at the ids;
       normalised, scaled and cut as `router` says.

    With the sparse mixer, ids are the top K of the logits, and weight k is
    1 / sum of exp(l_e - m) over the experts e not selected before k with
    (m - l_e) / max(|l_e|, m) <= 2 * `jitter`, where m is the k-th logit.

    Constraints:
    * (C1) `selection_bias` is [E], `values` is [T,E].
    * (C2) `top_k` <= E; E is a multiple of `groups`; `top_k` experts are in
      `kept_groups`; a `top2_sum` needs groups of two.
    * (C3) the sparse mixer takes neither bias, values, groups nor
      normalisation.

    Example:
    ```mlir
    %ids, %weights = moe.route %logits {router = #moe.router<top_k = 2, normalize = sum>}
         : tensor<?x8xf32> -> tensor<?x2xi32>, tensor<?x2xf32>
    ```
  }];
  let arguments = (ins 2DTensorOf<[F16, BF16, F32]>:$logits,
                       Optional<1DTensorOf<[F16, BF16, F32]>>:$selection_bias,
                       Optional<2DTensorOf<[F16, BF16, F32]>>:$values, Moe_RouterAttr:$router);
  let results = (outs 2DTensorOf<[I32]>:$ids, 2DTensorOf<[F32]>:$weights);
  let hasVerifier = 1;
  let assemblyFormat = [{
    $logits (`selection_bias` `(` $selection_bias^ `:` type($selection_bias) `)`)?
    (`values` `(` $values^ `:` type($values) `)`)? attr-dict
    `:` type($logits) `->` type($ids) `,` type($weights)
  }];
}

def Moe_ExpertsOp : Moe_Op<"experts", [AttrSizedOperandSegments]> {
  let summary = "Applies to each token its experts and sums their results";
  let description = [{
    y[t] = sum over k of `weights`[t,k] * (W_out a + b_out), where a =
    `activation`(W_in x[t] + b_in) with the matrices of expert `ids`[t,k].
    `w_in` is [E,I,H], or [E,2I,H] when the activation's gate is fused;
    `w_up` [E,I,H] and `b_up` exist when it is separate; `w_out` is [E,H,I].
    With `scale_input` the weight multiplies x[t] instead.

    Products are summed ascending in f32 and a is rounded to the type of x;
    slots are summed in order in f32, and the result is rounded once.
    `int8_rows` permits kernels that multiply integers to round x and a to
    int8, block by block; the reference semantics keeps them.

    Constraints:
    * (C1) ids and weights are [T,K].
    * (C2) the matrices agree in E, H and I.
    * (C3) biases are [E,rows of their matrix].
    * (C4) `w_up` and `b_up` are there only for a separate gate, and `w_up` is.
    * (C5) with `quant` every matrix is of i8 and has scales [E,rows,blocks];
      zero points (default 2^(bits-1)) are floats of that shape, or
      [E,rows,ceil(blocks/p)] or [E,ceil(rows/p)], packed like the weights;
      without `quant` there are neither.

    Example:
    ```mlir
    %y = moe.experts %x, %ids, %weights w_in(%w1 : tensor<8x64x16xf32>) w_out(%w2 : tensor<8x16x32xf32>)
         {activation = #moe.activation<silu, gate = halves>}
         : tensor<?x16xf32>, tensor<?x2xi32>, tensor<?x2xf32> -> tensor<?x16xf32>
    ```
  }];
  let arguments = (ins FloatTensor<[2]>:$x, 2DTensorOf<[I32]>:$ids, 2DTensorOf<[F32]>:$weights,
                       Moe_Weights:$w_in, Moe_Weights:$w_out, Optional<Moe_Weights>:$w_up,
                       Optional<FloatTensor<[2]>>:$b_in, Optional<FloatTensor<[2]>>:$b_out,
                       Optional<FloatTensor<[2]>>:$b_up,
                       Optional<FloatTensor<[3]>>:$s_in, Optional<FloatTensor<[3]>>:$s_out,
                       Optional<FloatTensor<[3]>>:$s_up,
                       Optional<Moe_ZeroPoints>:$z_in, Optional<Moe_ZeroPoints>:$z_out,
                       Optional<Moe_ZeroPoints>:$z_up,
                       Moe_ActivationAttr:$activation, OptionalAttr<Moe_QuantAttr>:$quant,
                       UnitAttr:$scale_input, UnitAttr:$int8_rows);
  let results = (outs FloatTensor<[2]>:$result);
  let hasVerifier = 1;
  let assemblyFormat = [{
    $x `,` $ids `,` $weights `w_in` `(` $w_in `:` type($w_in) `)` `w_out` `(` $w_out `:` type($w_out) `)`
    (`w_up` `(` $w_up^ `:` type($w_up) `)`)?
    (`b_in` `(` $b_in^ `:` type($b_in) `)`)? (`b_out` `(` $b_out^ `:` type($b_out) `)`)?
    (`b_up` `(` $b_up^ `:` type($b_up) `)`)?
    (`s_in` `(` $s_in^ `:` type($s_in) `)`)? (`s_out` `(` $s_out^ `:` type($s_out) `)`)?
    (`s_up` `(` $s_up^ `:` type($s_up) `)`)?
    (`z_in` `(` $z_in^ `:` type($z_in) `)`)? (`z_out` `(` $z_out^ `:` type($z_out) `)`)?
    (`z_up` `(` $z_up^ `:` type($z_up) `)`)? attr-dict
    `:` type($x) `,` type($ids) `,` type($weights) `->` type($result)
  }];
  let extraClassDeclaration = [{
    Matrix getIn();
    Matrix getOut();
    Matrix getUp();
  }];
}

def Moe_PermuteOp : Moe_Op<"permute"> {
  let summary = "Sorts slots by expert";
  let description = [{
    `slots` [T*K] lists the slots of `ids` [T,K] by expert, each expert's in
    ascending order; those of expert e are [`offsets`[e], `offsets`[e+1]), and
    slots without expert come last. `positions` [T,K] says where each slot went,
    -1 for one without expert.

    Constraints:
    * (C1) `experts` is positive.

    Example:
    ```mlir
    %offsets, %slots, %positions = moe.permute %ids {experts = 8}
         : tensor<?x2xi32> -> tensor<9xi32>, tensor<?xi32>, tensor<?x2xi32>
    ```
  }];
  let arguments = (ins 2DTensorOf<[I32]>:$ids, Moec_IntAttr:$experts);
  let results = (outs 1DTensorOf<[I32]>:$offsets, 1DTensorOf<[I32]>:$slots,
                      2DTensorOf<[I32]>:$positions);
  let hasVerifier = 1;
  let assemblyFormat = [{
    $ids attr-dict `:` type($ids) `->` type($offsets) `,` type($slots) `,` type($positions)
  }];
}

def Moe_GroupedMatmulOp : Moe_Op<"grouped_matmul", [AttrSizedOperandSegments]> {
  let summary = "Multiplies groups of rows by a matrix each";
  let description = [{
    Row r of the result is `activation`(W x' + b), where x' is row
    `slots`[r] / `slots_per_row` of `x` (row r without slots), times
    `input_scales` [T,K] of the slot if given. W is that of the group with
    `offsets`[g] <= r < `offsets`[g+1]: `w` at `experts`[g], or at g without
    `experts`. Without offsets all rows are group 0. Rows past the last group
    are 0. For a separate gate, `w_up` and what belongs to it give l as `w`
    gives g. Sums ascend in f32; the result's type is the op's `element`.
    `int8_rows` is the permission of moe.experts.

    Constraints:
    * (C1) x is [M,K], w [E,N,K], the result [R,N], or [R,N/2] with a fused
      gate; R is the size of slots, or M.
    * (C2) `slots_per_row` is positive; `input_scales` need slots.
    * (C3) the bias is [E,N]; scales and zero points are as in moe.experts.
    * (C4) without offsets there is one matrix or `experts` chooses it.
    * (C5) `w_up` is [E,N,K] and there for a separate gate only.

    Example:
    ```mlir
    %a = moe.grouped_matmul %x, %w slots(%slots : tensor<?xi32>) offsets(%offsets : tensor<9xi32>)
         {slots_per_row = 2, activation = #moe.activation<silu, gate = halves>, element = f32}
         : tensor<?x16xf32>, tensor<8x64x16xf32> -> tensor<?x32xf32>
    ```
  }];
  let arguments = (ins FloatTensor<[2]>:$x, Moe_Weights:$w,
                       Optional<1DTensorOf<[I32]>>:$slots, Optional<1DTensorOf<[I32]>>:$offsets,
                       Optional<1DTensorOf<[I32]>>:$experts,
                       Optional<2DTensorOf<[F32]>>:$input_scales,
                       Optional<FloatTensor<[2]>>:$bias, Optional<FloatTensor<[3]>>:$scales,
                       Optional<Moe_ZeroPoints>:$zero_points,
                       Optional<Moe_Weights>:$w_up, Optional<FloatTensor<[2]>>:$bias_up,
                       Optional<FloatTensor<[3]>>:$scales_up, Optional<Moe_ZeroPoints>:$zero_points_up,
                       TypeAttrOf<Moec_Float>:$element,
                       DefaultValuedAttr<Moec_IntAttr, "1">:$slots_per_row,
                       OptionalAttr<Moe_ActivationAttr>:$activation,
                       OptionalAttr<Moe_QuantAttr>:$quant, UnitAttr:$int8_rows);
  let results = (outs FloatTensor<[2]>:$result);
  let hasVerifier = 1;
  let assemblyFormat = [{
    $x `,` $w (`slots` `(` $slots^ `:` type($slots) `)`)?
    (`offsets` `(` $offsets^ `:` type($offsets) `)`)?
    (`experts` `(` $experts^ `:` type($experts) `)`)?
    (`input_scales` `(` $input_scales^ `:` type($input_scales) `)`)?
    (`bias` `(` $bias^ `:` type($bias) `)`)? (`scales` `(` $scales^ `:` type($scales) `)`)?
    (`zero_points` `(` $zero_points^ `:` type($zero_points) `)`)?
    (`w_up` `(` $w_up^ `:` type($w_up) `)`)? (`bias_up` `(` $bias_up^ `:` type($bias_up) `)`)?
    (`scales_up` `(` $scales_up^ `:` type($scales_up) `)`)?
    (`zero_points_up` `(` $zero_points_up^ `:` type($zero_points_up) `)`)? attr-dict
    `:` type($x) `,` type($w) `->` type($result)
  }];
  let extraClassDeclaration = [{
    Matrix getMatrix();
    Matrix getUp();
  }];
}

def Moe_CombineOp : Moe_Op<"combine", [AttrSizedOperandSegments]> {
  let summary = "Sums, for each token, the rows of its slots";
  let description = [{
    y[t] = sum over k of `weights`[t,k] * `rows`[`positions`[t,k]], in slot
    order in f32, skipping negative positions; plus `addend`[t], if given;
    rounded once to the type of the addend, or to `element`.

    Constraints:
    * (C1) rows are [R,H]; positions and weights are [T,K]; the addend is
      [T,H] of the type `element`.

    Example:
    ```mlir
    %y = moe.combine %rows, %positions weights(%w : tensor<?x2xf32>) {element = f32}
         : tensor<?x16xf32>, tensor<?x2xi32> -> tensor<?x16xf32>
    ```
  }];
  let arguments = (ins FloatTensor<[2]>:$rows, 2DTensorOf<[I32]>:$positions,
                       Optional<2DTensorOf<[F32]>>:$weights, Optional<FloatTensor<[2]>>:$addend,
                       TypeAttrOf<Moec_Float>:$element);
  let results = (outs FloatTensor<[2]>:$result);
  let hasVerifier = 1;
  let assemblyFormat = [{
    $rows `,` $positions (`weights` `(` $weights^ `:` type($weights) `)`)?
    (`addend` `(` $addend^ `:` type($addend) `)`)? attr-dict
    `:` type($rows) `,` type($positions) `->` type($result)
  }];
}

def Moe_DequantizeOp : Moe_Op<"dequantize"> {
  let summary = "The floats that integers stand for";
  let description = [{
    y[i] = (x[i] - `zero_points`[j]) * `scales`[j], where j is i, but 0 where a
    dimension of the scales has one element, and divided by `block`, if given,
    in the dimension `axis`. The difference is exact, the product has the type
    of the scales and is rounded to `element`. Zero points are 0 by default;
    integers are signed unless `is_unsigned`.

    Constraints:
    * (C1) `zero_points` have the type of x and the shape of the scales; the
      scales have the rank of x.
    * (C2) each size of the scales is 1 or that of x, or, with a block, in the
      dimension `axis` the number of blocks.
    * (C3) `axis` is a dimension of x; the block is not negative.

    Example:
    ```mlir
    %y = moe.dequantize %x scales(%s : tensor<2x16xf32>) zero_points(%z : tensor<2x16xi8>)
         {axis = 0, block = 32, element = f32} : tensor<64x16xi8> -> tensor<64x16xf32>
    ```
  }];
  let arguments = (ins TensorOf<[AnySignlessInteger]>:$x, TensorOf<[F16, BF16, F32, F64]>:$scales,
                       Optional<TensorOf<[AnySignlessInteger]>>:$zero_points,
                       DefaultValuedAttr<Moec_IntAttr, "0">:$axis,
                       DefaultValuedAttr<Moec_IntAttr, "0">:$block,
                       TypeAttrOf<Moec_Float>:$element, UnitAttr:$is_unsigned);
  let results = (outs TensorOf<[F16, BF16, F32, F64]>:$result);
  let hasVerifier = 1;
  let assemblyFormat = [{
    $x `scales` `(` $scales `:` type($scales) `)`
    (`zero_points` `(` $zero_points^ `:` type($zero_points) `)`)? attr-dict
    `:` type($x) `->` type($result)
  }];
}

#endif
