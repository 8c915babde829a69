"""Benchmark files of ROB and flowserv (0.8 and later): what they say, as a benchmark of collidekit."""

from pathlib import Path
from typing import Any

from attrs import frozen
from pydantic import ValidationError

from collidekit.benchmark.definition import FILE, Benchmark
from collidekit.benchmark.old_commands import STEPS, actor
from collidekit.benchmark.old_parameters import old_parameter
from collidekit.benchmark.old_yaml import OldYaml, read_old_yaml
from collidekit.benchmark.submission import slug
from collidekit.errors import CollidekitError

FLOWSERV = ("flowserv.yaml", "flowserv.yml")
METRICS: dict[str, dict[str, Any]] = {
    "bg_reject": {
        "metric": "background_rejection",
        "settings": {"signal_efficiency": 0.5, "interpolation": "linear"},
        "direction": "higher",
    },
    "auc": {"metric": "auc", "direction": "higher"},
}
"""Results of the demo and their metrics."""
SPREADS = {"bg_reject_std": "bg_reject", "auc_std": "auc"}
"""Results of the demo that are the standard deviation over the runs of another one; here each score has its spread."""


@frozen
class OldBenchmark:
    """A benchmark that was read from files of ROB, and what is to be known of the conversion."""

    path: Path
    """The file of ROB."""
    content: dict[str, Any]
    """The value as it is written into a benchmark file."""
    warnings: list[str]

    def benchmark(self, folder: Path) -> Benchmark:
        """Return the benchmark, as if its file lay in a folder; CollidekitError where a value is none of collidekit."""
        try:
            return Benchmark.model_validate({**self.content, "folder": folder})
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, (*first["loc"], *first.get("ctx", {}).get("place", ()))))
            said = first["msg"].removeprefix("Value error, ")
            raise CollidekitError(f"{self.path}: cannot be converted: {where}: {said}") from None


def is_old_format(folder: Path) -> bool:
    """Return whether the benchmark file of a folder is one of ROB."""
    path = _specification(folder)
    if not path.is_file():
        return False
    try:
        content = read_old_yaml(path).content
    except CollidekitError:
        return False
    return "workflow" in content and "benchmark" not in content


def read_old_format(folder: Path) -> OldBenchmark:
    """Read ``flowserv.yaml`` and the benchmark file of ROB that it names.

    Raises CollidekitError for a file of flowserv before 0.8, and for results that are none of the demo's.
    """
    path = _specification(folder)
    about, warnings = _flowserv(folder)
    read: OldYaml = read_old_yaml(path)
    content = read.content
    workflow = content.get("workflow")
    if not isinstance(workflow, dict):
        raise CollidekitError(f"{path}: has no 'workflow', as benchmark files of ROB have")
    if "version" in workflow or "modules" in content or not isinstance(workflow.get("steps"), list):
        raise CollidekitError(
            f"{path}: is of flowserv before 0.8, whose steps have no 'action'; bring it to 0.8 or later first"
        )
    parameters = [old_parameter(entry, f"{path}: parameters") for entry in _list(content, "parameters", path)]
    steps, fixed = _steps(workflow["steps"], [entry["name"] for entry in parameters], path)
    metrics, order, left_out = _metrics(content, path)
    title = str(about.get("name") or folder.resolve().name)
    warnings = [*read.warnings, *warnings]
    if fixed:
        warnings.append(
            f"{path}: the step {', '.join(map(repr, fixed))} of the organiser becomes the scorer of collidekit, outside of the sandbox"
        )
    if left_out:
        warnings.append(
            f"{path}: results {', '.join(left_out)} are no columns of their own: each score has its spread over the runs, and scores within "
            "their errors share a rank"
        )
    if "postproc" in content:
        warnings.append(f"{path}: postproc is left out: the leaderboard draws all ROC curves itself")
    found = {
        "benchmark": 1, "name": slug(title), "title": title, "description": str(about.get("description", "")),
        "instructions": _instructions(folder, about), "task": "classification", "classes": ["qcd", "top"], "signal": "top",
        "background": "qcd", "phases": _phases(), "steps": steps, "parameters": parameters, "output": {"columns": ["top"], "runs": 1000},
        "metrics": metrics, "order": order, "ensemble": {"rule": "median", "outliers": "rob"}, "old_format": True,
    }  # fmt: skip
    return OldBenchmark(path, {key: value for key, value in found.items() if value != ""}, warnings)


def _specification(folder: Path) -> Path:
    """The benchmark file: the one that flowserv.yaml names, else ``benchmark.yaml``."""
    for name in FLOWSERV:
        if (folder / name).is_file():
            named = read_old_yaml(folder / name).content.get("specfile", FILE)
            path = folder / str(named)
            if not path.resolve().is_relative_to(folder.resolve()):
                raise CollidekitError(f"{folder / name}: specfile {named!r} lies outside of the folder")
            return path
    return folder / FILE


def _flowserv(folder: Path) -> tuple[dict[str, Any], list[str]]:
    for name in FLOWSERV:
        if (folder / name).is_file():
            found = read_old_yaml(folder / name)
            return found.content, found.warnings
    return {}, []


def _instructions(folder: Path, about: dict[str, Any]) -> str:
    named = about.get("instructions")
    if not named:
        return ""
    for path in (folder / str(named), folder / "benchmark" / str(named)):
        if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
            return path.read_text(encoding="utf-8", errors="replace")
    return str(named)


def _list(content: dict[str, Any], key: str, path: Path) -> list[dict[str, Any]]:
    found = content.get(key, [])
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise CollidekitError(f"{path}: {key} is no list of 'key: value' lines")
    return found


def _steps(given: list[Any], parameters: list[str], path: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Steps of the participant, and names of those of the organiser."""
    found, fixed = [], []
    for step in given:
        if not isinstance(step, dict) or "action" not in step:
            raise CollidekitError(f"{path}: workflow: each step needs 'name' and 'action'")
        action, name = step["action"], str(step.get("name", "?"))
        if isinstance(action, str):
            parameter = action.strip().removeprefix("$[[").removesuffix("]]")
            if parameter not in parameters or parameter not in STEPS:
                raise CollidekitError(
                    f"{path}: workflow: step {name!r}: {action!r} is no parameter of the pre-processing or the tagger"
                )
            found.append({"name": STEPS[parameter], **({"optional": True} if STEPS[parameter] == "preprocess" else {})})
        else:
            actor(action, f"{path}: workflow: step {name!r}")
            fixed.append(name)
    if [step["name"] for step in found][-1:] != ["tagger"]:
        raise CollidekitError(f"{path}: workflow: no step of the participant is the tagger")
    return found, fixed


def _metrics(content: dict[str, Any], path: Path) -> tuple[list[dict[str, Any]], list[str], list[str]]:
    """Metrics, their order, and results that are the spread of others."""
    results = content.get("results")
    if not isinstance(results, dict):
        raise CollidekitError(f"{path}: has no 'results' with a schema")
    metrics, left_out = [], []
    directions = {
        str(entry.get("name")): "higher" if entry.get("sortDesc", True) else "lower"
        for entry in _list(results, "orderBy", path)
    }
    for entry in _list(results, "schema", path):
        name = str(entry.get("name", ""))
        if name in SPREADS:
            left_out.append(name)
        elif name not in METRICS:
            raise CollidekitError(
                f"{path}: results: {name!r} is no result of the demo ({', '.join([*METRICS, *SPREADS])}); write a benchmark file with the metric "
                "that it stands for"
            )
        else:
            metric = {"name": name, **METRICS[name], "label": str(entry.get("label", name))}
            metrics.append({**metric, "direction": directions.get(name, metric["direction"])})
    if not metrics:
        raise CollidekitError(f"{path}: results: the schema names no result")
    names = [metric["name"] for metric in metrics]
    return metrics, [name for name in directions if name in names] or names[:1], left_out


def _phases() -> dict[str, Any]:
    sample = {"features": "data/features.parquet", "truth": "truth/truth.parquet", "public": ["data/test_jets.pkl"]}
    return {"public": {"samples": {"nominal": sample}}}
