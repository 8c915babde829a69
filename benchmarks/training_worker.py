"""Common code of both sides of training.py: take turns, time steps, count operations, measure memory.

A worker is a process that holds one network and the jets in memory. For each line of JSON on its standard input,
``{"mode": "training", "seconds": 5}``, it prints one line of JSON: jets and seconds of whole steps, peak memory, and the first
time the floating-point operations per jet. It needs only torch and numpy.
"""

import ctypes
import gc
import json
import os
import re
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils import flop_counter
from torch.utils._python_dispatch import TorchDispatchMode

COUNTED_JETS = 512
"""Number of jets for the count of operations, unless the time of a measurement ends before."""


@dataclass
class Side:
    """A network with its jets: ``take`` returns a batch as from the loader of the side, untimed; steps are timed."""

    model: nn.Module
    parameters: int
    jets: int
    take: Callable[[np.ndarray], Any]
    train: Callable[[Any], float]
    predict: Callable[[Any], Any]


def serve(build: Callable[[dict[str, Any]], Side]) -> None:
    """Answer requests until the input ends; the first argument holds the settings as JSON."""
    answers = os.fdopen(os.dup(1), "w")  # whatever a library prints goes to stderr
    os.dup2(2, 1)

    def answer(**content: Any) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    settings = json.loads(sys.argv[1])
    _limit(settings)
    try:
        side = build(settings)
    except Exception as error:  # noqa: BLE001 - told to the other process
        answer(failure=failure(error))
        return
    answer(parameters=side.parameters, torch=torch.__version__, memory=peak_memory(settings["device"]))
    turns = Turns(side, settings)
    for line in sys.stdin:
        try:
            answer(**turns.measure(**json.loads(line)))
        except Exception as error:  # noqa: BLE001
            text = failure(error)
            del error  # with its traceback, which holds tensors
            _release(settings["device"])
            answer(failure=text)


def _limit(settings: dict[str, Any]) -> None:
    """Limit threads, and memory, so that an allocation fails in this process before the system kills a process."""
    torch.set_num_threads(settings["threads"])
    torch.manual_seed(settings["seed"])
    if settings["device"] == "cpu" and settings["memory_limit"]:
        resource.setrlimit(resource.RLIMIT_DATA, (int(settings["memory_limit"] * 2**20),) * 2)
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")


class Turns:
    """Measurements of one side; the batches of each mode continue where the previous turn ended."""

    def __init__(self, side: Side, settings: dict[str, Any]) -> None:
        self.side, self.device, self.batch = side, settings["device"], settings["batch"]
        self.batches = {mode: self._batches(settings["seed"]) for mode in ("prediction", "training")}
        self.counted: dict[str, float] = {}

    def _batches(self, seed: int) -> Iterator[Any]:
        """Yield batches without end, in the same order on both sides, reshuffled after all jets."""
        generator = np.random.default_rng(seed)
        while True:
            order = generator.permutation(self.side.jets)
            for start in range(0, self.side.jets - self.batch + 1, self.batch):
                yield self.side.take(order[start : start + self.batch])

    def measure(self, mode: str, seconds: float) -> dict[str, Any]:
        """Run whole steps for a number of seconds, at least one; the first turn of a mode has a warm-up, which counts operations."""
        training = mode == "training"
        step: Callable[[Any], Any] = self.side.train if training else self.side.predict
        self.side.model.train(training)
        reset_peak_memory(self.device)
        if mode not in self.counted:
            self.counted[mode] = self._count(step, self.batches[mode], seconds)
        jets = steps = 0
        taken = 0.0
        while taken < seconds or not steps:
            batch = next(self.batches[mode])
            begin = time.perf_counter()
            step(batch)
            taken += time.perf_counter() - begin
            steps += 1
            jets += self.batch
        memory = peak_memory(self.device)
        _release(self.device)
        return {"jets": jets, "seconds": taken, "steps": steps, "memory": memory, "flops": self.counted[mode]}

    def _count(self, step: Callable[[Any], Any], batches: Iterator[Any], seconds: float) -> float:
        """Return the floating-point operations per jet in matrix products and convolutions, from torch's counter."""
        jets, begin, counter = 0, time.perf_counter(), Counter()
        while not jets or (jets < COUNTED_JETS and time.perf_counter() - begin < seconds):
            with counter:
                step(next(batches))
            jets += self.batch
        return counter.operations / jets


class Counter(TorchDispatchMode):
    """torch's FlopCounterMode without its tracking of modules, which fails for networks that disable gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0
        self.formulas = {**flop_counter.flop_registry, **_attention()}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), given: Any = None) -> Any:
        given, formula = given or {}, self.formulas.get(function._overloadpacket)
        if formula is None:
            with self:
                result = function.decompose(*args, **given)
            if result is not NotImplemented:
                return result
        result = function(*args, **given)
        if formula is not None:
            self.operations += int(formula(*args, **given, out_val=result))
        return result


def _attention() -> dict[Any, Any]:
    """Return the operations of the fused attention on CPUs, which torch's counter does not include."""

    def forward(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
        return int(flop_counter.sdpa_flop_count(query.shape, key.shape, value.shape))

    def backward(grad: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
        return int(flop_counter.sdpa_backward_flop_count(grad.shape, query.shape, key.shape, value.shape))

    aten, name = torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu"
    return {getattr(aten, name): forward, getattr(aten, f"{name}_backward"): backward}


def peak_memory(device: str) -> float:
    """Return the peak memory in MiB since the last reset: of this process, or on a GPU of its tensors."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated() / 2**20
    with suppress(OSError):
        status = Path("/proc/self/status").read_text()
        if found := re.search(r"VmHWM:\s+(\d+)", status):
            return int(found[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def reset_peak_memory(device: str) -> None:
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        return
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _release(device: str) -> None:
    """Release free memory, so that it does not count in the next turn and is available to the other side."""
    gc.collect()
    if device != "cpu":
        torch.cuda.empty_cache()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def failure(error: Exception) -> str:
    """Return a short text for the table."""
    text = str(error)
    signs = ("can't allocate memory", "bad_alloc", "out of memory")
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or any(sign in text for sign in signs):
        return "out of memory"
    return f"{type(error).__name__}: {text.strip().splitlines()[-1] if text.strip() else ''}"[:300]
