"""The benchmark file: data, steps, limits, phases and metrics of a benchmark."""

# ruff: noqa: RUF012 - pydantic copies the defaults

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from posixpath import normpath
from shlex import quote
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, ValidationError, model_validator

from collidekit.analysis.features import wrong
from collidekit.analysis.load import Lines, parse_yaml
from collidekit.benchmark.apart import refuse_shown
from collidekit.benchmark.build_plan import BuildPlan, build_model
from collidekit.benchmark.parameters import Parameter
from collidekit.benchmark.parts import (
    NAME,
    DataFile,
    Ensemble,
    File,
    Limits,
    Metric,
    Name,
    Output,
    Part,
    Phase,
    Reference,
    Sample,
    Step,
    repeated,
)
from collidekit.errors import CollidekitError, did_you_mean

__all__ = [
    "FILE", "NAME", "Benchmark", "DataFile", "Ensemble", "Limits", "Metric", "Output", "Parameter", "Phase", "Reference", "Sample",
    "Step", "load_benchmark",
]  # fmt: skip

FILE = "benchmark.yaml"


class Benchmark(Part):
    """A benchmark."""

    benchmark: Literal[1]
    name: str = Field(pattern=NAME)
    title: str = Field(min_length=1)
    description: str = ""
    instructions: str = ""
    rules: str = ""
    contact: str = ""
    license: str = ""
    """Licence of the public files, as a name of SPDX or a URL, for their Croissant metadata."""
    task: Literal["classification", "assignment", "intervals"] = "classification"
    classes: list[str] = []
    signal: str = ""
    background: str = ""
    key: str = Field("row", min_length=1)
    """Integer column that numbers the rows in features, truth and predictions."""
    truth_column: str = Field("label", min_length=1)
    training: list[File] = []
    """Public data with truth, to learn from."""
    phases: dict[Name, Phase] = Field(min_length=1)
    steps: list[Step] = [Step(name="preprocess", optional=True), Step(name="tagger")]
    parameters: list[Parameter] = []
    output: Output
    limits: Limits = Limits()
    metrics: list[Metric] = Field(min_length=1)
    order: list[str] = []
    """Names of metrics that rank, the first before the second; by default the first metric."""
    ensemble: Ensemble = Ensemble()
    references: list[Reference] = []
    build: BuildPlan | None = None
    """Instructions for ``collidekit benchmark build``."""
    old_format: bool = False
    """True for a benchmark of ROB: its commands find data/, results/ and mydata/ as they do there."""
    folder: Path = Field(Path(), exclude=True)
    """Folder of the file; set when the file is read."""

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        for key, names in (
            ("metrics", [metric.name for metric in self.metrics]),
            ("parameters", [parameter.name for parameter in self.parameters]),
            ("references", [reference.name for reference in self.references]),
            ("steps", [step.name for step in self.steps]),
            ("classes", self.classes),
            ("order", self.order),
        ):
            if twice := repeated(list(names)):
                raise wrong(f"{twice!r} stands twice", key)
        return self

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        names = [metric.name for metric in self.metrics]
        used: list[tuple[tuple[str | int, ...], str]] = [(("order", i), name) for i, name in enumerate(self.order)]
        used += [
            (("references", i, "scores", name), name) for i, one in enumerate(self.references) for name in one.scores
        ]
        for where, name in used:
            if name not in names:
                close = did_you_mean(name, names) or f"; metrics are {', '.join(names)}"
                raise wrong(f"{name!r} is not a metric{close}", *where)
        for key in ("signal", "background"):
            name = getattr(self, key)
            if name and name not in self.classes:
                close = did_you_mean(name, self.classes) or f"; classes are {', '.join(self.classes) or 'not given'}"
                raise wrong(f"there is no class {name!r}{close}", key)
        return self

    @model_validator(mode="after")
    def _build_makes_all_samples(self) -> Self:
        """The section ``build`` has files for each sample of each phase, and for no other."""
        given = {phase: list(sources) for phase, sources in self.build.phases.items()} if self.build else {}
        for phase, names in given.items():
            if phase not in self.phases:
                raise wrong(
                    f"there is no phase {phase!r}{did_you_mean(phase, list(self.phases))}", "build", "phases", phase
                )
            samples = list(self.phases[phase].samples)
            for name in names:
                if name not in samples:
                    close = did_you_mean(name, samples) or f"; samples are {', '.join(samples)}"
                    raise wrong(f"there is no sample {name!r}{close}", "build", "phases", phase, name)
        for phase, entry in self.phases.items() if self.build else ():
            for name in entry.samples:
                if name not in given.get(phase, ()):
                    raise wrong(f"names no files for the sample {name!r}", "build", "phases", phase, name)
        return self

    @model_validator(mode="after")
    def _task_is_complete(self) -> Self:
        if self.task == "classification":
            if len(self.classes) < 2:
                raise wrong("a benchmark of classification needs at least two classes", "classes")
            if self.signal and self.signal == self.background:
                raise wrong(f"signal and background are both {self.signal!r}", "background")
        elif self.classes or self.signal or self.background:
            raise wrong(f"classes, signal and background are for classification, not for {self.task}", "task")
        if self.key == self.truth_column:
            raise wrong(f"key and truth_column are both {self.key!r}", "key")
        if self.key in self.output.columns:
            raise wrong(f"the column {self.key!r} is the key; give another name", "output", "columns")
        if [step.name for step in self.steps][-1:] != ["tagger"]:
            raise wrong("the last step must be the tagger", "steps")
        if self.steps[-1].optional:
            raise wrong("the tagger is not optional", "steps")
        return self

    @model_validator(mode="after")
    def _truth_stays_apart(self) -> Self:
        """No file with truth of a test sample is given to participants."""
        samples = [sample for phase in self.phases.values() for sample in phase.samples.values()]
        public = {normpath(file.path) for sample in samples for file in (sample.features, *sample.public)}
        public |= {normpath(file.path) for file in self.training}
        for phase, entry in self.phases.items():
            for name, sample in entry.samples.items():
                if normpath(sample.truth.path) in public:
                    raise wrong(
                        f"{sample.truth.path!r} is the truth of a test sample, and would be given to the participants",
                        "phases", phase, "samples", name, "truth",
                    )  # fmt: skip
        return self

    def path(self, file: DataFile) -> Path:
        """Return the full path of a file of the benchmark; CollidekitError where a link leads out of its folder."""
        path = self.folder / file.path
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise CollidekitError(f"{path}: leads out of the folder of the benchmark; copy the file into it")
        return path

    def data_files(self, phase: str | None = None) -> Iterator[DataFile]:
        """Yield the files of a phase, or of all phases and of the training."""
        chosen = [self.phases[phase]] if phase is not None else self.phases.values()
        for entry in chosen:
            for sample in entry.samples.values():
                yield from (sample.features, sample.truth, *sample.public)
        yield from self.training

    def truth_files(self) -> dict[Path, str]:
        """Return the SHA-256 of each truth file, by its path; no sandbox may see one of them."""
        samples = [sample for phase in self.phases.values() for sample in phase.samples.values()]
        return {self.folder / sample.truth.path: sample.truth.sha256 for sample in samples}

    def phase(self, name: str) -> Phase:
        """Return a phase; CollidekitError where there is none of this name."""
        if name not in self.phases:
            close = did_you_mean(name, list(self.phases)) or f"; phases are {', '.join(self.phases)}"
            raise CollidekitError(f"{self.folder / FILE}: there is no phase {name!r}{close}")
        return self.phases[name]


def load_benchmark(folder: str | Path) -> Benchmark:
    """Read the benchmark file of a folder, or a benchmark file itself."""
    path = Path(folder)
    path = path / FILE if path.is_dir() else path
    content, lines = read_mapping(path, "a benchmark file", "docs/benchmark-organise.md")
    if "folder" in content:
        raise CollidekitError(f"{lines.at(('folder',))}: folder: unknown key")
    if "benchmark" not in content and "workflow" in content:
        raise CollidekitError(
            f"{path}: is a benchmark file of ROB; convert it with: collidekit benchmark build {quote(str(path.parent))} --into NEW_FOLDER"
        )
    try:
        found = Benchmark.model_validate({**content, "folder": path.parent.absolute()})
    except ValidationError as error:
        raise CollidekitError(problem(error, lines)) from None
    refuse_shown_truth(found)
    return found


def refuse_shown_truth(benchmark: Benchmark, checksums: Mapping[str, str] | None = None) -> None:
    """Raise CollidekitError where a file for participants is the truth of a test sample, a link to it, or a copy of it."""
    truth: dict[str, DataFile] = {}
    public = {f"training.{number}": file for number, file in enumerate(benchmark.training)}
    for phase, entry in benchmark.phases.items():
        for name, sample in entry.samples.items():
            at = f"phases.{phase}.samples.{name}"
            truth[f"{at}.truth"] = sample.truth
            public[f"{at}.features"] = sample.features
            public |= {f"{at}.public.{number}": file for number, file in enumerate(sample.public)}
    refuse_shown(benchmark.folder, str(benchmark.folder / FILE), truth, public, checksums or {})


def read_mapping(path: Path, what: str, page: str) -> tuple[dict[str, Any], Lines]:
    """Return the content of a YAML file of 'key: value' lines, and where its keys stand."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CollidekitError(
            f"{path}: cannot be read as {what} ({getattr(error, 'strerror', None) or error})"
        ) from None
    content, lines = parse_yaml(text, str(path), what)
    if not isinstance(content, dict):
        raise CollidekitError(f"{path}:1: {what} has lines of 'key: value'; see {page}")
    return content, lines


def problem(
    error: ValidationError, lines: Lines, keys: Callable[[tuple[int | str, ...]], list[str]] | None = None
) -> str:
    """Return the first error in one line: where, what, and which keys there are."""
    errors = error.errors()
    first = next((entry for entry in errors if entry["type"] == "extra_forbidden"), errors[0])
    location = (*first["loc"], *first.get("ctx", {}).get("place", ()))
    name = ".".join(str(part) for part in location)
    at = f"{lines.at(location)}: {name + ': ' if name else ''}"
    if first["type"] == "extra_forbidden":
        known = (keys or _keys)(location)
        close = did_you_mean(str(location[-1]), known) or f"; known are {', '.join(known)}"
        return f"{at}unknown key{close}"
    if first["type"] == "missing":
        return f"{at}is required"
    if first["type"] == "timezone_aware":
        return f"{at}needs a time zone, such as 2026-12-24T12:00:00+01:00"
    said = first["msg"].removeprefix("Value error, ")
    given = first.get("input")
    shown = f", got {given!r}" if isinstance(given, str | int | float) and not said.startswith(repr(given)) else ""
    return f"{at}{said[:1].lower() + said[1:]}{shown if 'place' not in first.get('ctx', {}) and first['type'] != 'value_error' else ''}"


def _keys(location: tuple[int | str, ...]) -> list[str]:
    """Return the keys that may stand where a wrong one does."""
    models: dict[str, type[BaseModel]] = {
        "training": DataFile, "steps": Step, "parameters": Parameter, "output": Output, "limits": Limits, "metrics": Metric,
        "ensemble": Ensemble, "references": Reference,
    }  # fmt: skip
    match location:
        case ("phases", _, "samples", _, "features" | "truth" | "public", *_, _):
            model: type[BaseModel] = DataFile
        case ("phases", _, "samples", _, _):
            model = Sample
        case ("phases", *_):
            model = Phase
        case ("build", *_):
            model = build_model(location[1:])
        case (_,):
            model = Benchmark
        case _:
            model = models.get(str(location[0]), Benchmark)
    return [key for key in model.model_fields if key != "folder"]
