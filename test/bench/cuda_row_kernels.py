"""Prints what is known of the kernels of tokens and heads without a GPU.

    python cuda_row_kernels.py FOLDER --programs
    for f in FOLDER/*.mlir; do moec-ptx $f --chip sm_80 > ${f%.mlir}.ptx; done
    vgpu-run python cuda_row_kernels.py FOLDER --chip sm_80

Of routing, combining, rotating and appending to a cache in known models:
registers, spills and notes of ptxas, operations without a stated rounding, and
what the virtual GPU counts: bytes of DRAM over the least possible, and bank
conflicts. The least is each operand once, in whole sectors of 32 bytes; up to 64
tokens are rows of a decode.
"""
import argparse
import pathlib
import random
import sys

from counting import assemble, count, progress, sectors
from quality import Extremes, unrounded, verdict

POSITIONS = 4096
MOST_OF_DECODE = 64
MODELS = {  # experts, top-k, hidden, router; query heads, key heads, width, rotated pairs
    "mixtral-8x7b": (8, 2, 4096, "normalize = sum", 32, 8, 128, 64),
    "qwen3-30b-a3b": (128, 8, 2048, "normalize = sum", 32, 4, 128, 64),
    "deepseek-v3": (256, 8, 7168, "score = sigmoid, groups = 8, kept_groups = 4, "
                    "group_score = top2_sum, normalize = sum, scale = 2.5", 128, 1, 64, 32),
}


def heads(count, width):
    return f"tensor<?x?x{count}x{width}xbf16>"


def program(experts, top_k, hidden, router, query, key, width, pairs):
    bias = f"selection_bias(%b : tensor<{experts}xf32>)" if "groups" in router else ""
    q, k, cache = heads(query, width), heads(key, width), f"tensor<?x{key}x?x{width}xbf16>"
    ids, weights = f"tensor<?x{top_k}xi32>", f"tensor<?x{top_k}xf32>"
    rows, y, angles = f"tensor<?x{hidden}xf32>", f"tensor<?x{hidden}xbf16>", f"tensor<?x{pairs}xf32>"
    return f"""func.func @main(%x: tensor<?x{experts}xf32>, %b: tensor<{experts}xf32>, %rows: {rows}, %at: {ids},
    %q: {q}, %k: {k}, %cos: {angles}, %p: tensor<?x?xi64>, %past: {cache}, %n: tensor<?xi64>)
    -> ({ids}, {y}, {q}, {cache}) {{
  %ids, %w = moe.route %x {bias} {{router = #moe.router<top_k = {top_k}, {router}>}} : tensor<?x{experts}xf32> -> {ids}, {weights}
  %y = moe.combine %rows, %at weights(%w : {weights}) {{element = bf16}} : {rows}, {ids} -> {y}
  %r = attn.rope %q, %cos, %cos positions(%p : tensor<?x?xi64>) : {q}, {angles}, {angles} -> {q}
  %s = attn.rope %k, %cos, %cos positions(%p : tensor<?x?xi64>) : {k}, {angles}, {angles} -> {k}
  %c = attn.cache_append %past, %s lengths(%n : tensor<?xi64>) outs(%past : {cache}) : {cache}, {k} -> {cache}
  return %ids, %y, %r, %c : {ids}, {y}, {q}, {cache}
}}
"""


class Launch:
    """A kernel on arguments of a size, which are at least so many bytes each."""

    def __init__(self, entry, blocks, operands, arguments):
        self.entry, self.blocks, self.arguments = entry, blocks, arguments
        self.least = sectors(*operands)

    def count(self, path, chip):
        return count(chip, path, self.entry, self.blocks, 128, 0, self.arguments)


def longs(memory, numbers):
    """64-bit numbers as words of 32 bits."""
    return memory.write([word for number in numbers for word in (number, 0)])


def launches(shape, tokens):
    """Of a prefill of `tokens`, or a decode of as many rows where there are few."""
    experts, top_k, hidden, router, query, key, width, pairs = shape
    has_groups = "groups" in router
    score = "sigmoid_groups8" if has_groups else "softmax"

    def rows(address, columns, count=tokens):
        return [address, count, columns]

    def route(memory):
        return [*rows(memory.reserve(tokens * experts * 4), experts),
                *([memory.reserve(experts * 4)] if has_groups else []),
                *rows(memory.reserve(tokens * top_k * 4), top_k),
                *rows(memory.reserve(tokens * top_k * 4), top_k)]

    of_warp = 32 // min(experts, 32)
    yield Launch(f"route_f32_{experts}_top{top_k}_{score}", -(-tokens // (4 * of_warp)),
                 [tokens * experts * 4, experts * 4 * has_groups, *[tokens * top_k * 4] * 2], route)

    def combine(memory):
        positions = random.Random(1).sample(range(tokens * top_k), tokens * top_k)
        return [*rows(memory.reserve(tokens * top_k * hidden * 4), hidden, tokens * top_k),
                memory.write(positions), tokens, memory.reserve(tokens * top_k * 4), tokens,
                *rows(memory.reserve(tokens * hidden * 2), hidden)]

    yield Launch(f"combine_f32_{hidden}_top{top_k}_to_bf16", tokens * -(-hidden // 512),
                 [tokens * top_k * hidden * 4, *[tokens * top_k * 4] * 2, tokens * hidden * 2], combine)

    batch, added = (tokens, 1) if tokens <= MOST_OF_DECODE else (1, tokens)
    past = POSITIONS - added
    # A projection's rows hold queries, keys and values.
    row = (query + 2 * key) * width

    def sliced(memory, count):
        return [memory.reserve(tokens * row * 2), batch, added, added * row, row, width]

    def angles(memory):
        table = [memory.reserve(POSITIONS * pairs * 4) for _ in range(2)]
        places = [past + i for _ in range(batch) for i in range(added)]
        return [table[0], POSITIONS, pairs, table[1], POSITIONS, pairs, longs(memory, places), batch,
                added]

    # Heads there and back, their angles and positions.
    moved = lambda count: [*[tokens * count * width * 2] * 2, *[added * pairs * 4] * 2, tokens * 8]
    units = lambda count: -(-tokens * count * (pairs // 8) // 128)

    def rope(memory):
        return [*sliced(memory, query), *angles(memory), memory.reserve(tokens * query * width * 2),
                batch, added, added * query * width, query * width, width]

    yield Launch(f"rope_bf16_{query}x{width}_{pairs}", units(query), moved(query), rope)

    def append(memory):
        cache = memory.reserve(batch * key * POSITIONS * width * 2)
        strides = [key * POSITIONS * width, POSITIONS * width, width]
        return [cache, batch, past, *strides, *sliced(memory, key), longs(memory, [past] * batch), batch,
                *angles(memory), cache, batch, POSITIONS, *strides]

    every = -(-batch * key * POSITIONS * (width // 8) // 128)
    yield Launch(f"rope_cache_append_bf16_{key}x{width}", max(units(key), min(every, 1024)),
                 [*moved(key), batch * 8], append)


def report(launch, tokens, path, chip, assembled, plain, extremes):
    progress(f"{launch.entry}, {tokens} tokens")
    counters = launch.count(path, chip)
    registers, spills, notes = assembled.get(launch.entry, ("-", 0, "none"))
    measured = {"phase": "decode" if tokens <= MOST_OF_DECODE else "prefill", "spills": spills,
                "notes": notes, "plain": plain[launch.entry],
                "conflicts": counters.get("main_loop", counters)["bank_conflicts"],
                "dram": (counters["dram_read_bytes"] + counters["dram_write_bytes"]) / launch.least}
    extremes.add(launch.entry, f"({tokens} tokens)", **measured)
    print(f"{launch.entry:<42}{tokens:7}{registers:>5}{spills:>7}{notes:>6}{measured['plain']:6}"
          f"{launch.least / 1024:10.1f}{measured['dram']:7.3f}{measured['conflicts']:10}"
          f"{verdict(launch.entry, **measured)}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--programs", action="store_true", help="write the programs to compile")
    parser.add_argument("--chip", default="sm_80")
    parser.add_argument("--tokens", default="1,16,1024")
    options = parser.parse_args()
    if options.programs:
        options.folder.mkdir(parents=True, exist_ok=True)
        for name, shape in MODELS.items():
            (options.folder / f"{name}.mlir").write_text(program(*shape))
        return
    print(f"{'kernel':<42}{'tokens':>7}{'regs':>5}{'spills':>7}{'C75xx':>6}{'plain':>6}"
          f"{'KB least':>10}{'DRAM':>7}{'conflicts':>10}")
    extremes = Extremes()
    for name, shape in MODELS.items():
        path = options.folder / f"{name}.ptx"
        assembled, plain = assemble(str(path), options.chip), unrounded(path.read_text())
        for tokens in map(int, options.tokens.split(",")):
            for launch in launches(shape, tokens):
                report(launch, tokens, path, options.chip, assembled, plain, extremes)
    sys.exit(extremes.report())


if __name__ == "__main__":
    main()
