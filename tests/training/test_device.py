"""A step of a training never waits for the device, and computes there what it computes on a CPU.

Where there is no GPU a virtual device stands in (``helpers/virtual_device.py``); where there is one, torch's own check runs, too.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import rank_cases
import torch
import toys

from collidekit.dataset.batch import Ragged
from collidekit.dataset.transfer import constant, on_host, send, send_indices
from collidekit.models.registry import NETWORKS
from collidekit.objectives import OBJECTIVES
from collidekit.objectives.relegation import Relegation
from collidekit.training.config import TrainingConfig
from collidekit.training.device import Delayed, StepNumbers, WeightedRows, on_device
from collidekit.training.loop import Training
from collidekit.training.optimizers import OPTIMIZERS

HELPERS = Path(__file__).parent.parent / "helpers"
COPY, NUMBER = "aten._to_copy.default between host and device", "aten._local_scalar_dense"
ALLOWED: dict[str, dict[str, int]] = {
    # The posterior of the classes in the window is fitted by numpy in each step: it gets logits and weights and gives back
    # probabilities; the running yields that it leads to decide the slope of the same step. Relegated rows have a running mean, too.
    f"objective {name}": {COPY: 3, **({NUMBER: 1} if objective.head.__name__ == "RelegationHead" else {})}
    for name, objective in OBJECTIVES.items()
    if issubclass(objective, Relegation)
}
"""What still waits, and how often in a step. It may become less: no line may be added, no number may grow."""
RANDOM = "dropout"
"""Draws other random numbers on each device."""
NAMES = [
    *(f"network {name}" for name in NETWORKS), *(f"objective {name}" for name in (*OBJECTIVES, "focal")), "learned weights",
    *(f"optimizer {name}" for name in OPTIMIZERS), "targets of events", RANDOM,
]  # fmt: skip


@pytest.fixture(scope="module")
def cases() -> dict[str, dict[str, Any]]:
    """All cases, which a process of their own goes through."""
    pytest.importorskip("zuko")
    if not hasattr(torch.utils.backend_registration, "_setup_privateuseone_for_python_backend"):
        pytest.skip(f"torch {torch.__version__} cannot register a device that is written in Python")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    made = subprocess.run(
        [sys.executable, HELPERS / "device_cases.py"], env=environment, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr[-3000:]
    return {found["case"]: found for found in map(json.loads, made.stdout.splitlines())}


@pytest.mark.parametrize("name", NAMES)
def test_a_step_does_not_wait_and_gives_the_numbers_of_a_cpu(name: str, cases: dict[str, dict[str, Any]]) -> None:
    case = cases[name]
    assert "failure" not in case, case["failure"]
    assert case["waits"] == ALLOWED.get(name, {})
    if name != RANDOM:
        there, here = case["losses"]
        assert there == pytest.approx(here, rel=1e-5)
        assert max(case["predictions"].values()) < 1e-4


def test_every_case_is_looked_at(cases: dict[str, dict[str, Any]]) -> None:
    assert set(cases) == set(NAMES)
    assert set(ALLOWED) <= set(NAMES)


WAITING = """
import json, torch
from virtual_device import VirtualDevice, virtual_device
virtual_device()
found = {}
with VirtualDevice() as mode:
    values = torch.arange(4.0).to(mode.device, non_blocking=True)
    counts, mask = values.long(), values > 1
    ways = {
        "item": lambda: values.sum().item(), "bool": lambda: bool((values > 0).any()), "nonzero": lambda: mask.nonzero(),
        "mask": lambda: values[mask], "put": lambda: values.clone().index_put_((mask,), values[2:]), "cpu": lambda: values.cpu(),
        "to": lambda: torch.ones(3).to(mode.device), "select": lambda: torch.masked_select(values, mask),
        "repeat": lambda: torch.repeat_interleave(values, counts), "unique": lambda: torch.unique(values),
        "bincount": lambda: torch.bincount(counts), "equal": lambda: torch.equal(values, values), "copy": lambda: values.copy_(torch.ones(4)),
        "free": lambda: (torch.repeat_interleave(values, counts, output_size=6), values[counts], values.sum() + 1, values.masked_fill(mask, 0)),
        "sent": lambda: (torch.ones(3).to(mode.device, non_blocking=True), values.to("cpu", non_blocking=True)),
    }
    for name, way in ways.items():
        mode.waits.clear()
        way()
        found[name] = sum(mode.waits.values())
    try:
        values + torch.ones(4)
        found["mixed"] = 0
    except AssertionError:
        found["mixed"] = 1
print(json.dumps(found))
"""


def test_the_virtual_device_notices_what_waits(cases: dict[str, dict[str, Any]]) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HELPERS), *filter(None, sys.path)])}
    made = subprocess.run([sys.executable, "-c", WAITING], env=environment, capture_output=True, text=True, check=True)
    found = Counter(json.loads(made.stdout))
    assert {name for name, number in found.items() if not number} == {"free", "sent"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("name", ["pfn", "particle_transformer", "targets", "disco"])
def test_torch_sees_no_wait_on_a_gpu(name: str, tmp_path: Path) -> None:
    dataset = toys.make_dataset(tmp_path, rank_cases.ANALYSIS, rank_cases.table(300))
    settings = {**rank_cases.COMMON, **rank_cases.CASES[name], "training_precision": "float32"}
    training = Training(TrainingConfig(**settings), dataset, tmp_path / "training", accelerator="cuda")
    training.model.train()
    rows = (WeightedRows(batch, training.data.weighting(batch)) for batch in training.data.training)
    first, second, *_ = on_device(rows, training.device)
    training._train_step(first)
    torch.cuda.set_sync_debug_mode("error")
    try:
        training._train_step(second)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_on_a_cpu_nothing_is_copied() -> None:
    values, cpu = torch.arange(3), torch.device("cpu")
    assert send(values, cpu, keep=True) is values
    assert send_indices(cpu, [values])[0] is values
    assert on_host(values) is values
    assert constant((1.0, 2.0), torch.zeros(1)) is constant((1.0, 2.0), torch.ones(1))


def test_only_what_a_step_reads_is_moved(tmp_path: Path) -> None:
    rows = toys.all_rows(toys.make_dataset(tmp_path, toys.TOY, toys.toy_table(20)))
    moved = rows.to("meta")
    there = [moved.labels, moved.weights, *moved.spectators.values(), *moved.truth.values()]
    for entry in moved.inputs.values():
        there += [entry.data, entry.offsets] if isinstance(entry, Ragged) else [entry]
    assert {tensor.device.type for tensor in there} == {"meta"}
    assert {t.device.type for t in (moved.keys, moved.processes, moved.source, moved.index, *moved.event.values())} == {
        "cpu"
    }
    constituents = moved.inputs["constituents"]
    assert isinstance(constituents, Ragged)
    assert torch.equal(on_host(constituents.offsets), rows.inputs["constituents"].offsets)  # type: ignore[union-attr]
    assert torch.equal(on_host(moved.labels), rows.labels)


def numbers_of(step: int) -> StepNumbers:
    return StepNumbers.of(
        step, 5, torch.tensor(0.1), {"weight": torch.tensor(2.0)}, {"side": torch.tensor(3.0)}, torch.tensor(4.0)
    )


def test_numbers_of_steps_come_in_order_at_once_on_a_cpu_and_later_elsewhere() -> None:
    at_once, later = Delayed(torch.device("cpu")), Delayed(torch.device("cuda"))
    assert [[n.step for n in at_once.add(numbers_of(step))] for step in range(3)] == [[0], [1], [2]]
    assert [[n.step for n in later.add(numbers_of(step))] for step in range(4)] == [[], [], [0], [1]]
    assert [n.step for n in later.rest()] == [2, 3]
    assert list(later.rest()) == []
    loss, counts, others, norm = numbers_of(0).read()
    assert (loss, counts, others, norm) == (torch.tensor(0.1).item(), {"weight": 2.0}, {"side": 3.0}, 4.0)


def test_a_training_whose_numbers_come_later_has_the_same_history(tmp_path: Path) -> None:
    dataset = toys.make_dataset(tmp_path, rank_cases.ANALYSIS, rank_cases.table(300))
    done = []
    for delayed in (False, True):
        config = rank_cases.config("averaged_and_clipped")
        training = Training(config, dataset, tmp_path / f"{delayed}", accelerator="cpu", save_seconds=0.0)
        if delayed:
            training.delayed = Delayed(torch.device("cuda"))
        training.run()
        done.append(training)
    assert done[0].history.losses == done[1].history.losses
    assert len(done[1].history.losses) == done[1].step
    for one, other in zip(done[0].history.epochs, done[1].history.epochs, strict=True):
        for name in one.keys() - {"seconds", "cpu_seconds", "rows_per_second"}:
            assert one[name] == pytest.approx(other[name], rel=0, abs=0, nan_ok=True), name
