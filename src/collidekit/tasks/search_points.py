"""Training of a trial from its settings, and check of the space before the first training."""

import csv
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import law
import yaml

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.look import first_look
from collidekit.errors import CollidekitError
from collidekit.files import write_text
from collidekit.readers.base import LostServerError
from collidekit.sealed import as_written
from collidekit.search.measured import Epochs, Measured
from collidekit.search.names import ANALYSIS, OPTIONS, with_keys
from collidekit.search.parameter import Parameter
from collidekit.search.space import Space
from collidekit.tasks.base import run_with_requirements
from collidekit.tasks.best_analysis import portable
from collidekit.tasks.training import TrainingParameters, TrainingTask
from collidekit.training.checkpoint import kept_epoch, load_checkpoint
from collidekit.training.choice import check_network, training_config
from collidekit.training.config import TrainingConfig


def training_of(task: TrainingParameters, values: Mapping[str, Any], seed: int, folder: Path) -> TrainingTask:
    """Return the training of a trial; a changed analysis is written as a file into ``folder``."""
    keys = {name: value for name, value in values.items() if name.startswith(f"{ANALYSIS}.")}
    options = {name.partition(".")[2]: value for name, value in values.items() if name.startswith(f"{OPTIONS}.")}
    flat: dict[str, Any] = {name: _plain(value) for name, value in values.items() if "." not in name}
    if keys:
        flat["config"] = str(_write(folder, with_keys(portable(task), keys)))
    if options:
        base = TrainingTask.req(task, **flat, seed=seed)
        flat[OPTIONS] = law.util.DotDict({**base.training_config().model_options, **options})
    found: TrainingTask = TrainingTask.req(task, **flat, seed=seed)
    return found


def _plain(value: Any) -> Any:
    """Return a value in the form of task parameters; lists become comma-separated text."""
    return ",".join(map(str, value)) if isinstance(value, list) else value


def _write(folder: Path, content: dict[str, Any]) -> Path:
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
    path = folder / f"{zlib.crc32(text.encode()):08x}.yaml"
    return path if path.exists() else write_text(path, f"# Analysis file of a trial of a search.\n{text}")


def check_space(task: TrainingParameters, space: Space, seed: int) -> None:
    """Raise an error for an invalid value of the space: all values of lists, both ends of ranges."""
    for parameter in space:
        for value in parameter.limits():
            try:
                _check(task, parameter.name, value, seed)
            except CollidekitError as error:
                raise CollidekitError(_in_space(parameter, value, str(error), str(task.config))) from None


def _in_space(parameter: Parameter, value: Any, said: str, config: str) -> str:
    """Return an error about a value with its place in the space file, where settings have no options of their own."""
    name = parameter.name
    said = said.removeprefix(f"--{name.replace('_', '-')}: ")
    for setting in TrainingConfig.model_fields:
        said = re.sub(rf"--{setting.replace('_', '-')}(?![\w-])", f"--set {setting}", said)
    if name.startswith(f"{ANALYSIS}."):
        said = re.sub(rf"{re.escape(config)}:\d+", config, said)  # lines of the changed analysis, not of the file
    return f"{parameter.where}: {name} = {value}: {said}"


def check_choices(task: TrainingParameters, space: Space) -> None:
    """Raise an error for a value of a list that does not fit the training files; the first file is read."""
    files = task.files() if task.skip_bad_files else task.files()[:1]
    for parameter in space:
        for value in parameter.values if parameter.name.startswith(f"{ANALYSIS}.") else ():
            try:
                first_look(_plan_with(task, parameter.name, value), files, task.skip_bad_files, progress=False)
            except LostServerError:
                raise
            except CollidekitError as error:
                raise CollidekitError(_in_space(parameter, value, str(error), str(task.config))) from None


def _plan_with(task: TrainingParameters, name: str, value: Any) -> Plan:
    """Return the analysis of a task with another value of a key."""
    text = yaml.safe_dump(with_keys(portable(task), {name: value}), sort_keys=False, allow_unicode=True)
    return Plan(*parse_analysis(text, str(task.config)))


def _check(task: TrainingParameters, name: str, value: Any, seed: int) -> None:
    if name.startswith(f"{ANALYSIS}."):
        plan = _plan_with(task, name, value)
        given = {} if task.model_name is None else {"model_name": task.model_name}
        check_network(plan.analysis, training_config(plan, given))
    else:
        training = training_of(task, {name: value}, seed, Path())
        check_network(training.analysis, training.training_config())


def train_and_measure(training: TrainingTask, seed: int, report: Any, shown: bool = True) -> Measured:
    """Train, or use the existing training; call ``report`` with the epochs in both cases."""
    run_with_requirements(training.requires()["dataset"])
    if not training.complete():
        training.after_epoch, training.shown, training.keep_epochs = report, shown, False
        try:
            run_with_requirements(training)
        finally:
            training.after_epoch, training.shown, training.keep_epochs = None, True, True
            training.remove_epochs()  # also after an early end
    rows = _history(training.folder)
    report(rows)
    return _measure(training, seed, rows)


def _history(folder: Path) -> Epochs:
    path = folder / "history.csv"
    with as_written(path), path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _measure(training: TrainingTask, seed: int, rows: Epochs) -> Measured:
    checkpoint = load_checkpoint(training.folder / "best_model.pt")
    kept = kept_epoch(training.folder, rows)
    figures = {name: float(value) for name, value in kept.items() if value not in (None, "")}
    parameters = sum(p.numel() for p in checkpoint.tagger.parameters() if p.requires_grad)
    return Measured(
        seed, training.folder, training.hash, checkpoint.epoch, figures, parameters, _validation_rows(training)
    )


def _validation_rows(training: TrainingTask) -> str:
    """Return an identity of the validation set of a training: number of rows, checksum of their keys, and split."""
    dataset = training.requires()["dataset"].dataset(training.training_config().n_train_files)
    config = training.training_config()
    keys = zlib.crc32(dataset.column("key").tobytes())
    share = f"train_val_split {config.train_val_split:g}"
    part = f"fold {config.fold} of {config.folds}" if config.folds else share
    if config.fold_rule != "hash":
        part += f" by {config.fold_rule}"
    if config.folds == 2:
        part += f", {share}"
    return f"{len(dataset):,} rows with checksum {keys:08x}, {part}"
