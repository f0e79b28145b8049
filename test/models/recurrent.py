"""Models of the operators that carry a state, and float64 references of them.

    python recurrent.py recurrent

Each model holds one node per form of its operator; FOLDER/case.json is a prompt
and FOLDER/decode/case.json goes on from its states by one token.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

BATCH, PROMPT = 2, 7
MICROSOFT = "com.microsoft"
CODES = {"f4": TensorProto.FLOAT, "f2": TensorProto.FLOAT16}


def rounded(x, type):
    return x.astype(type).astype(np.float64)


def linear_attention(q, k, v, past, decay, beta, heads, states, scale, window, type, state_type):
    """float64 (output, present state), states rounded behind every token."""
    batch, tokens = q.shape[:2]
    q = q.reshape(batch, tokens, heads, -1)
    depth = q.shape[3]
    k = k.reshape(batch, tokens, -1, depth)
    v = v.reshape(batch, tokens, states, -1)
    k = k.repeat(states // k.shape[2], axis=2)
    most = max(heads, states)
    q = q.repeat(most // heads, axis=2)
    state = np.zeros((batch, states, depth, v.shape[3]))
    if past is not None:
        state = past[-1] if window else past
    decay = None if decay is None else np.exp(decay.reshape(batch, tokens, states, -1))
    behind, outputs = [np.zeros_like(state)] * window, []
    for t in range(tokens):
        if decay is not None:
            state = state * decay[:, t, :, :, None]
        update = v[:, t]
        if beta is not None:
            update = beta[:, t, :, None] * (update - np.einsum("bmd,bmde->bme", k[:, t], state))
        state = rounded(state + k[:, t, :, :, None] * update[:, :, None, :], state_type)
        read = state.repeat(most // states, axis=1)
        outputs.append(np.einsum("bhd,bhde->bhe", q[:, t], read) * (scale or depth**-0.5))
        behind.append(state)
    output = rounded(np.stack(outputs, axis=1).reshape(batch, tokens, -1), type)
    return output, np.stack(behind[-window:]) if window else state


def causal_conv(x, weight, bias, past, dilation, activation, channels_last, window, type):
    """float64 (output, present state)."""
    shape = x.shape
    if channels_last:
        x = x.reshape(*shape[:2], -1).transpose(0, 2, 1)
    batch, channels, tokens = x.shape
    taps = weight.shape[2]
    reach = (taps - 1) * dilation
    before = np.zeros((batch, channels, reach))
    if past is not None:
        before = past[-1] if window else past
        if channels_last:
            before = before.reshape(batch, reach, -1).transpose(0, 2, 1)
    inputs = np.concatenate([before, x], axis=2)
    y = sum(weight[:, 0, j, None] * inputs[:, :, j * dilation : j * dilation + tokens] for j in range(taps))
    if bias is not None:
        y = y + bias[:, None]
    if activation != "none":
        y = y / (1 + np.exp(-y))
    states = [inputs[:, :, n : n + reach] if n > 0 else before * 0 for n in range(tokens - window + 1, tokens + 1)]
    if not window:
        states = [inputs[:, :, tokens:]]
    if channels_last:
        y = y.transpose(0, 2, 1)
        states = [s.transpose(0, 2, 1).reshape(batch, reach, *shape[2:]) for s in states]
    return rounded(y.reshape(shape), type), np.stack(states) if window else states[0]


class Model:
    """A graph of nodes that share inputs, and what it computes."""

    def __init__(self, domain, seed):
        self.random = np.random.default_rng(seed)
        self.opsets = [helper.make_opsetid("", 21 if domain else 27)]
        self.opsets += [helper.make_opsetid(domain, 1)] if domain else []
        self.domain = domain
        self.nodes, self.weights = [], []
        self.inputs, self.outputs = {}, {}  # name -> (type, shape); "T" is the number of tokens
        self.pasts = {}  # input -> (output, shape)
        self.formulas = []

    def input(self, name, type, shape):
        self.inputs[name] = (type, shape)
        return name

    def weight(self, name, type, shape, deviation):
        value = (self.random.standard_normal(shape) * deviation).astype(type)
        self.weights.append(onnx.numpy_helper.from_array(value, name))
        return value.astype(np.float64)

    def past(self, name, type, shape):
        self.pasts["past_" + name] = "present_" + name
        return self.input("past_" + name, type, shape)

    def node(self, operator, name, inputs, types, formula, **attributes):
        """formula(values by input name) gives the node's two outputs in float64."""
        outputs = ["y_" + name, "present_" + name]
        self.nodes.append(
            helper.make_node(operator, inputs, outputs, name, domain=self.domain, **attributes)
        )
        self.outputs.update(zip(outputs, types))
        self.formulas.append((outputs, formula))

    def values(self, tokens, presents):
        """Inputs of a call; gates, of which names say so, are below 0 or from 0 to 1."""
        result = {}
        for name, (type, shape) in self.inputs.items():
            if name in presents:
                result[name] = presents[name].astype(type)
                continue
            size = [BATCH if s == "B" else tokens if s == "T" else s for s in shape]
            value = self.random.standard_normal(size)
            if name.startswith("decay"):
                value = -abs(value)
            elif name.startswith("beta"):
                value = 1 / (1 + np.exp(-value))
            elif name.startswith("k"):
                value /= 6**0.5
            result[name] = value.astype(type)
        return result

    def compute(self, values):
        values = {name: value.astype(np.float64) for name, value in values.items()}
        results = {}
        for outputs, formula in self.formulas:
            results.update(zip(outputs, formula(values)))
        return results

    def save(self, folder, tolerance):
        def info(name, type, shape):
            return helper.make_tensor_value_info(name, CODES[type], shape)

        folder.mkdir(parents=True, exist_ok=True)
        inputs = [info(name, type, shape) for name, (type, shape) in self.inputs.items()]
        outputs = [info(name, type, None) for name, type in self.outputs.items()]
        graph = helper.make_graph(self.nodes, folder.name, inputs, outputs, self.weights)
        onnx.save(helper.make_model(graph, opset_imports=self.opsets, ir_version=10), folder / "model.onnx")
        presents = {}
        for case, tokens in ((folder, PROMPT), (folder / "decode", 1)):
            values = self.values(tokens, presents)
            results = self.compute(values)
            write_case(case, values, results, tolerance)
            presents = {past: results[present] for past, present in self.pasts.items()}


def write_case(folder, inputs, outputs, tolerance):
    folder.mkdir(parents=True, exist_ok=True)
    case = {}
    for kind, arrays in (("input", inputs), ("output", outputs)):
        case[kind + "s"] = {name: f"{kind}_{name}.npy" for name in arrays}
        for name, array in arrays.items():
            np.save(folder / f"{kind}_{name}.npy", np.ascontiguousarray(array))
    (folder / "case.json").write_text(json.dumps({**case, "tolerance": tolerance}, indent=2) + "\n")


DEPTH, WIDTH = 6, 5


def add_attention(model, name, rule, gates, heads=2, states=2, keys=2, past=True, scale=0.0, window=0, types=("f4", "f4")):
    """gates: sizes of decay and beta, 0 where there is none."""
    type, state_type = types
    shared = {"type": type, "state_type": state_type, "heads": heads, "states": states}
    names = [f"q{heads}", f"k{keys}", f"v{states}"]
    for input, size in zip(names, (heads * DEPTH, keys * DEPTH, states * WIDTH)):
        model.input(input, type, ["B", "T", size])
    shape = [window] * (window > 0) + ["B", states, DEPTH, WIDTH]
    names.append(model.past(name, state_type, shape) if past else "")
    for gate, size in zip(("decay", "beta"), gates):
        names.append(model.input(f"{gate}{size}", type, ["B", "T", size]) if size else "")

    def formula(values):
        q, k, v, past, decay, beta = (values.get(name) for name in names)
        return linear_attention(q, k, v, past, decay, beta, scale=scale, window=window, **shared)

    attributes = {"update_rule": rule, "q_num_heads": heads, "kv_num_heads": states}
    attributes |= {"scale": scale} if scale else {}
    attributes |= {"state_window": window} if window else {}
    operands = names[: max(i for i, name in enumerate(names) if name) + 1]
    model.node("LinearAttention", name, operands, types, formula, **attributes)


def linear_attention_forms():
    model = Model(MICROSOFT, 1)
    add_attention(model, "linear", "linear", (0, 0), past=False)
    add_attention(model, "gated", "gated", (2 * DEPTH, 0), scale=0.5)
    add_attention(model, "delta", "delta", (0, 2))
    add_attention(model, "gated_delta", "gated_delta", (2, 1))
    add_attention(model, "per_row", "gated_delta", (2 * DEPTH, 2), heads=4)
    add_attention(model, "one_state", "gated_delta", (1, 1), heads=4, states=1, keys=1)
    add_attention(model, "more_states", "gated_delta", (4, 4), heads=2, states=4)
    return model


def linear_attention_windows():
    model = Model(MICROSOFT, 2)
    add_attention(model, "one", "gated_delta", (2, 2), window=1)
    add_attention(model, "three", "gated_delta", (2, 2), window=3)
    add_attention(model, "eight", "gated", (2, 0), window=8)
    return model


def linear_attention_f16():
    model = Model("", 3)
    add_attention(model, "f32_state", "gated_delta", (2, 1), heads=4, types=("f2", "f4"))
    add_attention(model, "f16_state", "gated_delta", (2 * DEPTH, 2), types=("f2", "f2"))
    add_attention(model, "no_past", "delta", (0, 2), past=False, types=("f2", "f2"))
    return model


def add_conv(model, name, taps=4, channels=(6,), past=True, bias=True, type="f4", **attributes):
    dilation = attributes.get("dilation", 1)
    last, window = bool(attributes.get("channels_last")), attributes.get("state_window", 0)
    place = (lambda length: ["B", length, *channels]) if last else (lambda length: ["B", *channels, length])
    count = int(np.prod(channels))
    names = [model.input("x_last" if last else "x", type, place("T")), "weight_" + name]
    weight, offset = model.weight(names[1], type, (count, 1, taps), taps**-0.5), None
    if bias or past:
        names.append("bias_" + name if bias else "")
        offset = model.weight(names[2], type, (count,), 1) if bias else None
    if past:
        shape = [window] * (window > 0) + place((taps - 1) * dilation)
        names.append(model.past(name, type, shape))

    def formula(values):
        return causal_conv(
            values[names[0]], weight, offset, values.get("past_" + name),
            dilation, attributes.get("activation", "none"), last, window, type,
        )

    model.node("CausalConvWithState", name, names, (type, type), formula, **attributes)


def causal_conv_forms():
    model = Model(MICROSOFT, 4)
    add_conv(model, "plain", past=False, bias=False)
    add_conv(model, "silu", activation="silu")
    add_conv(model, "dilated", bias=False, dilation=3, activation="none")
    add_conv(model, "last", channels_last=1, activation="swish", channels=(2, 3))
    add_conv(model, "dilated_last", channels_last=1, dilation=2, past=False, channels=(2, 3))
    return model


def causal_conv_windows():
    model = Model(MICROSOFT, 5)
    add_conv(model, "three", state_window=3)
    add_conv(model, "eight_last", state_window=8, channels_last=1, dilation=2, channels=(2, 3))
    return model


def causal_conv_f16():
    model = Model("", 6)
    add_conv(model, "silu", activation="silu", type="f2")
    add_conv(model, "no_past", past=False, type="f2")
    return model


def main():
    for name, make, tolerance in (
        ("linear-attention", linear_attention_forms, 1e-11),
        ("linear-attention-windows", linear_attention_windows, None),
        ("linear-attention-f16", linear_attention_f16, 1e-6),
        ("causal-conv", causal_conv_forms, 1e-11),
        ("causal-conv-windows", causal_conv_windows, None),
        ("causal-conv-f16", causal_conv_f16, 1e-6),
    ):
        make().save(Path(sys.argv[1]) / name, tolerance)


if __name__ == "__main__":
    main()
