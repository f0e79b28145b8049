"""What no CUDA kernel may do, and which of them do it for a reason that was measured."""
import collections
import fnmatch
import re

# Bytes of DRAM over the least, by what the launch is part of.
MOST_DRAM = {"decode": 1.05, "prefill": 1.15}

# Kernels by pattern, what they break, and why: three at most.
EXCEPTIONS = (
    ("permute_*", "conflicts",
     "a step of a warp counts 32 slots, and experts at random share banks: 5 wavefronts more beside "
     "51 instructions. Counts in registers, found by ballots and shuffles, have no conflicts and "
     "take 3.6 times the instructions (257 buckets, 5600 slots: 63992 instead of 17978)"),
)

# An operation without a rounding may be fused with another by the assembler.
UNROUNDED = re.compile(
    r"\b(?:add|sub|mul|mad|fma|div|sqrt|rcp)\.(?:ftz\.|sat\.)*(?:f16|bf16|f32|f64)(?:x2)?\b")


def unrounded(ptx):
    """Of each entry: how many operations do not state their rounding."""
    bodies = re.split(r"\.entry (\w+)\(", ptx)[1:]
    return {name: len(UNROUNDED.findall(body)) for name, body in zip(bodies[::2], bodies[1::2])}


def broken(phase="prefill", spills=0, notes="none", plain=0, conflicts=0, dram=0.0):
    """The rules that measurements of a launch break."""
    rules = {"spills": spills, "notes": notes != "none", "roundings": plain, "conflicts": conflicts,
             "DRAM": dram > MOST_DRAM[phase]}
    return [rule for rule, is_broken in rules.items() if is_broken]


def is_excepted(kernel, rule):
    return any(fnmatch.fnmatch(kernel, pattern) and rule == excepted
               for pattern, excepted, _ in EXCEPTIONS)


def verdict(kernel, **measured):
    """What stands at the end of a kernel's line in a report."""
    rules = broken(**measured)
    missed = [rule for rule in rules if not is_excepted(kernel, rule)]
    excepted = [rule for rule in rules if is_excepted(kernel, rule)]
    return (f"  MISS {', '.join(missed)}" if missed else "") + (
        f"  excepted: {', '.join(excepted)}" if excepted else "")


class Extremes:
    """The largest that each measurement was, and where."""

    def __init__(self):
        self.largest, self.misses = {}, collections.Counter()

    def add(self, kernel, where, phase, notes="none", dram=0.0, **measured):
        self.misses.update(rule for rule in broken(phase, notes=notes, dram=dram, **measured)
                           if not is_excepted(kernel, rule))
        values = {**measured, "notes": 0 if notes == "none" else len(notes.split(",")),
                  f"DRAM/least of {phase}": dram}
        for name, value in values.items():
            if value > self.largest.get(name, (-1,))[0]:
                self.largest[name] = (value, f"{kernel} {where}")

    def report(self):
        print("the largest of each:")
        for name, (value, where) in self.largest.items():
            number = f"{value:.3f}" if isinstance(value, float) else value
            print(f"  {name:<22}{number:>10}{f'  {where}' if value else ''}")
        total = sum(self.misses.values())
        print(f"{total or 'no'} misses" + (f": {dict(self.misses)}" if total else ""))
        for pattern, rule, reason in EXCEPTIONS:
            print(f"excepted are {rule} of {pattern}: {reason}")
