"""Run by test_memory.py in a process of its own: construct a dataset, read a shuffled epoch, print the peaks in MiB."""

import json
import sys
from pathlib import Path

import torch

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.construct import construct
from collidekit.dataset.loader import Dataset, Loader

TEXT = """
classes: {even: label == 0, odd: label == 1}
inputs:
  parts:
    limit: 128
    order: x
    features: [x, {name: logx, expression: log(x)}, {name: rel, expression: x / sum(x)}, {name: mean, expression: mean(x)}]
    momenta: [x, x, x, x]
"""


def peak() -> float:
    """Of this process alone; what resource says may be that of the process that started this one."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    torch.set_num_threads(1)
    path, output = sys.argv[1:]
    start = peak()
    manifest = construct(Plan(*parse_analysis(TEXT)), path, Path(output), progress=False)
    constructed = peak()
    Path("/proc/self/clear_refs").write_text("5")  # begin anew
    rows = sum(len(batch) for batch in Loader(Dataset(manifest), 512, shuffle=True))
    print(json.dumps({"rows": rows, "start": start, "construct": constructed, "loader": peak()}))
