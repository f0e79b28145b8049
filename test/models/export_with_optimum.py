"""Exports tiny models with optimum-onnx (torch.onnx's tracing exporter).

    python -m venv optimum
    optimum/bin/pip install optimum-onnx==0.1.0 transformers==4.57.6 torch==2.8.0 onnx onnxruntime
    python export_with_optimum.py exports optimum/bin/python

optimum-onnx needs an older transformers, hence an environment of its own.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from cases import write_cases
from tiny_models import checkpoint

FAMILIES = ("qwen3-moe", "gpt-oss")
OPTIONS = ["--task", "text-generation-with-past", "--no-post-process", "--library-name", "transformers"]


def save_for_transformers_4(model, folder):
    """Adds the older spellings to the configuration."""
    model.save_pretrained(folder)
    file = folder / "config.json"
    config = json.loads(file.read_text())
    rope = config["rope_parameters"]
    config["num_experts"] = config["num_local_experts"]
    config["rope_theta"] = rope["rope_theta"]
    config["rope_scaling"] = None if rope["rope_type"] == "default" else rope
    file.write_text(json.dumps(config))


def export(folder, family, python):
    model = checkpoint(family)
    with tempfile.TemporaryDirectory() as scratch:
        source, output = Path(scratch, "checkpoint"), Path(scratch, "output")
        save_for_transformers_4(model, source)
        command = [python, "-m", "optimum.commands.optimum_cli", "export", "onnx", "-m", source, *OPTIONS]
        subprocess.run([*command, output], check=True)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.onnx").write_bytes((output / "model.onnx").read_bytes())
    write_cases(folder, model)


def main():
    torch.set_num_threads(1)
    for family in FAMILIES:
        export(Path(sys.argv[1]) / f"{family}-optimum", family, sys.argv[2])


if __name__ == "__main__":
    main()
