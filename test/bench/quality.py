"""What no CUDA kernel may do, and which of them do it for a reason that was measured."""
import collections
import fnmatch
import math
import re

# Bytes of DRAM over the least, by what the launch is part of.
MOST_DRAM = {"decode": 1.05, "prefill": 1.15}

# Kernels by patterns, what they break, to how much at most, and why: three at most.
EXCEPTIONS = (
    ("permute_*", "conflicts", math.inf,
     "a step of a warp counts 32 slots, and experts at random share banks: 5 wavefronts more beside "
     "51 instructions. Counts in registers, found by ballots and shuffles, have no conflicts and "
     "take 3.6 times the instructions (257 buckets, 5600 slots: 63992 instead of 17978)"),
    ("matmul_*_4096x4096_tokens* matmul_f32_4096x2048_tokens*", "DRAM in prefill", 2.9,
     "4096 tokens' rows and the matrix are 33.5 MB each (f32 of 4096 columns: 67), and the cache is "
     "counted as 32 or 40, so that one passes by the other twice: no height of bands moves less than "
     "1.28 on sm_80. bf16 moves 1.43 there and 1.64 on sm_90a, where a wave of blocks reads 35 MB "
     "and writes 9, which leaves nothing to the next, as with f32: 2.89 and 1.52 on sm_80, and "
     "1.33 of 1024 tokens"),
    ("matmul_*_groups8_*", "DRAM in prefill", 1.7,
     "of 4096 tokens each of 8 experts has 1024: 29 MB by a matrix of 117 (4096x14336, bf16), of "
     "which a wave of blocks on sm_80 reads 29 and 36. That is 1.65 (int8: 1.49, int4: 1.43), and no "
     "height of bands of rows or of the matrix moves less than 1.63 (1.32, 1.30). On sm_90a it is "
     "1.24, and 1.16 by 28672x4096 (f32 on sm_80: 1.58), with 8 MB of rows and 35 of the matrix in a "
     "wave"),
)

# An operation without a rounding may be fused with another by the assembler.
UNROUNDED = re.compile(
    r"\b(?:add|sub|mul|mad|fma|div|sqrt|rcp)\.(?:ftz\.|sat\.)*(?:f16|bf16|f32|f64)(?:x2)?\b")


def unrounded(ptx):
    """Of each entry: how many operations do not state their rounding."""
    bodies = re.split(r"\.entry (\w+)\(", ptx)[1:]
    return {name: len(UNROUNDED.findall(body)) for name, body in zip(bodies[::2], bodies[1::2])}


def broken(phase="prefill", spills=0, notes="none", plain=0, conflicts=0, dram=0.0):
    """The rules that measurements of a launch break, and how much there is of each."""
    rules = {"spills": spills, "notes": notes != "none", "roundings": plain, "conflicts": conflicts,
             f"DRAM in {phase}": dram if dram > MOST_DRAM[phase] else 0}
    return {rule: amount for rule, amount in rules.items() if amount}


def is_excepted(kernel, rule, amount):
    return any(rule == excepted and amount <= most and fnmatch.fnmatch(kernel, pattern)
               for patterns, excepted, most, _ in EXCEPTIONS for pattern in patterns.split())


def verdict(kernel, **measured):
    """What stands at the end of a kernel's line in a report."""
    rules = broken(**measured)
    excepted = [rule for rule, amount in rules.items() if is_excepted(kernel, rule, amount)]
    missed = [rule for rule in rules if rule not in excepted]
    return (f"  MISS {', '.join(missed)}" if missed else "") + (
        f"  excepted: {', '.join(excepted)}" if excepted else "")


class Extremes:
    """The largest that each measurement was, and where."""

    def __init__(self):
        self.largest, self.misses = {}, collections.Counter()

    def add(self, kernel, where, phase, notes="none", dram=0.0, **measured):
        rules = broken(phase, notes=notes, dram=dram, **measured)
        self.misses.update(rule for rule, amount in rules.items()
                           if not is_excepted(kernel, rule, amount))
        values = {**measured, "notes": 0 if notes == "none" else len(notes.split(",")),
                  f"DRAM/least of {phase}": dram}
        for name, value in values.items():
            if value > self.largest.get(name, (-1,))[0]:
                self.largest[name] = (value, f"{kernel} {where}")

    def report(self):
        """Returns whether there is a miss."""
        print("the largest of each:")
        for name, (value, where) in self.largest.items():
            number = f"{value:.3f}" if isinstance(value, float) else value
            print(f"  {name:<22}{number:>10}{f'  {where}' if value else ''}")
        total = sum(self.misses.values())
        print(f"{total or 'no'} misses" + (f": {dict(self.misses)}" if total else ""))
        for patterns, rule, most, reason in EXCEPTIONS:
            limit = f" up to {most}" if most < math.inf else ""
            print(f"excepted: {rule} of {patterns}{limit}: {reason}")
        return total > 0
