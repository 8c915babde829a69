"""Analysis file with the settings of the best point of a grid or search, with absolute paths."""

import os
from os.path import isfile
from pathlib import Path
from typing import Any

import yaml

from collidekit.analysis.load import YamlLoader, read_analysis
from collidekit.analysis.scope import Plan
from collidekit.errors import CollidekitError
from collidekit.files import write_text
from collidekit.plugins import file_and_class
from collidekit.shipped import find_analysis
from collidekit.tasks.settings import PLAIN
from collidekit.tasks.training import TrainingParameters
from collidekit.training.choice import training_config
from collidekit.training.config import TrainingConfig


def portable(task: TrainingParameters) -> dict[str, Any]:
    """Return the content of the analysis file of a task, with absolute paths and the training files."""
    content: dict[str, Any] = yaml.load(find_analysis(str(task.config)).read_text(encoding="utf-8"), Loader=YamlLoader)
    folder = task.analysis_folder
    content = {"name": task.analysis.name, **content}
    content["files"] = _files(task, folder)
    if task.analysis.processor:
        content["processor"] = task.analysis.processor
    if isinstance(content.get("source"), dict) and "format" in content["source"]:
        content["source"]["format"] = task.analysis.source.format
    return content


def write_best(
    path: Path,
    task: TrainingParameters,
    config: TrainingConfig,
    label: str,
    heading: str = "The best point of a grid",
    table: str = "grid.json",
) -> Path:
    """Write the analysis file of a task with these settings as its ``training``; paths in it become absolute.

    The file is read again; an error is raised if its settings differ.
    """
    content = portable(task)
    usual = TrainingConfig().model_dump(mode="json")
    chosen = {
        name: value
        for name, value in config.model_dump(mode="json").items()
        if name not in PLAIN and (value != usual[name] or name == "model_name")
    }
    for name in ("model_name", "objective", "attack"):
        file, owner = file_and_class(str(chosen.get(name, "")))
        if file and isfile(file):
            chosen[name] = os.path.abspath(file) + (f":{owner}" if owner else "")
    content["training"] = chosen
    content.get("recipes", {}).pop(config.model_name, None)
    more = (
        f"# The first weights were from {config.from_checkpoint}: give --from to use them again.\n"
        if config.from_checkpoint
        else ""
    )
    text = f"# {heading}: {label}\n{more}#\n#   collidekit run {path.name}\n\n"
    write_text(path, text + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120))
    read = training_config(Plan(*read_analysis(path)), {})
    wrong = [name for name in usual if name not in PLAIN and getattr(read, name) != getattr(config, name)]
    wrong = [name for name in wrong if name not in ("model_name", "objective", "attack")]
    if wrong:
        raise CollidekitError(
            f"{path}: does not have the value of {wrong[0]} of the best point; take the settings from {table}"
        )
    return path


def _files(task: TrainingParameters, folder: Path) -> dict[str, list[str]]:
    """Return the training files, and the test files of the analysis."""

    def absolute(pattern: str, place: Path) -> str:
        return pattern if "://" in pattern else os.path.abspath(place / os.path.expanduser(pattern))

    given = [absolute(str(pattern), Path.cwd()) for pattern in task.filelist]
    named = task.analysis.files
    training = given or [absolute(pattern, folder) for pattern in named.training]
    found = {"training": training, "test": [absolute(pattern, folder) for pattern in named.test]}
    return {part: patterns for part, patterns in found.items() if patterns}
