"""Prints what is known of the CUDA kernels of known models without a GPU.

    moec-cuda-kernels FOLDER --chip sm_90a
    vgpu-run python3 cuda_report.py FOLDER [--only qwen3] [--tokens 1,16,128]

Per kernel, in the tile that is taken for the number of tokens: registers,
spills and notes of ptxas, where that is found, and operations without a stated
rounding; blocks that fit a multiprocessor, shared memory, tensor-core instructions
of warps per tile; and what the virtual GPU counts without computing: bytes of DRAM
and of L2 over the least possible, bank conflicts and the share of tensor-core
instructions in the main loop. The time is the roofline's: the larger of bytes of
DRAM over bandwidth and operations over the rate of the tensor cores (or
multiply-adds), with the figures in MACHINES. Experts are chosen at random, for each
token alike.

The least is each operand once, in whole sectors of 32 bytes: packed weights and
scales of the active experts, unique tokens, slots, offsets, results. Up to 128
tokens count as a decode. Of a prefill the first experts are counted, as many as
have --operations (f32: a tenth), since all are alike; the least is theirs, and
times are scaled. That is shown by "%". A line that ends in MISS breaks a bound
(quality.py), and then the exit status is 1.
"""
import argparse
import json
import math
import pathlib
import random
import sys

from counting import (MACHINES, assemble, blocks_per_multiprocessor, count, progress,
                      sectors)
from quality import Extremes, unrounded, verdict

SIZES = (("few", 2), ("some", 12), ("many", None))
MOST_OF_DECODE = 128


class Work:
    """What a product multiplies for some tokens, and the part of it that is counted."""

    def __init__(self, spec, tokens, operations):
        self.spec, self.tokens = spec, tokens
        generator = random.Random(tokens)
        top_k, groups = max(spec["top_k"], 1), spec["groups"]
        chosen = [generator.sample(range(groups), top_k) for _ in range(tokens)]
        slots = [(e, t * top_k + k) for t, row in enumerate(chosen) for k, e in enumerate(row)]
        slots.sort()
        self.slots = [slot for _, slot in slots]
        counts = [0] * groups
        for expert, _ in slots:
            counts[expert] += 1
        self.offsets = [sum(counts[:g]) for g in range(groups + 1)]
        self.rows = tokens * top_k
        self.x_rows = tokens if spec["gated"] or not spec["top_k"] else self.rows
        self.counted = self.groups_with(operations)

    def rows_of(self, group):
        return self.offsets[group + 1] - self.offsets[group]

    def tiles_of(self, group):
        return -(-self.rows_of(group) // self.spec["tokens"])

    def groups_with(self, operations):
        """How many of the first groups have so many operations."""
        rows = operations / (2 * self.spec["n"] * self.spec["k"])
        return next((group for group, before in enumerate(self.offsets) if before >= rows),
                    self.spec["groups"])

    def share(self):
        """The part of all operations that is counted."""
        return self.offsets[self.counted] / self.rows

    def least_bytes(self):
        spec = self.spec
        bits = {"bf16": 16, "f32": 32}.get(spec["operands"]) or int(spec["operands"][3:])
        scales = 0 if spec["operands"] in ("bf16", "f32") else spec["n"] * spec["blocks"] * 2
        element = 4 if spec["operands"] == "f32" else 2
        rows = self.offsets[self.counted]
        x_rows = len({slot // spec["top_k"] for slot in self.slots[:rows]}) if spec["gated"] else rows
        operands = [x_rows * spec["k"] * element]
        if spec["gated"]:
            operands.append(rows * 4)
        if spec["top_k"]:
            operands.append((spec["groups"] + 1) * 4)
        for group in range(self.counted):
            if self.rows_of(group):
                operands += [spec["n"] * spec["k"] * bits // 8, scales,
                             self.rows_of(group) * spec["columns"] * element]
        return sectors(*operands)

    def operations(self):
        return 2 * self.rows * self.spec["n"] * self.spec["k"]

    def tiles(self):
        """Those of the counted groups."""
        return self.spec["parts"] * sum(map(self.tiles_of, range(self.counted)))

    def arguments(self, memory):
        spec = self.spec
        element = 4 if spec["operands"] == "f32" else 2
        words = [memory.reserve(self.x_rows * spec["k"] * element), self.x_rows, spec["k"]]
        if spec["gated"]:
            words += [memory.write(self.slots), self.rows]
        if spec["top_k"]:
            words.append(memory.write(self.offsets))
        # The panels' padding included.
        words.append(memory.reserve(spec["groups"] * spec["panels"] * 128 * (spec["k"] + 8) * 4))
        if spec["operands"].startswith("int"):
            words.append(memory.reserve(spec["groups"] * spec["panels"] * 128 * spec["blocks"] * 2))
        return words + [memory.reserve(self.rows * spec["columns"] * element), self.rows,
                        spec["columns"]]

    def count(self, folder, chip):
        spec, blocks = self.spec, self.tiles()
        if self.share() == 1:
            # How many have work is known on the device alone.
            tiles = -(-self.rows // spec["grid_tokens"])
            if spec["top_k"]:
                tiles = min(self.rows, self.rows // spec["grid_tokens"] + spec["groups"] + 1)
            blocks = spec["grid_parts"] * tiles
        return count(chip, folder / spec["file"], spec["entry"], blocks, spec["threads"], spec["shared"],
                     self.arguments)


class Assembled:
    """What is known of each file without running it, once."""

    def __init__(self, folder, chip):
        self.folder, self.chip, self.known = folder, chip, {}

    def of(self, spec):
        """Registers (None without ptxas), spills, notes and operations without a rounding."""
        path, entry = self.folder / spec["file"], spec["entry"]
        if path not in self.known:
            self.known[path] = assemble(str(path), self.chip), unrounded(path.read_text())
        assembled, plain = self.known[path]
        return *assembled.get(entry, (None, 0, "none")), plain[entry]


def report(name, work, counters, assembled, chip, extremes):
    # A loop that neither loads nor multiplies by tensor cores is none; then all count.
    spec, loop, machine = work.spec, counters.get("main_loop", counters), MACHINES[chip]
    registers, spills, notes, plain = assembled.of(spec)
    dram = counters["dram_read_bytes"] + counters["dram_write_bytes"]
    l2 = counters["l2_read_bytes"] + counters["l2_written_bytes"]
    rate = machine["f32" if spec["operands"] == "f32" else "bf16"]
    seconds = max(dram / work.share() / machine["bytes"], work.operations() / rate)
    tensor = counters["classes"].get("tensor", 0)
    share = loop["classes"].get("tensor", 0) / loop["warp_instructions"]
    measured = {"phase": "decode" if work.tokens <= MOST_OF_DECODE else "prefill", "spills": spills,
                "notes": notes, "plain": plain, "conflicts": loop["bank_conflicts"],
                "dram": dram / work.least_bytes()}
    extremes.add(spec["entry"], f"({name}, {work.tokens} tokens)", **measured)
    resident = blocks_per_multiprocessor(spec, chip, registers) if registers else "-"
    print(f"{name:<36}{work.tokens:7}{100 * work.share():5.0f}{spec['size']:>6}{registers or '-':>5}"
          f"{spills:7}{notes:>6}{plain:6}{resident:>7}"
          f"{spec['shared'] / 1024:8.1f}{tensor / work.tiles():8.0f}"
          f"{measured['dram']:8.3f}{l2 / work.least_bytes():8.2f}"
          f"{loop['bank_conflicts']:11}{100 * share:8.1f}{seconds * 1e6:10.1f}"
          f"{verdict(spec['entry'], **measured)}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--only", default="", help="models, products and operands with this in "
                        "their name")
    parser.add_argument("--operands", default="bf16,int8,int4,f32")
    parser.add_argument("--tokens", default="1,16,128", help="1024 and 4096 take minutes")
    parser.add_argument("--operations", type=float, default=1.3e11, help="of a launch that are counted "
                        "at least; inf counts all")
    options = parser.parse_args()
    kernels = json.loads((options.folder / "kernels.json").read_text())
    chip = kernels["chip"]
    specs = {}
    for spec in kernels["kernels"]:
        name = f"{spec['model']} {spec['product']} {spec['operands']}"
        if options.only in name and spec["operands"] in options.operands.split(","):
            specs.setdefault(name, {})[spec["size"]] = spec
    print(f"code for {chip}; time on {MACHINES[chip]['name']}\n"
          f"{'product':<36}{'tokens':>7}{'%':>5}{'tile':>6}{'regs':>5}{'spills':>7}{'C75xx':>6}"
          f"{'plain':>6}{'blocks':>7}"
          f"{'KB':>8}{'mma':>8}{'DRAM':>8}{'L2':>8}{'conflicts':>11}{'tensor%':>8}{'least us':>10}")
    assembled, extremes = Assembled(options.folder, chip), Extremes()
    for name, sizes in specs.items():
        few = sizes["few"]
        for tokens in map(int, options.tokens.split(",")):
            per_group = tokens * max(few["top_k"], 1) / few["groups"]
            size = next(s for s, most in SIZES if most is None or per_group <= most)
            most = options.operations / (10 if few["operands"] == "f32" else 1)
            # Decodes are small, and their ends matter.
            work = Work(sizes[size], tokens, most if tokens > MOST_OF_DECODE else math.inf)
            progress(f"{name}, {tokens} tokens")
            report(name, work, work.count(options.folder, chip), assembled, chip, extremes)
    sys.exit(extremes.report())


if __name__ == "__main__":
    main()
