"""Runs the kernels that moec-cuda-kernels wrote, on the GPU of this machine.

    moec-cuda-kernels FOLDER --chip sm_90a
    python cuda_kernels.py FOLDER [--only qwen3] [--tokens 1,16,128,1024,4096]

For each product of each model: the largest difference from a float64 reference
(calc_diff per expert), the time of each size of tile, and the share of the
least time that memory and arithmetic allow, both measured here first. The peer
is PyTorch's grouped product of bf16. Needs PyTorch with CUDA.
"""
import argparse
import ctypes
import json
import pathlib
import statistics

import torch

cuda = ctypes.CDLL("libcuda.so.1")
SIZES = (("few", 2), ("some", 12), ("many", None))


def check(result, what):
    if result:
        text = ctypes.c_char_p()
        cuda.cuGetErrorString(result, ctypes.byref(text))
        raise SystemExit(f"{what}: {text.value.decode() if text.value else result}")


class Kernel:
    def __init__(self, folder, spec):
        self.spec = spec
        image = (folder / spec["file"]).read_bytes() + b"\0"
        module, self.function = ctypes.c_void_p(), ctypes.c_void_p()
        check(cuda.cuModuleLoadData(ctypes.byref(module), image), spec["file"])
        check(cuda.cuModuleGetFunction(ctypes.byref(self.function), module,
                                       spec["entry"].encode()), spec["entry"])
        check(cuda.cuFuncSetAttribute(self.function, 8, spec["shared"]), "shared memory")

    def grid(self, rows):
        spec = self.spec
        if not spec["top_k"]:
            return spec["grid_parts"] * -(-rows // spec["grid_tokens"])
        return spec["grid_parts"] * min(rows, rows // spec["grid_tokens"] + spec["groups"] + 1)

    def arguments(self, words, rows):
        table = (ctypes.c_uint64 * len(words))(*words)
        grid = ctypes.c_int64(self.grid(rows))
        pointers = (ctypes.c_void_p * 2)(ctypes.addressof(table), ctypes.addressof(grid))
        return table, grid, pointers

    def launch(self, arguments):
        grid, pointers = arguments[1], arguments[2]
        stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
        check(cuda.cuLaunchKernel(self.function, grid.value, 1, 1, self.spec["threads"], 1, 1,
                                  self.spec["shared"], stream, pointers, None), "launch")


def rows_of_panels(w, spec):
    """[g, n, c] as [g, panels, 128, c]: with a gate, 64 rows of each half."""
    g, n, c = w.shape
    if spec["gated"]:
        halves = w.reshape(g, 2, n // 2 // 64, 64, c)
        return halves.transpose(1, 2).reshape(g, -1, 128, c)
    return w.reshape(g, n // 128, 128, c)


class Weights:
    """Random matrices, packed and as what they mean."""

    def __init__(self, spec, groups):
        self.spec, kind = spec, spec["operands"]
        shape = (groups, spec["n"], spec["k"])
        self.scales = None
        if kind in ("bf16", "f32"):
            dtype = torch.bfloat16 if kind == "bf16" else torch.float32
            self.plain = torch.randn(shape, device="cuda", dtype=dtype) * 0.05
            word = 8 if kind == "bf16" else 4
            self.packed = self.pack(self.plain, word)
            return
        bits = int(kind[3:])
        self.plain = torch.randint(0, 1 << bits, shape, device="cuda", dtype=torch.uint8)
        per_block = (groups, spec["n"], spec["blocks"])
        self.factor = (torch.rand(per_block, device="cuda") * 0.01).to(torch.bfloat16)
        self.scales = rows_of_panels(self.factor, spec).transpose(2, 3).contiguous()
        elements = self.plain
        if bits == 4:
            words = elements.reshape(*shape[:2], -1, 2, 4)
            elements = (words[..., 0, :] | words[..., 1, :] << 4).reshape(*shape[:2], -1)
        self.packed = self.pack(elements, bits)

    def pack(self, elements, word):
        rows = rows_of_panels(elements, self.spec)
        g, panels, lanes, c = rows.shape
        return rows.reshape(g, panels, lanes, c // word, word).transpose(2, 3).contiguous()

    def meaning(self, group):
        w = self.plain[group].double()
        if self.scales is None:
            return w
        zero = 1 << (int(self.spec["operands"][3:]) - 1)
        factor = self.factor[group].double()
        return (w - zero) * factor.repeat_interleave(self.spec["k"] // factor.shape[1], 1)

    def bytes(self, groups):
        each = self.packed[0].numel() * self.packed.element_size()
        if self.scales is not None:
            each += self.scales[0].numel() * 2
        return each * groups


class Batch:
    """Tokens, routed at random; sorted by expert, as kernels take them."""

    def __init__(self, spec, tokens, seed):
        torch.manual_seed(seed)
        self.spec, top_k = spec, max(spec["top_k"], 1)
        self.dtype = torch.float32 if spec["operands"] == "f32" else torch.bfloat16
        self.rows = tokens * top_k
        source = tokens if spec["gated"] or not spec["top_k"] else self.rows
        self.x = torch.randn(source, spec["k"], device="cuda").to(self.dtype)
        self.y = torch.full((self.rows, spec["columns"]), float("nan"), device="cuda",
                            dtype=self.dtype)
        experts = torch.rand(tokens, spec["groups"], device="cuda").topk(top_k).indices.flatten()
        self.slots = experts.argsort(stable=True).int()
        self.counts = experts.bincount(minlength=spec["groups"])
        zero = torch.zeros(1, device="cuda", dtype=torch.int64)
        self.offsets = torch.cat([zero, self.counts.cumsum(0)]).int()

    def words(self, weights):
        status = STATUS.data_ptr()
        words = [status, self.x.data_ptr(), self.x.shape[0], self.spec["k"]]
        if self.spec["gated"]:
            words += [self.slots.data_ptr(), self.rows]
        if self.spec["top_k"]:
            words.append(self.offsets.data_ptr())
        words.append(weights.packed.data_ptr())
        if weights.scales is not None:
            words.append(weights.scales.data_ptr())
        return words + [self.y.data_ptr(), self.rows, self.spec["columns"]]

    def gathered(self):
        if not self.spec["gated"]:
            return self.x
        return self.x[(self.slots // self.spec["top_k"]).long()]

    def difference(self, weights):
        """The largest calc_diff of an expert."""
        worst, x, begin = 0.0, self.gathered(), 0
        counts = self.counts.tolist() if self.spec["top_k"] else [self.rows]
        for group, count in enumerate(counts):
            if count:
                rows = slice(begin, begin + count)
                y = x[rows].double() @ weights.meaning(group).T
                if self.spec["gated"]:
                    g, l = y.chunk(2, 1)
                    y = torch.nn.functional.silu(g) * l
                z = self.y[rows].double()
                d = 1 - 2 * (y * z).sum() / (y * y + z * z).sum()
                worst = max(worst, float("inf") if d.isnan() else d.item())
            begin += count
        return worst


def microseconds(runs, repeats=7):
    """The median time of one run among some that a CUDA graph replays, so that
    no time is that of launching."""
    for run in runs:
        run()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for run in runs:
            run()
    times = []
    for _ in range(repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) * 1e3 / len(runs))
    return statistics.median(times)


def ceilings():
    """Bytes and operations per microsecond that this GPU reaches."""
    a = torch.empty(1 << 30, device="cuda", dtype=torch.uint8)
    b = torch.empty_like(a)
    moved = 2 * a.numel() / microseconds([lambda: b.copy_(a)] * 5)
    x = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    multiplied = 2 * 8192**3 / microseconds([lambda: x @ x] * 5)
    return moved, multiplied


def peer(batches, weights):
    """PyTorch's grouped product of the same rows, without gather and gate."""
    if weights.plain.dtype != torch.bfloat16 or not hasattr(torch, "_grouped_mm"):
        return None
    w = weights.plain.transpose(1, 2)
    if not batches[0].spec["top_k"]:
        return microseconds([lambda b=b: b.x @ w[0] for b in batches])
    inputs = [(b.gathered().contiguous(), b.offsets[1:].contiguous()) for b in batches]
    return microseconds([lambda i=i: torch._grouped_mm(i[0], w, offs=i[1]) for i in inputs])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--operands", default="bf16,int8,int4,f32")
    parser.add_argument("--tokens", default="1,16,128,1024,4096")
    parser.add_argument("--routings", type=int, default=6)
    options = parser.parse_args()
    kernels = json.loads((options.folder / "kernels.json").read_text())
    global STATUS
    STATUS = torch.zeros(1, device="cuda", dtype=torch.int32)
    moved, multiplied = ceilings()
    print(f"{torch.cuda.get_device_name()}, code for {kernels['chip']}: copies "
          f"{moved / 1e6:.2f} TB/s, multiplies bf16 at {multiplied / 1e6:.0f} TFLOP/s")
    print(f"{'product':<38}{'tokens':>7} {'calc_diff':>10} "
          f"{'few us':>9} {'some us':>9} {'many us':>9} {'of least':>9} {'peer us':>9}")
    products = {}
    for spec in kernels["kernels"]:
        name = f"{spec['model']} {spec['product']} {spec['operands']}"
        if options.only in name and spec["operands"] in options.operands.split(","):
            products.setdefault(name, {})[spec["size"]] = Kernel(options.folder, spec)
    for name, sizes in products.items():
        spec = next(iter(sizes.values())).spec
        weights = Weights(spec, spec["groups"])
        for tokens in map(int, options.tokens.split(",")):
            batches = [Batch(spec, tokens, seed) for seed in range(options.routings)]
            times = {}
            per_group = batches[0].rows / spec["groups"]
            chosen = next(s for s, most in SIZES if most is None or per_group <= most)
            for size, kernel in sizes.items():
                if size == "few" and per_group > 64 or size == "many" and per_group < 1:
                    continue
                runs = []
                for batch in batches:
                    arguments = kernel.arguments(batch.words(weights), batch.rows)
                    runs.append(lambda k=kernel, a=arguments: k.launch(a))
                runs[0]()
                torch.cuda.synchronize()
                if size == chosen:
                    difference = batches[0].difference(weights)
                times[size] = microseconds(runs)
            active = statistics.mean((b.counts > 0).sum().item() for b in batches)
            if not spec["top_k"]:
                active = 1
            b = batches[0]
            least = max((weights.bytes(active) + b.x.nbytes + b.y.nbytes) / moved,
                        2 * b.rows * spec["n"] * spec["k"] / multiplied)
            other = peer(batches, weights)
            columns = "".join(f" {times[s]:9.1f}" if s in times else f" {'':9}" for s, _ in SIZES)
            print(f"{name:<38}{tokens:7} {difference:10.1e}{columns} "
                  f"{least / times[chosen]:9.2f} {other or 0:9.1f}", flush=True)
            del batches, runs
        del weights
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
