"""Checks a profile of the demo model: a prompt of 16 tokens, then 2 more."""
import collections
import json
import sys

THREADS, EXPERTS, TOP_K, LAYERS, LENGTHS = 3, 8, 2, 4, [16, 1, 1]

events = json.load(open(sys.argv[1]))["traceEvents"]
rows = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
assert rows == {0: "caller 0", 1: "worker 1", 2: "worker 2"}, rows
assert sum(event["ph"] == "X" and event["name"] == "run" for event in events) == len(LENGTHS)

kernels = [event for event in events if event["ph"] == "X" and "kernel" in event["args"]]
assert {event["tid"] for event in kernels} <= set(range(THREADS))
unnamed = [event for event in kernels if not event["name"].startswith("/")]
assert not unnamed, unnamed
by_node = collections.defaultdict(set)
for event in kernels:
    by_node[event["name"]].add(event["args"]["op"])
for layer in range(LAYERS):
    assert "moe.grouped_matmul" in by_node[f"/model/layers.{layer}/moe/MoE"], by_node

counters = collections.defaultdict(list)
for event in events:
    if event["ph"] == "C":
        counters[event["name"]].append(event["args"])
expected = {f"tokens per expert: /model/layers.{layer}/moe/MoE" for layer in range(LAYERS)}
assert set(counters) == expected, set(counters)
for name, runs in counters.items():
    assert all(set(run) == {str(expert) for expert in range(EXPERTS)} for run in runs), runs
    assert [sum(run.values()) for run in runs] == [TOP_K * n for n in LENGTHS], (name, runs)
