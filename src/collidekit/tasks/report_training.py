"""Sections of the report on trainings: one, one for each member of an ensemble, or none."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from collidekit.analysis.labels import without_latex
from collidekit.analysis.schema import Analysis
from collidekit.dataset.manifest import Manifest
from collidekit.dataset.rows import matches
from collidekit.evaluation.plots import plot_loss_curves
from collidekit.evaluation.report.report import Block, Section, Text
from collidekit.evaluation.report.sections import provenance_section, training_section
from collidekit.objectives.registry import objective_of
from collidekit.sealed import as_written
from collidekit.tasks.inference import InferenceTask
from collidekit.tasks.titles import trained
from collidekit.tasks.training import TrainingTask
from collidekit.training.checkpoint import kept_epoch


def subtitle(inference: InferenceTask) -> str:
    """Return the network or the checkpoints, the versions, and how members are combined."""
    if inference.checkpoint:
        parts = [", ".join(map(str, inference.checkpoint)), f"test dataset {inference.test_dataset_version}"]
    else:
        name = inference.training_config().model_name
        parts = [name, f"dataset {inference.dataset_version}", f"training {inference.training_version}"]
    if folds := len(inference.all_folds):
        one_each = inference.joins_folds or inference.chosen_by_number
        parts.append(f"{folds} folds" if one_each else f"{inference.combine} of {folds} folds")
    elif inference.all_seeds:
        parts.append(f"{inference.combine} of seeds {', '.join(map(str, inference.all_seeds))}")
    elif inference.is_ensemble:
        parts.append(f"{inference.combine} of {len(inference.checkpoint)} models")
    if not inference.checkpoint and (config := inference.training_config()).fold >= 0:
        parts.append(config.fold_name)
    return " · ".join(parts)


def data_note(inference: InferenceTask, manifest: Manifest) -> str:
    """Return the number of training rows of each class, or of test rows without a training."""
    known = manifest.summary.get("known", {}).items()
    counts = ", ".join(
        [f"{count:,} {name}" for name, count in manifest.class_counts.items()]
        + [f"{count:,} with a known {name}" for name, count in known]
    )
    if inference.checkpoint:
        return f"Evaluated on {manifest.rows:,} rows: {counts}."
    return f"Trained on {manifest.rows:,} rows: {counts}.{_of_folds(inference)}"


def process_rows(manifest: Manifest, analysis: Analysis) -> list[tuple[str, ...]]:
    """Return label, files, entries and weight of each process; empty without processes."""
    lines: list[tuple[str, ...]] = []
    for name, process in analysis.processes.items():
        matching = [entry for entry in manifest.inputs if matches(str(entry["path"]), process.files)]
        entries = sum(int(entry.get("rows", 0)) for entry in matching)
        label = without_latex(process.label or name)
        lines.append((label, f"{len(matching):,}", f"{entries:,}", f"{process.weight:g}"))
    return lines


def _of_folds(inference: InferenceTask) -> str:
    """Return a sentence on the folds; empty without folds."""
    config = inference.training_config()
    if not (k := config.folds):
        return ""
    how = f"was trained on {k - 2} of {k} parts of these rows, and another part chose its epoch"
    if k == 2:
        share = config.train_val_split
        how = f"was trained on {share:.0%} of the other half of these rows, and the rest of that half chose its epoch"
    if config.fold_rule == "remainder":
        how += f" (the part of a row is the remainder of its event number, {inference.analysis.event[-1]} % {k})"
    if config.fold >= 0:
        rows = "The test files were predicted" if inference.test_files else "The part that was held out was predicted"
        return f" {rows} by {config.fold_name}, which {how}."
    if inference.joins_folds:
        return f" Each row was predicted by the one of {k} networks that was not trained on it. Each network {how}."
    if inference.chosen_by_number:
        return f" Each row of the test files was predicted by one of {k} networks, chosen by its event number. Each network {how}."
    return f" The test files were predicted by the {inference.combine} of {k} networks. Each network {how}."


def trainings_section(inference: InferenceTask, plots: Path) -> list[Section]:
    """Return loss curves and facts of each training; no section without a training."""
    blocks: list[Block] = []
    trainings = inference.trainings()
    for number, (name, training) in enumerate(trainings.items()):
        stem = plots / (f"loss_{number + 1}" if len(trainings) > 1 else "loss")
        note = f"{inference.analysis.name}, {trained(training)} {training.hash}"
        apart = not objective_of(training.training_config().objective, inference.analysis).losses_compare
        drawn = plot_loss_curves(stem, training.folder / "history.csv", note, apart)
        pictures = [path for path in drawn if path.suffix == ".png"]
        if len(trainings) > 1:
            blocks.append(Text(f"{name[:1].upper()}{name[1:]}"))
        blocks += training_section(pictures, _facts(training.folder)).blocks
    return [Section("Training", tuple(blocks))] if blocks else []


def repeat_section(inference: InferenceTask, analysis: Analysis) -> Section:
    """Return the section with configuration, versions and seeds."""
    trainings = inference.trainings()
    with as_written((next(iter(trainings.values())) if trainings else inference).folder / "run.json"):
        return _repeat_section(inference, analysis, trainings)


def _repeat_section(inference: InferenceTask, analysis: Analysis, trainings: Mapping[str, TrainingTask]) -> Section:
    made = next(iter(trainings.values())).provenance() if trainings else inference.provenance()
    configuration: dict[str, Any] = {"analysis": analysis.model_dump(mode="json", exclude_defaults=True)}
    seeds = {}
    if trainings:
        configuration["training"] = dict(made["settings"]["config"])
        if inference.all_folds:
            configuration["training"].pop("fold")  # each of them
        found = (str(task.provenance()["settings"]["config"]["seed"]) for task in trainings.values())
        seeds = {"training": ", ".join(dict.fromkeys(found))}
    else:
        configuration["checkpoints"] = [str(name) for name in inference.checkpoint]
    return provenance_section(yaml.safe_dump(configuration, sort_keys=False), made["versions"], made["git"], seeds)


def _facts(folder: Path) -> dict[str, str]:
    path = folder / "history.csv"
    with as_written(path), path.open(encoding="utf-8", newline="") as file:
        return _facts_of(folder, list(csv.DictReader(file)))


def _facts_of(folder: Path, epochs: list[dict[str, str]]) -> dict[str, str]:
    best = kept_epoch(folder, epochs)
    seconds = sum(float(row["seconds"]) for row in epochs)
    return {
        "epochs": f"{len(epochs)}, kept {float(best['epoch']):.0f}",
        "validation loss": f"{float(best['val_loss']):.4f}",
        "time in training steps": f"{seconds:,.0f} s",
        "rate": f"{sum(float(row['rows']) for row in epochs) / max(seconds, 1e-9):,.0f} rows/s",
    }
