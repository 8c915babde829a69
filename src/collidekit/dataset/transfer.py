"""Copies of tensors from the host to a device, without making one wait for the other.

A device works on its queue while the host prepares the next step. Reading a number, such as a size, from a device waits for
the whole queue. Sizes and indices are therefore computed on the host, from offsets and labels that are also kept there.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

_HOST = "_values_on_host"


def send(values: Tensor, device: torch.device, keep: bool = False) -> Tensor:
    """Return values of the host on a device; with ``keep``, ``on_host`` returns them without waiting.

    On a CPU, these are the values themselves. Memory of the host is pinned, because only then does a copy run in parallel.
    """
    if values.device == device or device.type == "cpu":
        return values.to(device)
    pinned = values.pin_memory() if device.type == "cuda" and values.device.type == "cpu" else values
    sent = pinned.to(device, non_blocking=True)
    if keep:
        setattr(sent, _HOST, values)
    return sent


def send_indices(device: torch.device, indices: Sequence[Tensor]) -> list[Tensor]:
    """Return indices (M,) of the host on a device, with one copy for all."""
    if device.type == "cpu":
        return list(indices)
    return list(send(torch.cat(list(indices)), device).split([len(index) for index in indices]))  # type: ignore[no-untyped-call]


def on_host(values: Tensor) -> Tensor:
    """Return values on the host; values that were not sent with ``keep`` are read from the device, which waits."""
    if values.device.type == "cpu":
        return values
    found = getattr(values, _HOST, None)
    return values.cpu() if found is None else found


def constant(values: Sequence[float], like: Tensor) -> Tensor:
    """Return numbers as a tensor of the type and on the device of another one; it is made once and must not be changed."""
    if torch.compiler.is_compiling():  # a graph holds its own constants
        return like.new_tensor(values)
    return _constant(tuple(values), like.dtype, like.device)


@lru_cache(maxsize=1024)
def _constant(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return send(torch.tensor(values, dtype=dtype), device)
