"""Measure dataset construction: one and two workers, files of unequal size, a thousand small files, one file with two million jets.

    python benchmarks/construction.py TRAIN.parquet [--runs 3]

TRAIN.parquet holds jets of the Top Quark Tagging Reference Dataset (lists E, PX, PY, PZ and is_signal_new). Its jets are
repeated if more are needed. Each measurement is a separate process with the analysis of benchmarks/loader.py; with
two workers the time includes their start. The output is the median of the seconds over the runs, the rows per second, the ratio
of two workers to one, and the peak memory of the largest process.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import awkward as ak
import pyarrow as pa
import pyarrow.parquet as pq
import uproot
from loader import COLLIDEKIT

from collidekit.readers import open_file

_MEASURE = """
import re, resource, sys, time
from pathlib import Path
import torch
from collidekit import construct, load_plan
if __name__ == "__main__":
    torch.set_num_threads(1)
    config, files, output, workers = sys.argv[1:]
    begin = time.perf_counter()
    manifest = construct(load_plan(config), files, Path(output), workers=int(workers), progress=False)
    seconds = time.perf_counter() - begin
    own = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(manifest.rows, seconds, max(own, workers) / 1024)
"""


def jets(parquet: Path) -> ak.Array:
    """Return the jets with the names of the analysis of the benchmark."""
    columns = {"px": "PX", "py": "PY", "pz": "PZ", "energy": "E"}
    with open_file(str(parquet)) as reader:
        rows = reader.read([*columns.values(), "is_signal_new"], 0, reader.rows)
    lists = {name: ak.values_astype(rows[column], "float32") for name, column in columns.items()}
    return ak.zip({**lists, "label": ak.values_astype(rows["is_signal_new"], "int32")}, depth_limit=1)


def write_root(path: Path, rows: ak.Array, times: int = 1) -> None:
    particles = ak.zip({name: rows[name] for name in ("px", "py", "pz", "energy")})
    kinds = {"": f"var * {particles.type.content.content}", "label": "int32"}
    with uproot.recreate(path) as file:
        file.mktree("tree", kinds, counter_name=lambda _: "n", field_name=lambda _, inner: inner)
        for _ in range(times):
            for start in range(0, len(rows), 20_000):
                part = slice(start, start + 20_000)
                file["tree"].extend({"": particles[part], "label": rows.label[part]})


def write_parquet(path: Path, rows: ak.Array, times: int = 1) -> None:
    """Write a Parquet file with row groups of about a million rows, the default of pyarrow."""
    table = ak.to_arrow_table(rows, extensionarray=False)
    with pq.ParquetWriter(path, table.schema) as writer:
        for first in range(0, times, 10):
            writer.write_table(pa.concat_tables([table] * min(10, times - first)), row_group_size=1 << 20)


def one_file(folder: Path, rows: ak.Array) -> None:
    write_root(folder / "all.root", rows, 4)


def unequal(folder: Path, rows: ak.Array) -> None:
    write_root(folder / "large.root", rows, 3)
    for i in range(20):
        write_root(folder / f"small_{i:02d}.root", rows[5000 * i : 5000 * (i + 1)])


def thousand(folder: Path, rows: ak.Array) -> None:
    for i in range(1000):
        write_root(folder / f"{i:04d}.root", rows[100 * i : 100 * (i + 1)])


def large_root(folder: Path, rows: ak.Array) -> None:
    write_root(folder / "large.root", rows, 20)


def large_parquet(folder: Path, rows: ak.Array) -> None:
    write_parquet(folder / "large.parquet", rows, 20)


CASES: dict[str, Callable[[Path, ak.Array], None]] = {
    "one ROOT file of 400,000 jets": one_file,
    "a file of 300,000 jets and 20 of 5,000": unequal,
    "1,000 files of 100 jets": thousand,
    "one ROOT file of 2,000,000 jets": large_root,
    "one Parquet file of 2,000,000 jets": large_parquet,
}


def measurements(files: str, folder: Path, workers: int, runs: int) -> Iterator[tuple[int, float, float]]:
    """Yield rows, seconds and MiB of each run."""
    (folder / "analysis.yaml").write_text(COLLIDEKIT)
    (folder / "measure.py").write_text(_MEASURE)
    for i in range(runs):
        output = folder / f"shards_{workers}_{i}"
        command = [sys.executable, str(folder / "measure.py"), str(folder / "analysis.yaml"), files, str(output)]
        done = subprocess.run([*command, str(workers)], capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"construction of {files} failed:\n{done.stderr[-3000:]}")
        rows, seconds, memory = done.stdout.split()
        yield int(rows), float(seconds), float(memory)
        subprocess.run(["rm", "-r", str(output)], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parquet", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--case", help="run only measurements whose name contains this text", default="")
    given = parser.parse_args()
    rows = jets(given.parquet)
    print(f"{'':42}{'1 worker':>20}{'2 workers':>20}   ratio   MiB at most (1, 2 workers)")
    for name, write in CASES.items():
        if given.case not in name:
            continue
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            (folder / "files").mkdir()
            write(folder / "files", rows)
            found = {n: list(measurements(f"{folder}/files/*", folder, n, given.runs)) for n in (1, 2)}
        seconds = {n: median(run[1] for run in runs) for n, runs in found.items()}
        memory = {n: max(run[2] for run in runs) for n, runs in found.items()}
        count = found[1][0][0]
        cells = "".join(f"{seconds[n]:8.1f} s {count / seconds[n]:8,.0f}/s" for n in (1, 2))
        print(f"{name:42}{cells}   {seconds[1] / seconds[2]:5.2f}   {memory[1]:,.0f}, {memory[2]:,.0f}", flush=True)


if __name__ == "__main__":
    main()
