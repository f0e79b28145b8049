#!/usr/bin/env python3
"""Checks the CUDA kernels of known models without running them.

    cuda_quality.py FOLDER --chip sm_90a
    cuda_quality.py FOLDER --chip sm_90a --assemble

Writes to FOLDER, as PTX, the layers of cuda_layer.py, products in every size of
tile, and attention in the forms that layers have not; no operation may leave its
rounding to the assembler. Then ptxas must neither spill nor note anything in what
the first call wrote; without ptxas the exit status is 77.
"""
import argparse
import pathlib
import subprocess
import sys

from counting import assemble
from cuda_layer import MODELS, ROOT, compile_layer, write_layer
from quality import unrounded, verdict

# Its products stand for the others', which differ in constants.
PRODUCTS = "qwen3-30b-a3b"
NOT_FOUND = 77


def attention(element):
    """With all that changes scores, and heads that are no multiple of what lanes read."""
    row, mask = f"tensor<?x?x8x80x{element}>", "tensor<?x?x?x?x{}>"
    cache = f"tensor<?x2x?x80x{element}>"
    return f"""func.func @main(%q: {row}, %k: {cache}, %v: {cache}, %n: tensor<?xi64>, %p: tensor<?xi64>,
    %b: {mask.format(element)}, %m: {mask.format("i1")}, %s: tensor<8x{element}>) -> {row} {{
  %y = attn.attention %q, %k, %v bias(%b : {mask.format(element)}) mask(%m : {mask.format("i1")})
       sink(%s : tensor<8x{element}>) kv_lengths(%n : tensor<?xi64>) q_offsets(%p : tensor<?xi64>)
       {{scale = 0.1 : f64, softcap = 30.0 : f64, left = 500, right = 0}} : {row}, {cache}, {cache} -> {row}
  return %y : {row}
}}
"""


def write(folder, chip):
    for name, shape in MODELS.items():
        compile_layer(write_layer(folder, name, shape), "ptx", chip)
    subprocess.run([ROOT / "build/bin/moec-cuda-kernels", folder, "--chip", chip, "--only", PRODUCTS],
                   check=True)
    for element in ("bf16", "f16", "f32"):
        with open(folder / f"attention-{element}.ptx", "w") as file:
            subprocess.run([ROOT / "build/bin/moec-ptx", "--chip", chip], input=attention(element),
                           stdout=file, text=True, check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--chip", required=True)
    parser.add_argument("--assemble", action="store_true")
    options = parser.parse_args()
    if not options.assemble:
        write(options.folder, options.chip)
    kernels, missed = 0, 0
    for path in sorted(options.folder.glob("*.ptx")):
        known = assemble(str(path), options.chip) if options.assemble else unrounded(path.read_text())
        if not known:
            print("there is no ptxas")
            sys.exit(NOT_FOUND)
        for kernel, found in known.items():
            measured = ({"spills": found[1], "notes": found[2]} if options.assemble else
                        {"plain": found})
            text = verdict(kernel, **measured)
            kernels += 1
            if text:
                print(f"{path.name}: {kernel}: {measured}{text}")
            missed += "MISS" in text
    print(f"{kernels} kernels, {missed} with misses")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
