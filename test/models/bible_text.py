"""The King James text out of Debian's bible-kjv-text package, split for training.

The data file is a sequence of 64 KiB windows of text, each compressed on its
own by compress(1) and stored without its header: magic "EC02", then at byte 84
the window size, the window count, one file offset per window and the offset of
the end (all big-endian uint32), then the one header (1f 9d 90) for all windows.
"""

import re
import struct
import subprocess
from pathlib import Path

DATA_FILE = Path("/usr/lib/bible.data")


def raw_text(path=DATA_FILE):
    """All windows, decompressed: lines such as "Ge1:1 In the beginning ..."."""
    data = path.read_bytes()
    if data[:4] != b"EC02":
        raise ValueError(f"{path} is not a bible-kjv-text data file")
    count = struct.unpack_from(">I", data, 88)[0]
    offsets = struct.unpack_from(f">{count + 1}I", data, 92)
    header = data[offsets[0] - 3 : offsets[0]]
    windows = [header + data[begin:end] for begin, end in zip(offsets, offsets[1:])]
    return b"".join(
        subprocess.run(["gzip", "-dc"], input=w, capture_output=True, check=True).stdout
        for w in windows
    )


def chapters(path=DATA_FILE):
    """The text of each chapter, one verse per line, without verse numbers."""
    result = {}
    for line in raw_text(path).splitlines():
        verse = re.match(rb"(\d?[A-Za-z]+\d+):\d+ (.*)", line)
        if verse:
            result.setdefault(verse[1], []).append(verse[2] + b"\n")
    return [b"".join(verses) for verses in result.values()]


def split(path=DATA_FILE):
    """(training bytes, held-out bytes): every twentieth chapter is held out."""
    parts = chapters(path)
    held_out = parts[19::20]
    del parts[19::20]
    return b"\n".join(parts), b"\n".join(held_out)


if __name__ == "__main__":
    for name, text in zip(("training", "held out"), split()):
        print(f"{name}: {len(text)} bytes, begins {text[:60]!r}")
