"""Memory that is kept from one step of a training to the next: the system takes long to give large pieces anew."""

from threading import Lock

import torch
from torch import Tensor

ROOM = 1.125
"""Rows that are taken more than needed, since the next batch may be a little larger."""


class Workspace:
    """Tensors (rows, width) that are lent: ``take`` one, and ``give`` it back when nothing in it is needed any more.

    One that is never given back is freed as any tensor is. Elsewhere than on a CPU torch does all this by itself.
    """

    def __init__(self) -> None:
        self._free: dict[tuple[int, torch.dtype], list[Tensor]] = {}
        self._lock = Lock()

    def take(self, rows: int, width: int, dtype: torch.dtype, device: torch.device) -> Tensor:
        """At least as many rows as these, with any content."""
        if device.type != "cpu":
            return torch.empty(rows, width, dtype=dtype, device=device)
        with self._lock:
            free = self._free.get((width, dtype))
            found = free.pop() if free else None
        if found is not None and len(found) >= rows:
            return found
        return torch.empty(int(rows * ROOM), width, dtype=dtype)

    def give(self, tensor: Tensor) -> None:
        """Back to where it was taken from."""
        if tensor.device.type == "cpu":
            with self._lock:
                self._free.setdefault((tensor.shape[1], tensor.dtype), []).append(tensor)
