"""A model that makes a matrix of weights by what no packing does, and its check.

usage: evaluate_weights.py model DIR   write DIR/weights.bin and DIR/x.npy, print
                                       the model as text
       evaluate_weights.py check DIR   compare DIR/y.npy and DIR/z.npy

    matrix = Cast_f32(Slice(Concat(DequantizeLinear_f16(q, s), Cast_f16(w))))
    y = x matrix,  z = x + Expand(row)

Small integers are exact, but for the f16 that `w` is rounded to.
"""
import random
import struct
import sys

ROWS, HALF, TOKENS, FROM, TO = 64, 48, 3, 16, 80
command, folder = sys.argv[1:]
random.seed(7)
q = [[random.randint(-128, 127) for _ in range(HALF)] for _ in range(ROWS)]
scales = [2.0 ** random.randint(-3, 0) for _ in range(HALF)]
w = [[random.randint(-9, 9) + 1 / 4096 for _ in range(HALF)] for _ in range(ROWS)]
x = [[float(random.randint(-4, 4)) for _ in range(ROWS)] for _ in range(TOKENS)]
row = [random.random() for _ in range(ROWS)] * 20


def half(value):
    return struct.unpack("<e", struct.pack("<e", value))[0]


def single(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def floats(rows, code="f"):
    return b"".join(struct.pack(f"<{len(r)}{code}", *r) for r in rows)


def write_model():
    parts = {}
    with open(f"{folder}/weights.bin", "wb") as file:
        for name, data in {"q": floats(q, "b"), "s": floats([scales], "e"), "w": floats(w),
                           "row": floats([row])}.items():
            parts[name] = file.tell(), len(data)
            file.write(data)
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({TOKENS}, {ROWS}), }}\n"
    with open(f"{folder}/x.npy", "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + floats(x))

    def node(op, inputs, output, attributes=""):
        names = ", ".join(f'"{name}"' for name in inputs)
        print(f'node {{ op_type: "{op}" name: "{output}" input: [{names}] output: "{output}" {attributes} }}')

    def weight(name, dims, kind):
        offset, length = parts[name]
        print(f'initializer {{ name: "{name}" data_type: {kind} data_location: EXTERNAL')
        print(*(f"dims: {dim}" for dim in dims))
        for key, text in ("location", "weights.bin"), ("offset", offset), ("length", length):
            print(f'external_data {{ key: "{key}" value: "{text}" }}')
        print("}")

    def numbers(name, values):
        print(f'initializer {{ name: "{name}" data_type: 7 dims: {len(values)}'
              f' int64_data: {values} }}')

    def value(kind, name, *sizes):
        dims = " ".join(f'dim {{ dim_{"value" if isinstance(s, int) else "param"}: {s!r} }}'
                        for s in sizes).replace("'", '"')
        print(f'{kind} {{ name: "{name}" type {{ tensor_type {{ elem_type: 1 shape {{ {dims} }} }} }} }}')

    def integer(name, number):
        return f'attribute {{ name: "{name}" type: INT i: {number} }}'

    print('opset_import { version: 21 } graph {')
    node("DequantizeLinear", ["q", "s"], "dequantized", integer("axis", 1))
    node("Cast", ["w"], "rounded", integer("to", 10))
    node("Concat", ["dequantized", "rounded"], "joined", integer("axis", 1))
    node("Slice", ["joined", "from", "to", "axes"], "part")
    node("Cast", ["part"], "matrix", integer("to", 1))
    node("MatMul", ["x", "matrix"], "y")
    node("Expand", ["row", "many"], "wide")
    node("ReduceSum", ["wide", "zero"], "sum", integer("keepdims", 0))
    node("Add", ["x", "sum"], "z")
    weight("q", (ROWS, HALF), 3)
    weight("s", (HALF,), 10)
    weight("w", (ROWS, HALF), 1)
    weight("row", (20, 1, ROWS), 1)
    for name, values in {"from": [FROM], "to": [TO], "axes": [1], "many": [20, 32, ROWS],
                         "zero": [0, 1]}.items():
        numbers(name, values)
    value("input", "x", "tokens", ROWS)
    value("output", "y", "tokens", TO - FROM)
    value("output", "z", "tokens", ROWS)
    print("}")


def read(name, columns):
    data = open(f"{folder}/{name}.npy", "rb").read()[-TOKENS * columns * 4:]
    values = struct.unpack(f"<{TOKENS * columns}f", data)
    return [values[i * columns:(i + 1) * columns] for i in range(TOKENS)]


def check():
    matrix = [[a * s for a, s in zip(left, scales)] + [half(single(b)) for b in right]
              for left, right in zip(q, w)]
    matrix = [line[FROM:TO] for line in matrix]
    y = [tuple(sum(a * line[j] for a, line in zip(token, matrix)) for j in range(TO - FROM))
         for token in x]
    assert read("y", TO - FROM) == y, "wrong product"
    for got, token in zip(read("z", ROWS), x):
        for j, (a, b) in enumerate(zip(got, token)):
            assert abs(a - b - 32 * sum(map(single, row[j::ROWS]))) < 1e-2, "wrong sum"


write_model() if command == "model" else check()
