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
import ctypes
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import tempfile

# Bytes and operations per second, by data sheet: an A100 SXM of 80 GB, an H100 SXM.
MACHINES = {
    "sm_80": {"name": "A100", "bytes": 2.039e12, "bf16": 312e12, "f32": 19.5e12},
    "sm_90a": {"name": "H100", "bytes": 3.35e12, "bf16": 989e12, "f32": 67e12},
}
REGISTERS, SHARED = 65536, {"sm_80": 164 << 10, "sm_90a": 228 << 10}
MAX_SHARED_ATTRIBUTE = 8
SIZES = (("few", 2), ("some", 12), ("many", None))
cuda = None


def check(result, what):
    if result:
        text = ctypes.c_char_p()
        cuda.cuGetErrorString(result, ctypes.byref(text))
        raise SystemExit(f"{what}: {text.value.decode() if text.value else result}")


def assemble(path, chip):
    """Registers, bytes of spills, and notes of ptxas; None without it."""
    ptxas = shutil.which("ptxas") or shutil.which("/usr/local/cuda/bin/ptxas")
    if not ptxas:
        return None
    with tempfile.NamedTemporaryFile(suffix=".cubin") as cubin:
        run = subprocess.run([ptxas, f"-arch={chip}", "-v", path, "-o", cubin.name],
                             capture_output=True, text=True, check=True)
    registers = int(re.search(r"Used (\d+) registers", run.stderr).group(1))
    spills = sum(map(int, re.findall(r"(\d+) bytes spill", run.stderr)))
    notes = sorted(set(re.findall(r"C75\d\d", run.stderr)))
    return registers, spills, notes


def blocks_per_multiprocessor(spec, chip, registers):
    by_shared = SHARED[chip] // (spec["shared"] + 1024)
    # Registers are given to warps in units of 256.
    per_warp = -(-registers * 32 // 256) * 256
    by_registers = REGISTERS // per_warp // (spec["threads"] // 32)
    return min(by_shared, by_registers, 2048 // spec["threads"], 32)


class Memory:
    """Allocations that only exist as addresses, unless they are written."""

    def __init__(self):
        self.addresses = []

    def reserve(self, size):
        address = ctypes.c_uint64()
        check(cuda.cuMemAlloc_v2(ctypes.byref(address), ctypes.c_size_t(max(int(size), 16))), "memory")
        self.addresses.append(address.value)
        return address.value

    def write(self, numbers):
        array = (ctypes.c_int32 * len(numbers))(*numbers)
        address = self.reserve(ctypes.sizeof(array))
        check(cuda.cuMemcpyHtoD_v2(ctypes.c_uint64(address), array,
                                   ctypes.c_size_t(ctypes.sizeof(array))), "copy")
        return address

    def release(self):
        for address in self.addresses:
            cuda.cuMemFree_v2(ctypes.c_uint64(address))


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

    def launch(self, folder):
        spec, memory = self.spec, Memory()
        module, function = ctypes.c_void_p(), ctypes.c_void_p()
        check(cuda.cuModuleLoadData(ctypes.byref(module),
                                    (folder / spec["file"]).read_bytes() + b"\0"), spec["file"])
        check(cuda.cuModuleGetFunction(ctypes.byref(function), module, spec["entry"].encode()),
              spec["entry"])
        check(cuda.cuFuncSetAttribute(function, MAX_SHARED_ATTRIBUTE, spec["shared"]), "shared")
        element = 4 if spec["operands"] == "f32" else 2
        words = [memory.write([0]), memory.reserve(self.x_rows * spec["k"] * element), self.x_rows,
                 spec["k"]]
        if spec["gated"]:
            words += [memory.write(self.slots), self.rows]
        if spec["top_k"]:
            words.append(memory.write(self.offsets))
        # The panels' padding included.
        words.append(memory.reserve(spec["groups"] * spec["panels"] * 128 * (spec["k"] + 8) * 4))
        if spec["operands"].startswith("int"):
            words.append(memory.reserve(spec["groups"] * spec["panels"] * 128 * spec["blocks"] * 2))
        words += [memory.reserve(self.rows * spec["columns"] * element), self.rows, spec["columns"]]
        blocks = spec["parts"] * -(-self.rows // spec["tokens"])
        if spec["top_k"]:
            blocks = spec["parts"] * min(self.rows,
                                         self.rows // spec["tokens"] + spec["groups"] + 1)
        table, grid = (ctypes.c_uint64 * len(words))(*words), ctypes.c_int64(blocks)
        pointers = (ctypes.c_void_p * 2)(ctypes.addressof(table), ctypes.addressof(grid))
        check(cuda.cuLaunchKernel(function, blocks, 1, 1, spec["threads"], 1, 1, spec["shared"],
                                  None, pointers, None), "launch")
        check(cuda.cuCtxSynchronize(), spec["entry"])
        memory.release()
        cuda.cuModuleUnload(module)


def connect():
    global cuda
    cuda = ctypes.CDLL("libcuda.so.1")
    device, context = ctypes.c_int(), ctypes.c_void_p()
    check(cuda.cuInit(0), "driver")
    check(cuda.cuDeviceGet(ctypes.byref(device), 0), "device")
    check(cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device), "context")
    check(cuda.cuCtxSetCurrent(context), "context")


def count(folder, work, chip):
    """The counters of a launch, in a process of its own: they are written at its end."""
    with tempfile.NamedTemporaryFile(suffix=".json") as counters:
        child = os.fork()
        if child == 0:
            os.environ.update(VGPU_DEVICE=chip, VGPU_COUNTERS=counters.name, VGPU_COUNT_ONLY="1",
                              VGPU_ASSUME_INITIALIZED="1")
            connect()
            work.launch(folder)
            ctypes.CDLL(None).exit(0)
        if os.waitpid(child, 0)[1]:
            raise SystemExit(f"{work.spec['entry']}: the virtual GPU refused it")
        return json.loads(pathlib.Path(counters.name).read_text())["launches"][0]


class Assembled:
    """What ptxas says of each file, once."""

    def __init__(self, folder, chip):
        self.folder, self.chip, self.known = folder, chip, {}

    def columns(self, spec):
        if spec["file"] not in self.known:
            self.known[spec["file"]] = assemble(str(self.folder / spec["file"]), self.chip)
        if self.known[spec["file"]] is None:
            return f"{'-':>5}{'-':>7}{'-':>6}{'-':>7}"
        registers, spills, notes = self.known[spec["file"]]
        blocks = blocks_per_multiprocessor(spec, self.chip, registers)
        return f"{registers:5}{spills:7}{','.join(notes) or 'none':>6}{blocks:7}"


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
            report(name, work, count(options.folder, work, chip), assembled, chip)


if __name__ == "__main__":
    main()
