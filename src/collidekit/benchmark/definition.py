"""The benchmark file: data, steps, limits, phases and metrics of a benchmark."""

from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from collidekit.analysis.load import Lines, parse_yaml
from collidekit.batch.units import Memory, Time
from collidekit.errors import CollidekitError

FILE = "benchmark.yaml"
NAME = r"^[a-z][a-z0-9_]{0,63}$"
TASKS = ("classification", "assignment", "intervals")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class DataFile(_Part):
    """A file of the benchmark, relative to its folder, and the SHA-256 of its content."""

    path: str
    sha256: str = Field("", pattern=r"^([0-9a-f]{64})?$")


class Sample(_Part):
    """Rows to predict: features for the participant, truth for the scorer, matched by the key."""

    features: DataFile
    truth: DataFile


class Phase(_Part):
    """A stage of the benchmark with its own test rows."""

    samples: dict[str, Sample] = Field(min_length=1)
    """Test samples by name; one named ``nominal``, or several for a robustness benchmark."""
    start: datetime | None = None
    end: datetime | None = None
    submissions_per_day: int = Field(10, ge=1)
    submissions: int = Field(1000, ge=1)
    visible: bool = True
    """False hides the leaderboard of this phase until its end."""


class Limits(_Part):
    """Limits of each step of a run."""

    memory: Memory = "4 GB"  # type: ignore[assignment]
    cpus: float = Field(2, gt=0, le=256)
    processes: int = Field(256, ge=1)
    walltime: Time = "30m"  # type: ignore[assignment]
    output: Memory = "500 MB"  # type: ignore[assignment]
    log: Memory = "5 MB"  # type: ignore[assignment]


class Step(_Part):
    """A step of the participant."""

    name: Literal["preprocess", "tagger"]
    optional: bool = False


class Parameter(_Part):
    """A value that a participant sets for each run."""

    name: str = Field(pattern=NAME)
    label: str = ""
    type: Literal["string", "int", "float", "bool", "select", "file", "list", "record", "actor"] = "string"
    default: Any = None
    required: bool = False
    choices: list[str] = []
    minimum: float | None = None
    maximum: float | None = None
    help: str = ""


class Output(_Part):
    """The predictions file that the last step writes for each sample."""

    columns: list[str] = Field(min_length=1)
    """Columns with a number for each row, such as ``top``; also the last axis of a npy array."""
    minimum: float | None = None
    maximum: float | None = None
    runs: int = Field(1, ge=1, le=1000)
    """Most trainings in one submission: an ensemble is an array (runs, rows) or files ``predictions_0``, ``predictions_1``."""


class Metric(_Part):
    """A score on the leaderboard."""

    name: str = Field(pattern=NAME)
    metric: str
    """Name of the scoring function, such as ``auc`` or ``background_rejection``."""
    settings: dict[str, Any] = {}
    """Settings of the scoring function, such as ``signal_efficiency: 0.3``."""
    label: str = ""
    direction: Literal["higher", "lower"] = "higher"
    precision: int | None = Field(None, ge=0, le=10)


class Ensemble(_Part):
    """How the runs of an ensemble become one score."""

    rule: Literal["median", "mean"] = "median"
    outliers: Literal["none", "rob"] = "none"
    """``rob`` leaves out runs outside mean +- 3 standard deviations of the runs between the 1/6 and 5/6 quantiles."""


class Reference(_Part):
    """A published tagger that stands on the leaderboard as a grey row, without rank."""

    name: str
    scores: dict[str, float]
    errors: dict[str, float] = {}
    source: str


class Benchmark(_Part):
    """A benchmark."""

    benchmark: Literal[1]
    name: str = Field(pattern=NAME)
    title: str
    description: str = ""
    instructions: str = ""
    rules: str = ""
    contact: str = ""
    task: Literal["classification", "assignment", "intervals"] = "classification"
    classes: list[str] = []
    signal: str = ""
    background: str = ""
    key: str = "row"
    """Integer column that numbers the rows in features, truth and predictions."""
    truth_column: str = "label"
    training: list[DataFile] = []
    """Public data with truth, to learn from."""
    phases: dict[str, Phase] = Field(min_length=1)
    steps: list[Step] = [Step(name="preprocess", optional=True), Step(name="tagger")]
    parameters: list[Parameter] = []
    output: Output
    limits: Limits = Limits()
    metrics: list[Metric] = Field(min_length=1)
    order: list[str] = []
    """Names of metrics that rank, the first before the second; by default the first metric."""
    ensemble: Ensemble = Ensemble()
    references: list[Reference] = []
    build: dict[str, Any] = {}
    """How ``collidekit benchmark build`` makes the files, such as ``analysis: top_tagging``."""
    folder: Path = Field(Path(), exclude=True)
    """Where the file lies; set when it is read."""

    @model_validator(mode="after")
    def _names_exist(self) -> "Benchmark":
        names = [metric.name for metric in self.metrics]
        for name in self.order:
            if name not in names:
                raise ValueError(f"order: {name!r} is not a metric; metrics are {', '.join(names)}")
        return self

    def path(self, file: DataFile) -> Path:
        """Return the full path of a file of the benchmark."""
        return self.folder / file.path


def load_benchmark(folder: str | Path) -> Benchmark:
    """Read the benchmark file of a folder, or a benchmark file itself."""
    path = Path(folder)
    path = path / FILE if path.is_dir() else path
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CollidekitError(f"{path}: cannot be read as a benchmark file ({error})") from None
    content, lines = parse_yaml(text, str(path), "a benchmark file")
    if not isinstance(content, dict):
        raise CollidekitError(f"{path}:1: a benchmark file has lines of 'key: value'; see docs/benchmark-organise.md")
    try:
        return Benchmark.model_validate({**content, "folder": path.parent})
    except ValidationError as error:
        raise CollidekitError(_message(error, lines)) from None


def _message(error: ValidationError, lines: Lines) -> str:
    first = error.errors()[0]
    location = tuple(part for part in first["loc"])
    name = ".".join(str(part) for part in location)
    return f"{lines.at(location)}: {name + ': ' if name else ''}{first['msg'].removeprefix('Value error, ')}"
