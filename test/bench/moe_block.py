"""Times the MoE block of Mixtral's shape family, moec against ONNX Runtime.

Both run on one thread of this machine, in turns, so that whatever else the
machine does meets both. Each row names the weights and the activations that
were multiplied; ONNX Runtime has no operator for bf16 on CPUs, so there it is
timed in float32. Its int4 operator has a second implementation, chosen by
ORT_USE_MLAS_Q4_GEMM_MOE=1; releases that choose it by themselves have two equal
rows. Results are compared as 1 - 2 sum(xy)/sum(x^2+y^2)
with those of the float32 block.

The ceiling is the roofline of what one thread of this machine reads from memory
and multiplies in float32, both measured by OpenBLAS in the same run: the time
that the weights of the chosen experts take to be read, or the products to be
computed, whichever is longer, as a part of the time taken. Products of narrower
numbers may exceed it, and so may reads of huge pages.
"""
import argparse
import json
import os
import pathlib
import subprocess
import time

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

EXPERTS, HIDDEN, INNER, TOP_K = 8, 1024, 3584, 2
BLOCK = 32


def quantise(weights: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Symmetric integers of rows (8 bits) or blocks of a row (4 bits), as QMoE has them."""
    block = weights.shape[-1] if bits == 8 else BLOCK
    values = weights.reshape(*weights.shape[:-1], -1, block)
    zero, largest = 1 << (bits - 1), (1 << (bits - 1)) - 1
    scales = np.abs(values).max(-1, keepdims=True) / np.float32(largest)
    q = (np.rint(values / scales) + zero).astype(np.uint8).reshape(weights.shape)
    if bits == 4:
        q = q[..., 0::2] | q[..., 1::2] << 4
    scales = scales[..., 0]
    return q, scales[..., 0] if bits == 8 else scales


def make_model(path: pathlib.Path, bits: int | None = None) -> None:
    """A model that is one SwiGLU MoE operator, with its router's logits as input."""
    rng = np.random.default_rng(0)
    initializers, names = [], []
    for name, shape in ("fc1", (EXPERTS, 2 * INNER, HIDDEN)), ("fc2", (EXPERTS, HIDDEN, INNER)):
        values = rng.standard_normal(shape, dtype=np.float32) / np.float32(np.sqrt(shape[-1]))
        arrays = {name: values}
        if bits:
            arrays = dict(zip((name, name + "_scales"), quantise(values, bits)))
        for array_name, array in arrays.items():
            kind = TensorProto.UINT8 if array.dtype == np.uint8 else TensorProto.FLOAT
            initializers.append(
                helper.make_tensor(array_name, kind, array.shape, array.tobytes(), raw=True))
        names += [*arrays, ""]
    attributes = dict(k=TOP_K, activation_type="swiglu", swiglu_fusion=1,
                      normalize_routing_weights=1, activation_alpha=1.0, activation_beta=0.0)
    if bits:
        attributes |= dict(expert_weight_bits=bits, weights_prepacked=0)
        if bits == 4:
            attributes["block_size"] = BLOCK
    node = helper.make_node("QMoE" if bits else "MoE", ["x", "logits", *names[:-1]], ["y"],
                            name="/moe", domain="com.microsoft", **attributes)
    float_input = lambda name, width: helper.make_tensor_value_info(
        name, TensorProto.FLOAT, ["tokens", width])
    graph = helper.make_graph(
        [node], "moe_block", [float_input("x", HIDDEN), float_input("logits", EXPERTS)],
        [float_input("y", HIDDEN)], initializers)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    onnx.save(model, path, save_as_external_data=True, location=path.name + ".data")


class OnnxRuntime:
    def __init__(self, model: pathlib.Path, mlas_q4: bool = False):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        os.environ.pop("ORT_USE_MLAS_Q4_GEMM_MOE", None)
        if mlas_q4:
            os.environ["ORT_USE_MLAS_Q4_GEMM_MOE"] = "1"
        self.session = ort.InferenceSession(model, options, ["CPUExecutionProvider"])

    def run(self, feeds: dict, repeat: int) -> tuple[float, np.ndarray]:
        best = float("inf")
        for _ in range(repeat):
            start = time.perf_counter()
            (y,) = self.session.run(None, feeds)
            best = min(best, time.perf_counter() - start)
        return best, y


class Moec:
    def __init__(self, tool: pathlib.Path, model: pathlib.Path, weights: str, activations: str):
        self.tool, self.folder = tool, model.parent
        self.artifact = model.with_name(f"{model.stem}-{weights}-{activations}.moec")
        subprocess.run([tool, "compile", model, "-o", self.artifact, "--weights", weights,
                        "--activations", activations], check=True)

    def run(self, feeds: dict, repeat: int) -> tuple[float, np.ndarray]:
        inputs = []
        for name, value in feeds.items():
            np.save(self.folder / f"{name}.npy", value)
            inputs += ["--input", f"{name}={self.folder / name}.npy"]
        out = subprocess.run(
            [self.tool, "run", self.artifact, *inputs, "--output-dir", self.folder / "out",
             "--threads", "1", "--weights-memory", "huge", "--repeat", str(repeat), "--json"],
            check=True, capture_output=True, text=True).stdout
        return json.loads(out)["best_seconds"], np.load(self.folder / "out" / "y.npy")


def fastest(work, repeat: int = 5) -> float:
    best = float("inf")
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def ceilings() -> tuple[float, float]:
    """Bytes and floating-point operations per second of one thread."""
    vector = np.ones(1 << 26, np.float32)
    matrix = np.ones((1536, 1536), np.float32)
    return (vector.nbytes / fastest(lambda: vector @ vector),
            2 * matrix.shape[0] ** 3 / fastest(lambda: matrix @ matrix))


BITS = {"f32": 32, "bf16": 16, "int8": 8, "int4": 4 + 32 / BLOCK}


def least_seconds(logits: np.ndarray, weights: str, bandwidth: float, peak: float) -> float:
    experts = np.unique(np.argsort(logits, axis=1)[:, -TOP_K:]).size
    weight_bytes = experts * 3 * HIDDEN * INNER * BITS[weights] / 8
    return max(weight_bytes / bandwidth, operations(len(logits)) / peak)


def operations(tokens: int) -> int:
    return 2 * 3 * HIDDEN * INNER * TOP_K * tokens


def calc_diff(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x.astype(np.float64), y.astype(np.float64)
    return 1 - 2 * (x * y).sum() / (x * x + y * y).sum()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, nargs="+", default=[1, 16, 256])
    parser.add_argument("--types", nargs="+", choices=["f32", "bf16", "int8", "int4"],
                        default=["f32", "bf16", "int8", "int4"])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    root = pathlib.Path(__file__).resolve().parents[2]
    folder, tool = root / "build" / "bench", root / "build/bin/moec"
    folder.mkdir(parents=True, exist_ok=True)
    models = {bits: folder / f"moe_block{bits or ''}.onnx" for bits in (None, 8, 4)}
    for bits, path in models.items():
        if not path.exists():
            make_model(path, bits)

    runners = {("moec", "f32", "f32"): lambda: Moec(tool, models[None], "keep", "keep"),
               ("ORT", "f32", "f32"): lambda: OnnxRuntime(models[None])}
    if "bf16" in arguments.types:
        runners["moec", "bf16", "bf16"] = lambda: Moec(tool, models[None], "bf16", "bf16")
        runners["moec", "bf16", "f32"] = lambda: Moec(tool, models[None], "bf16", "keep")
    for bits in (8, 4):
        if f"int{bits}" in arguments.types:
            for moec, name in ("keep", "f32"), ("int8", "int8"):
                runners["moec", f"int{bits}", name] = (
                    lambda bits=bits, moec=moec: Moec(tool, models[bits], "keep", moec))
            runners["ORT", f"int{bits}", "default"] = lambda bits=bits: OnnxRuntime(models[bits])
    if "int4" in arguments.types:
        runners["ORT", "int4", "MLAS Q4"] = lambda: OnnxRuntime(models[4], mlas_q4=True)
    runners = {key: make() for key, make in runners.items()}

    rng = np.random.default_rng(1)
    print(f"MoE block, {EXPERTS} experts, {HIDDEN} -> {INNER} -> {HIDDEN}, top {TOP_K}, SwiGLU, "
          f"one thread; best of {arguments.rounds} rounds in turns; ONNX Runtime {ort.__version__}")
    bandwidth, peak = ceilings()
    print(f"this machine: {bandwidth / 1e9:.1f} GB/s, {peak / 1e9:.0f} GF/s")
    print(f"{'tokens':>6} {'program':8} {'weights':8} {'activations':12} {'ms':>9} {'GF/s':>8} "
          f"{'to ORT f32':>10} {'to ceiling':>10} {'difference':>10}")
    for tokens in arguments.tokens:
        feeds = {"x": rng.standard_normal((tokens, HIDDEN), dtype=np.float32),
                 "logits": rng.standard_normal((tokens, EXPERTS), dtype=np.float32)}
        repeat = max(1, 64 // tokens)
        best, results = dict.fromkeys(runners, float("inf")), {}
        for _ in range(arguments.rounds):
            for key, runner in runners.items():
                seconds, results[key] = runner.run(feeds, repeat)
                best[key] = min(best[key], seconds)
        theirs = best["ORT", "f32", "f32"]
        for key, seconds in best.items():
            program, weights, activations = key
            least = least_seconds(feeds["logits"], weights, bandwidth, peak)
            difference = calc_diff(results[key], results["ORT", "f32", "f32"])
            print(f"{tokens:6} {program:8} {weights:8} {activations:12} {seconds * 1e3:9.2f} "
                  f"{operations(tokens) / seconds / 1e9:8.1f} {theirs / seconds:9.2f}x "
                  f"{least / seconds:10.2f} {difference:10.1e}")


if __name__ == "__main__":
    main()
