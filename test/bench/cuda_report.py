"""Prints what is known of the CUDA kernels of known models without a GPU.

    moec-cuda-kernels FOLDER --chip sm_90a
    vgpu-run python3 cuda_report.py FOLDER [--only qwen3] [--tokens 1,16,128]

Per kernel, in the tile that is taken for the number of tokens: registers,
spills and notes of ptxas, where that is found; blocks that fit a multiprocessor,
shared memory, tensor-core instructions of warps per tile; and what the virtual
GPU counts without computing: bytes of DRAM and of L2 over the least possible,
bank conflicts and the share of tensor-core instructions in the main loop. The
time is the roofline's: the larger of bytes of DRAM over bandwidth and operations
over the rate of the tensor cores (or multiply-adds), with the figures in
MACHINES. Experts are chosen at random, for each token alike.
"""
import argparse
import json
import pathlib
import random

from counting import MACHINES, assemble, blocks_per_multiprocessor, count

SIZES = (("few", 2), ("some", 12), ("many", None))


class Work:
    """What a product multiplies for some tokens."""

    def __init__(self, spec, tokens):
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
        self.active = sum(c > 0 for c in counts)
        self.rows = tokens * top_k
        self.x_rows = tokens if spec["gated"] or not spec["top_k"] else self.rows

    def least_bytes(self):
        spec = self.spec
        bits = {"bf16": 16, "f32": 32}.get(spec["operands"]) or int(spec["operands"][3:])
        scales = 0 if spec["operands"] in ("bf16", "f32") else spec["n"] * spec["blocks"] * 2
        element = 4 if spec["operands"] == "f32" else 2
        return (self.active * (spec["n"] * spec["k"] * bits // 8 + scales) +
                self.x_rows * spec["k"] * element + self.rows * spec["columns"] * element)

    def operations(self):
        return 2 * self.rows * self.spec["n"] * self.spec["k"]

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
        spec = self.spec
        blocks = spec["parts"] * -(-self.rows // spec["tokens"])
        if spec["top_k"]:
            blocks = spec["parts"] * min(self.rows,
                                         self.rows // spec["tokens"] + spec["groups"] + 1)
        return count(chip, folder / spec["file"], spec["entry"], blocks, spec["threads"], spec["shared"],
                     self.arguments)


class Assembled:
    """What ptxas says of each file, once."""

    def __init__(self, folder, chip):
        self.folder, self.chip, self.known = folder, chip, {}

    def columns(self, spec):
        if spec["file"] not in self.known:
            self.known[spec["file"]] = assemble(str(self.folder / spec["file"]), self.chip)
        if spec["entry"] not in self.known[spec["file"]]:
            return f"{'-':>5}{'-':>7}{'-':>6}{'-':>7}"
        registers, spills, notes = self.known[spec["file"]][spec["entry"]]
        blocks = blocks_per_multiprocessor(spec, self.chip, registers)
        return f"{registers:5}{spills:7}{notes:>6}{blocks:7}"


def report(name, work, counters, assembled, chip):
    spec, loop, machine = work.spec, counters["main_loop"], MACHINES[chip]
    tiles = spec["parts"] * sum(-(-(end - begin) // spec["tokens"])
                                for begin, end in zip(work.offsets, work.offsets[1:])
                                ) if spec["top_k"] else spec["parts"] * -(-work.rows // spec["tokens"])
    dram = counters["dram_read_bytes"] + counters["dram_write_bytes"]
    l2 = counters["l2_read_bytes"] + counters["l2_written_bytes"]
    rate = machine["f32" if spec["operands"] == "f32" else "bf16"]
    seconds = max(dram / machine["bytes"], work.operations() / rate)
    tensor = counters["classes"].get("tensor", 0)
    share = loop["classes"].get("tensor", 0) / loop["warp_instructions"]
    print(f"{name:<36}{work.tokens:7}{spec['size']:>6}{assembled.columns(spec)}"
          f"{spec['shared'] / 1024:8.1f}{tensor / tiles:8.0f}"
          f"{dram / work.least_bytes():8.3f}{l2 / work.least_bytes():8.2f}"
          f"{loop['bank_conflicts']:11}{100 * share:8.1f}{seconds * 1e6:10.1f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--only", default="", help="models, products and operands with this in "
                        "their name")
    parser.add_argument("--operands", default="bf16,int8,int4,f32")
    parser.add_argument("--tokens", default="1,16,128", help="1024 and 4096 take minutes each")
    options = parser.parse_args()
    kernels = json.loads((options.folder / "kernels.json").read_text())
    chip = kernels["chip"]
    specs = {}
    for spec in kernels["kernels"]:
        name = f"{spec['model']} {spec['product']} {spec['operands']}"
        if options.only in name and spec["operands"] in options.operands.split(","):
            specs.setdefault(name, {})[spec["size"]] = spec
    print(f"code for {chip}; time on {MACHINES[chip]['name']}\n"
          f"{'product':<36}{'tokens':>7}{'tile':>6}{'regs':>5}{'spills':>7}{'C75xx':>6}{'blocks':>7}"
          f"{'KB':>8}{'mma':>8}{'DRAM':>8}{'L2':>8}{'conflicts':>11}{'tensor%':>8}{'least us':>10}")
    assembled = Assembled(options.folder, chip)
    for name, sizes in specs.items():
        few = sizes["few"]
        for tokens in map(int, options.tokens.split(",")):
            per_group = tokens * max(few["top_k"], 1) / few["groups"]
            size = next(s for s, most in SIZES if most is None or per_group <= most)
            work = Work(sizes[size], tokens)
            report(name, work, work.count(options.folder, chip), assembled, chip)


if __name__ == "__main__":
    main()
