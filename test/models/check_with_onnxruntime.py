"""Runs ONNX Runtime on every case.json below the given folders.

    python check_with_onnxruntime.py demo exports

Prints the worst 1 - 2·Σxy / Σ(x² + y²) over the outputs of each case, and
fails when one is above the case's tolerance.  Not a failure: what ONNX Runtime
says it does not implement, and cases without a tolerance, whose operators it
runs on CUDA only.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented


def difference(x, y):
    x, y = x.astype(np.float64), y.astype(np.float64)
    return 1.0 - 2.0 * (x * y).sum() / (x * x + y * y).sum()


def session_for(folder):
    """A session for the model of a case: in its folder, or in the one above."""
    model = next(p for f in (folder, folder.parent) for p in sorted(f.glob("*.onnx")))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def check(case_file):
    folder, case = case_file.parent, json.loads(case_file.read_text())
    inputs = {name: np.load(folder / file) for name, file in case["inputs"].items()}
    names = list(case["outputs"])
    results = session_for(folder).run(names, inputs)
    expected = [np.load(folder / case["outputs"][name]) for name in names]
    if any(r.shape != e.shape for r, e in zip(results, expected)):
        raise ValueError(f"shapes differ: {[(r.shape, e.shape) for r, e in zip(results, expected)]}")
    return max(difference(r, e) for r, e in zip(results, expected)), case["tolerance"]


def main():
    failed = False
    for case_file in sorted(c for folder in sys.argv[1:] for c in Path(folder).rglob("case.json")):
        if json.loads(case_file.read_text())["tolerance"] is None:
            print(f"{case_file.parent}: not for this provider")
            continue
        try:
            worst, tolerance = check(case_file)
        except NotImplemented as error:
            print(f"{case_file.parent}: {error}")
            continue
        failed |= not worst <= tolerance
        print(f"{case_file.parent}: {worst:.1e} ({'ok' if worst <= tolerance else 'FAILED'})")
    sys.exit(failed)


if __name__ == "__main__":
    main()
