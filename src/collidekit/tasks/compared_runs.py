"""Runs to compare: a report, a training, a prefix of a hash, a checkpoint or a file of predictions."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from collidekit.analysis.schema import Analysis
from collidekit.analysis.scope import Plan
from collidekit.attacks.settings import AttackSettings
from collidekit.errors import CollidekitError
from collidekit.inference.predictions import Predictions
from collidekit.outputs.find import TRAINING, VERSIONS, find_outputs
from collidekit.outputs.records import INFERENCE, REPORT, ROC, Record, Records
from collidekit.outputs.trainings import made_from
from collidekit.tasks.differences import flat
from collidekit.tasks.titles import attack_name, short
from collidekit.training.checkpoint import find_checkpoint, load_content, read_settings
from collidekit.training.history import read_history

_HASH = re.compile(r"[0-9a-f]{4,10}")
_SEARCHED = (TRAINING, REPORT, INFERENCE, ROC)
FIRST = ("attack", "objective", "from_checkpoint", "epochs", "learning_rate", "batch_size")
"""Settings that are preferred in the names of trainings."""
MOST = 3
"""Largest number of settings in a name, including the network."""
RUN = (
    "the folder of a report or training, the first letters of its hash, a checkpoint, or a .parquet file of predictions"
)


@dataclass(frozen=True)
class Run:
    """Predictions to compare, and their trainings."""

    given: str
    predictions: Predictions
    folder: Path
    attack: str = ""
    source: str = ""
    """Hash of the test dataset, or the files; see ``Contender.source``."""
    trainings: dict[str, Record] = field(default_factory=dict)
    """Trainings by the name of the member; a single training has an empty name."""
    files: tuple[str, ...] = ()
    """Files of the rows, in the order of the file numbers of the rows."""
    dataset: Path | None = None
    """Dataset with the rows."""
    analysis: str = ""
    combination: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    """Settings of the training, or of the first one of several."""
    epochs: int | None = None
    plan: Plan | None = None
    """Plan for reading the files if they were predicted for this comparison; rows without a class are kept."""

    @cached_property
    def recipe(self) -> dict[str, Any]:
        """All settings that decide the training, except its seed, and the dataset."""
        first = next(iter(self.trainings.values()), None)
        beside = {k: v for k, v in first.settings.items() if k != "config"} if first else {}
        found = dict(flat(self.config)) | dict(flat(beside))
        found.pop("seed", None)
        return found

    @cached_property
    def drawn_as(self) -> Analysis | None:
        """The analysis whose labels and settings of plots are used; None where no training is left to read it from."""
        if self.plan:
            return self.plan.analysis
        for training in self.trainings.values():
            try:
                path = find_checkpoint(training.output.folder)
                return read_settings(path, load_content(path))[0]
            except CollidekitError:
                continue  # removed, or of another version: plots show names instead of labels
        return None

    @property
    def seed(self) -> Any:
        return self.config.get("seed")

    @property
    def network(self) -> str:
        return Path(str(self.config.get("model_name", "")).partition(":")[0]).stem

    @property
    def hash(self) -> str:
        """Hash of the training, or of the predictions if there are several trainings or none."""
        only = list(self.trainings.values())
        return only[0].output.hash if len(only) == 1 else self.folder.name


class RunFinder:
    """Finder of runs, which reads each results folder only once."""

    def __init__(self, results: Path) -> None:
        self.results = results
        self._records: dict[Path, Records] = {}

    def records(self, results: Path) -> Records:
        """Return the complete outputs below a results folder."""
        if results not in self._records:
            self._records[results] = Records(find_outputs(results) if results.is_dir() else [])
        return self._records[results]

    def find(self, given: str, attacked: bool = False) -> list[Run]:
        """Return the predictions of a run without attack, and with ``attacked`` also those under attacks."""
        path = Path(given).expanduser()
        if path.is_file() and path.suffix == ".parquet" and not (path.parent / "run.json").is_file():
            return [_of_file(given, path)]
        if path.is_file():
            path = path.parent
        if path.is_dir():
            record, records = self._of_folder(path)
            if record is None:
                return self._without_predictions(given)
        elif _HASH.fullmatch(given):
            record, records = self._of_prefix(given)
        else:
            return self._without_predictions(given)
        found = self._inferences(record, records, attacked)
        if not found:
            return self._without_predictions(given)
        return [self._run(given, inference, records) for inference in found]

    def _without_predictions(self, given: str) -> list[Run]:
        try:
            find_checkpoint(given)
        except CollidekitError:
            raise CollidekitError(f"{given}: there is no such run; give {RUN}") from None
        raise CollidekitError(
            f"{given}: has no predictions; make its report with 'collidekit run', or give --files to predict"
        )

    def _of_folder(self, folder: Path) -> tuple[Record | None, Records]:
        parts = folder.resolve().parts
        for task, versions in VERSIONS.items():
            depth = 3 + versions
            if len(parts) > depth and parts[-depth] == task:
                records = self.records(Path(*parts[:-depth]))
                return records.find_at(folder.resolve(), task), records
        return None, Records([])

    def _of_prefix(self, prefix: str) -> tuple[Record, Records]:
        records = self.records(self.results)
        found = [
            record for task in _SEARCHED for record in records.of_task(task) if record.output.hash.startswith(prefix)
        ]
        if not found:
            raise CollidekitError(
                f"{prefix}: no complete training or report in {self.results} has a hash with this beginning; 'collidekit runs' lists them"
            )
        if len(found) > 1:
            listed = ", ".join(f"{record.output.task} {record.output.hash}" for record in found[:6])
            raise CollidekitError(f"{prefix}: matches several outputs ({listed}); give more letters")
        return found[0], records

    def _inferences(self, record: Record, records: Records, attacked: bool) -> list[Record]:
        """Return the predictions of a training, or those from which another output was made."""
        task = record.output.task
        if task == INFERENCE:
            first = record
        elif task == TRAINING:
            all_of_it = made_from(records, record)
            nominal = [one for one in all_of_it if "attack" not in one.settings]
            if not all_of_it:
                return []
            first = (nominal or all_of_it)[0]
        else:
            found = records.find(INFERENCE, record.settings.get("inference"), record.output.analysis)
            if found is None:
                return []
            first = found
        if not attacked:
            return [first]
        trainings = set(records.trainings_of(first).values())
        same = [
            one
            for one in records.of_task(INFERENCE)
            if one is not first
            and "attack" in one.settings
            and set(records.trainings_of(one).values()) == trainings
            and one.settings.get("test") == first.settings.get("test")
        ]
        return [first, *sorted(same, key=lambda one: one.made)]

    def _run(self, given: str, inference: Record, records: Records) -> Run:
        folder, analysis = inference.output.folder, inference.output.analysis
        trainings = {
            name: record
            for name, training in records.trainings_of(inference).items()
            if (record := records.find(TRAINING, training, analysis))
        }
        first = next(iter(trainings.values()), None)
        source, dataset = _dataset_of(inference, records)
        from collidekit.dataset.manifest import read_manifest

        files = tuple(read_manifest(dataset).files) if dataset else ()
        attack = _attack(inference)
        return Run(
            given=given,
            predictions=Predictions.read(folder / "predictions.parquet"),
            folder=folder,
            attack=attack,
            source=source,
            trainings=trainings,
            files=files,
            dataset=dataset,
            analysis=analysis,
            combination=str(inference.settings.get("combine", "")),
            config=dict(first.settings.get("config") or {}) if first else {},
            epochs=_epochs(first) if first else None,
        )


def _epochs(training: Record) -> int | None:
    """Return the number of epochs; None if the history is damaged or not there."""
    try:
        return len(read_history(training.output.folder / "history.csv")) or None
    except CollidekitError:
        return None


def _attack(inference: Record) -> str:
    if not isinstance(settings := inference.settings.get("attack"), dict):
        return ""
    try:
        return attack_name(AttackSettings.model_validate(settings))
    except ValidationError:
        return str(settings.get("attack", "an attack"))


def _dataset_of(inference: Record, records: Records) -> tuple[str, Path | None]:
    """Return the identity of the rows, and their dataset; None if it was removed."""
    analysis = inference.output.analysis
    settings = inference.settings
    if isinstance(members := settings.get("members"), dict):
        parts = [records.find(INFERENCE, member, analysis) for member in members.values()]
        known = [_dataset_of(part, records) for part in parts if part]
        sources = list(dict.fromkeys(source for source, _ in known))
        return "+".join(sources), known[0][1] if known else None
    test = str(settings.get("test", ""))
    dataset = records.find("DatasetConstructorTask", test, analysis)
    if dataset is None and (training := records.find(TRAINING, settings.get("training"), analysis)):
        dataset = records.find("DatasetConstructorTask", training.settings.get("dataset"), analysis)
        test = f"{test} of {training.settings.get('dataset')}"
    return test, dataset.output.folder if dataset else None


def _of_file(given: str, path: Path) -> Run:
    return Run(given, Predictions.read(path), path, analysis=path.stem)


def names_of(runs: Sequence[Run]) -> list[str]:
    """Return a name for each run: the network and the fewest settings that distinguish the runs, else the hash."""
    recipes = [{**run.recipe, "model_name": run.network} for run in runs]
    kinds = [_text_of(recipe) for recipe in recipes]
    used = ["model_name"]
    candidates = dict.fromkeys(key for key in (*FIRST, *(key for recipe in recipes for key in recipe)))
    while len(candidates) and len(used) < MOST and _parts(recipes, used) < len(set(kinds)):
        best = max(candidates, key=lambda key: _parts(recipes, [*used, key]))  # the first one of equal ones
        if _parts(recipes, [*used, best]) == _parts(recipes, used):
            break
        used.append(best)
        candidates.pop(best)
    found = []
    for run, recipe in zip(runs, recipes, strict=True):
        if not run.config:
            found.append(short(run.given).removesuffix(".parquet"))
            continue
        own = [
            f"{key.rpartition('.')[2].replace('_', ' ')} {recipe[key]}"
            for key in used[1:]
            if recipe.get(key) is not None
        ]
        found.append(", ".join([run.network, *own]))
    same = [{kind for kind, other in zip(kinds, found, strict=True) if other == name} for name in found]
    return [
        f"{name} {run.hash}" if len(others) > 1 and run.config else name
        for run, name, others in zip(runs, found, same, strict=True)
    ]


def _parts(recipes: Sequence[dict[str, Any]], keys: Sequence[str]) -> int:
    """Return how many recipes these settings distinguish."""
    return len({tuple(str(recipe.get(key)) for key in keys) for recipe in recipes})


def _text_of(recipe: dict[str, Any]) -> str:
    return str(sorted((name, str(value)) for name, value in recipe.items()))
