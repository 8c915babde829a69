"""The trainings below a results folder, with their settings, epochs and measured scores."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collidekit.errors import CollidekitError
from collidekit.outputs.find import TRAINING, Output, State, find_outputs
from collidekit.outputs.records import INFERENCE, REPORT, ROC, Record, Records
from collidekit.sealed import as_written, read_sealed
from collidekit.tasks.differences import flat
from collidekit.training.history import read_history

COMPLETE = (State.USED, State.RESULT)


@dataclass(frozen=True)
class Score:
    """The AUC of one discriminator on one test set."""

    discriminator: str
    auc: float
    auc_error: float
    test_version: str
    attack: str = ""
    """Attack on the test rows; empty if there was none."""
    combined: str = ""
    """Text such as ``3 folds`` if the score is for several trainings together."""
    report: str = ""
    """Folder of the report; empty if there is none."""
    made: str = ""


@dataclass
class TrainingRun:
    """One training. ``config`` is empty if the settings cannot be read; ``problem`` is the reason."""

    output: Output
    config: dict[str, Any] = field(default_factory=dict)
    identity: dict[str, Any] = field(default_factory=dict)
    """Settings that are not in ``config``, such as the hash of the dataset."""
    made: str = ""
    ran_with: dict[str, Any] = field(default_factory=dict)
    epochs: list[dict[str, float]] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
    problem: str = ""

    @property
    def complete(self) -> bool:
        return self.output.state in COMPLETE

    @property
    def network(self) -> str:
        return str(self.config.get("model_name", ""))

    @property
    def recipe(self) -> dict[str, Any]:
        """Return all settings by their path; settings of the training have no prefix."""
        return dict(flat(self.config)) | dict(flat(self.identity))

    @property
    def cpu_seconds(self) -> float | None:
        """Return the processor time of all training steps in seconds; None if it is unknown."""
        if not self.epochs or any("cpu_seconds" not in row for row in self.epochs):
            return None
        return sum(row["cpu_seconds"] for row in self.epochs)

    @property
    def best(self) -> dict[str, float]:
        """Return the row of the epoch with the lowest validation loss; empty if there is none."""
        return min((row for row in self.epochs if "val_loss" in row), key=lambda row: row["val_loss"], default={})


def find_trainings(results: Path) -> list[TrainingRun]:
    """Return every training below a results folder, the newest first."""
    outputs = find_outputs(results)
    records = Records(outputs)
    runs = [_read_run(output, records) for output in outputs if output.task == TRAINING]
    by_hash: dict[str, list[TrainingRun]] = {}
    for run in runs:
        by_hash.setdefault(run.output.hash, []).append(run)
    for training, analysis, score in _scores(records):
        same = by_hash.get(training, [])
        for run in [run for run in same if run.output.analysis == analysis] or same:
            run.scores.append(score)
    return sorted(runs, key=lambda run: run.output.changed, reverse=True)


def _read_run(output: Output, records: Records) -> TrainingRun:
    run = TrainingRun(output)
    record = records.find(TRAINING, output.hash, output.analysis)
    try:
        if record and record.output.folder == output.folder:
            with as_written(output.folder / "run.json"):
                run.config = dict(record.settings["config"])
            run.identity = {name: value for name, value in record.settings.items() if name != "config"}
            run.made = record.made
            run.ran_with = dict(record.content.get("ran with") or {})
        elif output.state is State.DAMAGED:
            run.problem = f"{output.folder / 'run.json'}: cannot be read"
        else:
            run.config = _config_of_checkpoint(output)
        run.epochs = read_history(output.folder / "history.csv")
    except CollidekitError as error:
        run.problem = str(error)
    return run


def _config_of_checkpoint(output: Output) -> dict[str, Any]:
    """Return the settings in the newest checkpoint of an interrupted training; empty if there is no checkpoint."""
    names = [name for name in output.files if name == "last.pt" or (name.startswith("model_") and name.endswith(".pt"))]
    if not names:
        return {}
    from collidekit.training.checkpoint import load_content

    newest = output.folder / max(names, key=lambda name: output.files[name].changed)
    with as_written(newest):
        found = json.loads(load_content(newest)["config"])
        return dict(found)


def _scores(records: Records) -> Iterator[tuple[str, str, Score]]:
    """Yield training, analysis and score of every ROC curve that was measured, the newest first."""
    reports = {
        record.settings.get("roc"): str(record.output.folder)
        for record in sorted(records.of_task(REPORT), key=lambda record: record.made)
    }
    for roc in sorted(records.of_task(ROC), key=lambda record: record.made, reverse=True):
        inference = records.find(INFERENCE, roc.settings.get("inference"), roc.output.analysis)
        if inference is None:
            continue
        trainings = records.trainings_of(inference)
        path = roc.output.folder / "roc.json"
        try:
            with as_written(path):
                content = read_sealed(path)
                for training, discriminator, line, combined in _lines(content, trainings):
                    score = Score(
                        discriminator,
                        float(line["auc"]),
                        float(line["auc_error"]),
                        roc.test_version,
                        str(content.get("attack", "")),
                        combined,
                        reports.get(roc.output.hash, ""),
                        roc.made,
                    )
                    yield training, roc.output.analysis, score
        except CollidekitError:
            continue  # a damaged file is ignored; `collidekit run` makes it again


def _lines(content: dict[str, Any], trainings: dict[str, str]) -> Iterator[tuple[str, str, dict[str, Any], str]]:
    """Yield training, discriminator, numbers and the combined trainings of each result in one ``roc.json``."""
    if "" in trainings:
        for line in content["results"]:
            yield trainings[""], str(line["name"]), line, ""
        return
    named = [
        (trainings[line["name"]], str(entry["discriminator"]), line, "")
        for entry in content.get("ensembles", ())
        for line in entry["members"]
        if line["name"] in trainings
    ]
    if named:
        yield from named
        return
    folds = f"{len(trainings)} folds"
    for training in trainings.values():
        for line in content["results"]:
            yield training, str(line["name"]), line, folds


def best_score(run: TrainingRun, discriminator: str, attack: str = "") -> Score | None:
    """Return the newest score of a discriminator under an attack; None if there is none."""
    return next((score for score in run.scores if (score.discriminator, score.attack) == (discriminator, attack)), None)


def discriminators_of(runs: Sequence[TrainingRun]) -> list[str]:
    """Return the names of all discriminators that were measured, in the order of the newest result."""
    return list(dict.fromkeys(score.discriminator for run in runs for score in run.scores))


def made_from(records: Records, training: Record) -> list[Record]:
    """Return the predictions of one training, the newest first."""
    found = [
        record
        for record in records.of_task(INFERENCE)
        if record.settings.get("training") == training.output.hash
        and record.output.analysis == training.output.analysis
    ]
    return sorted(found, key=lambda record: record.made, reverse=True)
