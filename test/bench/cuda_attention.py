"""Times attention kernels on the GPU of this machine.

    python cuda_attention.py FOLDER --programs
    for f in FOLDER/*.mlir; do moec-ptx $f --chip sm_80 > ${f%.mlir}.ptx; done
    python cuda_attention.py FOLDER

For decode and prefill of each model: the largest difference from a float64
reference, the time with a warp for each chunk of keys and with one for all, and
PyTorch's scaled_dot_product_attention beside them. In decode the bytes of keys
and values per second are the measure, in prefill the operations. Where both
ways run, their bits are compared. Running needs PyTorch with CUDA.
"""
import argparse
import ctypes
import pathlib
import statistics

MODELS = {  # query heads, key heads, widths of keys and values
    "mixtral-8x7b": (32, 8, 128, 128),
    "qwen3-30b-a3b": (32, 4, 128, 128),
    "deepseek-v3": (128, 128, 192, 128),
}
DECODE = [(1, 4096), (16, 4096), (64, 4096), (1, 32768)]  # rows, keys
PREFILL = [(1, 1024), (1, 4096)]
CHUNK, TILE, HELD, MERGED = 64, 16, 64, 128
SHARED = TILE * (4 * CHUNK + 32)  # bytes of a warp


def program(heads, kv, d, e):
    q, k, v, y = (f"tensor<?x?x{heads}x{d}xbf16>", f"tensor<?x{kv}x?x{d}xbf16>",
                  f"tensor<?x{kv}x?x{e}xbf16>", f"tensor<?x?x{heads}x{e}xbf16>")
    return f"""func.func @main(%q: {q}, %k: {k}, %v: {v}, %n: tensor<?xi64>, %p: tensor<?xi64>) -> {y} {{
  %y = attn.attention %q, %k, %v kv_lengths(%n : tensor<?xi64>) q_offsets(%p : tensor<?xi64>)
       {{scale = {d ** -0.5} : f64, right = 0}} : {q}, {k}, {v} -> {y}
  return %y : {y}
}}
"""


class Kernels:
    """The kernels of one program, by entry name."""

    def __init__(self, path):
        self.cuda = ctypes.CDLL("libcuda.so.1")
        self.module = ctypes.c_void_p()
        self.check(self.cuda.cuModuleLoadData(ctypes.byref(self.module),
                                              path.read_bytes() + b"\0"))

    @staticmethod
    def check(result):
        if result:
            raise SystemExit(f"the driver returns {result}")

    def launcher(self, name, threads, shared, blocks, words):
        """A function that launches the kernel on torch's stream."""
        import torch
        function = ctypes.c_void_p()
        self.check(self.cuda.cuModuleGetFunction(ctypes.byref(function), self.module,
                                                 name.encode()))
        table, grid = (ctypes.c_uint64 * len(words))(*words), ctypes.c_int64(blocks)
        pointers = (ctypes.c_void_p * 2)(ctypes.addressof(table), ctypes.addressof(grid))

        def launch(_keep=(table, grid)):
            stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
            self.check(self.cuda.cuLaunchKernel(function, blocks, 1, 1, threads, 1, 1, shared, stream,
                                                pointers, None))
        return launch


def words(tensor):
    """A tensor [a,b,c,d] of which two sizes and three strides are arguments."""
    return [tensor.data_ptr(), *tensor.stride()[:3]]


class Case:
    def __init__(self, kernels, shape, batch, queries, keys):
        import torch
        heads, kv, d, e = shape
        self.shape, self.batch, self.queries, self.keys = shape, batch, queries, keys
        make = lambda *sizes: torch.randn(sizes, device="cuda").to(torch.bfloat16)
        self.q, self.k, self.v = make(batch, queries, heads, d), make(batch, kv, keys, d), make(
            batch, kv, keys, e)
        self.y = torch.zeros(batch, queries, heads, e, device="cuda", dtype=torch.bfloat16)
        status = torch.zeros(1, device="cuda", dtype=torch.int32)
        lengths = torch.full((batch,), keys, device="cuda", dtype=torch.int64)
        offsets = torch.full((batch,), keys - queries, device="cuda", dtype=torch.int64)
        rows, chunks = queries * heads // kv, -(-keys // CHUNK)
        tiles = batch * kv * -(-rows // TILE)
        q, k, v, y = words(self.q), words(self.k), words(self.v), words(self.y)
        inputs = [q[0], batch, queries, *q[1:], k[0], batch, keys, *k[1:], v[0], batch, keys,
                  *v[1:], lengths.data_ptr(), batch, offsets.data_ptr(), batch]
        output = [y[0], batch, queries, *y[1:]]
        name = f"attention_bf16_{kv}x{heads // kv}_{d}" + (f"x{e}" if e != d else "") + "_causal"
        first = [status.data_ptr()]
        self.keep = [status, lengths, offsets]
        self.whole = [kernels.launcher(name, 128, 4 * SHARED, -(-tiles * -(-e // HELD) // 4),
                                       first + inputs + output)]
        self.split = None
        if rows <= 64:
            totals = torch.empty(batch, kv, chunks, rows, 2, device="cuda")
            sums = torch.empty(batch, kv, chunks, rows, e, device="cuda")
            parts = [totals.data_ptr(), batch, chunks, rows, sums.data_ptr(), batch, chunks, rows]
            self.keep += [totals, sums]
            merges = -(-batch * queries * heads * -(-e // MERGED) // 4)
            self.split = [
                kernels.launcher(name + "_chunks", 32, SHARED, tiles * chunks, first + inputs + parts),
                kernels.launcher(name + "_merge", 128, 0, merges, first + parts + inputs + output)]

    def difference(self):
        """From float64, of the first and the last query of one row."""
        import torch
        heads, kv, d, _ = self.shape
        worst = 0.0
        for i in {0, self.queries - 1}:
            seen = self.keys - self.queries + i + 1
            q = self.q[0, i].double().reshape(kv, heads // kv, d)
            x = (q @ self.k[0, :, :seen].double().transpose(1, 2) * d**-0.5).softmax(-1)
            expected = (x @ self.v[0, :, :seen].double()).reshape(heads, -1)
            worst = max(worst, (self.y[0, i].double() - expected).abs().max().item())
        return worst

    def peer(self):
        import torch
        q = self.q.transpose(1, 2)
        group = self.shape[0] // self.shape[1]
        causal = self.queries > 1
        return lambda: torch.nn.functional.scaled_dot_product_attention(
            q, self.k, self.v, is_causal=causal, enable_gqa=group > 1)


def microseconds(launches, repeats=7, inner=5):
    """The median time of one run among some that a CUDA graph replays."""
    import torch
    def once():
        for launch in launches:
            launch()
    once()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(inner):
            once()
    times = []
    for _ in range(repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) * 1e3 / inner)
    return statistics.median(times)


def measure(name, kernels, shape, batch, queries, keys):
    import torch
    case = Case(kernels, shape, batch, queries, keys)
    heads, _, d, e = shape
    whole = microseconds(case.whole)
    difference, bits = case.difference(), case.y.clone()
    split = equal = None
    if case.split:
        case.y.zero_()
        split = microseconds(case.split)
        equal = torch.equal(case.y.view(torch.int16), bits.view(torch.int16))
    peer = microseconds([case.peer()])
    best = min(whole, split or whole)
    if queries == 1:
        rate = f"{(case.k.nbytes + case.v.nbytes) / best / 1e6:7.2f} TB/s"
    else:
        seen = keys - queries + (queries + 1) / 2
        rate = f"{2 * batch * heads * queries * seen * (d + e) / best / 1e6:7.1f} TFLOP/s"
    text = f"{split:9.1f}" if split else f"{'':9}"
    print(f"{name:<16}{batch:5}{queries:7}{keys:7} {difference:9.1e} {text} {whole:9.1f} "
          f"{peer:9.1f} {rate}{'' if equal is None else '  same bits' if equal else '  BITS DIFFER'}",
          flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--programs", action="store_true", help="write the programs to compile")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    if options.programs:
        options.folder.mkdir(parents=True, exist_ok=True)
        for name, shape in MODELS.items():
            (options.folder / f"{name}.mlir").write_text(program(*shape))
        return
    import torch
    torch.manual_seed(1)
    torch.zeros(1, device="cuda")
    print(torch.cuda.get_device_name())
    print(f"{'model':<16}{'rows':>5}{'tokens':>7}{'keys':>7} {'error':>9} {'chunks us':>9} "
          f"{'whole us':>9} {'peer us':>9}")
    for name, shape in MODELS.items():
        if options.only not in name:
            continue
        kernels = Kernels(options.folder / f"{name}.ptx")
        for batch, keys in DECODE:
            if batch * keys * shape[1] * (shape[2] + shape[3]) * 2 < 40e9:
                measure(name, kernels, shape, batch, 1, keys)
        for batch, tokens in PREFILL:
            measure(name, kernels, shape, batch, tokens, tokens)


if __name__ == "__main__":
    main()
