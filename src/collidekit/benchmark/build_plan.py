"""The section ``build`` of a benchmark file: how features and truth are made from an analysis and files."""

# ruff: noqa: RUF012 - pydantic copies the defaults

from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from collidekit.benchmark.parts import Name, Part


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Source(Part):
    """Rows of files, those of a fraction of the events, with shifted columns."""

    files: Annotated[list[str], BeforeValidator(_one_or_many)] = Field(min_length=1)
    """Paths or globs, relative to the benchmark file; ``test`` and ``training`` are the files of the analysis."""
    events: tuple[float, float] = (0.0, 1.0)
    """The fraction of events, by a hash of the event number: [0, 0.3] and [0.3, 1] share none."""
    rows: int | None = Field(None, ge=1)
    """The most rows; by default all."""
    keep: str = ""
    """A condition on the entries of lists, such as ``part_pt > 2``: all lists of the same lengths keep the entries for which it holds."""
    shift: dict[str, str] = {}
    """Columns and the expressions that replace them, in this order: ``jet_pt: 1.02 * jet_pt``; ``normal`` is a standard normal number."""

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        first, last = self.events
        if not 0 <= first < last <= 1:
            raise ValueError(
                f"events is [{first:g}, {last:g}], and needs two fractions from 0 to 1, the first below the second"
            )
        return self


class BuildPlan(Part):
    """Instructions for ``collidekit benchmark build``."""

    analysis: str = Field(min_length=1)
    """Path of an analysis file, relative to the benchmark file, or the name of a bundled one."""
    features: list[str] = []
    """Columns of the files that participants get; by default those that the inputs and the selection of the analysis need."""
    value: str = ""
    """Expression of the true number, for a benchmark of intervals."""
    weight: bool = False
    """True keeps the event weights of the analysis for the metrics."""
    seed: int = Field(1, ge=0)
    """Random seed of the order of the rows and of shifts."""
    training: Source | None = None
    """Public rows with truth, to learn from; written to the first file of ``training`` of the benchmark."""
    phases: dict[Name, dict[Name, Source]] = {}
    """Rows of each sample of each phase."""


def build_model(location: tuple[int | str, ...]) -> type[BaseModel]:
    """Return the part of a build plan whose key stands at a location."""
    inside = len(location) > 1 and location[0] in ("training", "phases")
    return Source if inside else BuildPlan
