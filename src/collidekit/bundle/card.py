"""The card of a published model: what is known, and a mark where only the author can say it."""

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
"""What Markdown gives a meaning; an underscore within a word has none."""
_TICKS = re.compile(r"`+")

MARK = "AUTHOR:"
"""Stands where a card needs words that no program knows."""


def write_card(name: str, description: dict[str, Any], analysis: Analysis, config: TrainingConfig) -> str:
    """The card as Markdown."""
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
        ships=_ships(analysis),
        analysis_text=yaml.safe_dump(analysis.model_dump(mode="json", exclude_defaults=True), sort_keys=False),
        command=repeat_command(analysis, config, list(description["training"].get("files", {}))),
    )


def _settings(config: TrainingConfig) -> dict[str, str]:
    """The settings of the recipe; those of attacks only where they act."""
    unused = attack_without_effect(config)
    return {name: _as_text(getattr(config, name)) for name in TrainingConfig.model_fields if name not in unused}


def hub_header(name: str, description: dict[str, Any], analysis: Analysis) -> str:
    """The metadata of model hubs at the top of a card, as YAML: what the model is for, and its AUCs where they were measured.

    The licence is the author's to add, as ``license: ...``.
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
    """A text of somebody's as Markdown shows it: neither HTML nor links, tables or other marks, and on one line."""
    line = " ".join(without_controls(str(text)).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\g<0>", line)


def inline_code(text: Any) -> str:
    """A text as code within a line, which holds its own backticks."""
    line = " ".join(without_controls(str(text)).split()).replace("|", "\\|")
    mark = "`" * (max(map(len, _TICKS.findall(line)), default=0) + 1)
    return f"{mark} {line} {mark}" if "`" in line else f"`{line}`"


def _fence(text: str) -> str:
    """More backticks than a block of code holds one after another."""
    return "`" * max(3, max(map(len, _TICKS.findall(text)), default=0) + 1)


def repeat_command(analysis: Analysis, config: TrainingConfig, files: list[str]) -> str:
    """The command that trains the same again: what the analysis does not recommend itself is given."""
    recommended = TrainingConfig.model_validate(analysis.training)
    words = ["collidekit", "run", analysis.name if _ships(analysis) else "analysis.yaml"]
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


def _ships(analysis: Analysis) -> bool:
    """Whether the analysis of that name ships, with the same content."""
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
    """How many places of a card wait for the author."""
    return card.read_text(encoding="utf-8").count(MARK)
