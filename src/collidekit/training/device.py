"""Copies between host and device of a training: batches before their step, numbers of a step after it."""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from attrs import frozen
from torch import Tensor

from collidekit.dataset.ahead import ahead
from collidekit.dataset.batch import Batch

DELAY = 2
"""Number of steps after which the numbers of a step are read from a device, which computes the next steps meanwhile."""


class WeightedRows(NamedTuple):
    """Rows of a step, and their weights (N,) in the loss, which stay on the host."""

    batch: Batch
    weights: Tensor


def on_device(rows: Iterator[WeightedRows], device: torch.device) -> Iterator[WeightedRows]:
    """Yield the rows on a device: a thread copies the next rows during a step."""
    for found, sent in ahead(_sent(rows, device), 2):
        if sent is not None:  # the stream of the step waits for the copies, not the host
            now = torch.cuda.current_stream(device)
            now.wait_event(sent)
            for tensor in found.batch.tensors():
                if tensor.device.type == "cuda":
                    tensor.record_stream(now)
        yield found


def _sent(rows: Iterator[WeightedRows], device: torch.device) -> Iterator[tuple[WeightedRows, Any]]:
    """Yield rows whose copy to a device has started, and the event at its end."""
    if device.type != "cuda":
        yield from ((WeightedRows(batch.to(device), weights), None) for batch, weights in rows)
        return
    beside = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    for batch, weights in rows:
        with torch.cuda.stream(beside):
            moved = WeightedRows(batch.to(device), weights)
            sent = torch.cuda.Event()  # type: ignore[no-untyped-call]
            sent.record()
        yield moved, sent


@frozen
class StepNumbers:
    """Numbers of a step, whose copy from the device has started."""

    step: int
    rows: int
    names: tuple[str, ...]
    targets: tuple[str, ...]
    clipped: bool
    values: Tensor
    arrived: Any
    """Event at the end of the copy to the host; None on a CPU."""

    @classmethod
    def of(
        cls, step: int, rows: int, loss: Tensor, counts: Mapping[str, Tensor], others: Mapping[str, Tensor], norm: Tensor | None
    ) -> "StepNumbers":  # fmt: skip
        """Start the copy of the loss of rows, sums of weights, the loss of each target, and the norm of the gradients, if any."""
        given = [loss, *counts.values(), *others.values(), *([] if norm is None else [norm])]
        values = torch.stack([value.detach().double() for value in given])
        arrived = None
        if values.device.type != "cpu":
            values = values.to("cpu", non_blocking=True)
        if loss.device.type == "cuda":
            arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            arrived.record()
        return cls(step, rows, tuple(counts), tuple(others), norm is not None, values, arrived)

    def read(self) -> tuple[float, dict[str, float], dict[str, float], float]:
        """Return the loss, the sums, the loss of each target, and the norm of the gradients, 0 if it was not computed."""
        if self.arrived is not None:
            self.arrived.synchronize()
        loss, *found = self.values.tolist()
        counts, others = found[: len(self.names)], found[len(self.names) :]
        norm = others.pop() if self.clipped else 0.0
        return loss, dict(zip(self.names, counts, strict=True)), dict(zip(self.targets, others, strict=True)), norm


class Delayed:
    """Queue of the numbers of the last steps: available at once on a CPU, some steps later on a device."""

    def __init__(self, device: torch.device) -> None:
        self.delay = 0 if device.type == "cpu" else DELAY
        self._waiting: deque[StepNumbers] = deque()

    def add(self, numbers: StepNumbers) -> Iterator[StepNumbers]:
        """Add the numbers of a step; yield those that are available."""
        self._waiting.append(numbers)
        while len(self._waiting) > self.delay:
            yield self._waiting.popleft()

    def rest(self) -> Iterator[StepNumbers]:
        """Yield all remaining numbers."""
        while self._waiting:
            yield self._waiting.popleft()
