"""Analyses by path, or by name where they ship with collidekit."""

from functools import cache
from pathlib import Path

from collidekit.analysis.load import read_analysis
from collidekit.analysis.scope import Plan
from collidekit.errors import CollidekitError, did_you_mean


def shipped_analyses() -> dict[str, Path]:
    """Name -> file, in an installed package or in a checkout."""
    here = Path(__file__).resolve().parent
    for folder in (here / "analyses", here.parents[1] / "analyses"):
        if folder.is_dir():
            return {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    return {}


def find_analysis(name: str) -> Path:
    """The path of an analysis file: a path as it is, or the name of one that ships."""
    if Path(name).is_file():
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
