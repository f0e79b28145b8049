"""Inputs and float64 reference outputs for one exported model.

A case is a case.json that maps the graph's input and output names to .npy
files beside it: FOLDER/case.json is a prompt without a past, and
FOLDER/decode/case.json continues it by one token.
"""

import json
import re

import numpy as np
import onnx
import torch
from transformers import DynamicCache

BATCH, PROMPT = 2, 7


@torch.no_grad()
def reference(model, ids, past):
    """float64 (logits, [(key, value) per layer]) for ids after past, a list like the result's."""
    cache = DynamicCache()
    for layer, (key, value) in enumerate(past):
        cache.update(key, value, layer)
    mask = torch.ones(ids.shape[0], past[0][0].shape[2] + ids.shape[1], dtype=torch.int64)
    result = model(ids, attention_mask=mask, past_key_values=cache, use_cache=True)
    return result.logits, [(layer.keys, layer.values) for layer in cache.layers]


def empty_past(model, batch):
    """A past of no tokens: one token's keys and values, cut to length 0."""
    cache = DynamicCache()
    with torch.no_grad():
        model(torch.ones(batch, 1, dtype=torch.int64), past_key_values=cache)
    return [(layer.keys[:, :, :0], layer.values[:, :, :0]) for layer in cache.layers]


def cached_part(name):
    """(layer, 0 for the key or 1 for the value) that a graph input or output holds, or None."""
    match = re.search(r"(\d+)\W(key|value)s?$", name)
    return (int(match[1]), int(match[2] == "value")) if match else None


def write_case(folder, graph, model, ids, past, facts):
    """Returns the reference's present keys and values."""
    logits, present = reference(model, ids, past)
    length, total = ids.shape[1], past[0][0].shape[2] + ids.shape[1]
    positions = torch.arange(total - length, total).expand_as(ids)
    plain = {
        "input_ids": ids,
        "attention_mask": torch.ones(len(ids), total, dtype=torch.int64),
        "position_ids": positions,
        "logits": logits,
    }
    folder.mkdir(parents=True, exist_ok=True)
    case = {"inputs": {}, "outputs": {}, **facts}
    for kind, infos, state in (("input", graph.input, past), ("output", graph.output, present)):
        for info in infos:
            part = cached_part(info.name)
            value = (plain[info.name] if part is None else state[part[0]][part[1]]).numpy()
            if kind == "input":
                value = value.astype(onnx.helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type))
            file = f"{kind}_{re.sub('[^A-Za-z0-9_.-]', '_', info.name)}.npy"
            np.save(folder / file, np.ascontiguousarray(value))
            case[f"{kind}s"][info.name] = file
    (folder / "case.json").write_text(json.dumps(case, indent=2) + "\n")
    return present


def write_cases(folder, model, tolerance=1e-10, **facts):
    """Both cases of folder/model.onnx, for a model that holds the exported weights."""
    facts = {"tolerance": tolerance, **facts}
    model = model.double()
    model.set_experts_implementation("eager")
    graph = onnx.load(folder / "model.onnx", load_external_data=False).graph
    state_type = next(i.type.tensor_type.elem_type for i in graph.input if cached_part(i.name))
    rounding = {onnx.TensorProto.FLOAT: torch.float32, onnx.TensorProto.FLOAT16: torch.float16}[state_type]
    ids = torch.randint(3, 96, (BATCH, PROMPT + 1), generator=torch.Generator().manual_seed(1))
    present = write_case(folder, graph, model, ids[:, :PROMPT], empty_past(model, BATCH), facts)
    past = [tuple(part.to(rounding).to(model.dtype) for part in pair) for pair in present]
    write_case(folder / "decode", graph, model, ids[:, PROMPT:], past, facts)
