"""Run all checks that need a GPU, and write the results to one JSON file; ``--device cpu`` runs a small version on a CPU.

The checks, in this order: results of each network on the device and on a CPU, for a training step and for predictions; torch's check
that a step does not synchronise; rows per second of steps in fp32 and bf16, and of the whole loop with its loader; the gain from
torch.compile; two ranks on one GPU and one rank; weaver's networks, if its environment is given. Checks that would begin
after the time limit are left out, which the JSON file states. ``benchmarks/gpu.sh`` starts this script.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpu_ranks import two_ranks
from same_numbers import ANALYSIS, make_sample

from collidekit import construct, load_plan
from collidekit.dataset.loader import Dataset
from collidekit.models.registry import NETWORKS, find_network
from collidekit.training.config import TrainingConfig
from collidekit.training.loop import Training

STEPS = 2
"""Number of steps with compared losses; the second loss depends on the gradients of the first step."""
CLOSE = {"float32": 1e-3, "bf16": 0.1}
"""Allowed differences between devices, relative to the largest value."""
LOADER_BOUND = 0.8
"""The loader limits the loop if its rate is below this fraction of the rate of the steps."""


class Checks:
    """The trainings of one run on a device, and the results so far."""

    def __init__(self, words: argparse.Namespace, folder: Path) -> None:
        self.words, self.folder, self.begun = words, folder, time.monotonic()
        self.device: str = words.device
        make_sample(folder / "rows.parquet", words.rows, 1, words.constituents)
        (folder / "gpu.yaml").write_text(ANALYSIS.replace("limit: 16", "limit: 128"))
        construct(load_plan(folder / "gpu.yaml"), str(folder / "rows.parquet"), folder / "dataset", progress=False)
        self.dataset = Dataset(folder / "dataset")
        self.made = 0
        self.found: dict[str, Any] = {"setup": setup(words), "left_out": []}

    def run(self, name: str, check: Callable[[], Any]) -> None:
        """Run a check unless the time limit is reached; an error is recorded and the next check follows."""
        seconds = time.monotonic() - self.begun
        if seconds > self.words.budget:
            self.found["left_out"].append(name)
            return
        try:
            result = check()
        except Exception as error:  # noqa: BLE001 - told in the JSON
            result = {
                "failure": f"{type(error).__name__}: {str(error).splitlines()[0][:300]}" if str(error) else repr(error)
            }
        part, _, network = name.partition(" ")
        place = self.found.setdefault(part, {})
        place.update({network: result} if network else result)
        print(f"{time.monotonic() - self.begun:6.1f} s  {name:40} {json.dumps(result)}", flush=True)
        self.words.output.write_text(json.dumps(self.found, indent=1) + "\n")

    def training(self, network: str, device: str, **settings: Any) -> Training:
        """Return a training of a network with its default sizes, without dropout if there is an option for it."""
        options = {"dropout": 0.0} if "dropout" in find_network(network).__init__.__annotations__ else {}
        config = TrainingConfig(
            **{"model_name": network, "model_options": options, "seed": 1, "batch_size": self.words.batch, **settings}
        )
        self.made += 1
        training = Training(config, self.dataset, self.folder / f"{self.made}", accelerator=device)
        training.model.train()
        training._set_learning_rate()
        return training

    def numbers(self, network: str) -> dict[str, Any]:
        """Compare losses of steps and predictions on the device and on a CPU."""
        found: dict[str, Any] = {}
        expected = _numbers(self.training(network, "cpu", batch_size=self.words.compared))
        for precision, settings in (("float32", {}), ("bf16", {"mixed_precision": True})):
            got = _numbers(self.training(network, self.device, batch_size=self.words.compared, **settings))
            apart = [float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(got, expected, strict=True)]
            limit = CLOSE[precision]
            found[precision] = {"losses": apart[0], "predictions": apart[1], "passed": apart[0] < limit}
        found["float32"]["passed"] &= find_network(network).picks or found["float32"]["predictions"] < CLOSE["float32"]
        return found

    def waits(self, network: str) -> dict[str, Any]:
        """Run a step in which torch raises an error if it synchronises."""
        if self.device == "cpu":
            return {"skipped": "torch looks at GPUs alone; tests/training/test_device.py has a virtual device"}
        training = self.training(network, self.device)
        rows = training._rows()
        for _ in range(2):
            training._train_step(next(rows))
        ready = next(rows)
        torch.cuda.set_sync_debug_mode("error")
        try:
            training._train_step(ready)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        return {"passed": True}

    def rates(self, network: str) -> dict[str, Any]:
        """Return the rows per second of steps in both precisions, of the loader, and of the loop with both."""
        found: dict[str, Any] = {}
        for precision, settings in (("float32", {}), ("bf16", {"mixed_precision": True})):
            training = self.training(network, self.device, **settings)
            held = list(_first(training._rows(), 4))
            found[precision] = {
                "steps": self._rate(training, _again(held)),
                "loop": self._rate(training, _epochs(training)),
            }
            part = found[precision]
            part["loader_bound"] = part["loop"] < LOADER_BOUND * part["steps"]
        found["loader"] = self._rate(None, _epochs(training))
        return found

    def compiled(self, network: str) -> dict[str, Any]:
        """Return the ratio of the rates of steps with and without torch.compile, after its warm-up."""
        if self.device == "cpu":
            return {"skipped": "compiling takes minutes on a CPU; benchmarks/compiled.py measures it there"}
        rates = []
        for settings in ({}, {"use_torch_compile": True}):
            training = self.training(network, self.device, mixed_precision=True, **settings)
            held = list(_first(training._rows(), 4))
            for batch in held * 2:
                training._train_step(batch).read()
            rates.append(self._rate(training, _again(held)))
        return {"rows_per_second": rates, "ratio": rates[1] / rates[0]}

    def _rate(self, training: Training | None, rows: Iterator[Any]) -> float:
        """Return the rows per second of steps on these rows, or of the rows only, after synchronisation of the device."""
        for _ in range(2):
            _use(training, next(rows))
        self._finish()
        count, begin = 0, time.perf_counter()
        while time.perf_counter() - begin < self.words.seconds:
            count += _use(training, next(rows))
        self._finish()
        return round(count / (time.perf_counter() - begin), 1)

    def _finish(self) -> None:
        if self.device != "cpu":
            torch.cuda.synchronize()

    def weaver(self) -> dict[str, Any]:
        """Return the rates of weaver's and collidekit's networks from ``training.py``."""
        if not (self.words.weaver and self.words.file):
            return {"skipped": "no --weaver with --file"}
        output, left = self.folder / "weaver.json", max(self.words.budget - (time.monotonic() - self.begun), 60)
        line = [sys.executable, str(Path(__file__).with_name("training.py")), self.words.file, self.words.weaver]
        line += [
            "--device",
            self.device,
            "--networks",
            "particlenet,particle_transformer",
            "--batches",
            str(self.words.batch),
        ]
        subprocess.run(
            [*line, "--repeats", "2", "--seconds", str(self.words.seconds), "--output", str(output)],
            check=True,
            timeout=left,
        )
        return {"training": json.loads(output.read_text())}


def setup(words: argparse.Namespace) -> dict[str, Any]:
    """Return the conditions of the measurement."""
    name = torch.cuda.get_device_name() if words.device == "cuda" else platform.processor() or platform.machine()
    return {
        "device": words.device,
        "name": name,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "batch": words.batch,
        "rows": words.rows,
    }


def _numbers(training: Training) -> tuple[Any, Any]:
    """Return the losses of the first steps, and the columns of predictions after them."""
    batches = list(_first(iter(training.data.training), STEPS))
    losses = np.array([training._train_step(batch).read()[0] for batch in batches])
    with torch.no_grad():
        columns = training.tagger.eval().predict(batches[0].to(training.device))
    return losses, np.stack([column.cpu().double().numpy() for column in columns.values()])


def _use(training: Training | None, batch: Any) -> int:
    if training is not None:
        for numbers in training.delayed.add(training._train_step(batch)):
            numbers.read()
    return len(getattr(batch, "batch", batch))


def _first(items: Iterator[Any], number: int) -> Iterator[Any]:
    yield from (item for _, item in zip(range(number), items, strict=False))


def _again(items: list[Any]) -> Iterator[Any]:
    while True:
        yield from items


def _epochs(training: Training) -> Iterator[Any]:
    while True:
        yield from training._rows()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument(
        "--networks", nargs="+", choices=list(NETWORKS), help="networks; default: all, or three on a CPU"
    )
    parser.add_argument("--output", type=Path, default=Path("gpu.json"))
    parser.add_argument(
        "--budget", type=float, default=440.0, help="time limit in seconds, after which no check begins"
    )
    parser.add_argument("--weaver", default="", help="Python of weaver's environment")
    parser.add_argument("--file", default="", help="TRAIN.parquet of benchmarks/training.py, for weaver")
    words = parser.parse_args()
    cpu = words.device == "cpu"
    if not cpu and not torch.cuda.is_available():
        raise SystemExit("torch sees no GPU here; --device cpu runs a small version of the same checks")
    words.networks = words.networks or (["pfn", "particlenet_lite", "transformer_small"] if cpu else list(NETWORKS))
    words.batch, words.compared, words.rows, words.seconds, words.constituents = (
        (128, 64, 1500, 0.5, 5) if cpu else (1024, 128, 20_000, 1.5, 45)
    )
    with tempfile.TemporaryDirectory() as place:
        checks = Checks(words, Path(place))
        for name in words.networks:
            checks.run(f"numbers {name}", lambda name=name: checks.numbers(name))  # type: ignore[misc]
            checks.run(f"waits {name}", lambda name=name: checks.waits(name))  # type: ignore[misc]
        checks.run("two_ranks", lambda: two_ranks(checks.dataset, checks.folder, words.device))
        for name in words.networks:
            checks.run(f"rates {name}", lambda name=name: checks.rates(name))  # type: ignore[misc]
        checks.run("weaver", checks.weaver)
        for name in [name for name in ("transformer_small", "pair_transformer") if name in words.networks]:
            checks.run(f"compiled {name}", lambda name=name: checks.compiled(name))  # type: ignore[misc]
    wrong = list(failures(checks.found))
    print(f"written to {words.output}; " + (f"failed: {', '.join(wrong)}" if wrong else "all checks passed"))
    return 1 if wrong else 0


def failures(found: Any, name: str = "") -> Iterator[str]:
    """Yield the names of the failed checks."""
    if isinstance(found, dict):
        if "failure" in found or found.get("passed") is False:
            yield name.strip()
        for key, part in found.items():
            yield from failures(part, f"{name} {key}")


if __name__ == "__main__":
    sys.exit(main())
