"""Publishing of a checkpoint: weights, description and model card in one folder."""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from collidekit import __version__
from collidekit.bundle.card import open_marks, write_card
from collidekit.bundle.training_facts import training_facts
from collidekit.errors import CollidekitError
from collidekit.evaluation.assignment import Found, measure_assignments
from collidekit.evaluation.classification.roc_result import RocResult, measure_discriminator
from collidekit.evaluation.residuals import Residuals, measure_residuals
from collidekit.files import plain, write_text
from collidekit.inference.ensemble import predict_files_with
from collidekit.inference.seen import Refusal, SeenRows, content_of_paths
from collidekit.progress import counting
from collidekit.readers import expand
from collidekit.training.checkpoint import Checkpoint, find_checkpoint, load_checkpoint
from collidekit.training.model_folder import CARD, DESCRIPTION, WEIGHTS, check_no_code, save_model


@dataclass(frozen=True)
class Published:
    """A written model, its measured scores, and the number of places in the card that the author must fill in."""

    folder: Path
    size: int
    """Size of the weights in bytes."""
    results: list[RocResult]
    skipped: list[str]
    open_marks: int
    warning: str = ""
    """Warning about test rows that the model was trained on; empty if there are none."""
    residuals: list[Residuals] = field(default_factory=list)


@dataclass
class _Scores:
    """Results on test files; empty without test files."""

    results: list[RocResult] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    judged: dict[str, Any] = field(default_factory=dict)
    residuals: list[Residuals] = field(default_factory=list)
    assignments: list[Found] = field(default_factory=list)


def publish(
    checkpoint: str | Path,
    folder: Path,
    test_files: Sequence[str] = (),
    data: str | None = None,
    licence: str | None = None,
    force: bool = False,
    skip_bad_files: bool = False,
    threads: int | None = None,
    allow_training_rows: bool = False,
) -> Published:
    """Write ``model.safetensors``, ``model.json`` and a model card with the scores of the written weights.

    ``data`` describes the training data in a few words, ``licence`` is their licence. Files appear in the folder only
    when all of them are ready. Test rows that the model was trained on are an error, unless ``allow_training_rows`` is
    true.
    """
    file = find_checkpoint(checkpoint)
    if file.suffix == ".safetensors":
        raise CollidekitError(f"{file}: is published already; copy its folder")
    loaded = load_checkpoint(file)
    analysis, config = (json.loads(part.model_dump_json()) for part in (loaded.analysis, loaded.config))
    check_no_code(file, analysis, config)
    _remove_folders(analysis, config)
    _check_target(folder, force)
    if threads:
        torch.set_num_threads(threads)
    facts = training_facts(file.parent)
    description = {
        "analysis": analysis,
        "config": config,
        "epoch": loaded.epoch,
        "temperature": loaded.temperature.as_dict() if loaded.temperature else None,
        "learned_from": [entry.as_dict() for entry in loaded.learned_from],
        "network": {"name": loaded.config.model_name, "parameters": _parameters(loaded)},
        "data": {"description": data, "licence": licence},
        "training": {name: value for name, value in facts.items() if name not in ("made", "versions", "git")},
        "provenance": _provenance(loaded, facts),
    }
    with _replacing_folder(folder) as staging:
        save_model(staging, loaded.tagger.state_dict(), description)
        scores = _measure(staging, test_files, skip_bad_files, allow_training_rows)
        numbers = [{k: v for k, v in result.as_dict().items() if k != "curve"} for result in scores.results]
        residuals = {"residuals": [one.as_dict() for one in scores.residuals]} if scores.residuals else {}
        if scores.assignments:
            residuals["assignments"] = [one.as_dict() for one in scores.assignments]
        description |= plain({"scores": numbers, "judged": scores.judged, **residuals})
        weights = save_model(staging, loaded.tagger.state_dict(), description)
        text = write_card(card_name(folder), {**description, "weights": weights}, loaded.analysis, loaded.config)
        write_text(staging / CARD, text)
    return Published(
        folder,
        weights["bytes"],
        scores.results,
        scores.skipped,
        open_marks(folder / CARD),
        scores.judged.get("warning", ""),
        scores.residuals,
    )


def _remove_folders(analysis: dict[str, Any], config: dict[str, Any]) -> None:
    """Replace paths of this machine with file names."""
    analysis["files"] = {part: [Path(name).name for name in names] for part, names in analysis["files"].items()}
    if os.path.exists(config["from_checkpoint"]):
        config["from_checkpoint"] = Path(config["from_checkpoint"]).name


def card_name(folder: Path) -> str:
    """Return the name of a model: its path below a folder ``weights``, as for bundled models, or the name of its folder."""
    parts = folder.resolve().parts
    if "weights" in parts[:-1]:
        last = len(parts) - 1 - parts[::-1].index("weights")
        return "/".join(parts[last + 1 :])
    return folder.resolve().name


def _parameters(loaded: Checkpoint) -> int:
    return sum(parameter.numel() for parameter in loaded.tagger.parameters())


def _provenance(loaded: Checkpoint, facts: dict[str, Any]) -> dict[str, str]:
    versions = {name: text for name, text in facts.get("versions", {}).items() if name in ("collidekit", "torch")}
    return {
        "seed": str(loaded.config.seed),
        **({"trained": facts["made"]} if "made" in facts else {}),
        **{f"trained with {name}": text for name, text in versions.items()},
        **facts.get("git", {}),
        "published": datetime.now(UTC).date().isoformat(),
        "published with collidekit": __version__,
    }


def _check_target(folder: Path, force: bool) -> None:
    if os.path.exists(folder) and not folder.is_dir():
        raise CollidekitError(f"{folder}: is a file; name a folder to write")
    there = [name for name in (WEIGHTS, DESCRIPTION, CARD) if (folder / name).exists()]
    if there and not force:
        raise CollidekitError(
            f"{folder}: has {' and '.join(there)} already; name another folder, or replace with --force"
        )


@contextmanager
def _replacing_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder; move its files into ``folder`` if the block succeeds, the description last."""
    staging = folder.parent / f".{folder.name}.{os.getpid()}.part"
    try:
        staging.mkdir(parents=True, exist_ok=True)
        yield staging
        folder.mkdir(exist_ok=True)
        (folder / DESCRIPTION).unlink(missing_ok=True)
        for name in (WEIGHTS, CARD, DESCRIPTION):
            (staging / name).replace(folder / name)
    except OSError as error:
        raise CollidekitError(f"{folder}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _measure(folder: Path, test_files: Sequence[str], skip_bad_files: bool, allow_training_rows: bool) -> _Scores:
    """Return the scores of a published model on test files."""
    if not test_files:
        return _Scores()
    loaded = {"the model": load_checkpoint(folder)}
    paths = expand(list(test_files))
    seen = SeenRows(loaded, content_of_paths(paths, loaded), None if allow_training_rows else Refusal(paths))
    with counting("Predicting", "rows") as done:
        found, skipped = predict_files_with(loaded, test_files, skip_bad_files=skip_bad_files, done=done, seen=seen)
    predictions = found["the model"]
    names = predictions.discriminators_with_truth()
    values = predictions.values_with_truth()
    assignments = measure_assignments(predictions, loaded["the model"].analysis.assignments)
    if not names and not values and not assignments:
        raise CollidekitError(
            f"{test_files[0]}: no discriminator of analysis {loaded['the model'].analysis.name!r} has both signal and background rows "
            "in the test files, and no value or assignment has its truth there, so there is no score to measure"
        )
    with counting("Measuring", "curves", len(names)) as done:
        results = []
        for name in names:
            results.append(measure_discriminator(predictions, name))
            done(1)
    files = [Path(path).name for path in paths]
    with_class = predictions.labels >= 0 if predictions.classes else np.ones(len(predictions), dtype=bool)
    judged = {"files": files, "rows": int(with_class.sum()), "warning": seen.warning()}
    return _Scores(results, skipped, judged, measure_residuals(predictions, values) if values else [], assignments)
