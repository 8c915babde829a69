"""The model card of a published model, with marks for text that only the author can add."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from collidekit.analysis.schema import Analysis
from collidekit.evaluation.assignment import HEADER, Found
from collidekit.evaluation.classification.rejection import Rejection
from collidekit.evaluation.numbers import with_error
from collidekit.evaluation.residuals import Residuals
from collidekit.plain_text import without_controls
from collidekit.shipped import load_plan, shipped_analyses
from collidekit.training.config import TrainingConfig
from collidekit.training.effect import attack_without_effect

_SPECIAL = re.compile(r"[\\`*\[\]|#!~$]|(?<!\w)_|_(?!\w)")
"""Characters with a meaning in Markdown; an underscore inside a word has none."""
_TICKS = re.compile(r"`+")

MARK = "AUTHOR:"
"""Mark for text that the author must add."""


def write_card(name: str, description: dict[str, Any], analysis: Analysis, config: TrainingConfig) -> str:
    """Return the model card as Markdown."""
    environment = Environment(
        loader=PackageLoader("collidekit.bundle"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"text": escape_markdown, "code": inline_code}
    return environment.get_template("card.md.j2").render(
        name=name,
        fence=_fence,
        quoted_name=shlex.quote(" ".join(without_controls(name).split())),
        mark=f"**{MARK}**",
        network=description["network"],
        bytes=description["weights"]["bytes"],
        training=description["training"],
        data=description["data"],
        scores=[_score(entry) for entry in description["scores"]],
        judged=description["judged"],
        residuals=[Residuals.read(entry).cells() for entry in description.get("residuals", ())],
        assignments=[Found.read(entry).cells() for entry in description.get("assignments", ())],
        assignment_header=HEADER,
        provenance=description["provenance"],
        folds=config.folds,
        fold_name=config.fold_name,
        settings=_settings(config),
        header=hub_header(name, description, analysis),
        analysis=analysis,
        is_bundled=_is_bundled(analysis),
        analysis_text=yaml.safe_dump(analysis.model_dump(mode="json", exclude_defaults=True), sort_keys=False),
        command=repeat_command(analysis, config, list(description["training"].get("files", {}))),
    )


def _settings(config: TrainingConfig) -> dict[str, str]:
    """Return the settings of the training; settings of attacks only if they have an effect."""
    unused = attack_without_effect(config)
    return {name: _as_text(getattr(config, name)) for name in TrainingConfig.model_fields if name not in unused}


def hub_header(name: str, description: dict[str, Any], analysis: Analysis) -> str:
    """Return the metadata of model hubs at the top of a card, as YAML: the purpose of the model, and its AUCs if measured.

    The author must add the licence, as ``license: ...``.
    """
    content: dict[str, Any] = {
        "library_name": "collidekit",
        "pipeline_tag": "tabular-classification" if analysis.classes else "tabular-regression",
        "tags": ["high-energy-physics", "pytorch", description["network"]["name"]],
    }
    if description["scores"]:
        content["metrics"] = ["roc_auc"]
        data = {"type": "tabular", "name": str(description["data"].get("description") or analysis.name)}
        scores = [
            {"type": "roc_auc", "name": f"AUC of {entry['name']}", "value": round(float(entry["auc"]), 6)}
            for entry in description["scores"]
        ]
        task = {"type": "tabular-classification"}
        content["model-index"] = [{"name": name, "results": [{"task": task, "dataset": data, "metrics": scores}]}]
    return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)).strip()


def escape_markdown(text: Any) -> str:
    """Return a text as one line with all Markdown and HTML marks escaped."""
    line = " ".join(without_controls(str(text)).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\g<0>", line)


def inline_code(text: Any) -> str:
    """Return a text as inline code, which may contain backticks."""
    line = " ".join(without_controls(str(text)).split()).replace("|", "\\|")
    mark = "`" * (max(map(len, _TICKS.findall(line)), default=0) + 1)
    return f"{mark} {line} {mark}" if "`" in line else f"`{line}`"


def _fence(text: str) -> str:
    """Return a fence with more backticks than any sequence in the text."""
    return "`" * max(3, max(map(len, _TICKS.findall(text)), default=0) + 1)


def repeat_command(analysis: Analysis, config: TrainingConfig, files: list[str]) -> str:
    """Return the command that repeats the training, with all settings that the analysis does not recommend."""
    recommended = TrainingConfig.model_validate(analysis.training)
    words = ["collidekit", "run", analysis.name if _is_bundled(analysis) else "analysis.yaml"]
    for file in files or ["YOUR_FILES"]:
        words += ["--files", file]
    for name in TrainingConfig.model_fields:
        value = getattr(config, name)
        if name == "seed" or value != getattr(recommended, name):
            words += ["--set", f"{name}={_as_text(value)}"]
    return shlex.join(words)


def _as_text(value: Any) -> str:
    if isinstance(value, dict):
        return json.dumps(value)
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    return "none" if value is None else str(value)


def _is_bundled(analysis: Analysis) -> bool:
    """Return whether a bundled analysis has this name and content."""
    if analysis.name not in shipped_analyses():
        return False
    ours = load_plan(analysis.name).analysis
    return ours.fingerprint == analysis.fingerprint and ours.training == analysis.training


def _score(entry: dict[str, Any]) -> dict[str, Any]:
    rejections = [Rejection(**one) for one in entry["rejections"]]
    return {
        **entry,
        "auc": with_error(entry["auc"], entry["auc_error"]),
        "targets": [f"{r.signal_efficiency:g}" for r in rejections],
        "rejections": [f"{r} ({r.surviving:,} left)" for r in rejections],
    }


def open_marks(card: Path) -> int:
    """Return the number of marks in a card for the author."""
    return card.read_text(encoding="utf-8").count(MARK)
