"""Compare training and prediction in weaver and collidekit, alternately, with the same networks, jets and batches.

    python benchmarks/training.py TRAIN.parquet weaver-venv/bin/python [--networks pfn,particlenet] [--batches 32,128,512]
    python benchmarks/training.py TRAIN.parquet weaver-venv/bin/python --device cuda
    python benchmarks/training.py TRAIN.parquet --profile particlenet --batches 128

TRAIN.parquet holds jets of the Top Quark Tagging Reference Dataset (lists E, PX, PY, PZ and is_signal_new). Create the
environment of weaver with

    python -m venv weaver-venv && weaver-venv/bin/pip install torch==2.13.0 weaver-core

PFN and P-CNN are in weaver's examples, not in weaver-core: clone github.com/jet-universe/particle_transformer and give its
folder networks as --examples. Without weaver's Python, only collidekit is measured.

For each network and batch size, each side is a separate process with all jets in memory: for weaver padded to 128 and scaled,
for collidekit ragged and unscaled. They take turns: one works while the other waits. A training step is forward, loss,
backward and AdamW. A step of prediction ends with the probabilities in memory. See docs/benchmarks.md for the columns.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from collidekit_training import profile_training
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from training_cell import measure_cell
from training_jets import write_jets
from training_table import MODES, notes, pairs, rates, ratios, spread, tables

from collidekit.models.registry import NETWORKS
from collidekit.provenance import git_state, versions

OPTIONS: dict[str, dict[str, Any]] = {
    "pfn": {"phi": [128, 128, 128], "f": [128, 128, 128]},
    "pcnn": {},
    "particlenet_lite": {},
    "particlenet": {},
    "particle_transformer_small": {},
    "particle_transformer": {},
}
"""Networks of weaver, and the options that give collidekit's network the same size."""


def machine(device: str, threads: int) -> dict[str, Any]:
    """Return the conditions of the measurement."""
    names = re.findall(r"model name\s*:\s*(.*)", _read("/proc/cpuinfo"))
    memory = re.search(r"MemTotal:\s*(\d+)", _read("/proc/meminfo"))
    processor = names[0] if names else platform.processor()
    return {
        "device name": torch.cuda.get_device_name() if device == "cuda" else f"{processor}, {threads} threads",
        "processor": processor,
        "cores": os.cpu_count(),
        "threads": threads,
        "memory GiB": round(int(memory[1]) / 2**20, 1) if memory else None,
        "load before": os.getloadavg(),
        "system": platform.platform(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **versions(),
        **git_state(Path(__file__).parent),
    }


def _read(path: str) -> str:
    return Path(path).read_text() if Path(path).exists() else ""


def memory_limit() -> float:
    """Return the memory limit of one side on a CPU in MiB: 90 % of the free memory of the machine or the container."""
    free = [int(x) / 2**10 for x in re.findall(r"MemAvailable:\s*(\d+)", _read("/proc/meminfo"))]
    most, used = (_read(f"/sys/fs/cgroup/memory.{name}").strip() for name in ("max", "current"))
    if most.isdigit() and used.isdigit():
        free.append((int(most) - int(used)) / 2**20)
    return 0.9 * min(free, default=0.0)


class Benchmark:
    """Measurement of all networks and batch sizes; ``result`` holds the results so far, and the file after each batch size."""

    def __init__(self, given: argparse.Namespace, console: Console) -> None:
        self.given, self.console = given, console
        self.sides = [("weaver", "fp32"), ("weaver", "bf16"), ("collidekit", "fp32"), ("collidekit", "bf16")]
        if not given.weaver:
            self.sides = self.sides[2:]
        if given.device == "cpu":  # where weaver has no bf16
            self.sides = [side for side in self.sides if side[1] == "fp32" or (given.bf16 and side[0] == "collidekit")]
        there = [name for name in given.networks if name in NETWORKS or ".py" in name]
        skipped = [f"{name}: not in collidekit's registry, left out" for name in given.networks if name not in there]
        self.cells = [(network, batch) for network in there for batch in given.batches]
        options = {key: str(value) if isinstance(value, Path) else value for key, value in vars(given).items()}
        self.result: dict[str, Any] = {"settings": options, "runs": [], "skipped": skipped}

    def run(self, folder: Path, progress: Progress) -> None:
        """Describe the machine and measure its peak, then each network with each batch."""
        given = self.given
        task = progress.add_task("jets", total=len(self.cells) * len(self.sides) * len(MODES) * given.repeats)
        self.result["machine"] = machine(given.device, given.threads)
        self.result["data"] = write_jets(given.parquet, given.jets, folder)
        progress.update(task, description="matrix products")
        self.result["peak"] = _peak(given.device, given.threads)
        pythons = {"weaver": given.weaver, "collidekit": sys.executable}

        def report_progress(text: str, turns: int) -> None:
            progress.update(task, advance=turns, description=text or None)

        for network, batch in self.cells:
            settings = settings_of(given, folder, network, batch)
            records = measure_cell(self.sides, pythons, settings, given.repeats, given.seconds, report_progress)
            self.result["runs"] += records
            self._write()
            self._say(records)
        again = _peak(given.device, given.threads)
        self.result["peak"] = {name: max(rate, again[name]) for name, rate in self.result["peak"].items()}
        self._write()

    def _write(self) -> None:
        part = self.given.output.with_suffix(".part")
        part.write_text(json.dumps(self.result, indent=1) + "\n")
        part.replace(self.given.output)

    def _say(self, records: list[dict[str, Any]]) -> None:
        """Print a line for each mode."""
        for ours, theirs in pairs(records):
            for mode in MODES:
                a, b = rates(ours, mode), rates(theirs, mode)
                ratio = f", ratio {spread(ratios(a, b))}" if a and b else ""
                self.console.print(
                    f"{ours['network']}, batch {ours['batch']}, {mode} {ours['precision']}: collidekit "
                    f"{spread(a) or '-'}, weaver {spread(b) or '-'} jets/s{ratio}",
                    highlight=False, soft_wrap=True,
                )  # fmt: skip


def settings_of(given: argparse.Namespace, folder: Path, network: str, batch: int) -> dict[str, Any]:
    """Return the settings of the processes of both sides."""
    return {
        "network": network,
        "options": OPTIONS.get(network, {}),
        "batch": batch,
        "threads": given.threads,
        "seed": given.seed,
        "device": given.device,
        "folder": str(folder),
        "jets": str(folder / "jets.npz"),
        "examples": str(given.examples.absolute()) if given.examples else "",
        "memory_limit": memory_limit(),
    }


def _peak(device: str, threads: int) -> dict[str, float]:
    script = str(Path(__file__).with_name("matrix_peak.py"))
    command = [sys.executable, script, "--device", device, "--threads", str(threads)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)  # type: ignore[no-any-return]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parquet", type=Path)
    parser.add_argument("weaver", nargs="?", default="", help="Python of weaver's environment")
    parser.add_argument(
        "--networks", type=_names, default=list(OPTIONS), help=f"of {','.join(OPTIONS)}, or others of collidekit, alone"
    )
    parser.add_argument("--batches", type=lambda text: [int(x) for x in text.split(",")], default=[32, 128, 512])
    parser.add_argument("--repeats", type=int, default=3, help="number of turns of each side")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a turn; a turn has at least one step")
    parser.add_argument("--jets", type=int, default=4096, help="number of jets in memory")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument(
        "--bf16",
        action="store_true",
        help="run collidekit also in bfloat16; on a GPU both sides always run in both precisions",
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=len(os.sched_getaffinity(0)),
        help="number of threads of each side; default: all cores",
    )
    parser.add_argument("--examples", type=Path, help="folder of weaver's example networks, with PFN and P-CNN")
    parser.add_argument("--seed", type=int, default=1, help="random seed of the weights and of the order of the jets")
    parser.add_argument("--output", type=Path, default=Path("training.json"), help="file for the results")
    parser.add_argument(
        "--profile", metavar="NETWORK", help="print where a training step of collidekit spends its time"
    )
    given = parser.parse_args()
    if max(given.batches) > given.jets:
        parser.error(f"a batch of {max(given.batches)} needs as many --jets, not {given.jets}")
    return given


def _names(text: str) -> list[str]:
    return text.split(",")


def main() -> None:
    given = arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.profile:
            write_jets(given.parquet, given.jets, folder)
            settings = settings_of(given, folder, given.profile, given.batches[0])
            print(profile_training({**settings, "precision": "bf16" if given.bf16 else "fp32"}, given.seconds))
            return
        console = Console(stderr=True)
        benchmark = Benchmark(given, console)
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            benchmark.run(folder, progress)
    out = Console(width=None if sys.stdout.isatty() else 180)
    for table in tables(benchmark.result):
        out.print(table)
    for note in notes(benchmark.result):
        out.print(note, highlight=False, markup=False)
    out.print(f"figures: {given.output}", highlight=False)
    if any(record["side"] == "collidekit" and record["failure"] for record in benchmark.result["runs"]):
        sys.exit(1)


if __name__ == "__main__":
    main()
