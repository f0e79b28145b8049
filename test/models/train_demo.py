"""Trains the demo model on one CPU thread and writes its weights.

    python train_demo.py demo.pt [--minutes 20]

The schedule runs on the clock, so that a slow machine still ends with a low
learning rate; a rerun therefore gives other weights of the same quality.
"""

import argparse
import math
import time

import torch
from torch.nn import functional as F

import bible_text
from demo_model import DemoModel

BATCH, LENGTH = 8, 256
PEAK_RATE, WARMUP_STEPS = 4e-3, 100
BALANCE_WEIGHT = 0.01


def to_tensor(text):
    return torch.frombuffer(bytearray(text), dtype=torch.uint8).long()


def batch_of(text, generator):
    starts = torch.randint(len(text) - LENGTH - 1, (BATCH,), generator=generator)
    windows = torch.stack([text[s : s + LENGTH + 1] for s in starts])
    return windows[:, :-1], windows[:, 1:]


@torch.no_grad()
def bits_per_byte(model, text, windows=64):
    """Mean over evenly spaced independent windows of LENGTH bytes."""
    starts = torch.linspace(0, len(text) - LENGTH - 1, windows).long()
    data = torch.stack([text[s : s + LENGTH + 1] for s in starts])
    logits, _ = model(data[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1), data[:, 1:].flatten()).item() / math.log(2)


def optimizer_for(model):
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=PEAK_RATE, betas=(0.9, 0.98), foreach=True)


def train(seconds):
    training, held_out = (to_tensor(text) for text in bible_text.split())
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    model = DemoModel()
    optimizer = optimizer_for(model)
    begin, step, progress = time.monotonic(), 0, 0.0
    while progress < 1.0:
        rate = PEAK_RATE * min(1.0, (step + 1) / WARMUP_STEPS)
        for group in optimizer.param_groups:
            group["lr"] = rate * (1.0 - 0.98 * progress)
        inputs, targets = batch_of(training, generator)
        logits, balance = model(inputs)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        (loss + BALANCE_WEIGHT * balance).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 200 == 0:
            print(
                f"step {step}, {time.monotonic() - begin:.0f} s: training {loss.item() / math.log(2):.3f}, "
                f"held out {bits_per_byte(model, held_out):.3f} bits per byte, balance {balance.item():.3f}",
                flush=True,
            )
        step += 1
        progress = (time.monotonic() - begin) / seconds
    print(f"{step} steps, held out {bits_per_byte(model, held_out, 512):.4f} bits per byte")
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output")
    parser.add_argument("--minutes", type=float, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.save(train(60 * arguments.minutes).state_dict(), arguments.output)


if __name__ == "__main__":
    main()
