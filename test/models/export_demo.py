"""Writes the trained demo model as ONNX, with the fused operators.

    python export_demo.py demo.pt demo/demo.onnx

The graph has the skeleton that onnxruntime-genai's model builder writes: past
and present keys and values per layer, the attention mask read only for the
sequence lengths, GroupQueryAttention with RoPE inside, and a router MatMul and
Reshape in front of each MoE.
"""

import argparse

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from demo_model import load, rope_tables

CONTRIB = "com.microsoft"
LAYER = "/model/layers.{}"


class Graph:
    """Nodes and initializers in the order in which they are added."""

    def __init__(self):
        self.nodes, self.initializers = [], []

    def weight(self, name, value):
        array = np.ascontiguousarray(value)
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def node(self, name, op, inputs, outputs=1, domain="", **attributes):
        """`outputs` is a count (results are NAME/output_I) or the list of names."""
        if isinstance(outputs, int):
            outputs = [f"{name}/output_{i}" for i in range(outputs)]
        self.nodes.append(
            helper.make_node(op, inputs, outputs, name=name, domain=domain, **attributes)
        )
        return outputs[0]


def f32(parameter):
    return parameter.detach().float().numpy()


def sequence_lengths(g):
    """(seqlens_k i32 [batch], total_sequence_length i32 scalar) from the mask."""
    base = "/model/attn_mask_reformat"
    one = g.weight("constant.one", np.array([1], np.int64))
    index = g.weight("constant.length_axis", np.array(1, np.int64))
    total = g.node(f"{base}/ReduceSum", "ReduceSum", ["attention_mask", one], keepdims=0)
    last = g.node(f"{base}/Sub", "Sub", [total, one])
    seqlens = g.node(f"{base}/Sub/Cast", "Cast", [last], to=TensorProto.INT32)
    shape = g.node(f"{base}/Shape", "Shape", ["attention_mask"])
    length = g.node(f"{base}/Gather", "Gather", [shape, index], axis=0)
    return seqlens, g.node(f"{base}/Gather/Cast", "Cast", [length], to=TensorProto.INT32)


def norm(g, name, x, module, skip=None, keep_sum=True):
    """(normalised, sum of x and skip)."""
    scale = g.weight(f"{name[1:].replace('/', '.')}.weight", f32(module.weight))
    if skip is None:
        y = g.node(
            f"{name}/SimplifiedLayerNormalization", "SimplifiedLayerNormalization",
            [x, scale], axis=-1, epsilon=module.epsilon, stash_type=1,
        )  # fmt: skip
        return y, x
    full = f"{name}/SkipLayerNorm"
    outputs = [f"{full}/output_0"] + (["", "", f"{full}/output_3"] if keep_sum else [])
    y = g.node(
        full, "SkipSimplifiedLayerNormalization", [x, skip, scale],
        outputs, CONTRIB, epsilon=module.epsilon,
    )  # fmt: skip
    return y, outputs[-1]


def linear(g, name, x, weight):
    """x · weightᵀ for a PyTorch weight [outputs, inputs]."""
    value = g.weight(f"{name[1:].replace('/', '.')}.weight", f32(weight).T)
    return g.node(name, "MatMul", [x, value])


def attention(g, index, x, module, lengths, caches):
    base, c = LAYER.format(index) + "/attn", module.config
    past = [f"past_key_values.{index}.{part}" for part in ("key", "value")]
    present = [f"present.{index}.{part}" for part in ("key", "value")]
    packed = linear(g, f"{base}/qkv_proj/MatMul", x, module.qkv)
    full = f"{base}/GroupQueryAttention"
    y = g.node(
        full, "GroupQueryAttention", [packed, "", "", *past, *lengths, *caches],
        [f"{full}/output_0", *present], CONTRIB,
        num_heads=c.heads, kv_num_heads=c.kv_heads, scale=c.head_size**-0.5,
        do_rotary=1, rotary_interleaved=0,
    )  # fmt: skip
    return linear(g, f"{base}/o_proj/MatMul", y, module.out)


def experts(g, index, x, module):
    base, c = LAYER.format(index) + "/moe", module.config
    logits = linear(g, f"{base}/router/MatMul", x, module.router)
    rows = g.node(f"{base}/router/Reshape", "Reshape", [logits, "constant.router_shape"])
    prefix = f"model.layers.{index}.moe.experts"
    fc1 = g.weight(f"{prefix}.gate_up_proj.weight", f32(module.fc1))
    fc2 = g.weight(f"{prefix}.down_proj.weight", f32(module.fc2))
    return g.node(
        f"{base}/MoE", "MoE", [x, rows, fc1, "", fc2], domain=CONTRIB,
        k=c.top_k, activation_type="swiglu", swiglu_fusion=1, normalize_routing_weights=1,
        activation_alpha=1.0, activation_beta=0.0,
    )  # fmt: skip


def decoder(model):
    g, c = Graph(), model.config
    g.weight("constant.router_shape", np.array([-1, c.experts], np.int64))
    lengths = sequence_lengths(g)
    cos, sin = rope_tables(c)
    caches = [g.weight("cos_cache", f32(cos)), g.weight("sin_cache", f32(sin))]
    table = g.weight("model.embed_tokens.weight", f32(model.embedding))
    x = g.node("/model/embed_tokens/Gather", "Gather", [table, "input_ids"])
    skip = None
    for i, layer in enumerate(model.layers):
        base = LAYER.format(i)
        y, x = norm(g, f"{base}/input_layernorm", x, layer.attention_norm, skip)
        y = attention(g, i, y, layer.attention, lengths, caches)
        y, x = norm(g, f"{base}/post_attention_layernorm", x, layer.experts_norm, y)
        skip = experts(g, i, y, layer.experts)
    y, _ = norm(g, "/model/final_norm", x, model.norm, skip, keep_sum=False)
    head = g.weight("lm_head.weight", f32(model.head).T)
    g.node("/lm_head/MatMul", "MatMul", [y, head], ["logits"])
    return g


def interface(config):
    """Graph inputs and outputs."""
    c, f = config, TensorProto.FLOAT

    def cache(kind, i, part, length):
        shape = ["batch_size", c.kv_heads, length, c.head_size]
        return helper.make_tensor_value_info(f"{kind}.{i}.{part}", f, shape)

    pairs = [(i, part) for i in range(c.layers) for part in ("key", "value")]
    i64, info = TensorProto.INT64, helper.make_tensor_value_info
    inputs = [
        info("input_ids", i64, ["batch_size", "sequence_length"]),
        info("attention_mask", i64, ["batch_size", "total_sequence_length"]),
        *(cache("past_key_values", *pair, "past_sequence_length") for pair in pairs),
    ]
    logits = info("logits", f, ["batch_size", "sequence_length", c.vocab])
    return inputs, [logits, *(cache("present", *pair, "total_sequence_length") for pair in pairs)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights")
    parser.add_argument("output")
    arguments = parser.parse_args()
    model = load(arguments.weights)
    g = decoder(model)
    inputs, outputs = interface(model.config)
    graph = helper.make_graph(g.nodes, "moec_demo", inputs, outputs, g.initializers)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid(CONTRIB, 1)]
    proto = helper.make_model(graph, opset_imports=opsets, producer_name="export_demo.py")
    proto.ir_version = 10
    onnx.save(proto, arguments.output)


if __name__ == "__main__":
    main()
