"""Modules by the names that users give to inputs, targets and parents."""

from torch import nn


class NamedModules(nn.ModuleDict):
    """A ModuleDict that takes every name, also those of its own methods, such as ``values`` or ``type``."""

    def add_module(self, name: str, module: nn.Module | None) -> None:
        self._modules[name] = module  # type: ignore[assignment]
