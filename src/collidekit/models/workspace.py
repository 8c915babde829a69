"""Memory that is kept between the steps of a training, because the allocation of large memory is slow."""

from threading import Lock

import torch
from torch import Tensor

ROOM = 1.125
"""Factor of allocated rows, because the next batch may be slightly larger."""


class Workspace:
    """Pool of tensors (rows, width): ``take`` one, and ``give`` it back when it is not needed any more.

    A tensor that is not given back is freed like any other. On other devices than a CPU, torch does this itself.
    """

    def __init__(self) -> None:
        self._free: dict[tuple[int, torch.dtype], list[Tensor]] = {}
        self._lock = Lock()

    def take(self, rows: int, width: int, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Return a tensor with at least ``rows`` rows and any content."""
        if device.type != "cpu":
            return torch.empty(rows, width, dtype=dtype, device=device)
        with self._lock:
            free = self._free.get((width, dtype))
            found = free.pop() if free else None
        if found is not None and len(found) >= rows:
            return found
        return torch.empty(int(rows * ROOM), width, dtype=dtype)

    def give(self, tensor: Tensor) -> None:
        """Return a tensor to the pool."""
        if tensor.device.type == "cpu":
            with self._lock:
                self._free.setdefault((tensor.shape[1], tensor.dtype), []).append(tensor)
