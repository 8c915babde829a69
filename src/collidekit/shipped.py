"""Analyses by path or name, and bundled models and benchmarks by name."""

import os
from functools import cache
from pathlib import Path

from collidekit.analysis.load import read_analysis
from collidekit.analysis.schema import Files
from collidekit.analysis.scope import Plan
from collidekit.errors import CollidekitError, did_you_mean


def shipped_analyses() -> dict[str, Path]:
    """Return the file of each bundled analysis by name, in an installed package or a checkout."""
    return {path.stem: path for folder in _folders("analyses") for path in sorted(folder.glob("*.yaml"))}


def shipped_models() -> dict[str, Path]:
    """Return the folder of each bundled model by name, such as ``top-tagging/pair_transformer``."""
    return {
        path.parent.relative_to(folder).as_posix(): path.parent
        for folder in _folders("weights")
        for path in sorted(folder.rglob("model.json"))
    }


def shipped_benchmarks() -> dict[str, Path]:
    """Return the folder of each bundled benchmark by name."""
    return {
        path.parent.name: path.parent
        for folder in _folders("open_benchmarks")
        for path in sorted(folder.glob("*/benchmark.yaml"))
    }


def _folders(part: str) -> list[Path]:
    """Return the folder of bundled files in an installed package or in a checkout, as a list with one or no entry."""
    here = Path(__file__).resolve().parent
    return [folder for folder in (here / part, here.parents[1] / part) if folder.is_dir()][:1]


def find_analysis(name: str) -> Path:
    """Return the path of an analysis file, given as a path or as the name of a bundled analysis."""
    if os.path.isfile(name):
        return Path(name)
    known = shipped_analyses()
    if name in known:
        return known[name]
    if name.endswith((".yaml", ".yml")):
        raise CollidekitError(f"{name}: there is no such analysis file")
    raise CollidekitError(
        f"there is no analysis {name!r}{did_you_mean(name, list(known))}; bundled are {', '.join(known)}, or give a file"
    )


def load_plan(config: str | Path) -> Plan:
    """Load the analysis of a path or bundled name, with its expressions parsed; it is read again if the file changes."""
    path = find_analysis(str(config))
    return _plan(str(path), path.stat().st_mtime)


def analysis_files(config: str | Path) -> Files:
    """Return the training and test files of an analysis file or bundled analysis, as absolute paths and URLs."""
    path = find_analysis(str(config))
    named, folder = load_plan(path).analysis.files, path.resolve().parent
    found = {
        part: [pattern if "://" in pattern else str((folder / pattern).resolve()) for pattern in patterns]
        for part, patterns in (("training", named.training), ("test", named.test))
    }
    return Files(**found)


@cache
def _plan(path: str, modified: float) -> Plan:
    return Plan(*read_analysis(path))
