"""Facts about a training from its folder: epochs, time, rows and versions, as far as they are there."""

import csv
from pathlib import Path
from typing import Any

from collidekit.dataset.manifest import Manifest, read_manifest
from collidekit.errors import CollidekitError
from collidekit.sealed import read_sealed
from collidekit.training.checkpoint import kept_epoch


def training_facts(folder: Path) -> dict[str, Any]:
    """Return the facts in the folder of a TrainingTask; for any other folder, as many as are known."""
    facts: dict[str, Any] = {}
    if (folder / "history.csv").is_file():
        facts |= _of_history(folder / "history.csv")
    path, remedy = folder / "run.json", "remove it, and the card will have less information"
    run = read_sealed(path, remedy) if path.is_file() else {}
    texts = {name: run.get(name, {}) for name in ("versions", "git")}
    if not isinstance(run.get("settings", {}), dict) or not all(_is_text(text) for text in texts.values()):
        raise CollidekitError(f"{path}: is not a valid record of a run; {remedy}")
    facts |= {name: run[name] for name in ("made", "versions", "git") if name in run}
    dataset = run.get("settings", {}).get("dataset")
    if dataset and (manifest := _manifest(folder, str(dataset))):
        facts |= {
            "rows": manifest.rows,
            "class_counts": manifest.class_counts,
            "files": {Path(entry["path"]).name: entry["rows"] for entry in manifest.inputs},
        }
    return facts


def _is_text(entries: Any) -> bool:
    """Return whether something is a dict of texts."""
    return isinstance(entries, dict) and all(isinstance(text, str) for text in entries.values())


def _of_history(path: Path) -> dict[str, Any]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            epochs = list(csv.DictReader(file))
        return _of_epochs(path.parent, epochs) if epochs else {}
    except (csv.Error, KeyError, TypeError, ValueError, OverflowError) as error:
        raise CollidekitError(
            f"{path}: is damaged ({type(error).__name__}: {error}); remove it, and the card will not describe the training"
        ) from None


def _of_epochs(folder: Path, epochs: list[dict[str, str]]) -> dict[str, Any]:
    best = kept_epoch(folder, epochs)
    return {
        "epochs": len(epochs),
        "best_epoch": int(float(best["epoch"])),
        "validation_loss": float(best["val_loss"]),
        **({"validation_accuracy": float(best["val_accuracy"])} if "val_accuracy" in best else {}),
        "rows_per_epoch": int(float(best["rows"])),
        "steps": int(float(epochs[-1]["steps"])),
        "seconds_in_steps": sum(float(row["seconds"]) for row in epochs),
        **({"cpu_seconds": sum(float(row["cpu_seconds"]) for row in epochs)} if "cpu_seconds" in epochs[0] else {}),
    }


def _manifest(folder: Path, dataset: str) -> Manifest | None:
    """Return the manifest of the training dataset, ``DatasetConstructorTask/<analysis>/<version>/<hash>`` in the same results."""
    if len(folder.parents) < 5:
        return None
    analysis, version = folder.parents[2].name, folder.parents[1].name
    try:
        return read_manifest(folder.parents[4] / "DatasetConstructorTask" / analysis / version / dataset)
    except CollidekitError:
        return None
