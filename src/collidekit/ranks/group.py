"""Processes of one training, and their exchanges.

Each rank has all rows of a batch in memory and applies the network to its part of them. The outputs are gathered, and every
rank computes the loss of the whole batch. This works for any objective: means, pairs of rows, expected yields. The gradients
of the parts are summed. A step of N ranks is therefore a step of a single process, within rounding.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from collidekit.errors import CollidekitError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from collidekit.dataset.batch import Batch

SECONDS = 60
"""Time limit, in seconds, for all ranks to reach the same exchange; a rank that ended is usually detected at once."""
MINUTES = 60
"""Time limit, in minutes, for all ranks to read the training rows."""
WAIT = 2.0
"""Seconds to wait for the reason of a broken connection."""
LEAST = 16
"""Smallest number of rows of a part; smaller batches are computed by every rank."""


class Ranks:
    """A single process, without exchanges; base of ``SeveralRanks``."""

    rank, size = 0, 1
    devices: int | list[int] = 1
    """Devices of this rank, in the form of Fabric."""

    @property
    def first(self) -> bool:
        """True for the rank that writes files and messages."""
        return self.rank == 0

    def share(self, rows: int, rank: int | None = None) -> slice:
        """Return the rows of a batch that belong to a rank, by default this one."""
        rank = self.rank if rank is None else rank
        return slice(rows * rank // self.size, rows * (rank + 1) // self.size)

    def meet(self) -> None:
        """Wait until all ranks have read the training rows."""

    def part(self, batch: Batch) -> Batch:
        """Return the part of a batch that belongs to this rank."""
        return batch

    def gather(self, values: Tensor, rows: int) -> Tensor:
        """Return the values (N, ...) of all ``rows`` of a batch, from the values of each part."""
        return values

    def total(self, value: Tensor) -> Tensor:
        """Return the sum over ranks. Each rank gets the gradient of its own summand."""
        return value

    def mean(self, own: Tensor | float, rows: int, of: int) -> Tensor | float:
        """Return the mean over ``of`` rows from the means over the ``rows`` of each rank."""
        return own

    def moments(self, number: int, mean: Tensor, variance: Tensor) -> tuple[Tensor | int, Tensor, Tensor]:
        """Return number, mean (C,) and variance (C,) of the values of all ranks; gradients pass to the values of all ranks."""
        return number, mean, variance

    def sum_gradient(self, *sums: Tensor) -> tuple[Tensor, ...]:
        """Return sums (C,) over the values of all ranks, for a hand-written backward pass through ``moments``."""
        return sums

    def of_step(self, rows: int) -> Ranks:
        """Return these ranks, or a single process for a batch with too few rows: then every rank computes all of it."""
        return self

    def reduce(self, model: nn.Module, told: bool = False, shared: bool = True) -> bool:
        """Sum the gradients over ranks and average running statistics; return whether any rank was ``told`` to stop.

        If the batch was not ``shared``, all ranks have the same gradients.
        """
        return told

    def agree(self, value: float) -> float:
        """Return the value of the first rank."""
        return value

    def own_random(self, *numbers: int) -> AbstractContextManager[None]:
        """Draw random numbers that differ between ranks within the block; the common random state does not change."""
        return nullcontext()

    def check_same(self, model: nn.Module) -> None:
        """Raise CollidekitError if the weights of two ranks differ."""


class SeveralRanks(Ranks):
    """One of several processes that train together.

    ``explain`` returns what is known about a rank that ended, after a wait in seconds: a broken connection is detected before
    the end of a process.
    """

    def __init__(
        self, store: Any, rank: int, size: int, backend: str, devices: int | list[int] = 1,
        explain: Callable[[float], str] = lambda seconds: "",
    ) -> None:  # fmt: skip
        self.rank, self.size, self.devices, self._explain, self._store = rank, size, devices, explain, store
        try:
            dist.init_process_group(
                backend, store=store, rank=rank, world_size=size, timeout=timedelta(seconds=SECONDS)
            )
        except RuntimeError as error:
            why = explain(WAIT) or str(error).splitlines()[0][:200]
            raise CollidekitError(f"rank {rank} of {size}: the ranks do not find each other: {why}") from None

    def meet(self) -> None:
        self._store.set(f"here/{self.rank}", "")
        end = time.monotonic() + MINUTES * 60
        while not self._store.check([f"here/{rank}" for rank in range(self.size)]):
            if why := self._explain(0):
                raise CollidekitError(f"rank {self.rank} of {self.size}: another rank is gone: {why}")
            if time.monotonic() > end:
                raise CollidekitError(
                    f"rank {self.rank} of {self.size}: another rank did not reach the training within {MINUTES} minutes"
                )
            time.sleep(0.05)

    def close(self) -> None:
        """Leave the process group."""
        if dist.is_initialized():
            dist.destroy_process_group()

    def part(self, batch: Batch) -> Batch:
        share = self.share(len(batch))
        return batch.take(torch.arange(share.start, share.stop))

    def gather(self, values: Tensor, rows: int) -> Tensor:
        found: Tensor = _Gather.apply(values, self, rows)  # type: ignore[no-untyped-call]
        return found

    def total(self, value: Tensor) -> Tensor:
        found: Tensor = _Total.apply(value, self)  # type: ignore[no-untyped-call]
        return found

    def mean(self, own: Tensor | float, rows: int, of: int) -> Tensor | float:
        return self.total(own * (rows / of)) if isinstance(own, Tensor) else own

    def moments(self, number: int, mean: Tensor, variance: Tensor) -> tuple[Tensor | int, Tensor, Tensor]:
        mean, variance = mean.double(), variance.double()
        own = torch.cat([mean.new_full((1,), number), number * mean, number * (variance + mean.square())])
        total, first, second = _Summed.apply(own, self).split([1, len(mean), len(mean)])  # type: ignore[no-untyped-call]
        mean = first / total
        return total, mean, (second / total - mean.square()).clamp(min=0)

    def sum_gradient(self, *sums: Tensor) -> tuple[Tensor, ...]:
        found = torch.stack([x.double() for x in sums])
        self.sum(found)
        return tuple(found)

    def of_step(self, rows: int) -> Ranks:
        return self if rows >= LEAST * self.size else ONE

    @torch.no_grad()
    def reduce(self, model: nn.Module, told: bool = False, shared: bool = True) -> bool:
        """Exchange gradients, flags of parameters with a gradient, running means and variances, and ``told``, all at once."""
        parameters = [p for p in model.parameters() if p.requires_grad]
        running = running_statistics(model)
        like = parameters[0]
        wide = torch.float64 if any(x.dtype == torch.float64 for x in (*parameters, *running)) else torch.float32
        there = [p.grad is not None for p in parameters]
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters] + running
        flags = torch.tensor([*there, told], dtype=wide, device=like.device)
        flat = torch.cat([*(x.reshape(-1).to(wide) for x in parts), flags])
        self.sum(flat)
        *found, summed = flat.split([*(x.numel() for x in parts), len(flags)])  # type: ignore[no-untyped-call]
        any_there = (summed > 0).tolist()
        for parameter, gradient, some in zip(parameters, found, any_there, strict=False):
            if some:
                parameter.grad = (gradient if shared else gradient / self.size).view_as(parameter).to(parameter.dtype)
        for buffer, total in zip(running, found[len(parameters) :], strict=True):
            buffer.copy_(total.view_as(buffer) / self.size)
        return bool(any_there[-1])

    def agree(self, value: float) -> float:
        found = torch.tensor([value if self.first else 0.0], dtype=torch.float64, device=self._device)
        self.sum(found)
        return float(found)

    @contextmanager
    def own_random(self, *numbers: int) -> Iterator[None]:
        devices = [torch.cuda.current_device()] if self._device == "cuda" else []
        seed = zlib.crc32(repr((*numbers, self.rank)).encode())
        with torch.random.fork_rng(devices):
            torch.manual_seed(seed)
            yield

    def check_same(self, model: nn.Module) -> None:
        own = checksum(model.state_dict().values())
        found = torch.zeros(self.size, dtype=torch.int64, device=self._device)
        found[self.rank] = own
        self.sum(found)
        if len(different := set(found.tolist())) > 1:
            raise CollidekitError(
                f"the weights of {self.size} ranks differ ({len(different)} kinds): the network stores numbers of its own rows in a "
                "buffer, or the processes have different versions of torch or of collidekit, or different processors"
            )

    def sum(self, values: Tensor) -> None:
        """Replace values by their sum over ranks, in place."""
        with self._named_failure():
            dist.all_reduce(values)

    @property
    def _device(self) -> str:
        return "cuda" if dist.get_backend() == "nccl" else "cpu"

    @contextmanager
    def _named_failure(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            known = self._explain(WAIT) or f"no answer within {SECONDS} s ({str(error).splitlines()[0][:160]})"
            raise CollidekitError(
                f"rank {self.rank} of {self.size}: another rank is gone: {known}; the last state is saved, and the same command "
                "goes on from there"
            ) from None


class _Gather(torch.autograd.Function):
    """Concatenation of the rows of all ranks; backward returns the gradient of the own part."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, ranks: SeveralRanks, rows: int) -> Tensor:
        ctx.share = ranks.share(rows)
        shares = [ranks.share(rows, rank) for rank in range(ranks.size)]
        sizes = [share.stop - share.start for share in shares]
        wide = values.dtype if values.dtype == torch.float64 else torch.float32
        own = values.new_zeros(max(sizes), *values.shape[1:], dtype=wide)
        own[: len(values)] = values
        found = [torch.empty_like(own) for _ in sizes]
        with ranks._named_failure():
            dist.all_gather(found, own)
        return torch.cat([part[:size] for part, size in zip(found, sizes, strict=True)]).to(values.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient[ctx.share], None, None


class _Summed(torch.autograd.Function):
    """Sum over ranks that each rank uses differently, so that gradients are summed, too."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, ranks: SeveralRanks) -> Tensor:
        ctx.ranks = ranks
        found = value.clone()
        ranks.sum(found)
        return found

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        found = gradient.clone()
        ctx.ranks.sum(found)
        return found, None


class _Total(torch.autograd.Function):
    """Sum over ranks that each rank uses in the same way, so that the gradient is that of the sum."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, ranks: SeveralRanks) -> Tensor:
        found = value.clone()
        ranks.sum(found)
        return found

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def running_statistics(model: nn.Module) -> list[Tensor]:
    """Return the running means and variances of a network; other buffers, such as those of the scaling, are constants."""
    return [b for name, b in model.named_buffers() if name.rpartition(".")[2] in ("running_mean", "running_var")]


def checksum(tensors: Iterable[Tensor]) -> int:
    """Return a checksum of all bits of the tensors."""
    found = 0
    for tensor in tensors:
        found = zlib.crc32(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes(), found)
    return found


ONE = Ranks()
_current: Ranks = ONE


def current() -> Ranks:
    """Return the ranks of the current training in this process."""
    return _current


@contextmanager
def training_with(ranks: Ranks) -> Iterator[Ranks]:
    """Make ``ranks`` the current ranks within the block."""
    global _current
    before, _current = _current, ranks
    try:
        yield ranks
    finally:
        _current = before
