"""Parts of a benchmark file: files, samples, phases, limits, parameters, metrics, references."""

from math import isfinite
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    model_validator,
)

from collidekit.batch.units import Memory, Time
from collidekit.errors import did_you_mean

NAME = r"^[a-z][a-z0-9_]{0,63}$"
Name = Annotated[str, Field(pattern=NAME)]


class Part(BaseModel):
    """A part of a benchmark file: an unknown key is an error, values are fixed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith(("/", "~")) or ".." in parts or "\\" in path or "\0" in path:
        raise ValueError(f"{path!r} is not a path inside the folder of the benchmark, such as public/features.parquet")
    return path


InsidePath = Annotated[str, AfterValidator(inside)]
"""A relative path that does not leave its folder."""


def _from_text(value: Any) -> Any:
    """``truth.parquet`` is short for ``{path: truth.parquet}``."""
    return {"path": value} if isinstance(value, str) else value


class DataFile(Part):
    """A file of the benchmark, relative to its folder, and the SHA-256 of its content."""

    path: InsidePath
    sha256: str = Field("", pattern=r"^([0-9a-f]{64})?$")


File = Annotated[DataFile, BeforeValidator(_from_text)]


class Sample(Part):
    """Rows to predict: features for the participant, truth for the scorer, matched by the key."""

    features: File
    truth: File
    public: list[File] = []
    """More files without truth that the participant finds in /data, such as the features in another format."""


def _with_zone(value: Any) -> Any:
    if getattr(value, "tzinfo", None) is None and not isinstance(value, str):
        raise ValueError(f"{value} has no time of day with a time zone; write 2026-12-24T12:00:00+01:00")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_with_zone)]
"""A time with a time zone."""


class Phase(Part):
    """A stage of the benchmark with its own test rows."""

    samples: dict[Name, Sample] = Field(min_length=1)
    """Test samples by name; one named ``nominal``, or several for a robustness benchmark."""
    start: Moment | None = None
    end: Moment | None = None
    submissions_per_day: int = Field(10, ge=1)
    submissions: int = Field(1000, ge=1)
    visible: bool = True
    """False hides the leaderboard of this phase until its end."""

    @model_validator(mode="after")
    def _ends_after_start(self) -> Self:
        if self.start and self.end and self.end <= self.start:
            raise ValueError(f"end {self.end} is not after start {self.start}")
        if not self.visible and not self.end:
            raise ValueError("a leaderboard that is hidden until the end needs an end")
        return self


class Limits(Part):
    """Limits of each step of a run."""

    memory: Memory = "4 GB"  # type: ignore[assignment]
    cpus: float = Field(default=2, gt=0, le=256)
    processes: int = Field(default=256, ge=1)
    walltime: Time = "30m"  # type: ignore[assignment]
    output: Memory = "500 MB"  # type: ignore[assignment]
    log: Memory = "5 MB"  # type: ignore[assignment]


class Step(Part):
    """A step of the participant."""

    name: Literal["preprocess", "tagger"]
    optional: bool = False


class Output(Part):
    """The predictions file that the last step writes for each sample."""

    columns: list[str] = Field(min_length=1)
    """Columns with a number for each row, such as ``top``; also the last axis of a npy array."""
    minimum: FiniteFloat | None = None
    maximum: FiniteFloat | None = None
    runs: int = Field(1, ge=1, le=1000)
    """Most trainings in one submission: an ensemble is an array (runs, rows) or files ``predictions_0``, ``predictions_1``."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if twice := repeated(self.columns):
            raise ValueError(f"column {twice!r} stands twice")
        if self.minimum is not None and self.maximum is not None and self.minimum >= self.maximum:
            raise ValueError(f"minimum {self.minimum:g} is not below maximum {self.maximum:g}")
        return self


class Metric(Part):
    """A score on the leaderboard."""

    name: Name
    metric: str
    """Name of the scoring function, such as ``auc`` or ``background_rejection``."""
    settings: dict[str, Any] = {}
    """Settings of the scoring function, such as ``signal_efficiency: 0.3``."""
    label: str = ""
    direction: Literal["higher", "lower"] = "higher"
    precision: int | None = Field(None, ge=0, le=10)


class Ensemble(Part):
    """Rule that combines the runs of an ensemble into one score."""

    rule: Literal["median", "mean"] = "median"
    outliers: Literal["none", "rob"] = "none"
    """``rob`` leaves out runs outside mean +- 3 standard deviations of the runs between the 1/6 and 5/6 quantiles, where there
    are at least 5 runs."""


class Reference(Part):
    """A published tagger that stands on the leaderboard as a grey row, without rank."""

    name: str = Field(min_length=1)
    scores: dict[str, FiniteFloat] = Field(min_length=1)
    errors: dict[str, FiniteFloat] = {}
    source: str = Field(min_length=1)

    @model_validator(mode="after")
    def _errors_have_scores(self) -> Self:
        for name, error in self.errors.items():
            if name not in self.scores:
                raise ValueError(f"errors: {name!r} has no score{did_you_mean(name, list(self.scores))}")
            if not (isfinite(error) and error >= 0):
                raise ValueError(f"errors: {name!r} is {error:g}, and an error is 0 or more")
        return self


def repeated(names: list[str]) -> str | None:
    return next((name for i, name in enumerate(names) if name in names[:i]), None)
