"""Writes what the demo model computes in float64, for tests to compare with.

    python reference_demo.py demo.pt demo/

Every file is described in README.md.
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

import bible_text
from demo_model import load

PROMPT_LENGTHS = (8, 12, 16, 20, 24, 32, 40, 48)
CASE_BATCH, CASE_LENGTH = 2, 64
NEW_TOKENS = 200
WINDOWS, WINDOW_LENGTH = 16, 256


def bytes_at(text, starts, length):
    return torch.stack(
        [torch.frombuffer(bytearray(text[s : s + length]), dtype=torch.uint8) for s in starts]
    ).long()


def verse_starts(text, count, phase):
    """`count` positions spread over the text, each at the beginning of a verse."""
    return [
        text.index(b"\n", int((i + phase) * len(text) / (count + 1))) + 1 for i in range(count)
    ]


def top_two(logits):
    """The most likely byte, and how far its logit is above the second."""
    values, ids = logits.topk(2, dim=-1)
    return ids[..., 0].numpy().astype(np.int64), (values[..., 0] - values[..., 1]).numpy()


def greedy(model, prompt):
    """NEW_TOKENS bytes after the prompt [1, length], each with its margin."""
    tokens, margins = [], []
    for _ in range(NEW_TOKENS):
        token, margin = top_two(model(prompt)[0][:, -1])
        prompt = torch.cat((prompt, torch.from_numpy(token)[None]), dim=1)
        tokens.append(token[0])
        margins.append(margin[0])
    return np.array(tokens), np.array(margins)


def write_case(model, text, folder, save):
    """A case.json as in exports/: a prompt without a past."""
    c = model.config
    ids = bytes_at(text, verse_starts(text, CASE_BATCH, 0.25), CASE_LENGTH)
    save("input_input_ids", ids.numpy())
    save("input_attention_mask", np.ones_like(ids))
    save("input_empty_past", np.zeros((CASE_BATCH, c.kv_heads, 0, c.head_size), np.float32))
    save("output_logits", model(ids)[0].numpy())
    pasts = [f"past_key_values.{i}.{part}" for i in range(c.layers) for part in ("key", "value")]
    inputs = {name: f"input_{name}.npy" for name in ("input_ids", "attention_mask")}
    case = {
        "inputs": inputs | dict.fromkeys(pasts, "input_empty_past.npy"),
        "outputs": {"logits": "output_logits.npy"},
        "tolerance": 1e-10,
    }
    (folder / "case.json").write_text(json.dumps(case, indent=2) + "\n")


def write_generation(model, text, save):
    prompts = [
        bytes_at(text, [start], length)
        for start, length in zip(verse_starts(text, 8, 0.5), PROMPT_LENGTHS)
    ]
    padded = np.zeros((len(prompts), max(PROMPT_LENGTHS)), np.int64)
    for row, prompt in zip(padded, prompts):
        row[: prompt.shape[1]] = prompt[0]
    tokens, margins = zip(*(greedy(model, prompt) for prompt in prompts))
    save("prompt_ids", padded)
    save("prompt_lengths", np.array(PROMPT_LENGTHS, np.int64))
    save("greedy_tokens", np.stack(tokens))
    save("greedy_margins", np.stack(margins))


def write_held_out(model, text, save):
    """Returns the bits per byte over all WINDOWS * WINDOW_LENGTH predictions."""
    starts = [i * (len(text) - WINDOW_LENGTH - 1) // (WINDOWS - 1) for i in range(WINDOWS)]
    data = bytes_at(text, starts, WINDOW_LENGTH + 1)
    logits = model(data[:, :-1])[0]
    next_bytes, margins = top_two(logits)
    save("held_out_input_ids", data[:, :-1].numpy())
    save("held_out_targets", data[:, 1:].numpy())
    save("held_out_next", next_bytes)
    save("held_out_margins", margins)
    return F.cross_entropy(logits.flatten(0, 1), data[:, 1:].flatten()).item() / math.log(2)


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model, text = load(arguments.weights), bible_text.split()[1]

    def save(name, array):
        np.save(arguments.folder / f"{name}.npy", np.ascontiguousarray(array))

    write_case(model, text, arguments.folder, save)
    write_generation(model, text, save)
    facts = {
        "held_out_bits_per_byte": write_held_out(model, text, save),
        "held_out_windows": WINDOWS,
        "held_out_window_length": WINDOW_LENGTH,
        "parameters": sum(p.numel() for p in model.parameters()),
    }
    (arguments.folder / "facts.json").write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
