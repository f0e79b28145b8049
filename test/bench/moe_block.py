"""Times the MoE block of Mixtral's shape family, moec against ONNX Runtime.

Both run on one thread of this machine, in turns, so that whatever else the
machine does meets both. Results are compared with each other as well.
"""
import argparse
import json
import pathlib
import subprocess
import time

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

EXPERTS, HIDDEN, INNER, TOP_K = 8, 1024, 3584, 2


def make_model(path: pathlib.Path) -> None:
    """A model that is one SwiGLU MoE operator, with its router's logits as input."""
    rng = np.random.default_rng(0)

    def weight(name: str, *shape: int) -> onnx.TensorProto:
        values = rng.standard_normal(shape, dtype=np.float32) / np.float32(np.sqrt(shape[-1]))
        return helper.make_tensor(name, TensorProto.FLOAT, shape, values.tobytes(), raw=True)

    node = helper.make_node(
        "MoE", ["x", "logits", "fc1", "", "fc2"], ["y"], name="/moe", domain="com.microsoft",
        k=TOP_K, activation_type="swiglu", swiglu_fusion=1, normalize_routing_weights=1,
        activation_alpha=1.0, activation_beta=0.0)
    float_input = lambda name, width: helper.make_tensor_value_info(
        name, TensorProto.FLOAT, ["tokens", width])
    graph = helper.make_graph(
        [node], "moe_block", [float_input("x", HIDDEN), float_input("logits", EXPERTS)],
        [float_input("y", HIDDEN)],
        [weight("fc1", EXPERTS, 2 * INNER, HIDDEN), weight("fc2", EXPERTS, HIDDEN, INNER)])
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    onnx.save(model, path, save_as_external_data=True, location=path.name + ".data")


class OnnxRuntime:
    def __init__(self, model: pathlib.Path):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(model, options, ["CPUExecutionProvider"])

    def run(self, feeds: dict, repeat: int) -> tuple[float, np.ndarray]:
        best = float("inf")
        for _ in range(repeat):
            start = time.perf_counter()
            (y,) = self.session.run(None, feeds)
            best = min(best, time.perf_counter() - start)
        return best, y


class Moec:
    def __init__(self, tool: pathlib.Path, model: pathlib.Path, folder: pathlib.Path):
        self.tool, self.folder = tool, folder
        self.artifact = folder / "moe_block.moec"
        subprocess.run([tool, "compile", model, "-o", self.artifact], check=True)

    def run(self, feeds: dict, repeat: int) -> tuple[float, np.ndarray]:
        inputs = []
        for name, value in feeds.items():
            np.save(self.folder / f"{name}.npy", value)
            inputs += ["--input", f"{name}={self.folder / name}.npy"]
        out = subprocess.run(
            [self.tool, "run", self.artifact, *inputs, "--output-dir", self.folder / "out",
             "--threads", "1", "--repeat", str(repeat), "--json"],
            check=True, capture_output=True, text=True).stdout
        return json.loads(out)["best_seconds"], np.load(self.folder / "out" / "y.npy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, nargs="+", default=[1, 16, 256])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    root = pathlib.Path(__file__).resolve().parents[2]
    folder = root / "build" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / "moe_block.onnx"
    if not model.exists():
        make_model(model)
    runners = {"moec": Moec(root / "build/bin/moec", model, folder),
               "ONNX Runtime": OnnxRuntime(model)}
    rng = np.random.default_rng(1)
    print(f"MoE block, {EXPERTS} experts, {HIDDEN} -> {INNER} -> {HIDDEN}, top {TOP_K}, SwiGLU, "
          f"float32, one thread; best of {arguments.rounds} rounds in turns")
    print(f"{'tokens':>6} {'moec ms':>9} {'ORT ms':>9} {'speed-up':>9} {'max diff':>9}")
    for tokens in arguments.tokens:
        feeds = {"x": rng.standard_normal((tokens, HIDDEN), dtype=np.float32),
                 "logits": rng.standard_normal((tokens, EXPERTS), dtype=np.float32)}
        repeat = max(1, 64 // tokens)
        best = dict.fromkeys(runners, float("inf"))
        results = {}
        for _ in range(arguments.rounds):
            for name, runner in runners.items():
                seconds, results[name] = runner.run(feeds, repeat)
                best[name] = min(best[name], seconds)
        ours, theirs = best["moec"], best["ONNX Runtime"]
        difference = np.abs(results["moec"] - results["ONNX Runtime"]).max()
        print(f"{tokens:6} {ours * 1e3:9.2f} {theirs * 1e3:9.2f} {theirs / ours:8.2f}x {difference:9.1e}")


if __name__ == "__main__":
    main()
