"""Exports tiny gpt-oss models with onnxruntime-genai's model builder.

    python export_with_genai.py exports

Four-bit experts are read from MXFP4 blocks, as in the published checkpoints,
and quantised again by the builder; the reference then holds the weights that
the exported file stands for.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from cases import write_cases
from tiny_models import checkpoint

BUILDER = ["-m", "onnxruntime_genai.models.builder"]
DECOMPOSING_BUILDER = [str(Path(__file__).with_name("genai_decomposed.py"))]
# The decomposing builder declares the experts' width as the shape of their
# result, and rounds the activation's alpha to bfloat16.
DECOMPOSED = {"intermediate_size": 64, "swiglu_alpha": 1.703125}
# The file does not say for whose QMoE its weights are ordered.
INT4 = {"tolerance": 1e-3, "contrib_semantics": "ort-cpu"}
# name: (builder, precision, configuration, facts of the cases)
EXPORTS = {
    "gpt-oss-genai": (BUILDER, "fp32", {}, {}),
    "gpt-oss-genai-int4": (BUILDER, "int4", {}, INT4),
    "gpt-oss-genai-decomposed": (DECOMPOSING_BUILDER, "fp32", DECOMPOSED, {}),
}
# Keeps a plain past and present for windowed layers, too.
EXTRA_OPTIONS = ["--extra_options", "windowed_kv_cache=false"]
BLOCK = 32


def mxfp4_experts(model):
    """Random MXFP4 blocks and scales, under the names of the published checkpoints."""
    generator, tensors = torch.Generator().manual_seed(3), {}
    for i, layer in enumerate(model.model.layers):
        for part in ("gate_up_proj", "down_proj"):
            experts, inner, outer = getattr(layer.mlp.experts, part).shape
            prefix, shape = f"model.layers.{i}.mlp.experts.{part}", (experts, outer, inner // BLOCK)
            for kind, low, high, size in (("blocks", 0, 256, (*shape, 16)), ("scales", 122, 125, shape)):
                tensors[f"{prefix}_{kind}"] = torch.randint(
                    low, high, size, dtype=torch.uint8, generator=generator
                )
    return tensors


def save_checkpoint(model, folder):
    model.save_pretrained(folder)
    file = folder / "model.safetensors"
    save_file({**load_file(file), **mxfp4_experts(model)}, file, metadata={"format": "pt"})
    words = {f"t{i}": i for i in range(model.config.vocab_size)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="t0"))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="t0").save_pretrained(folder)


def dequantised(packed, scales):
    """Signed four-bit weights, low nibble first: uint8 [..., K / 2] -> float64 [..., K]."""
    values = np.stack((packed & 15, packed >> 4), -1).reshape(*packed.shape[:-1], -1) - 8.0
    blocks = values.reshape(*scales.shape, BLOCK) * scales[..., None].astype(np.float64)
    return torch.from_numpy(blocks.reshape(values.shape))


@torch.no_grad()
def read_back(model, path):
    """Replaces the model's quantised weights by what the exported file holds."""
    tensors = {i.name: numpy_helper.to_array(i) for i in onnx.load(path).graph.initializer}

    def linear(name):
        packed, scales = (tensors[f"{name}.MatMul.weight_{kind}"] for kind in ("Q4", "scales"))
        return dequantised(packed.reshape(len(packed), -1), scales)

    for i, layer in enumerate(model.model.layers):
        prefix, attention = f"model.layers.{i}", layer.self_attn
        parts = [attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight]
        rows = linear(f"{prefix}.attn.qkv_proj").split([len(p) for p in parts])
        for part, value in zip(parts, rows):
            part.copy_(value)
        attention.o_proj.weight.copy_(linear(f"{prefix}.attn.o_proj"))
        layer.mlp.router.weight.copy_(linear(f"{prefix}.moe.router"))
        for part in ("gate_up_proj", "down_proj"):
            base = f"{prefix}.moe.experts.{part}"
            value = dequantised(tensors[f"{base}.qweight"], tensors[f"{base}.scales"])
            getattr(layer.mlp.experts, part).copy_(value.transpose(1, 2))
    model.lm_head.weight.copy_(linear("lm_head"))


def export(folder, builder, precision, changes, facts):
    model = checkpoint("gpt-oss", **changes)
    with tempfile.TemporaryDirectory() as scratch:
        source, output = Path(scratch, "checkpoint"), Path(scratch, "output")
        save_checkpoint(model, source)
        options = ["-m", "tiny", "-i", source, "-o", output, "-p", precision, "-e", "cpu"]
        subprocess.run([sys.executable, *builder, *options, *EXTRA_OPTIONS], check=True)
        folder.mkdir(parents=True, exist_ok=True)
        for file in ("model.onnx", "model.onnx.data"):
            (folder / file).write_bytes((output / file).read_bytes())
    model = model.double()
    if precision == "int4":
        read_back(model, folder / "model.onnx")
    write_cases(folder, model, **facts)


def main():
    torch.set_num_threads(1)
    for name, arguments in EXPORTS.items():
        export(Path(sys.argv[1]) / name, *arguments)


if __name__ == "__main__":
    main()
