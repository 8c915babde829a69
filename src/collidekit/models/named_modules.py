"""Modules with names that users choose for inputs, targets and parents."""

from torch import nn


class NamedModules(nn.ModuleDict):
    """ModuleDict that accepts every name, also names of its methods, such as ``values`` or ``type``."""

    def add_module(self, name: str, module: nn.Module | None) -> None:
        self._modules[name] = module  # type: ignore[assignment]
