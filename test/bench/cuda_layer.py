"""Prints what a layer's kernels other than products do, without a GPU.

    python3 cuda_layer.py FOLDER --chip sm_90a [--only qwen3] [--tokens 1,16,128]

Writes norms, attention with a cache, and a MoE block as a model has them, with
experts too narrow to matter, as ONNX; compiles them; and runs them on the
virtual GPU, computing: its counting mode does not follow attention, where sums
decide branches. Of each launch: registers, spills and notes of ptxas, where that
is found, and operations without a stated rounding; shared memory and how many
blocks fit a multiprocessor; bytes of DRAM and of L2 over the least, which is what
`Step.least` says, each operand once in whole sectors of 32 bytes; bank conflicts;
and the roofline's time. A line that ends in MISS breaks a bound: spills, notes,
roundings, conflicts in the main loop, or DRAM over 1.05 (decode) or 1.15 (prefill)
of the least; then the exit status is 1.

Up to 128 tokens are rows of a decode, which share 4096 keys, and then a prefill;
more are a prefill. Heads are alike: a prefill of more has 8 query heads only, on as
many key heads as they need. DeepSeek-V3 has its attention in the expanded form, and
the router of the MoE operator. A cache that comes as an input is copied.
"""
import argparse
import array
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import time

from counting import MACHINES, assemble, blocks_per_multiprocessor, progress, sectors
from quality import Extremes, unrounded, verdict

MODELS = {  # experts, top-k, hidden; query heads, key heads, widths of keys and values
    "mixtral-8x7b": (8, 2, 4096, 32, 8, 128, 128),
    "qwen3-30b-a3b": (128, 8, 2048, 32, 4, 128, 128),
    "deepseek-v3": (256, 8, 7168, 128, 128, 192, 128),
}
# The blocks of kernels with a thread for each element.
OF_ELEMENTS = {"shared": 0, "threads": 128}
INNER, POSITIONS, KEYS, CHUNK = 16, 8192, 4096, 64
# Longer prefills have some heads of many.
ALL_HEADS, SOME_HEADS = 128, 8
ROOT = pathlib.Path(__file__).resolve().parents[2]
TYPES = {"f32": 1, "i32": 6, "bf16": 16}
MICROSOFT = "com.microsoft"


def value(kind, name, sizes, element="bf16"):
    dims = " ".join(f'dim {{ dim_param: "{s}" }}' if isinstance(s, str) else
                    f"dim {{ dim_value: {s} }}" for s in sizes)
    return (f'{kind} {{ name: "{name}" type {{ tensor_type {{ elem_type: {TYPES[element]} '
            f"shape {{ {dims} }} }} }} }}\n")


def weight(name, *sizes):
    """bf16 zeros in the file `zeros`, which all weights share."""
    size = 2
    for s in sizes:
        size *= s
    entries = {"location": "zeros", "offset": 0, "length": size}
    place = " ".join(f'external_data {{ key: "{k}" value: "{v}" }}' for k, v in entries.items())
    return (f'initializer {{ name: "{name}" data_type: {TYPES["bf16"]} '
            f'{" ".join(f"dims: {s}" for s in sizes)} data_location: EXTERNAL {place} }}\n')


def node(operator, inputs, outputs, domain="", **attributes):
    def attribute(name, x):
        kind, field, text = (("STRING", "s", f'"{x}"') if isinstance(x, str) else
                             ("FLOAT", "f", x) if isinstance(x, float) else ("INT", "i", x))
        return f' attribute {{ name: "{name}" type: {kind} {field}: {text} }}'
    return (f'node {{ op_type: "{operator}" domain: "{domain}" ' +
            " ".join(f'input: "{x}"' for x in inputs) + " " +
            " ".join(f'output: "{x}"' for x in outputs) +
            "".join(attribute(*item) for item in attributes.items()) + " }\n")


def attention(heads, kv, d, e):
    """Rotation inside where keys and values are equally wide."""
    past, results = ["past_key", "past_value"], ["a", "present_key", "present_value"]
    if d != e:
        return node("Attention", ["q", "k", "v", "", *past], results, q_num_heads=heads,
                    kv_num_heads=kv, is_causal=1)
    return (weight("cos", POSITIONS, d // 2) + weight("sin", POSITIONS, d // 2) +
            node("GroupQueryAttention",
                 ["qkv", "", "", *past, "seqlens", "total", "cos", "sin"], results, MICROSOFT,
                 num_heads=heads, kv_num_heads=kv, do_rotary=1))


def inputs(shape, batch, added, past):
    """Of each input: its type, its sizes, and what is in it unless zeros."""
    experts, _, hidden, heads, kv, d, e = shape
    rows, random_bf16 = (batch, added), random.Random(1)
    known = {"x": ("bf16", (*rows, hidden)), "residual": ("bf16", (*rows, hidden)),
             "past_key": ("bf16", (batch, kv, past, d)),
             "past_value": ("bf16", (batch, kv, past, e))}
    tokens = batch * added if isinstance(batch, int) else "tokens"
    known["logits"] = ("bf16", (tokens, experts), lambda: array.array(
        "H", (random_bf16.randrange(0x3c00, 0x4200) for _ in range(tokens * experts))))
    if d != e:
        return known | {"q": ("bf16", (*rows, heads * d)), "k": ("bf16", (*rows, kv * d)),
                        "v": ("bf16", (*rows, kv * e))}
    return known | {"qkv": ("bf16", (*rows, (heads + 2 * kv) * d)),
                    "seqlens": ("i32", (batch,), lambda: array.array("i", [past + added - 1] * batch)),
                    "total": ("i32", (1,), lambda: array.array("i", [past + added]))}


def model(shape):
    experts, top_k, hidden, heads, kv, d, e = shape
    nodes = (weight("scale", hidden) + weight("fc1", experts, 2 * INNER, hidden) +
             weight("fc2", experts, hidden, INNER) +
             node("SimplifiedLayerNormalization", ["x", "scale"], ["normed"], axis=-1, epsilon=1e-6) +
             attention(heads, kv, d, e) +
             node("SkipSimplifiedLayerNormalization", ["x", "residual", "scale"],
                  ["h", "", "", "sum"], MICROSOFT, epsilon=1e-6) +
             node("MoE", ["h", "logits", "fc1", "", "fc2"], ["y"], MICROSOFT, k=top_k,
                  activation_type="swiglu", swiglu_fusion=1, normalize_routing_weights=1,
                  activation_alpha=1.0, activation_beta=0.0))
    takes = "".join(value("input", name, sizes, element) for name, (element, sizes, *_)
                    in inputs(shape, "batch", "sequence", "past").items())
    rows = ("batch", "sequence")
    gives = {"normed": (*rows, hidden), "a": (*rows, heads * e), "sum": (*rows, hidden),
             "y": (*rows, hidden), "present_key": ("batch", kv, "total", d),
             "present_value": ("batch", kv, "total", e)}
    gives = "".join(value("output", name, sizes) for name, sizes in gives.items())
    opsets = "".join(f'opset_import {{ domain: "{name}" version: {version} }}\n'
                     for name, version in (("", 23), (MICROSOFT, 1)))
    return f'ir_version: 10\n{opsets}graph {{ name: "layer"\n{nodes}{takes}{gives}}}\n'


def write_npy(path, element, sizes, data=None):
    size, kind = (4, "<i4") if element == "i32" else (2, "<u2")
    for s in sizes:
        size *= s
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {tuple(sizes)!r}, }}"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\1\0" + (118).to_bytes(2, "little") + header.ljust(117).encode() + b"\n")
        if data:
            data().tofile(file)
        file.truncate(128 + size)


def with_some_heads(shape):
    experts, top_k, hidden, heads, kv, d, e = shape
    return experts, top_k, hidden, SOME_HEADS, -(-SOME_HEADS * kv // heads), d, e


def write_layer(folder, name, shape):
    """The layer as an ONNX file, whose weights are FOLDER/zeros."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "zeros", "wb") as zeros:
        zeros.truncate(1 << 30)
    schema = ROOT / "test/lib/import/Inputs/onnx.proto"
    encoded = subprocess.run(["protoc", "--encode=onnx.ModelProto", "-I", schema.parent, schema],
                             input=model(shape).encode(), capture_output=True, check=True)
    path = folder / f"{name}.onnx"
    path.write_bytes(encoded.stdout)
    return path


def compile_layer(path, kind, chip, *options):
    """Beside the layer: as `moec`, or as `ptx`."""
    out = path.with_suffix(f".{kind}")
    subprocess.run([ROOT / "build/bin/moec", "compile", path, "-o", out, "--target", "cuda", "--chip",
                    chip, *(["--emit", "ptx"] if kind == "ptx" else []), *options], check=True)
    return out


def blocks_of(folder):
    """What blocks the kernels have that `--dump-ir folder` shows."""
    blocks = re.findall(r"llvm.func @(\w+)\(.*rt\.block = \{shared = (\d+) : i64, threads = (\d+)",
                        (folder / "4-emit.mlir").read_text())
    return {kernel: {"shared": int(shared), "threads": int(threads)}
            for kernel, shared, threads in blocks}


class Step:
    """`batch` rows to which `added` tokens come after `past` ones."""

    def __init__(self, shape, batch, added, past):
        self.shape, self.batch, self.added, self.past = shape, batch, added, past
        self.tokens, self.keys = batch * added, past + added

    def launches(self, artifact, chip):
        folder, words = artifact.parent, []
        for name, what in inputs(self.shape, self.batch, self.added, self.past).items():
            write_npy(folder / f"{name}.npy", *what)
            words += ["--input", f"{name}={folder / name}.npy"]
        counters = folder / "counters.json"
        subprocess.run([ROOT / "build/bin/vgpu-run", ROOT / "build/bin/moec", "run", artifact, *words,
                        "--output-dir", folder / "out", "--graphs", "off"], check=True,
                       stdout=subprocess.DEVNULL,
                       env={**os.environ, "VGPU_DEVICE": chip, "VGPU_COUNTERS": str(counters)})
        return json.loads(counters.read_text())["launches"]

    def least(self, kernel):
        """Bytes that a kernel must read and write, each tensor once; None where not known."""
        experts, top_k, hidden, heads, kv, d, e = self.shape
        tokens, slots = self.tokens, self.tokens * top_k
        cache = self.batch * kv * self.keys * (d + e) * 2
        queries, results = tokens * heads * d * 2, tokens * heads * e * 2
        # Of each query, those that it may see.
        chunks = self.batch * heads * sum(-(-(self.past + i + 1) // CHUNK) for i in range(self.added))
        parts = [chunks * e * 4, chunks * 2 * 4]
        if kernel.startswith("rms_norm"):
            tensors = [tokens * hidden * 2, hidden * 2, tokens * hidden * 2]
        elif "cache_append" in kernel:
            # Queries and both caches together, or one cache, which the name's last number tells.
            width = d + e if "rope" in kernel else int(kernel.rsplit("x", 1)[1])
            rotated = 2 * queries + self.added * d * 2 if "rope" in kernel else 0
            tensors = [rotated, *(self.batch * kv * keys * width * 2
                                  for keys in (self.added, self.past, self.keys))]
        elif kernel.startswith("attention") and kernel.endswith("_chunks"):
            tensors = [queries, cache, *parts]
        elif kernel.startswith("attention") and kernel.endswith("_merge"):
            tensors = [*parts, results]
        elif kernel.startswith("attention"):
            tensors = [queries, cache, results]
        elif kernel.startswith("route"):
            tensors = [tokens * experts * 2, slots * 4, slots * 4]
        elif kernel.startswith("permute"):
            tensors = [slots * 4, slots * 4, slots * 4, (experts + 1) * 4]
        elif kernel.startswith("combine"):
            tensors = [slots * hidden * 4, slots * 4, slots * 4, tokens * hidden * 2]
        else:
            return None
        return sectors(*tensors)

    def operations(self, kernel):
        """Of the tensor cores."""
        _, _, _, heads, _, d, e = self.shape
        if not kernel.startswith("attention") or kernel.endswith("_merge"):
            return 0
        seen = self.keys - (self.added - 1) / 2
        return 2 * self.tokens * heads * seen * (d + e)


class Report:
    """Of the launches of a layer's kernels."""

    def __init__(self, folder, name, shape, chip, extremes):
        path = write_layer(folder, name, shape)
        self.artifact = compile_layer(path, "moec", chip, "--cubin", "off")
        ptx = compile_layer(path, "ptx", chip, "--dump-ir", folder / name)
        self.blocks = blocks_of(folder / name)
        self.shape, self.chip, self.extremes = shape, chip, extremes
        self.assembled, self.plain = assemble(str(ptx), chip), unrounded(ptx.read_text())

    def steps(self, steps):
        for step in steps:
            progress(f"{self.artifact.stem}, {step.batch} rows, {step.added} tokens")
            seen = set()
            for launch in step.launches(self.artifact, self.chip):
                # Products are cuda_report.py's, and of equal kernels one is enough.
                if not launch["kernel"].startswith("matmul") and launch["kernel"] not in seen:
                    seen.add(launch["kernel"])
                    self.launch(step, launch)

    def launch(self, step, launch):
        kernel, machine = launch["kernel"], MACHINES[self.chip]
        dram = launch["dram_read_bytes"] + launch["dram_write_bytes"]
        l2 = launch["l2_read_bytes"] + launch["l2_written_bytes"]
        least = step.least(kernel)
        registers, spills, notes = self.assembled.get(kernel, ("-", 0, "none"))
        block = self.blocks.get(kernel, OF_ELEMENTS)
        resident = "-" if registers == "-" else blocks_per_multiprocessor(block, self.chip, registers)
        seconds = max(dram / machine["bytes"], step.operations(kernel) / machine["bf16"])
        measured = {"phase": "decode" if step.added == 1 else "prefill", "spills": spills,
                    "notes": notes, "plain": self.plain[kernel],
                    "conflicts": launch.get("main_loop", {}).get("bank_conflicts", 0),
                    "dram": dram / least if least else 0.0}
        self.extremes.add(kernel, f"({step.batch} rows, {step.added} tokens)", **measured)
        ratios = f"{dram / least:8.3f}{l2 / least:8.2f}" if least else f"{'-':>8}{'-':>8}"
        print(f"{kernel:<52}{step.batch:5}{step.added:6}{step.keys:6}{registers:>5}{spills:7}{notes:>6}"
              f"{measured['plain']:6}{block['shared'] / 1024:7.1f}{resident:>7}{dram / 1024:11.1f}"
              f"{ratios}{launch['bank_conflicts']:11}{measured['conflicts']:8}{seconds * 1e6:9.2f}"
              f"{verdict(kernel, **measured)}", flush=True)


def steps(shape, tokens):
    if tokens <= ALL_HEADS:
        yield Step(shape, tokens, 1, max(KEYS // tokens, CHUNK) - 1)
    if tokens > 1:
        yield Step(shape, 1, tokens, 0)


def report(folder, name, chip, tokens, extremes):
    shape = MODELS[name]
    some = with_some_heads(shape)
    for suffix, shape, sizes in (("", shape, [t for t in tokens if t <= ALL_HEADS]),
                                 ("-heads", some, [t for t in tokens if t > ALL_HEADS])):
        if sizes:
            layer = Report(folder, name + suffix, shape, chip, extremes)
            for size in sizes:
                layer.steps(steps(shape, size))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--chip", default="sm_90a", choices=MACHINES)
    parser.add_argument("--only", default="", help="models with this in their name")
    parser.add_argument("--tokens", default="1,16,128", help="1024 and 4096 take minutes")
    parser.add_argument("--operands", default="bf16", help="layers are in bf16 and are left out "
                        "where this has other types only")
    parser.add_argument("--operations", help="of products")
    options = parser.parse_args()
    if "bf16" not in options.operands.split(","):
        return
    print(f"code for {options.chip}; time on {MACHINES[options.chip]['name']}\n"
          f"{'kernel':<52}{'rows':>5}{'added':>6}{'keys':>6}{'regs':>5}{'spills':>7}{'C75xx':>6}"
          f"{'plain':>6}{'KB':>7}{'blocks':>7}{'KB DRAM':>11}{'DRAM':>8}{'L2':>8}{'conflicts':>11}{'in loop':>8}{'least us':>9}")
    extremes = Extremes()
    for name in (name for name in MODELS if options.only in name):
        start = time.monotonic()
        print(name)
        report(options.folder, name, options.chip, list(map(int, options.tokens.split(","))), extremes)
        print(f"{name} took {time.monotonic() - start:.0f} s", flush=True)
    sys.exit(extremes.report())


if __name__ == "__main__":
    main()
