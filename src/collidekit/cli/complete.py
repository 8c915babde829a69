"""Shell completion of analyses, networks, models and trainings, which must be fast and print no errors."""

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from collidekit.errors import CollidekitError

MOST = 200
"""Largest number of offered trainings."""


def _safe(values: Callable[[str], Iterable[str]]) -> Callable[[str], list[str]]:
    """Return a completion that offers values with the given beginning, and nothing after an error."""

    def complete(incomplete: str) -> list[str]:
        with suppress(CollidekitError, OSError, ValueError):
            return [value for value in dict.fromkeys(values(incomplete)) if value.startswith(incomplete)]
        return []

    return complete


def _paths(incomplete: str, *suffixes: str) -> list[str]:
    """Return the folders, and the files with one of these suffixes, whose path begins with a text."""
    start, _, _ = incomplete.rpartition("/")
    folder = Path(start or ("/" if incomplete.startswith("/") else "."))
    before = f"{start}/" if "/" in incomplete else ""
    found: list[str] = []
    if not folder.is_dir():
        return found
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            found.append(f"{before}{entry.name}/")
        elif entry.name.endswith(suffixes):
            found.append(f"{before}{entry.name}")
    return found


def _analyses(incomplete: str) -> list[str]:
    from collidekit.shipped import shipped_analyses

    return [*shipped_analyses(), *_paths(incomplete, ".yaml", ".yml")]


def _networks(incomplete: str) -> list[str]:
    from collidekit.models.registry import NETWORKS

    return [*sorted(NETWORKS), *_paths(incomplete, ".py")]


def _models(incomplete: str) -> list[str]:
    from collidekit.shipped import shipped_models

    return [*shipped_models(), *_paths(incomplete, ".pt", ".safetensors")]


def _shipped(incomplete: str) -> list[str]:
    from collidekit.shipped import shipped_models

    return list(shipped_models())


def _results() -> Path:
    """Return the results folder, without the imports and errors of ``results_folder``."""
    return Path(os.environ.get("COLLIDEKIT_OUTPUT") or "results").expanduser()


def _runs(incomplete: str) -> list[str]:
    """Return the hashes of complete trainings and reports, the newest first, and paths."""
    folders = [*_results().glob("TrainingTask/*/*/*/*/run.json"), *_results().glob("ReportTask/*/*/*/*/*/run.json")]
    newest = sorted(folders, key=lambda path: -path.stat().st_mtime)[:MOST]
    return [*(path.parent.name for path in newest), *_paths(incomplete, ".pt", ".parquet")]


def _trained(incomplete: str) -> list[str]:
    """Return bundled models, folders of trainings, and paths."""
    models = sorted(_results().glob("TrainingTask/*/*/*/*/best_model.pt"), key=lambda path: -path.stat().st_mtime)
    return [*_models(incomplete), *(str(path.parent) for path in models[:MOST])]


def _names_of_analyses(incomplete: str) -> list[str]:
    return sorted(path.name for path in _results().glob("TrainingTask/*") if path.is_dir())


analyses, networks, checkpoints, bundled_models, runs, trained_analyses = map(
    _safe, (_analyses, _networks, _trained, _shipped, _runs, _names_of_analyses)
)
"""Completions: functions of the text before the cursor."""
