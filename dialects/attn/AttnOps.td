//===- AttnOps.td - attention, its caches and positions ------------------===//
#ifndef MOEC_ATTN_OPS
#define MOEC_ATTN_OPS

include "dialects/TensorOps.td"
include "mlir/IR/EnumAttr.td"
include "mlir/Interfaces/DestinationStyleOpInterface.td"

def Attn_Dialect : Dialect {
  let name = "attn";
  let cppNamespace = "::moec::attn";
  let summary = "Attention, key/value caches, rotary positions and norms";
  let description = [{
    Sizes are named B batch, S queries, T keys, N query heads, M key/value
    heads, D and E head sizes of keys and of values. Queries and new keys are
    [B,S,N,D], as projections write them; caches are [B,M,T,D].
  }];
  let hasCanonicalizer = 1;
  let useDefaultAttributePrinterParser = 1;
}

class Attn_Op<string mnemonic, list<Trait> traits = []>
    : Moec_TensorOp<Attn_Dialect, mnemonic, traits>;

def Attn_AttentionOp : Attn_Op<"attention", [AttrSizedOperandSegments]> {
  let summary = "Softmax attention of queries over keys and values";
  let description = [{
    `q` [B,S,N,D], `k` [B,M,T,D] and `v` [B,M,T,E] give [B,S,N,E]; query head n
    reads key head n / (N/M). For row b, query i at the absolute position
    p = `q_offsets`[b] + i (default i) sees key j when

    * j < `kv_lengths`[b] (default T), and
    * p - `left` <= j, unless `left` is -1, and
    * j <= p + `right`, unless `right` is -1 (causal: `right` = 0; a window of
      W keys: `left` = W - 1), and
    * `mask` is true there, if given, and j is within `bias` and `mask`, whose
      last dimension may be shorter than T.

    Its score is x = `scale` * q.k, then `softcap` * tanh(x / `softcap`) unless
    `softcap` is 0, then x + `bias`. A score of -inf is a masked key, which is
    never read.

    Everything is computed in f32 (f64 when q is f64). Sums have one order, so
    that any split of a prefill and any padding of the keys give the same bits:
    keys [c * `chunk`, (c+1) * `chunk`) give (m, l, o) = (max x, sum of
    exp(x - m), sum of exp(x - m) * v), summed ascending from 0; chunks are
    merged ascending by

        merge(a, b) = a                                       if b.m = -inf
                      b                                       if a.m = -inf
                      (m, a.l * exp(a.m-m) + b.l * exp(b.m-m), likewise o)
                                                              with m = max(a.m, b.m)

    (a kernel may add the exponentials of a chunk in another order, which then
    depends on the type, the chip and the sizes of a head and a chunk alone),
    and `sink` [N], an additional score that has no value, is merged last as
    (sink, 1, 0). The result is o / l, and 0 when l = 0: a row without keys.

    Constraints:
    * (C1) k and q agree in D; k and v in B, M and T; q and k in B.
    * (C2) N is a multiple of M.
    * (C3) `bias` and `mask` are [B|1, N|1, S|1, <= T].
    * (C4) `kv_lengths` and `q_offsets` are [B]; `sink` is [N].
    * (C5) `chunk` is positive, `left` and `right` are at least -1, and
      `softcap` is not negative.
    * (C6) q, k and v have the same element type.

    Example:
    ```mlir
    %y = attn.attention %q, %k, %v kv_lengths(%n : tensor<?xi64>) q_offsets(%p : tensor<?xi64>)
         {scale = 0.125 : f64, right = 0}
         : tensor<?x?x8x64xf32>, tensor<?x2x?x64xf32>, tensor<?x2x?x64xf32> -> tensor<?x?x8x64xf32>
    ```
  }];
  let arguments = (ins FloatTensor<[4]>:$q, FloatTensor<[4]>:$k, FloatTensor<[4]>:$v,
                       Optional<FloatTensor<[4]>>:$bias, Optional<4DTensorOf<[I1]>>:$mask,
                       Optional<FloatTensor<[1]>>:$sink,
                       Optional<1DTensorOf<[I64]>>:$kv_lengths,
                       Optional<1DTensorOf<[I64]>>:$q_offsets,
                       F64Attr:$scale,
                       DefaultValuedAttr<Moec_IntAttr, "-1">:$left,
                       DefaultValuedAttr<Moec_IntAttr, "-1">:$right,
                       DefaultValuedAttr<F64Attr, "0.0">:$softcap,
                       DefaultValuedAttr<Moec_IntAttr, "64">:$chunk);
  let results = (outs FloatTensor<[4]>:$result);
  let hasVerifier = 1;
  let assemblyFormat = [{
    $q `,` $k `,` $v (`bias` `(` $bias^ `:` type($bias) `)`)? (`mask` `(` $mask^ `:` type($mask) `)`)?
    (`sink` `(` $sink^ `:` type($sink) `)`)?
    (`kv_lengths` `(` $kv_lengths^ `:` type($kv_lengths) `)`)?
    (`q_offsets` `(` $q_offsets^ `:` type($q_offsets) `)`)? attr-dict
    `:` type($q) `,` type($k) `,` type($v) `->` type($result)
  }];
}

def Attn_Stage : I32Enum<"Stage", "how far scores are computed", [
    I32EnumCase<"raw", 0>, I32EnumCase<"capped", 1>, I32EnumCase<"masked", 2>,
    I32EnumCase<"probabilities", 3>]> {
  let cppNamespace = "::moec::attn";
}
def Attn_StageAttr : EnumAttr<Attn_Dialect, Attn_Stage, "stage"> {
  let assemblyFormat = "`<` $value `>`";
}

def Attn_ScoresOp : Attn_Op<"scores", [AttrSizedOperandSegments]> {
  let summary = "The scores of attention as a tensor";
  let description = [{
    The scores x [B,N,S,T] of an attn.attention with the same operands: scaled
    (`raw`), after the softcap (`capped`), with the bias and -inf where masked
    (`masked`), or exp(x - max) / sum of it, 0 in rows without keys
    (`probabilities`). For models that return them; attention does not compute
    them on its way.

    Constraints:
    * (C1) those of attn.attention for the operands that there are.

    Example:
    ```mlir
    %x = attn.scores %q, %k {scale = 0.125 : f64, right = 0, stage = #attn.stage<masked>}
         : tensor<?x?x8x64xf32>, tensor<?x2x?x64xf32> -> tensor<?x8x?x?xf32>
    ```
  }];
  let arguments = (ins FloatTensor<[4]>:$q, FloatTensor<[4]>:$k,
                       Optional<FloatTensor<[4]>>:$bias, Optional<4DTensorOf<[I1]>>:$mask,
                       Optional<1DTensorOf<[I64]>>:$kv_lengths,
                       Optional<1DTensorOf<[I64]>>:$q_offsets,
                       F64Attr:$scale,
                       DefaultValuedAttr<Moec_IntAttr, "-1">:$left,
                       DefaultValuedAttr<Moec_IntAttr, "-1">:$right,
                       DefaultValuedAttr<F64Attr, "0.0">:$softcap,
                       Attn_StageAttr:$stage);
  let results = (outs FloatTensor<[4]>:$result);
  let hasVerifier = 1;
  let assemblyFormat = [{
    $q `,` $k (`bias` `(` $bias^ `:` type($bias) `)`)? (`mask` `(` $mask^ `:` type($mask) `)`)?
    (`kv_lengths` `(` $kv_lengths^ `:` type($kv_lengths) `)`)?
    (`q_offsets` `(` $q_offsets^ `:` type($q_offsets) `)`)? attr-dict
    `:` type($q) `,` type($k) `->` type($result)
  }];
}

def Attn_LinearAttentionOp : Attn_Op<"linear_attention", [AttrSizedOperandSegments]> {
  let summary = "Attention to a state of fixed size that every token updates";
  let description = [{
    `q` [B,S,N,D], `k` [B,S,K,D], `v` [B,S,M,E] and `state` [B,M,D,E] give the
    result [B,S,H,E], H = max(N, M), and `present` [B,M,D,E], the state behind
    the last token. Consecutive heads share where there are fewer: head h of the
    result reads query head h / (H/N) and state h / (H/M), and state m reads key
    head m / (M/K). Token t does, from S = `state` on,

        Z = exp(`decay`[t]) * S              or S without a decay
        u = `beta`[t] * (v[t] - k[t].Z)      or v[t] without a beta
        S = Z + k[t] * u                     element [d,e]: Z[d,e] + k[t,d] * u[e]
        result[t] = `scale` * q[t].S         the sum over d of q[t,d] * S[d,e]

    which is the update rule that ONNX calls linear, gated (with `decay`), delta
    (with `beta`) or gated_delta (with both). A decay [B,S,M,D|1] is one for each
    row d of a state or for the state, a beta [B,S,M|1] for each state or for all.

    Everything is computed in f32 (f64 when q is f64), and sums ascend from 0. S
    is rounded to the type of `state` behind each token and before the token's
    result reads it, so that tokens at once and tokens one after the other give
    the same bits. The result is rounded once.

    Constraints:
    * (C1) q, k and v agree in B and S, q and k in D, and state in B, M, D and E
      with them.
    * (C2) N is a multiple of M or M of N; M is a multiple of K.
    * (C3) `decay` is [B,S,M,D|1] and `beta` is [B,S,M|1].
    * (C4) q, k and v have the same element type.

    Example:
    ```mlir
    %y, %present = attn.linear_attention %q, %k, %v state(%s : tensor<?x8x64x32xf32>)
         decay(%g : tensor<?x?x8x1xf16>) beta(%b : tensor<?x?x8xf16>) {scale = 0.125 : f64}
         : tensor<?x?x4x64xf16>, tensor<?x?x4x64xf16>, tensor<?x?x8x32xf16>
         -> tensor<?x?x8x32xf16>, tensor<?x8x64x32xf32>
    ```
  }];
  let arguments = (ins FloatTensor<[4]>:$q, FloatTensor<[4]>:$k, FloatTensor<[4]>:$v,
                       FloatTensor<[4]>:$state, Optional<FloatTensor<[4]>>:$decay,
                       Optional<FloatTensor<[3]>>:$beta, F64Attr:$scale);
  let results = (outs FloatTensor<[4]>:$result, FloatTensor<[4]>:$present);
  let hasVerifier = 1;
  let assemblyFormat = [{
    $q `,` $k `,` $v `state` `(` $state `:` type($state) `)`
    (`decay` `(` $decay^ `:` type($decay) `)`)? (`beta` `(` $beta^ `:` type($beta) `)`)? attr-dict
    `:` type($q) `,` type($k) `,` type($v) `->` type($result) `,` type($present)
  }];
}

def Attn_CacheAppendOp : Attn_Op<"cache_append", [DestinationStyleOpInterface]> {
  let summary = "A cache with new rows written behind its valid ones";
  let description = [{
    `past` [B,M,P,D], `update` [B,S,M,D] and `dest` [B,M,T,D] give the present
    cache [B,M,T,D]. With n = `lengths`[b] (default P), element [b,m,t,d] is
    `update`[b,t-n,m,d] for n <= t < n+S, else `past`[b,m,t,d] for t < P, else
    0. Rows of the update that would lie past T are dropped.

    `dest` gives the size and, when bufferised, the place of the result; its
    elements are not read. When its memory is that of `past`, a kernel writes
    the new rows only.

    Constraints:
    * (C1) past, update and dest agree in B, M and D and in element type.
    * (C2) `lengths` is [B].

    Example:
    ```mlir
    %present = attn.cache_append %past, %new lengths(%n : tensor<?xi64>) outs(%dest : tensor<?x2x?x64xf32>)
         : tensor<?x2x?x64xf32>, tensor<?x?x2x64xf32> -> tensor<?x2x?x64xf32>
    ```
  }];
  let arguments = (ins FloatTensor<[4]>:$past, FloatTensor<[4]>:$update,
                       Optional<1DTensorOf<[I64]>>:$lengths, FloatTensor<[4]>:$dest);
  let results = (outs FloatTensor<[4]>:$result);
  let hasVerifier = 1;
  let assemblyFormat = [{
    $past `,` $update (`lengths` `(` $lengths^ `:` type($lengths) `)`)?
    `outs` `(` $dest `:` type($dest) `)` attr-dict `:` type($past) `,` type($update) `->` type($result)
  }];
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getDestMutable(); }
  }];
}

def Attn_RopeOp : Attn_Op<"rope"> {
  let summary = "Rotary position embedding";
  let description = [{
    Rotates pairs of the first R dimensions of each head of `x` [B,S,N,D] by
    the angle whose cosine and sine the caches hold for the position; the other
    dimensions pass through. The pairs are (r, r + R/2), or (2r, 2r+1) when
    `interleaved`, for r < R/2:

        (a, b) -> (a * cos - b * sin, b * cos + a * sin)

    in f32, rounded once. With `positions` [B,S] the caches are [P,R/2] and
    are read at the row's position; a position outside [0, P) is an error of
    execution. Without, they are [B,S,R/2].

    Constraints:
    * (C1) cos and sin have the same shape; with positions their rank is 2,
      without it is 3 and they agree with x in B and S.
    * (C2) R <= D.
    * (C3) positions agrees with x in B and S.

    Example:
    ```mlir
    %y = attn.rope %x, %cos, %sin positions(%p : tensor<?x?xi64>)
         : tensor<?x?x8x64xf32>, tensor<4096x32xf32>, tensor<4096x32xf32> -> tensor<?x?x8x64xf32>
    ```
  }];
  let arguments = (ins FloatTensor<[4]>:$x, FloatTensor<[2, 3]>:$cos, FloatTensor<[2, 3]>:$sin,
                       Optional<2DTensorOf<[I64]>>:$positions, UnitAttr:$interleaved);
  let results = (outs FloatTensor<[4]>:$result);
  let hasVerifier = 1;
  let assemblyFormat = [{
    (`interleaved` $interleaved^)? $x `,` $cos `,` $sin
    (`positions` `(` $positions^ `:` type($positions) `)`)? attr-dict
    `:` type($x) `,` type($cos) `,` type($sin) `->` type($result)
  }];
}

def Attn_RmsNormOp : Attn_Op<"rms_norm"> {
  let summary = "Root-mean-square normalisation over the trailing dimensions";
  let description = [{
    x / sqrt(mean(x^2) + `epsilon`) * `scale`, the mean over the dimensions from
    `axis` on, in f32 (f64 for f64), summed ascending and rounded once. A kernel
    may sum in another order, which then depends on the chip and the number of
    elements alone.

    Constraints:
    * (C1) 0 <= `axis` < rank of x.
    * (C2) `scale` has the shape of x from `axis` on.

    Example:
    ```mlir
    %y = attn.rms_norm %x, %scale {axis = 2, epsilon = 1.0e-6 : f64}
         : tensor<?x?x256xf32>, tensor<256xf32> -> tensor<?x?x256xf32>
    ```
  }];
  let arguments = (ins RankedTensorOf<[Moec_Float]>:$x, RankedTensorOf<[Moec_Float]>:$scale,
                       Moec_IntAttr:$axis, F64Attr:$epsilon);
  let results = (outs RankedTensorOf<[Moec_Float]>:$result);
  let hasVerifier = 1;
  let assemblyFormat = [{
    $x `,` $scale attr-dict `:` type($x) `,` type($scale) `->` type($result)
  }];
}

def Attn_LayerNormOp : Attn_Op<"layer_norm"> {
  let summary = "Layer normalisation over the trailing dimensions";
  let description = [{
    (x - mean) * inverse * `scale` + `bias`, with inverse = 1 / sqrt(mean((x -
    mean)^2) + `epsilon`), the means over the dimensions from `axis` on, in f32
    (f64 for f64), summed as in attn.rms_norm and rounded once. `mean` and `inverse` are
    results of their own, with sizes of 1 from `axis` on.

    Constraints:
    * (C1) 0 <= `axis` < rank of x.
    * (C2) `scale` and `bias` have the shape of x from `axis` on.

    Example:
    ```mlir
    %y, %mean, %inverse = attn.layer_norm %x, %scale bias(%b : tensor<256xf32>)
         {axis = 1, epsilon = 1.0e-5 : f64}
         : tensor<?x256xf32>, tensor<256xf32> -> tensor<?x256xf32>, tensor<?x1xf32>, tensor<?x1xf32>
    ```
  }];
  let arguments = (ins RankedTensorOf<[Moec_Float]>:$x, RankedTensorOf<[Moec_Float]>:$scale,
                       Optional<RankedTensorOf<[Moec_Float]>>:$bias, Moec_IntAttr:$axis,
                       F64Attr:$epsilon);
  let results = (outs RankedTensorOf<[Moec_Float]>:$result, RankedTensorOf<[F32, F64]>:$mean,
                      RankedTensorOf<[F32, F64]>:$inverse);
  let hasVerifier = 1;
  let assemblyFormat = [{
    $x `,` $scale (`bias` `(` $bias^ `:` type($bias) `)`)? attr-dict
    `:` type($x) `,` type($scale) `->` type($result) `,` type($mean) `,` type($inverse)
  }];
}

#endif
