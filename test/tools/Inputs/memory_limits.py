"""Compiles and runs a model of any size and checks how much memory that takes.

usage: memory_limits.py model DIR MEGABYTES   write DIR/weights.bin and
                                              DIR/*.npy, print the model as text
       memory_limits.py check DIR MEGABYTES TYPE
                                              compile DIR/model.onnx with weights
                                              of TYPE, and run it

The model is one MoE whose two weights, of half the size each, are zeros but for
a few values: the file has holes, and the results are known exactly.
"""
import json
import os
import struct
import subprocess
import sys

EXPERTS, HIDDEN = 8, 4096
command, folder, megabytes = sys.argv[1], sys.argv[2], int(sys.argv[3])
INNER = max(64, megabytes * 1000 * 1000 // (2 * EXPERTS * HIDDEN * 4) // 64 * 64)
TENSOR = EXPERTS * INNER * HIDDEN * 4


def places(expert):
    """The row, column and output of an expert's only values; of the last the last."""
    if expert == EXPERTS - 1:
        return INNER - 1, HIDDEN - 1, HIDDEN - 1
    return expert * 997 % INNER, expert * 991 % HIDDEN, expert * 983 % HIDDEN


def write_npy(name, rows):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({len(rows)}, {len(rows[0])}), }}\n"
    with open(f"{folder}/{name}.npy", "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
        for row in rows:
            file.write(struct.pack(f"<{len(row)}f", *row))


def one_hot(size, at, value):
    return [value if i == at else 0.0 for i in range(size)]


def write_model():
    with open(f"{folder}/weights.bin", "wb") as file:
        file.truncate(2 * TENSOR)
        for expert in range(EXPERTS):
            row, column, output = places(expert)
            file.seek(4 * ((expert * INNER + row) * HIDDEN + column))
            file.write(struct.pack("<f", expert + 1.0))
            file.seek(TENSOR + 4 * ((expert * HIDDEN + output) * INNER + row))
            file.write(struct.pack("<f", 0.5))
    # Every expert gets one token, so that a run touches every weight.
    write_npy("x", [one_hot(HIDDEN, places(expert)[1], 3.0) for expert in range(EXPERTS)])
    write_npy("logits", [one_hot(EXPERTS, expert, 10.0) for expert in range(EXPERTS)])

    def value(kind, name, size):
        print(f'{kind} {{ name: "{name}" type {{ tensor_type {{ elem_type: 1 shape {{'
              f' dim {{ dim_param: "tokens" }} dim {{ dim_value: {size} }} }} }} }} }}')

    def weight(name, dims, offset):
        print(f'initializer {{ name: "{name}" data_type: 1 data_location: EXTERNAL')
        print(*(f"dims: {dim}" for dim in dims))
        for key, text in ("location", "weights.bin"), ("offset", offset), ("length", TENSOR):
            print(f'external_data {{ key: "{key}" value: "{text}" }}')
        print("}")

    print('opset_import { version: 21 } opset_import { domain: "com.microsoft" version: 1 }')
    print('graph { node { op_type: "MoE" domain: "com.microsoft" output: "y"'
          ' input: ["x", "logits", "w1", "", "w2"]'
          ' attribute { name: "k" type: INT i: 1 }'
          ' attribute { name: "normalize_routing_weights" type: INT i: 1 } }')
    value("input", "x", HIDDEN)
    value("input", "logits", EXPERTS)
    value("output", "y", HIDDEN)
    weight("w1", (EXPERTS, INNER, HIDDEN), 0)
    weight("w2", (EXPERTS, HIDDEN, INNER), TENSOR)
    print("}")


def peak_of(*words):
    """Runs a program; returns the most memory that it had, in bytes."""
    process = subprocess.Popen(words)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, (words, status)
    return usage.ru_maxrss * 1024


# Bytes of a weight: of int4, 32 share a scale of f16.
BYTES = {"keep": 4, "int4": 0.5 + 2 / 32}


def check(weight_type):
    artifact = f"{folder}/model.moec"
    compiling = peak_of("moec", "compile", f"{folder}/model.onnx", "-o", artifact,
                        "--weights", weight_type)
    model = json.loads(subprocess.check_output(["moec", "inspect", artifact, "--json"]))
    # Without the compiler, which is in moec.
    running = peak_of("moec-runtime", "run", artifact, "--output-dir", folder,
                      "--input", f"x={folder}/x.npy", "--input", f"logits={folder}/logits.npy")
    arena = 0
    for group in model["plan"]["arena"]:
        for times in group["times"]:
            group["bytes"] *= eval(times, {}, {"tokens": EXPERTS})
        arena += group["bytes"]
    weights = model["weights"]["length"]
    stored = 2 * TENSOR // 4 * BYTES[weight_type]
    assert stored <= weights < 1.01 * stored + 1e6 and model["plan"]["heap_buffers"] == 0
    print(f"{2 * TENSOR / 1e6:.0f} MB of weights, --weights {weight_type}, the largest tensor of {TENSOR / 1e6:.0f} MB: "
          f"compiling takes {compiling / 1e6:.0f} MB, running {running / 1e6:.0f} MB, "
          f"of weights and arena of {(weights + arena) / 1e6:.0f} MB")
    assert compiling < 1.5e9 * megabytes / 4000, "compiling takes too much memory"
    assert running < 1.15 * (weights + arena), "running takes too much memory"

    rows = open(f"{folder}/y.npy", "rb").read()[-EXPERTS * HIDDEN * 4:]
    y = struct.unpack(f"<{EXPERTS * HIDDEN}f", rows)
    # Each of two weights may be off by a rounding of its scale.
    tolerance = 0 if weight_type == "keep" else 2 / 1024
    for expert in range(EXPERTS):
        value = 1.5 * (expert + 1)
        for at, expected in enumerate(one_hot(HIDDEN, places(expert)[2], value)):
            assert abs(y[expert * HIDDEN + at] - expected) <= tolerance * expected, "wrong results"


write_model() if command == "model" else check(sys.argv[4])
