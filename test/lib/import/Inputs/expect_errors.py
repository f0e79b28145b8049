"""Imports the models of a test file; each must fail with the message above it.

A message stands in a line "# expect: MESSAGE", its model in the lines after it.
The models lie beside data.bin, of 64 bytes, a folder, and a link that leads
out of their own folder.
"""

import os
import re
import shutil
import subprocess
import sys

ABBREVIATIONS = {
    "H": "opset_import { version: 21 }",
    "E": "data_location: EXTERNAL",
    "D": "dims: 2 data_type: 1",
}


def main(cases, folder, encode):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.join(folder, "models", "folder"))
    outside = os.path.join(folder, "outside.bin")
    model = os.path.join(folder, "models", "model.onnx")
    for path in (outside, os.path.join(folder, "models", "data.bin")):
        with open(path, "wb") as file:
            file.write(bytes(64))
    os.symlink(outside, os.path.join(folder, "models", "link.bin"))

    parts = re.split(r"^# expect: (.*)\n", open(cases).read(), flags=re.MULTILINE)[1:]
    wrong = 0
    for message, text in zip(parts[::2], parts[1::2]):
        text = re.sub(r"\b[HED]\b", lambda short: ABBREVIATIONS[short.group()], text)
        encoded = subprocess.run(encode.split(), input=text.encode(), capture_output=True, check=True)
        with open(model, "wb") as file:
            file.write(encoded.stdout)
        run = subprocess.run(["moec-import", model], capture_output=True, text=True)
        got = run.stderr.splitlines()
        # Locations print as loc("NAME"("FILE":0:0)): error: ...
        plain = [re.sub(r'^loc\((".*")\(.*?\)\): |^\S*?: ', r"\1: ", line) for line in got]
        if run.returncode != 1 or len(got) != 1 or not plain[0].endswith(message):
            wrong += 1
            print(f"expected: {message}\nexit status {run.returncode}: {run.stderr}")
    print(f"{len(parts) // 2} models, {wrong} wrong")
    return 1 if wrong or not parts else 0


sys.exit(main(*sys.argv[1:]))
