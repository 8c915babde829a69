"""``torch.compile`` for the dense parts of a tagger: those that take tensors, give tensors and look at no number in them.

What lies around them stays Python: ragged collections, and how rows are cut into blocks, depend on the numbers in a batch.
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
"""Parts of networks that are dense; every ``nn.Sequential`` of layers of torch alone is another."""
GRAPHS = 8
"""How many a part may need: with gradients or without, in training or not, in each precision."""


def compile_dense(module: nn.Module, device: torch.device, mode: str = "default") -> int:
    """Compile the dense parts of a module, each when it is first called; returns how many there are.

    The module stays the same object, with the same names in its ``state_dict``; a copy of it is not compiled.
    """
    check_compiler(device)
    parts = list(dense_parts(module))
    for part in parts:
        part._compiled_call_impl = _compiled(part, mode)
    most = GRAPHS * len(parts)  # to torch all parts are one function, which may have 8 graphs unless told
    dynamo.cache_size_limit = max(dynamo.cache_size_limit, most)
    dynamo.accumulated_cache_size_limit = max(dynamo.accumulated_cache_size_limit, most)
    return len(parts)


def dense_parts(module: nn.Module) -> Iterator[nn.Module]:
    """The largest dense parts inside a module."""
    for child in module.children():
        if isinstance(child, DENSE) or (isinstance(child, nn.Sequential) and _of_torch(child)):
            yield child
        else:
            yield from dense_parts(child)


def _of_torch(module: nn.Module) -> bool:
    return all(type(part).__module__.startswith("torch.nn.") for part in module.modules())


def _compiled(part: nn.Module, mode: str) -> Callable[..., Tensor]:
    """The part's call; ``nn.Module.compile`` would not do, since it leaves an ``nn.Sequential`` as it is."""

    def whole(*given: Tensor) -> Tensor:
        return part._call_impl(*given)  # type: ignore[no-any-return, no-untyped-call]

    graph = torch.compile(whole, mode=mode, dynamic=True)

    def call(input: Tensor, *others: Tensor) -> Tensor:
        if len(input) < 2:  # sizes 0 and 1 would each have a graph of their own
            return whole(input, *others)
        try:
            return graph(input, *others)
        except BackendCompilerFailed as error:
            reason = str(error.inner_exception).strip().split("\n")[0]
            raise CollidekitError(
                f"use_torch_compile: the compiler failed ({reason}); mend it, or train without use_torch_compile"
            ) from error

    return call


def check_compiler(device: torch.device) -> None:
    """An error where torch would find no C++ compiler, which it needs on a CPU."""
    name = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    if device.type == "cpu" and not shutil.which(name):
        raise CollidekitError(
            f"use_torch_compile: there is no C++ compiler {name}; install one (the package g++, or Xcode on a Mac), name "
            "yours in the environment variable CXX, or train without use_torch_compile"
        )
