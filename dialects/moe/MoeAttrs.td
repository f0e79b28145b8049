//===- MoeAttrs.td - routers, activations, quantised weights --------------===//
#ifndef MOEC_MOE_ATTRS
#define MOEC_MOE_ATTRS

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"

class Moe_Enum<string name, string text, list<string> values> : I32Enum<name, text,
    !foreach(i, !range(!size(values)), I32EnumCase<values[i], i>)> {
  let cppNamespace = "::moec::moe";
}

def Moe_Score : Moe_Enum<"Score", "how logits become scores",
                         ["softmax", "sigmoid", "raw", "sparse_mixer"]>;
def Moe_Normalize : Moe_Enum<"Normalize", "how the scores of the selected experts become weights",
                             ["keep", "sum", "softmax", "sigmoid"]>;
def Moe_GroupScore : Moe_Enum<"GroupScore", "how a group of experts is scored", ["max", "top2_sum"]>;
def Moe_Masked : Moe_Enum<"Masked", "the score of experts outside the kept groups",
                          ["neg_inf", "zero"]>;
def Moe_Ties : Moe_Enum<"Ties", "which of two experts with equal scores comes first",
                        ["lower", "higher"]>;
def Moe_Function : Moe_Enum<"Function", "an activation function",
                            ["identity", "relu", "silu", "gelu_tanh", "gelu_erf"]>;
def Moe_Gate : Moe_Enum<"Gate", "where the rows are that multiply the activated ones",
                        ["none", "interleaved", "halves", "separate"]>;

class Moe_Attr<string name, string mnemonicText> : AttrDef<Moe_Dialect, name> {
  let mnemonic = mnemonicText;
  let genVerifyDecl = 1;
  let assemblyFormat = "`<` struct(params) `>`";
}

class Moe_Default<EnumInfo info, string value> : EnumParameter<info> {
  let defaultValue = value;
}
class Moe_Int<string value> : DefaultValuedParameter<"int64_t", value>;
class Moe_Double<string value> : APFloatParameter<""> {
  let defaultValue = value;
  let parser = "::moec::moe::parseDouble($_parser)";
  let printer = "$_printer.printFloat($_self)";
}

def Moe_RouterAttr : Moe_Attr<"Router", "router"> {
  let summary = "How a router selects and weighs experts";
  let description = [{
    * `top_k`: experts per token.
    * `score`: softmax over all experts, sigmoid, raw logits, or the sparse
      mixer of PhiMoE.
    * `groups`, `kept_groups`, `group_score`, `masked`: selection among the
      experts of the best groups only; the others score `masked`.
    * `normalize`: weights are the scores of the selected experts as they are
      (`keep`), divided by their sum + `epsilon`, their softmax, or their
      sigmoids; then multiplied by `scale`; weights that are not above
      `min_weight` become 0.
    * `jitter`: the sparse mixer drops experts more than 2 * `jitter` below
      the largest logit, relative to the larger magnitude.
    * `ties`: equal scores select the lower or the higher index first.

    Mixtral: `<top_k = 2, normalize = sum>`; gpt-oss: `<top_k = 4, score = raw,
    normalize = softmax>`; DeepSeek-V3: `<top_k = 8, score = sigmoid, groups =
    8, kept_groups = 4, group_score = top2_sum, normalize = sum, scale = 2.5>`;
    Llama-4: `<top_k = 1, score = raw, normalize = sigmoid>`; PhiMoE:
    `<top_k = 2, score = sparse_mixer>`.
  }];
  let parameters = (ins "int64_t":$top_k, Moe_Default<Moe_Score, "Score::softmax">:$score,
                        Moe_Int<"1">:$groups, Moe_Int<"1">:$kept_groups,
                        Moe_Default<Moe_GroupScore, "GroupScore::max">:$group_score,
                        Moe_Default<Moe_Masked, "Masked::neg_inf">:$masked,
                        Moe_Default<Moe_Normalize, "Normalize::keep">:$normalize,
                        Moe_Double<"::llvm::APFloat(0.0)">:$epsilon,
                        Moe_Double<"::llvm::APFloat(1.0)">:$scale,
                        Moe_Double<"::moec::moe::lowest()">:$min_weight,
                        Moe_Double<"::llvm::APFloat(0.01)">:$jitter,
                        Moe_Default<Moe_Ties, "Ties::lower">:$ties);
}

def Moe_ActivationAttr : Moe_Attr<"Activation", "activation"> {
  let summary = "What an expert computes between its two matrix products";
  let description = [{
    Without gate: f(g). With a gate: f(min(g, `limit`)) * (clamp(l, -`limit`,
    `limit`) + `beta`). Rows 2i of the first product are g and rows 2i+1 are l
    (`interleaved`), or its first half is g and its second l (`halves`), or l
    is the product of matrices of their own (`separate`). silu(g) is
    g * sigmoid(`alpha` * g).

    SwiGLU as in gpt-oss: `<silu, gate = interleaved, alpha = 1.702, beta = 1.0,
    limit = 7.0>`.
  }];
  let parameters = (ins EnumParameter<Moe_Function>:$function,
                        Moe_Default<Moe_Gate, "Gate::none">:$gate,
                        Moe_Double<"::llvm::APFloat(1.0)">:$alpha,
                        Moe_Double<"::llvm::APFloat(0.0)">:$beta,
                        Moe_Double<"::moec::moe::highest()">:$limit);
  let assemblyFormat = "`<` $function (`,` struct($gate, $alpha, $beta, $limit)^)? `>`";
  let extraClassDeclaration = [{
    /// Whether one product holds both g and l.
    bool isFused() const { return getGate() == Gate::interleaved || getGate() == Gate::halves; }
  }];
}

def Moe_QuantAttr : Moe_Attr<"Quant", "quant"> {
  let summary = "How weights are quantised";
  let description = [{
    Weights [E,N,K] are unsigned integers of `bits`, 8/`bits` in a byte of
    [E,N,ceil(K/p)] with the lowest first. Each run of `block` elements along K
    (0: the whole row) has a scale and a zero point: w = (q - zero) * scale.
  }];
  let parameters = (ins "int64_t":$bits, Moe_Int<"0">:$block);
}

#endif
