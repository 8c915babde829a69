"""Tensors from the host to a device, without a wait of one for the other.

A device works off what it is given while the host prepares what comes next. Whatever asks a device for a number, such as a size, waits
until all of it is done. So sizes and indices are worked out on the host, from offsets and labels that stay there, too.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

_HOST = "_values_on_host"


def send(values: Tensor, device: torch.device, keep: bool = False) -> Tensor:
    """Return values of the host on a device; with ``keep``, ``on_host`` gives them back without a wait.

    On a CPU these are the values themselves. Memory of the host is pinned: only from there does a copy run beside other work.
    """
    if values.device == device or device.type == "cpu":
        return values.to(device)
    pinned = values.pin_memory() if device.type == "cuda" and values.device.type == "cpu" else values
    sent = pinned.to(device, non_blocking=True)
    if keep:
        setattr(sent, _HOST, values)
    return sent


def send_indices(device: torch.device, indices: Sequence[Tensor]) -> list[Tensor]:
    """Return indices (M,) of the host on a device, by one copy of all."""
    if device.type == "cpu":
        return list(indices)
    return list(send(torch.cat(list(indices)), device).split([len(index) for index in indices]))  # type: ignore[no-untyped-call]


def on_host(values: Tensor) -> Tensor:
    """Return values on the host; of those that were not sent with ``keep`` the device is asked, which waits."""
    if values.device.type == "cpu":
        return values
    found = getattr(values, _HOST, None)
    return values.cpu() if found is None else found


def constant(values: Sequence[float], like: Tensor) -> Tensor:
    """Return numbers as a tensor of the type and on the device of another one, which is made once; nothing may change it."""
    if torch.compiler.is_compiling():  # a graph holds its own
        return like.new_tensor(values)
    return _constant(tuple(values), like.dtype, like.device)


@lru_cache(maxsize=1024)
def _constant(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return send(torch.tensor(values, dtype=dtype), device)
