"""Exports tiny models with mobius, which builds ONNX graphs without tracing.

    python export_with_mobius.py exports
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from cases import write_cases
from tiny_models import checkpoint

FAMILIES = ("mixtral", "qwen3-moe", "gpt-oss", "qwen2-moe", "granite-moe")


def export(folder, family):
    model = checkpoint(family)
    with tempfile.TemporaryDirectory() as scratch:
        # mobius names the graph after the path it is given.
        model.save_pretrained(Path(scratch, family))
        command = [sys.executable, "-m", "mobius", "build", "--model", family, folder.resolve()]
        subprocess.run(command, check=True, cwd=scratch)
    if family == "gpt-oss":
        # This exporter rounds YaRN's bounds, whatever "truncate" says: so must the reference.
        model.config.rope_parameters["truncate"] = True
        model.model.rotary_emb = type(model.model.rotary_emb)(model.config)
    write_cases(folder, model)


def main():
    torch.set_num_threads(1)
    for family in FAMILIES:
        export(Path(sys.argv[1]) / f"{family}-mobius", family)


if __name__ == "__main__":
    main()
