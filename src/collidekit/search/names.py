"""Names in a space file: settings of the training, options of the network, keys of the analysis file."""

import inspect
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from collidekit.errors import CollidekitError, did_you_mean
from collidekit.evaluation.grid.results import CHANGES_LOSS
from collidekit.models.registry import NETWORKS
from collidekit.training.config import TrainingConfig

OPTIONS, ANALYSIS = "model_options", "analysis"
ROWS = "trials would be compared on different validation rows"
REFUSED = {
    "seed": "give --seeds",
    **dict.fromkeys(("train_val_split", "folds", "fold", "fold_rule", "n_train_files"), ROWS),
    "extend_training": "vary epochs instead",
    OPTIONS: f"name an option, such as {OPTIONS}.dropout",
}
OF_ANALYSIS = ("inputs", "targets", "class_weights")
"""Keys of the analysis file that do not change the validation set and its weights."""


def check_name(name: str, where: str, analysis: Mapping[str, Any]) -> None:
    """Raise an error for a name that is not a setting, or that cannot be searched; ``analysis`` is the content of the file."""
    known = list(TrainingConfig.model_fields)
    first, dot, rest = name.partition(".")
    if first == ANALYSIS and dot:
        _check_key(rest, f"{where}: {name}", analysis)
    elif dot and (first != OPTIONS or not rest):
        raise CollidekitError(
            f"{where}: {name}: names with a dot are options of the network ({OPTIONS}.dropout) or keys of the analysis file "
            f"({ANALYSIS}.inputs.constituents.limit)"
        )
    elif first not in known:
        close = did_you_mean(first, known)
        raise CollidekitError(
            f"{where}: there is no setting {first!r}{close}; docs/training.md lists those of a training; options of the network are "
            f"{OPTIONS}.NAME, keys of the analysis file {ANALYSIS}.KEY"
        )
    elif name in REFUSED:
        raise CollidekitError(f"{where}: {name}: cannot be searched: {REFUSED[name]}")


def _check_key(key: str, place: str, analysis: Mapping[str, Any]) -> None:
    parts = key.split(".")
    if parts[0] in ("training", "recipes"):
        raise CollidekitError(
            f"{place}: settings of the training are written without '{ANALYSIS}.{parts[0]}.': write {parts[-1]}"
        )
    if parts[0] not in OF_ANALYSIS:
        raise CollidekitError(
            f"{place}: cannot be searched: {ROWS}; of the analysis file, {', '.join(OF_ANALYSIS)} can be searched"
        )
    parent, _ = _parent(analysis, parts)
    if parent is None:
        raise CollidekitError(f"{place}: the analysis file has no {'.'.join(parts[:-1])}; name a key that it has")


def _parent(content: Any, parts: list[str]) -> tuple[Any, Any]:
    """Return the mapping or list with the last part, and the key in it; None if it does not exist."""
    for part in parts[:-1]:
        content = _child(content, part)
    if isinstance(content, list) and parts[-1].isdigit() and int(parts[-1]) < len(content):
        return content, int(parts[-1])
    return (content, parts[-1]) if isinstance(content, dict) else (None, None)


def _child(content: Any, part: str) -> Any:
    if isinstance(content, dict):
        return content.get(part)
    if isinstance(content, list) and part.isdigit() and int(part) < len(content):
        return content[int(part)]
    return None


def with_keys(content: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of an analysis file with other values at ``analysis.`` names."""
    found = deepcopy(dict(content))
    for name, value in values.items():
        parent, key = _parent(found, name.split(".")[1:])
        parent[key] = deepcopy(value)
    return found


def number_type(name: str, analysis: Mapping[str, Any], network: str) -> type | None:
    """Return int or float for a numeric setting; None if its type is not known."""
    first, _, rest = name.partition(".")
    if first == ANALYSIS:
        parent, key = _parent(analysis, rest.split("."))
        value = parent.get(key) if isinstance(parent, dict) else parent[key]
        return float if isinstance(value, float) else None
    if first == OPTIONS:
        if network not in NETWORKS:
            return None
        option = inspect.signature(NETWORKS[network].__init__).parameters.get(rest)
        return float if option is not None and isinstance(option.default, float) else None
    kind = TrainingConfig.model_fields[first].annotation
    return int if kind is int else float if kind is float else None


def changes_loss(names: list[str]) -> str:
    """Return a searched setting that changes the validation loss itself, so that losses cannot be compared, or an empty text."""
    prefixes = (f"{ANALYSIS}.targets.", f"{ANALYSIS}.class_weights")
    found = (n for n in names if n in CHANGES_LOSS or n == "target_weights" or n.startswith(prefixes))
    return next(found, "")
