"""Metavars of options in help pages: NUMBER, FILE or NAME instead of TEXT or INTEGER."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from typer.models import OptionInfo

NAMES = {
    "analysis": "ANALYSIS", "attacks": "NAMES", "baseline": "mean|default", "bundle_name": "NAME", "combine": "mean|median", "data": "TEXT", "dataset_version": "NAME",
    "direction": "minimize|maximize", "executor": "NAME", "layout": "LAYOUT", "licence": "NAME", "magnitudes": "NUMBERS", "methods": "NAMES", "metric": "NAME",
    "model": "NETWORK", "name": "NAME", "precision": "NAME", "sample": "SAMPLE", "sampler": "NAME", "score": "NAME", "seeds": "SEEDS", "storage": "URL",
    "study": "NAME", "track": "NAMES", "training_version": "NAME", "tree": "NAME", "units": "MeV|GeV|TeV", "variants": "NAMES", "checkpoint": "CHECKPOINT",
    "out": "PATH", "output": "FOLDER",
}  # fmt: skip
"""Metavars by the name of the parameter, if its type is not enough."""
KINDS: dict[Any, str] = {int: "NUMBER", float: "NUMBER", Path: "PATH", str: "TEXT"}


def name_values(function: Callable[..., None]) -> None:
    """Set the metavar of every option of a verb that has none, from its name or its type."""
    hints = get_type_hints(function, include_extras=True)
    for name in inspect.signature(function).parameters:
        hint = hints.get(name)
        if get_origin(hint) is not Annotated:
            continue
        kind, *rest = get_args(hint)
        for info in rest:
            if isinstance(info, OptionInfo) and info.metavar is None:
                info.metavar = metavar_of(name, kind)


def metavar_of(name: str, kind: Any) -> str | None:
    """Return the metavar of a parameter of a type; empty for a flag."""
    kinds = {part for part in _parts(kind) if part is not type(None)}
    if bool in kinds:
        return ""
    return NAMES.get(name) or next((KINDS[part] for part in kinds if part in KINDS), None)


def _parts(kind: Any) -> list[Any]:
    """Return the types of a union or of a list."""
    arguments = get_args(kind)
    return [part for argument in arguments for part in _parts(argument)] if arguments else [kind]
