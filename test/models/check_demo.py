"""Runs the demo model on ONNX Runtime: held-out text at once, greedy text step by step.

    python check_demo.py demo
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime

folder = Path(sys.argv[1])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(folder / "demo.onnx", options)
pasts = [i.name for i in session.get_inputs() if i.name.startswith("past")]
outputs = [o.name for o in session.get_outputs()]


def load(name):
    return np.load(folder / f"{name}.npy")


def run(ids, past=None):
    """(logits, the past of the next call)."""
    past = past or dict.fromkeys(pasts, np.zeros((len(ids), 2, 0, 32), np.float32))
    total = past[pasts[0]].shape[2] + ids.shape[1]
    mask = np.ones((len(ids), total), np.int64)
    values = session.run(outputs, {"input_ids": ids, "attention_mask": mask, **past})
    presents = dict(zip(outputs, values))
    return presents["logits"], {p: presents[p.replace("past_key_values", "present")] for p in pasts}


def held_out():
    """(bits per byte, whether every most likely byte agrees)."""
    logits = run(load("held_out_input_ids"))[0].astype(np.float64)
    targets = load("held_out_targets")[..., None]
    log_sum = np.log(np.exp(logits).sum(-1, keepdims=True))
    bits = (log_sum - np.take_along_axis(logits, targets, -1)).mean() / np.log(2)
    return bits, np.array_equal(logits.argmax(-1), load("held_out_next"))


def greedy(prompt, count):
    tokens, past, ids = [], None, prompt
    for _ in range(count):
        logits, past = run(ids, past)
        ids = logits[:, -1:].argmax(-1)
        tokens.append(ids[0, 0])
    return np.array(tokens)


bits, agrees = held_out()
print(f"held out: {bits:.6f} bits per byte, next bytes {'agree' if agrees else 'DIFFER'}")
for prompt, length, expected in zip(*map(load, ("prompt_ids", "prompt_lengths", "greedy_tokens"))):
    tokens = greedy(prompt[None, :length], len(expected))
    same = np.array_equal(tokens, expected)
    agrees &= same
    text = bytes([*prompt[:length], *tokens[:60]]).decode()
    print(f"{'agrees' if same else 'DIFFERS'}: {text!r}")
sys.exit(not agrees)
