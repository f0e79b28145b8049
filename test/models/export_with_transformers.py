"""Exports tiny models with transformers' own ONNX exporter (torch.export underneath).

    python export_with_transformers.py exports
"""

import sys
from pathlib import Path

import onnx_ir
import torch
from transformers import DynamicCache
from transformers.exporters.exporter_onnx import OnnxConfig, OnnxExporter

from cases import write_cases
from tiny_models import checkpoint

# name: (family, how transformers computes the experts, ONNX Runtime fusions)
EXPORTS = {
    "mixtral-grouped-mm": ("mixtral", "grouped_mm", None),
    "mixtral-batched-mm": ("mixtral", "batched_mm", None),
    "mixtral-fused": ("mixtral", "batched_mm", "cuda"),
    "qwen3-moe-grouped-mm": ("qwen3-moe", "grouped_mm", None),
    "qwen3-moe-batched-mm": ("qwen3-moe", "batched_mm", None),
    "qwen3-moe-fused": ("qwen3-moe", "batched_mm", "cuda"),
    "gpt-oss-grouped-mm": ("gpt-oss", "grouped_mm", None),
    "gpt-oss-batched-mm": ("gpt-oss", "batched_mm", None),
    "deepseek-v3-grouped-mm": ("deepseek-v3", "grouped_mm", None),
    "deepseek-v3-batched-mm": ("deepseek-v3", "batched_mm", None),
    "qwen2-moe-batched-mm": ("qwen2-moe", "batched_mm", None),
    "granite-moe-batched-mm": ("granite-moe", "batched_mm", None),
    "phi-moe-batched-mm": ("phi-moe", "batched_mm", None),
}


def sample_inputs(model):
    """Three cached tokens and five new ones, in a batch of two."""
    ids = torch.randint(3, 96, (2, 8), generator=torch.Generator().manual_seed(2))
    cache = DynamicCache()
    with torch.no_grad():
        model(ids[:, :3], past_key_values=cache)
    return {
        "input_ids": ids[:, 3:],
        "attention_mask": torch.ones(2, 8, dtype=torch.int64),
        "past_key_values": cache,
    }


def strip_tracing_notes(model):
    """Drops what the tracer noted about its source files on graphs and nodes."""
    for item in (model, model.graph, *model.graph.all_nodes()):
        item.metadata_props.clear()


def export(folder, family, experts, fusions):
    model = checkpoint(family)
    model.set_experts_implementation(experts)
    config = OnnxConfig(dynamic=True, ort_fusions=fusions)
    program = OnnxExporter().export(model, sample_inputs(model), config).program
    strip_tracing_notes(program)
    folder.mkdir(parents=True, exist_ok=True)
    onnx_ir.save(program, folder / "model.onnx")
    write_cases(folder, model)


def main():
    torch.set_num_threads(1)
    for name, arguments in EXPORTS.items():
        export(Path(sys.argv[1]) / name, *arguments)


if __name__ == "__main__":
    main()
