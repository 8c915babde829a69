"""Compute the cost of more workers and jets from the results of benchmarks/costs.py.

    python benchmarks/scaling.py costs.json [--jets 1e9] [--disk 1e9] [--network 1.25e9] [--poll 30] [--files 10000] [--cores 8] [--batch 512]

The model for N rows and n workers; all costs are CPU seconds, medians over the turns:

    stage(n)  = n submission + job start + poll + fixed + files opening + max(N row / n, N bytes / disk)
    join      = job start + poll + fixed + files opening + N row of the join / cores (a prediction is joined by one core)
    step(n)   = batch (common + (row - common) / n) + exchanges latency log2(n) + 2 (n - 1) / n volume / network, at least batch / loader

``fixed`` and ``row`` are determined from all rows and a fifth of the rows with one process. The measurements with two workers are not
used for this; the first tables compare them with the model. For training, these tables use the model with ``common`` = 0, and another
model is fitted to two ranks. ``disk`` and ``network`` are bytes per second of the shared disk and of the link of each rank.
"""

import argparse
import json
from dataclasses import dataclass, replace
from math import log2
from pathlib import Path
from statistics import median
from typing import Any

WORKERS = (1, 2, 4, 10, 40, 100, 400, 1000)
SHARD, CHUNK = 100_000, 10_000
LOADER = 80_000.0
"""Rows per second of one thread of the loader (benchmarks/loader.py); each rank reads all rows."""
HOUR, GB = 3600.0, 1e9
SIZES = ("bytes after construction", "bytes after prediction")


@dataclass(frozen=True)
class Stage:
    """Costs of a stage: seconds per process and per row, and bytes per row that are read from or written to the shared disk."""

    name: str
    fixed: float
    row: float
    join_row: float
    bytes: float
    cores_of_join: int
    opening: float
    """Seconds per input file or shard, in every process."""

    def cpu(self, rows: float, workers: int) -> float:
        """Return the CPU seconds of each of several workers."""
        return self.fixed + rows * self.row / workers


@dataclass(frozen=True)
class Site:
    """Seconds of a submission, of the start of a job and between two queries of the jobs; bytes per second of disk and network."""

    submission: float
    start: float
    poll: float
    disk: float
    network: float
    files: int

    def wall(self, stage: Stage, rows: float, workers: int) -> tuple[float, float]:
        """Return the seconds until all parts exist, and the seconds of the join."""
        opened = self.files if stage.name == "construction" else rows / SHARD
        wait = self.start + self.poll + stage.fixed + opened * stage.opening
        parts = workers * self.submission + wait + max(rows * stage.row / workers, rows * stage.bytes / self.disk)
        return parts, wait + max(rows * stage.join_row / stage.cores_of_join, rows * stage.bytes / self.disk)


@dataclass(frozen=True)
class Steps:
    """Costs of a training step with several ranks: CPU seconds per row, and the part that every rank needs for all rows."""

    row: float
    common: float
    exchanges: float
    volume: float
    """Bytes that are summed or gathered in a step."""
    latency: float

    def seconds(self, batch: int, ranks: int, network: float) -> float:
        """Return the seconds of a step."""
        own = batch * (self.common + (self.row - self.common) / ranks)
        return max(own + self.exchanging(ranks, network), batch / LOADER)

    def exchanging(self, ranks: int, network: float) -> float:
        """Return the seconds of communication between ranks in a step."""
        if ranks == 1:
            return 0.0
        return self.exchanges * self.latency * log2(ranks) + 2 * (ranks - 1) / ranks * self.volume / network


def over_turns(found: dict[str, Any], *keys: Any) -> list[float]:
    """Return one value for each turn; for several processes the maximum."""
    values = []
    for turn in found["turns"]:
        if keys[0] not in turn:  # without processes
            continue
        value = turn
        for key in keys:
            value = value[key]
        values.append(max(value) if isinstance(value, list) else value)
    return values


def stages_of(found: dict[str, Any], cores: int) -> list[Stage]:
    """Return the costs of construction and prediction."""
    jets = found["jets"]
    start = median(over_turns(found, "start", "cpu"))
    parts, shards, predictions = (median(over_turns(found, name)) for name in ("bytes of parts", *SIZES))
    moved = {"construction": found["bytes of input"] + 2 * parts + shards, "prediction": shards + 3 * predictions}
    file, shard = found["opening a file and a shard"]
    how = {"construction": (cores, file), "prediction": (1, shard)}
    stages = []
    for name in ("construction", "prediction"):
        fifth, whole, join = (median(over_turns(found, f"{name} {part}")) for part in ("1/5", "1/1", "join"))
        row = max(whole - fifth, 1e-9) / (0.8 * jets)
        fixed = start + max(whole - row * jets, 0.0)
        stages.append(Stage(name, fixed, row, join / jets, moved[name] / jets, *how[name]))
    return stages


def steps_of(found: dict[str, Any]) -> tuple[Steps, int]:
    """Return the costs of a training step without a common part, and the measured batch size."""
    rows = found["turns"][0]["training 1"]["epoch"]["rows"]
    steps = found["turns"][0]["training 1"]["steps"]
    row = median(over_turns(found, "training 1", "epoch", "cpu_seconds")) / rows
    exchanges, volume = (median(over_turns(found, "training 2", name)) / steps for name in ("exchanges", "bytes"))
    latency = median(min(turn["all-reduce"].values()) for turn in found["turns"])
    return Steps(row, 0.0, exchanges, volume, latency), round(rows * found["epochs"] / steps)


def with_common(steps: Steps, found: dict[str, Any]) -> Steps:
    """Return the costs with a common part per row that is fitted to the CPU seconds of two ranks."""
    rows = found["turns"][0]["training 2"]["epoch"]["rows"]
    two = median(over_turns(found, "training 2", "epoch", "cpu_seconds")) / rows
    return replace(steps, common=min(max(2 * two - steps.row, 0.0), steps.row))


def spread(values: list[float], unit: str = "") -> str:
    return f"{median(values):.3g} ({min(values):.3g} to {max(values):.3g}){unit}"


def show_measured(found: dict[str, Any], stages: list[Stage]) -> None:
    slurm = found["slurm"]
    print(
        f"Measured on {found['cores']} cores, {found['jets']:,} jets, {len(found['turns'])} turns, load {spread(over_turns(found, 'load'))}"
    )
    print(f"  overhead of a task            {spread([1000 * s for s in over_turns(found, 'task')], ' ms')}")
    print(
        f"  start of a task's process     {spread(over_turns(found, 'start', 'cpu'), ' s of a processor')}, {spread(over_turns(found, 'start', 'seconds'), ' s')}"
    )
    for name in ("submission", "start of a job"):
        print(f"  {name:29} {spread([1000 * s for s in slurm[name]], ' ms') if name in slurm else slurm['left out']}")
    print("\nProcessor seconds of each worker (the slower one), and wall seconds")
    for stage in stages:
        for workers, key in ((1, f"{stage.name} by 1"), (2, f"{stage.name} by 2")):
            model = f"model {stage.cpu(found['jets'], workers):6.2f}"
            print(
                f"  {stage.name:13} {workers}  {model}  measured {spread(over_turns(found, key, 'cpu')):24}  wall {spread(over_turns(found, key, 'seconds'))}"
            )
        print(
            f"  {stage.name:13} fixed {stage.fixed:.2f} s, {1 / stage.row:,.0f} rows/s, join {1 / stage.join_row:,.0f} rows/s, {stage.bytes:,.0f} bytes a row"
        )


def show_training(found: dict[str, Any], site: Site, batch: int) -> None:
    steps, measured = steps_of(found)
    fitted = with_common(steps, found)
    print(
        f"\nTraining: {1 / steps.row:,.0f} rows/s, {steps.exchanges:.1f} exchanges and {steps.volume / 1e6:.3g} MB a step, {1e6 * steps.latency:,.0f} us each"
    )
    for ranks in (1, 2):
        epochs = over_turns(found, f"training {ranks}", "epoch", "cpu_seconds")
        rows = found["turns"][0][f"training {ranks}"]["epoch"]["rows"]
        cpu = [1000 * seconds * measured / rows for seconds in epochs]
        model = 1000 * (steps.seconds(measured, ranks, site.network) - steps.exchanging(ranks, site.network))
        print(
            f"  {ranks} ranks: step of {measured} rows, model {model:.1f} ms, measured {spread(cpu, ' ms of a processor')}"
        )
    print(f"  fitted to 2 ranks: {fitted.common / fitted.row:.0%} of the work for a row is done by every rank")
    print(f"  {'ranks':>6}{'all shared':>22}{'fitted to 2 ranks':>26}   MB each rank sends a step, batch {batch:,}")
    for ranks in (1, 2, 4, 8, 16, 64):
        rates = [batch / costs.seconds(batch, ranks, site.network) for costs in (steps, fitted)]
        sent = 2 * (ranks - 1) / ranks * steps.volume / 1e6
        print(
            f"  {ranks:6}" + "".join(f"{rate:14,.0f}/s {rate * steps.row:5.1f}x   " for rate in rates) + f"{sent:8.2f}"
        )


def show_workers(stages: list[Stage], site: Site, rows: float) -> None:
    print(f"\n{rows:.3g} jets: hours until the parts are there, and of the join")
    print(f"  {'workers':>8}" + "".join(f"{stage.name:>22}" for stage in stages))
    for workers in WORKERS:
        pairs = [site.wall(stage, rows, workers) for stage in stages]
        print(f"  {workers:8,}" + "".join(f"{parts / HOUR:13.2f} + {join / HOUR:6.2f}" for parts, join in pairs))


def show_bytes(found: dict[str, Any], rows: float) -> None:
    jets = found["jets"]
    print(f"\n{rows:.3g} jets: GB")
    sizes = {"input files": found["bytes of input"]}
    for name, key in (("parts", "bytes of parts"), ("shards", SIZES[0]), ("predictions", SIZES[1])):
        sizes[name] = median(over_turns(found, key))
    for name, size in sizes.items():
        print(f"  {name:14} {size / jets * rows / GB:10,.0f}   {size / jets:8,.0f} bytes a jet")
    print(f"  files: {rows / SHARD:,.0f} shards, {2 * rows / CHUNK:,.0f} of parts meanwhile")
    if (joined := found.get("memory of joined predictions")) is not None:
        print(f"  memory of a joined prediction: {joined * rows / GB:,.0f} GB, {joined:.0f} bytes a jet")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("costs", type=Path)
    parser.add_argument("--jets", type=float, default=1e9)
    parser.add_argument("--disk", type=float, default=1e9, help="bytes per second of the shared disk")
    parser.add_argument("--network", type=float, default=1.25e9, help="bytes per second of the link of each rank")
    parser.add_argument("--poll", type=float, default=30.0, help="seconds between two queries of the jobs")
    parser.add_argument("--files", type=int, default=10_000, help="number of input files")
    parser.add_argument("--cores", type=int, default=8, help="number of cores of the job that joins a dataset")
    parser.add_argument("--batch", type=int, default=512)
    given = parser.parse_args()
    found = json.loads(given.costs.read_text())
    stages = stages_of(found, given.cores)
    slurm = found["slurm"]
    submission, start = (median(slurm.get(name, [0.0])) for name in ("submission", "start of a job"))
    site = Site(submission, start, given.poll, given.disk, given.network, given.files)
    show_measured(found, stages)
    show_training(found, site, given.batch)
    show_workers(stages, site, given.jets)
    show_bytes(found, given.jets)


if __name__ == "__main__":
    main()
