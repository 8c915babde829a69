"""Analyses by path or by name, models and benchmarks by name, where they ship with collidekit."""

import os
from functools import cache
from pathlib import Path

from collidekit.analysis.load import read_analysis
from collidekit.analysis.scope import Plan
from collidekit.errors import CollidekitError, did_you_mean


def shipped_analyses() -> dict[str, Path]:
    """Name -> file, in an installed package or in a checkout."""
    return {path.stem: path for folder in _shipped("analyses") for path in sorted(folder.glob("*.yaml"))}


def shipped_models() -> dict[str, Path]:
    """Name, such as ``top-tagging/pair_transformer`` -> folder of the model."""
    return {
        path.parent.relative_to(folder).as_posix(): path.parent
        for folder in _shipped("weights")
        for path in sorted(folder.rglob("model.json"))
    }


def shipped_benchmarks() -> dict[str, Path]:
    """Name -> folder of the benchmark."""
    return {
        path.parent.name: path.parent
        for folder in _shipped("open_benchmarks")
        for path in sorted(folder.glob("*/benchmark.yaml"))
    }


def _shipped(part: str) -> list[Path]:
    """The folder of what ships: in an installed package, else in a checkout, else none."""
    here = Path(__file__).resolve().parent
    return [folder for folder in (here / part, here.parents[1] / part) if folder.is_dir()][:1]


def find_analysis(name: str) -> Path:
    """The path of an analysis file: a path as it is, or the name of one that ships."""
    if os.path.isfile(name):
        return Path(name)
    known = shipped_analyses()
    if name in known:
        return known[name]
    if name.endswith((".yaml", ".yml")):
        raise CollidekitError(f"{name}: there is no such analysis file")
    raise CollidekitError(
        f"there is no analysis {name!r}{did_you_mean(name, list(known))}; {', '.join(known)} ship, or give a file"
    )


def load_plan(config: str | Path) -> Plan:
    """The analysis of a path or shipped name, with its expressions parsed; read once unless the file changes."""
    path = find_analysis(str(config))
    return _plan(str(path), path.stat().st_mtime)


@cache
def _plan(path: str, modified: float) -> Plan:
    return Plan(*read_analysis(path))
