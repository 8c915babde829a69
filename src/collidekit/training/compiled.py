"""``torch.compile`` for the dense parts of a tagger: from tensors to tensors, without decisions on their values.

The other parts stay Python: ragged collections and the blocks of rows depend on the values in a batch.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch._dynamo import config as dynamo
from torch._dynamo.exc import BackendCompilerFailed

from collidekit.errors import CollidekitError
from collidekit.models import deepjet_transformer, pair_transformer, transformer

DENSE = (pair_transformer.Block, transformer.FeedForward, deepjet_transformer.GatedFeedForward)
"""Dense parts of networks, besides each ``nn.Sequential`` of PyTorch layers."""
GRAPHS = 8
"""Largest number of graphs of a part: with or without gradients, training or evaluation, each precision."""


def compile_dense(module: nn.Module, device: torch.device, mode: str = "default") -> int:
    """Compile the dense parts of a module, each when it is first called; return their number.

    The module stays the same object, with the same names in its ``state_dict``; a copy of it is not compiled.
    """
    check_compiler(device)
    parts = list(dense_parts(module))
    for part in parts:
        part._compiled_call_impl = _compiled(part, mode)
    most = GRAPHS * len(parts)  # torch treats all parts as one function, with a default limit of 8 graphs
    dynamo.cache_size_limit = max(dynamo.cache_size_limit, most)
    dynamo.accumulated_cache_size_limit = max(dynamo.accumulated_cache_size_limit, most)
    return len(parts)


def dense_parts(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the largest dense parts of a module."""
    for child in module.children():
        if isinstance(child, DENSE) or (isinstance(child, nn.Sequential) and _of_torch(child)):
            yield child
        else:
            yield from dense_parts(child)


def _of_torch(module: nn.Module) -> bool:
    return all(type(part).__module__.startswith("torch.nn.") for part in module.modules())


def _compiled(part: nn.Module, mode: str) -> Callable[..., Tensor]:
    """Return the compiled call of a part; ``nn.Module.compile`` does not compile an ``nn.Sequential``."""

    def whole(*given: Tensor) -> Tensor:
        return part._call_impl(*given)  # type: ignore[no-any-return, no-untyped-call]

    graph = torch.compile(whole, mode=mode, dynamic=True)

    def call(input: Tensor, *others: Tensor) -> Tensor:
        if len(input) < 2:  # sizes 0 and 1 would each need their own graph
            return whole(input, *others)
        try:
            return graph(input, *others)
        except BackendCompilerFailed as error:
            reason = str(error.inner_exception).strip().split("\n")[0]
            raise CollidekitError(
                f"use_torch_compile: the compiler failed ({reason}); repair it, or train without use_torch_compile"
            ) from error

    return call


def check_compiler(device: torch.device) -> None:
    """Raise an error if there is no C++ compiler, which torch needs on a CPU."""
    name = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    if device.type == "cpu" and not shutil.which(name):
        raise CollidekitError(
            f"use_torch_compile: there is no C++ compiler {name}; install one (the package g++, or Xcode on a Mac), name "
            "it in the environment variable CXX, or train without use_torch_compile"
        )
