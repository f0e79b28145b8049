"""Checks the memory report of the demo model against its own metadata."""
import json
import sys

model = json.load(open(sys.argv[1]))
memory = model["memory"]
batch, sequence = memory["batch"], memory["sequence"]
assert (batch, sequence) == (2, 10)

# Every dimension in the plan is one of these two.
sizes = {"batch_size": batch, "sequence_length": sequence}
arena = 0
for group in model["plan"]["arena"]:
    bytes_ = group["bytes"]
    for times in group["times"]:
        bytes_ *= eval(times, {}, sizes)
    arena += bytes_
assert memory["arena"] == arena, (memory["arena"], arena)

# 4 layers, keys and values, 2 heads of 32 floats.
assert memory["state"] >= 4 * 2 * batch * sequence * 2 * 32 * 4
assert memory["outputs"] == batch * sequence * 256 * 4
assert memory["weights"] == model["weights"]["length"]
assert memory["process_peak"] > memory["weights"]
