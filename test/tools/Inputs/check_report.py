"""Checks the report of compiling the demo model."""
import json
import sys

report = json.load(open(sys.argv[1]))
stages = [stage["name"] for stage in report["stages"]]
assert stages == ["import", "raise", "fuse", "plan", "emit", "weights", "code", "link"], stages
assert all(stage["seconds"] > 0 for stage in report["stages"])
peaks = [stage["process_peak"] for stage in report["stages"]]
assert peaks == sorted(peaks) and peaks[0] > 1 << 20, peaks

for kind in "moe", "attention":
    blocks = report["model"][kind]
    assert len(blocks) == 4 and all(block["raised"] for block in blocks), blocks
assert {pair["input"]: pair["output"] for pair in report["states"]} == {
    f"past_key_values.{layer}.{kind}": f"present.{layer}.{kind}"
    for layer in range(4) for kind in ("key", "value")
}
assert report["plain_pairs"] == []
assert report["plan"]["arena"] and report["plan"]["heap_buffers"] == 0
assert 0 < report["kernels"] <= report["launches"]
