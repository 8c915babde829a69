"""A device without hardware: its tensors live in the memory of the host, and whatever would make a GPU wait is noted.

Tensors of the device ``virtual`` wrap those of the CPU. Every operation is unwrapped, computed and wrapped again, so numbers are real;
one that mixes both devices fails, as on a GPU. Library code takes the branches for devices that are no CPU.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only

aten: Any = torch.ops.aten
WAITS = {
    aten._local_scalar_dense, aten.item, aten.nonzero, aten.masked_select, aten.equal, aten.is_nonzero, aten.unique_dim,
    aten._unique, aten._unique2, aten.unique_consecutive, aten.bincount, aten.allclose, aten.nonzero_static, aten.unique_dim_consecutive,
}  # fmt: skip
"""Operations that give the host a number, or something whose size depends on numbers."""
INDEXED = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_, aten._unsafe_index}
COPIES = {aten._to_copy, aten.copy_, aten.to}


def virtual_device() -> torch.device:
    """Return the device, which is registered once a process; raises AttributeError where torch cannot."""
    if torch._C._get_privateuse1_backend_name() != "virtual":
        from torch.utils import backend_registration

        backend_registration._setup_privateuseone_for_python_backend("virtual")
        torch.virtual.get_amp_supported_dtype = lambda *_: [torch.bfloat16]  # type: ignore[attr-defined]
        global _library
        _library = torch.library.Library("_", "IMPL")
        _library.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")  # type: ignore[attr-defined]
    return torch.device("virtual:0")


class OnDevice(torch.Tensor):
    """A tensor of the device; ``values`` are those of the host."""

    values: Tensor

    @staticmethod
    def __new__(cls, values: Tensor, requires_grad: bool = False) -> Self:
        made: OnDevice = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, values.size(), strides=values.stride(), storage_offset=values.storage_offset(), dtype=values.dtype,
            device=torch.device("virtual:0"), requires_grad=requires_grad,
        )  # fmt: skip
        made.values = values
        return made

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), given: Any = None) -> Any:
        raise AssertionError("an operation on the virtual device outside of its mode")


class VirtualDevice(TorchDispatchMode):
    """Where the device exists; ``waits`` counts the operations that would have waited, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()
        self.device = virtual_device()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), given: Any = None) -> Any:
        given = dict(given or {})
        packet = function._overloadpacket
        given_tensors = [x for x in tree_flatten((args, given))[0] if isinstance(x, Tensor)]
        there = [x for x in given_tensors if isinstance(x, OnDevice)]
        moved = "device" in given and given["device"] is not None and packet in COPIES
        to_device = torch.device(given["device"]).type == "virtual" if given.get("device") is not None else bool(there)
        if there:
            self._note(function, packet, args, given, moved, to_device)
            hosts = [x for x in given_tensors if not isinstance(x, OnDevice) and x.dim() and packet not in COPIES]
            assert not hosts, f"{function}: tensors of the host among those of the device"
        elif moved and to_device:
            self._check_copy(function, given.get("non_blocking", False))
        if given.get("device") is not None:
            given["device"] = torch.device("cpu")
        known = {id(x.values): x for x in there}
        inner_args, inner_given = tree_map_only(OnDevice, lambda x: x.values, (args, given))
        found = _computed(function, packet, inner_args, inner_given)
        if packet is aten.copy_:
            return args[0]
        if not to_device:
            return found
        return tree_map_only(Tensor, lambda x: known.get(id(x)) if id(x) in known else OnDevice(x), found)

    def _note(self, function: Any, packet: Any, args: Any, given: Any, moved: bool, to_device: bool) -> None:
        """Count an operation that would wait."""
        if packet in WAITS or (
            packet is aten.repeat_interleave and "Tensor" in function._overloadname and given.get("output_size") is None
        ):
            self.waits[str(packet)] += 1
        if (
            packet in INDEXED
            and any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1])
            and not (packet in (aten.index_put, aten.index_put_, aten._index_put_impl_) and args[2].dim() == 0)
        ):
            self.waits[f"{packet} by a mask"] += 1
        if packet is aten.copy_:
            one, other = isinstance(args[0], OnDevice), isinstance(args[1], OnDevice)
            if one != other and args[1].dim():
                self._check_copy(function, args[2] if len(args) > 2 else given.get("non_blocking", False))
        elif moved and not to_device:
            self._check_copy(function, given.get("non_blocking", False))

    def _check_copy(self, function: Any, non_blocking: bool) -> None:
        if not non_blocking:
            self.waits[f"{function} between host and device"] += 1


def _computed(function: Any, packet: Any, args: Any, given: Any) -> Any:
    if packet is aten._thnn_fused_lstm_cell:
        return _lstm_cell(*args, **given)
    if packet is aten._thnn_fused_lstm_cell_backward_impl:
        return _lstm_cell_backward(*args)
    return function(*args, **given)


def _lstm_cell(inputs: Tensor, hidden: Tensor, cell: Tensor, bias: Any = None, more: Any = None) -> tuple[Tensor, ...]:
    """The step of an LSTM, which a CPU does not have as one operation: new state, new cell, and the gates."""
    gates = inputs + hidden + (0 if bias is None else bias) + (0 if more is None else more)
    i, f, g, o = gates.chunk(4, dim=1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    new = f * cell + i * g
    return o * new.tanh(), new, torch.cat([i, f, g, o], dim=1)


def _lstm_cell_backward(grad_h: Any, grad_c: Any, cell: Tensor, new: Tensor, gates: Tensor, has_bias: bool) -> Any:
    i, f, g, o = gates.chunk(4, dim=1)
    tanh = new.tanh()
    grad_h = torch.zeros_like(new) if grad_h is None else grad_h
    total = grad_h * o * (1 - tanh**2) + (0 if grad_c is None else grad_c)
    parts = [total * g * i * (1 - i), total * cell * f * (1 - f), total * i * (1 - g**2), grad_h * tanh * o * (1 - o)]
    of_gates = torch.cat(parts, dim=1)
    return of_gates, total * f, of_gates.sum(dim=0) if has_bias else None


def to_virtual(module: nn.Module) -> None:
    """Move parameters and buffers of a module to the device, in place: parameters are new ones."""
    for part in module.modules():
        for name, parameter in part._parameters.items():
            if parameter is not None and not isinstance(parameter, OnDevice):
                part._parameters[name] = nn.Parameter(OnDevice(parameter.detach()), parameter.requires_grad)
        for name, buffer in part._buffers.items():
            if buffer is not None and not isinstance(buffer, OnDevice):
                part._buffers[name] = OnDevice(buffer)


@contextmanager
def on_virtual_device() -> Iterator[VirtualDevice]:
    """The device exists within the block."""
    with VirtualDevice() as mode:
        yield mode
