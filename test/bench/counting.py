"""What reports on CUDA kernels share: ptxas, launches that only count, machines."""
import ctypes
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# Bytes and operations per second, by data sheet: an A100 SXM of 80 GB, an H100 SXM.
MACHINES = {
    "sm_80": {"name": "A100", "bytes": 2.039e12, "bf16": 312e12, "f32": 19.5e12},
    "sm_90a": {"name": "H100", "bytes": 3.35e12, "bf16": 989e12, "f32": 67e12},
}
REGISTERS, SHARED = 65536, {"sm_80": 164 << 10, "sm_90a": 228 << 10}
MAX_SHARED_ATTRIBUTE = 8
# DRAM moves no less.
SECTOR = 32
cuda = None


def progress(text):
    """Shows on a terminal what is being counted, until the next line."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}\r", end="", file=sys.stderr, flush=True)


def check(result, what):
    if result:
        text = ctypes.c_char_p()
        cuda.cuGetErrorString(result, ctypes.byref(text))
        raise SystemExit(f"{what}: {text.value.decode() if text.value else result}")


def connect():
    global cuda
    cuda = ctypes.CDLL("libcuda.so.1")
    device, context = ctypes.c_int(), ctypes.c_void_p()
    check(cuda.cuInit(0), "driver")
    check(cuda.cuDeviceGet(ctypes.byref(device), 0), "device")
    check(cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device), "context")
    check(cuda.cuCtxSetCurrent(context), "context")


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


def launch(path, entry, blocks, threads, shared, arguments):
    """Runs a kernel of a PTX file; `arguments` makes the words behind the status."""
    memory, module, function = Memory(), ctypes.c_void_p(), ctypes.c_void_p()
    check(cuda.cuModuleLoadData(ctypes.byref(module), path.read_bytes() + b"\0"), path)
    check(cuda.cuModuleGetFunction(ctypes.byref(function), module, entry.encode()), entry)
    check(cuda.cuFuncSetAttribute(function, MAX_SHARED_ATTRIBUTE, shared), "shared")
    words = [memory.write([0]), *arguments(memory)]
    table, grid = (ctypes.c_uint64 * len(words))(*words), ctypes.c_int64(blocks)
    pointers = (ctypes.c_void_p * 2)(ctypes.addressof(table), ctypes.addressof(grid))
    check(cuda.cuLaunchKernel(function, blocks, 1, 1, threads, 1, 1, shared, None, pointers, None),
          "launch")
    check(cuda.cuCtxSynchronize(), entry)
    memory.release()
    cuda.cuModuleUnload(module)


def count(chip, path, entry, *how):
    """The counters of a launch, from a process of its own: they are written at its end."""
    with tempfile.NamedTemporaryFile(suffix=".json") as counters:
        child = os.fork()
        if child == 0:
            os.environ.update(VGPU_DEVICE=chip, VGPU_COUNTERS=counters.name, VGPU_COUNT_ONLY="1",
                              VGPU_ASSUME_INITIALIZED="1")
            connect()
            launch(path, entry, *how)
            ctypes.CDLL(None).exit(0)
        if os.waitpid(child, 0)[1]:
            raise SystemExit(f"{entry}: the virtual GPU refused it")
        return json.loads(pathlib.Path(counters.name).read_text())["launches"][0]


def sectors(*sizes):
    """The bytes of operands that lie apart, each in whole sectors: what is moved at least."""
    return sum(-(-size // SECTOR) * SECTOR for size in sizes)


def assemble(path, chip):
    """Of each entry: registers, bytes of spills and notes of ptxas; none without it."""
    ptxas = shutil.which("ptxas") or shutil.which("/usr/local/cuda/bin/ptxas")
    if not ptxas:
        return {}
    with tempfile.NamedTemporaryFile(suffix=".cubin") as cubin:
        text = subprocess.run([ptxas, f"-arch={chip}", "-v", path, "-o", cubin.name],
                              capture_output=True, text=True, check=True).stderr
    parts = {part.split("'")[0]: part for part in text.split("Compiling entry function '")[1:]}
    # Notes come before their entry; one that does not name it may be of any.
    notes = {entry: set() for entry in parts}
    for line in text.splitlines():
        for entry in [name for name in parts if f"'{name}'" in line] or parts:
            notes[entry].update(re.findall(r"C75\d\d", line))
    return {entry: (int(re.search(r"Used (\d+) registers", part).group(1)),
                    sum(map(int, re.findall(r"(\d+) bytes spill", part))),
                    ",".join(sorted(notes[entry])) or "none") for entry, part in parts.items()}


def blocks_per_multiprocessor(block, chip, registers):
    """Of a block with `shared` bytes and so many `threads`."""
    by_shared = SHARED[chip] // (block["shared"] + 1024)
    # Registers are given to warps in units of 256.
    per_warp = -(-registers * 32 // 256) * 256
    by_registers = REGISTERS // per_warp // (block["threads"] // 32)
    return min(by_shared, by_registers, 2048 // block["threads"], 32)
