"""``collidekit benchmark init``: a submission to begin with, by hand or from a bundle."""

import json
import shutil
from collections.abc import Mapping
from importlib.resources import files
from math import inf
from pathlib import Path
from typing import Any

import yaml

from collidekit.analysis.estimates import level_of
from collidekit.benchmark.bundle_analysis import analysis_for
from collidekit.benchmark.definition import Benchmark
from collidekit.benchmark.submission import SUBMISSION_FILE
from collidekit.errors import CollidekitError
from collidekit.files import gathering
from collidekit.plain_text import without_controls
from collidekit.runtime.folder import read_generic
from collidekit.runtime.schema import Schema

EXAMPLES = {
    "classification": "    return {name: rng.uniform(size=rows) for name in COLUMNS}",
    "several classes": "    values = rng.dirichlet(np.ones(len(COLUMNS)), size=rows)  # probabilities that add up to 1\n"
    "    return {name: values[:, k] for k, name in enumerate(COLUMNS)}",
    "assignment": "    return {name: np.full(rows, place) for place, name in enumerate(COLUMNS)}  # positions, from 0; -1 for none",
    "intervals": "    return {name: np.full(rows, float(place)) for place, name in enumerate(COLUMNS)}",
}
IGNORED = ("__pycache__",)


def write_submission(
    folder: Path, benchmark: Benchmark | None = None, bundle: Path | None = None, name: str = ""
) -> Path:
    """Write a submission into a new folder: one that predicts random numbers, or one that predicts with a bundle.

    Raises CollidekitError where the folder holds a submission already, or the bundle has no output for a column.
    """
    if (folder / SUBMISSION_FILE).exists():
        raise CollidekitError(f"{folder / SUBMISSION_FILE}: is there already; name a new folder")
    mapping = {} if bundle is None else columns_of_bundle(bundle, benchmark)
    analysis = analysis_for(bundle, benchmark) if bundle and benchmark else None
    fill = {
        "@NAME@": _yaml_line(name or folder.resolve().name),
        "@COLUMNS@": json.dumps(benchmark.output.columns if benchmark else ["top"]),
        "@EXAMPLE@": EXAMPLES[_kind(benchmark)],
        "@PARAMETERS@": _parameters(benchmark),
        "@MAPPING@": json.dumps(mapping),
    }
    with gathering(folder) as staging:
        _copy(files("collidekit.benchmark") / "templates" / "submission", staging, fill)
        if bundle is not None:
            text = (files("collidekit.benchmark") / "templates" / "from_bundle" / "tagger.py.template").read_text(
                encoding="utf-8"
            )
            (staging / "my_tagger" / "tagger.py").write_text(_filled(text, fill), encoding="utf-8")
            shutil.copytree(bundle, staging / "mydata" / "bundle", symlinks=False)
            if analysis is not None:
                (staging / "mydata" / "analysis.json").write_text(analysis.model_dump_json(indent=1), encoding="utf-8")
            (staging / "requirements.txt").write_text("collidekit-runtime\n", encoding="utf-8")
    return folder


def _kind(benchmark: Benchmark | None) -> str:
    if benchmark is None:
        return "classification"
    return (
        "several classes"
        if benchmark.task == "classification" and len(benchmark.output.columns) > 1
        else benchmark.task
    )


def _parameters(benchmark: Benchmark | None) -> str:
    """Lines of the parameters of a benchmark: those with a default as comments."""
    shown = [parameter for parameter in benchmark.parameters if parameter.type != "actor"] if benchmark else []
    if not shown:
        return ""
    lines = []
    for parameter in shown:
        value = "" if parameter.default is None else _yaml_line(parameter.default)
        about = " ".join(without_controls(parameter.label or parameter.help or parameter.type).split())
        lines.append(f"  {'' if parameter.required else '# '}{parameter.name}: {value}  # {about}")
    head = "parameters:" if any(parameter.required for parameter in shown) else "# parameters:"
    return "\n".join([head, *lines])


class _LineDumper(yaml.SafeDumper):  # type: ignore[misc]
    """Writes texts with line breaks in double quotes, with escapes instead of line breaks."""


_LineDumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style='"' if text.splitlines() not in ([], [text]) else None
    ),
)


def _yaml_line(value: Any) -> str:
    """Return a value as YAML in one line, however long it is."""
    text: str = yaml.dump(value, Dumper=_LineDumper, default_flow_style=True, width=inf)
    return text.removesuffix("...\n").strip()


def _copy(source: Any, target: Path, fill: Mapping[str, str]) -> None:
    target.mkdir(exist_ok=True)
    for entry in source.iterdir():
        if entry.name in IGNORED:
            continue
        if entry.is_dir():
            _copy(entry, target / entry.name, fill)
        else:
            (target / entry.name.removesuffix(".template")).write_text(
                _filled(entry.read_text(encoding="utf-8"), fill), encoding="utf-8"
            )


def _filled(text: str, fill: Mapping[str, str]) -> str:
    for mark, value in fill.items():
        text = text.replace(mark, value)
    return text.rstrip() + "\n"


def columns_of_bundle(bundle: Path, benchmark: Benchmark | None) -> dict[str, str]:
    """Return the column of a bundle's predictions for each column of a benchmark's output.

    It is the probability of the class, the position in the slot, the column of the same name, or for ``low`` and ``high`` the
    outermost quantiles within one standard deviation of an only value. Raises CollidekitError where there is none.
    """
    schema = read_generic(bundle)
    known = [entry.name for entry in schema.outputs]
    if benchmark is None:
        wanted = [entry.name for entry in schema.outputs if entry.kind == "probability"][-1:]
        if not wanted:
            raise CollidekitError(f"{bundle}: has no probabilities of classes; name the benchmark that it is for")
        return {wanted[0].removeprefix("prob_"): wanted[0]}
    ends = _ends(schema)
    found = {}
    for name in benchmark.output.columns:
        column = next(
            (one for one in (f"prob_{name}", f"index_{name}", f"pred_{name}", name) if one in known), ends.get(name)
        )
        if column is None:
            raise CollidekitError(
                f"{bundle}: has no output for the column {name!r} of the benchmark; its outputs are {', '.join(known)}"
            )
        found[name] = column
    return found


def _ends(schema: Schema) -> dict[str, str]:
    """Quantiles 0.16 and 0.84 of the only value that has them, as ``low`` and ``high``."""
    quantiles: dict[str, dict[float, str]] = {}
    for entry in schema.outputs:
        value, _, suffix = entry.name.rpartition("_")
        if entry.name.startswith("pred_") and (level := level_of(suffix)) is not None:
            quantiles.setdefault(value, {})[level] = entry.name
    if len(quantiles) != 1:
        return {}
    (levels,) = quantiles.values()
    return {"low": levels[0.16], "high": levels[0.84]} if {0.16, 0.84} <= set(levels) else {}
