"""Compare the loaders of collidekit and weaver-core, alternately, with the same ROOT files, features and batch size.

    python benchmarks/loader.py TRAIN.parquet weaver-venv/bin/python [--jets 80000] [--runs 3] [--workers 1]

TRAIN.parquet holds jets of the Top Quark Tagging Reference Dataset (lists E, PX, PY, PZ and is_signal_new). Create the
environment of weaver with

    python -m venv weaver-venv && weaver-venv/bin/pip install torch==2.13.0 weaver-core

Both read four ROOT files of constituents in descending order of pT, at most 128 per jet, and compute 7 features and the
four-momenta, in batches of 512 in random order. A run of weaver is two epochs of its loader with the given number of worker processes. A
run of collidekit is the construction with as many processes, and two epochs from its shards with one thread. The output is the
median over the runs, their ratios, and the spread of the ratio. Memory is the peak of the sum over all processes of a run,
sampled three times per second; shared pages count once.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from statistics import median
from threading import Event, Thread
from typing import Any

import awkward as ak
import uproot

from collidekit.readers import open_file

FILES = 4

WEAVER = """
treename: tree
new_variables:
  pt: np.hypot(px, py)
  mask: ak.ones_like(energy)
  jpx: ak.sum(px, axis=1)
  jpy: ak.sum(py, axis=1)
  jpz: ak.sum(pz, axis=1)
  je: ak.sum(energy, axis=1)
  jpt: np.hypot(jpx, jpy)
  deta: np.arcsinh(pz / pt) - np.arcsinh(jpz / jpt)
  dphi: np.arctan2(py, px) - np.arctan2(jpy, jpx)
  dphiw: (dphi + np.pi) % (2 * np.pi) - np.pi
  logpt: np.log(pt)
  loge: np.log(energy)
  logptrel: np.log(pt / jpt)
  logerel: np.log(energy / je)
  dr: np.hypot(deta, dphiw)
  qcd: label == 0
preprocess: {method: manual, data_fraction: 0.5}
inputs:
  pf_points: {length: 128, pad_mode: constant, vars: [deta, dphiw]}
  pf_features: {length: 128, pad_mode: constant, vars: [deta, dphiw, logpt, loge, logptrel, logerel, dr]}
  pf_vectors: {length: 128, pad_mode: constant, vars: [px, py, pz, energy]}
  pf_mask: {length: 128, pad_mode: constant, vars: [mask]}
labels: {type: simple, value: [label, qcd]}
"""

COLLIDEKIT = """
source: {tree: tree}
variables:
  jpx: sum(px)
  jpy: sum(py)
  jpz: sum(pz)
  je: sum(energy)
  pt: pt(px, py)
  jpt: pt(jpx, jpy)
  deta: eta(px, py, pz) - eta(jpx, jpy, jpz)
  dphi: delta_phi(phi(px, py), phi(jpx, jpy))
classes: {qcd: label == 0, top: label == 1}
inputs:
  pf:
    limit: 128
    momenta: [px, py, pz, energy]
    coordinates: [deta, dphi]
    features:
      - deta
      - dphi
      - {name: logpt, expression: log(pt)}
      - {name: loge, expression: log(energy)}
      - {name: logptrel, expression: log(pt / jpt)}
      - {name: logerel, expression: log(energy / je)}
      - {name: dr, expression: "hypot(deta, dphi)"}
"""

EPOCHS = 2
_MEASURE = """
import json, sys, time
from pathlib import Path
import torch
from collidekit import Dataset, construct, load_plan
from collidekit.dataset.loader import Loader
torch.set_num_threads(1)
config, files, output, epochs, workers = sys.argv[1:]
begin = time.perf_counter()
manifest = construct(load_plan(config), files, Path(output), workers=int(workers), progress=False)
constructed = time.perf_counter() - begin
loader, seconds, rows = Loader(Dataset(manifest), 512, shuffle=True, seed=1), [], 0
for epoch in range(int(epochs)):
    loader.set_epoch(epoch)
    start, rows = time.perf_counter(), 0
    for batch in loader:
        rows += len(batch)
    seconds.append(time.perf_counter() - start)
print(json.dumps({"rows": rows, "seconds": seconds, "first": constructed + seconds[0]}))
"""


def make_files(parquet: Path, jets: int, folder: Path) -> None:
    """Write the jets to ROOT files of equal size."""
    columns = {"px": "PX", "py": "PY", "pz": "PZ", "energy": "E"}
    with open_file(str(parquet)) as reader:
        rows = reader.read([*columns.values(), "is_signal_new"], 0, jets)
    step = -(-len(rows) // FILES)
    for i in range(FILES):
        part = rows[i * step : (i + 1) * step]
        particles = ak.zip({name: part[column] for name, column in columns.items()})
        label = ak.to_numpy(part["is_signal_new"]).astype("int32")
        kinds = {"": f"var * {particles.type.content.content}", "label": "int32"}
        with uproot.recreate(folder / f"jets_{i}.root") as file:
            file.mktree("tree", kinds, counter_name=lambda _: "n", field_name=lambda _, inner: inner)
            file["tree"].extend({"": particles, "label": label})


def run(command: list[str]) -> dict[str, Any]:
    """Return the JSON line that a measurement prints last, and the peak memory of its processes."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        ended, peak = Event(), [0.0]

        def look() -> None:
            while not ended.wait(0.3):
                peak[0] = max(peak[0], memory(process.pid))

        thread = Thread(target=look)
        thread.start()
        out, err = process.communicate()
        ended.set()
        thread.join()
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{err[-3000:]}")
    return {**json.loads(out.strip().splitlines()[-1]), "memory": peak[0]}


def memory(first: int) -> float:
    """Return the memory of a process and its children in MiB."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
    family = {first}
    while more := {process for process, parent in parents.items() if parent in family} - family:
        family |= more
    total = 0
    for process in family:
        with suppress(OSError):
            found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{process}/smaps_rollup").read_text(), re.MULTILINE)
            total += int(found[1]) if found else 0
    return total / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parquet", type=Path)
    parser.add_argument("weaver", help="Python of weaver's environment")
    parser.add_argument("--jets", type=int, default=80_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1, help="number of processes of each side")
    parser.add_argument(
        "--fetch-step", default="1", help="weaver's --fetch-step; weaver's default is 0.01, 1 is fastest here"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_files(given.parquet, given.jets, folder)
        (folder / "weaver.yaml").write_text(WEAVER)
        (folder / "collidekit.yaml").write_text(COLLIDEKIT)
        (folder / "measure.py").write_text(_MEASURE)
        files = str(folder / "jets_*.root")
        peer = str(Path(__file__).with_name("weaver_loader.py"))
        ours, theirs = [], []
        for i in range(given.runs):
            theirs.append(
                run(
                    [
                        given.weaver,
                        peer,
                        str(folder / "weaver.yaml"),
                        files,
                        str(given.workers),
                        str(EPOCHS),
                        given.fetch_step,
                    ]
                )
            )
            shards = str(folder / f"shards_{i}")
            own = [
                sys.executable,
                str(folder / "measure.py"),
                str(folder / "collidekit.yaml"),
                files,
                shards,
                str(EPOCHS),
                str(given.workers),
            ]
            ours.append(run(own))
        show(ours, theirs)


def show(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> None:
    """Print medians over the runs; the ratio is computed for each run."""
    measures = {
        "jets/s, second epoch": (lambda r: r["rows"] / r["seconds"][-1], "collidekit / weaver"),
        "s to the end of the first epoch": (lambda r: r["first"], "weaver / collidekit"),
        "MiB at most, all processes": (lambda r: r["memory"], "weaver / collidekit"),
    }
    print(f"{'':34}{'collidekit':>12}{'weaver':>12}   ratio")
    for name, (value, way) in measures.items():
        a, b = [value(r) for r in ours], [value(r) for r in theirs]
        ratios = [x / y if way.startswith("coll") else y / x for x, y in zip(a, b, strict=True)]
        print(
            f"{name:34}{median(a):12,.1f}{median(b):12,.1f}   {median(ratios):.2f} ({way}; {min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
