"""The leaderboard: what goes in, and its rows as they are shown."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from collidekit.benchmark.scoring.result import Curve, Score, Scores
from collidekit.files import plain


@dataclass(frozen=True)
class Entry:
    """A run that may stand on the leaderboard: usually the best one of a group."""

    name: str
    run: int | str
    """Identifies the run; the last tie-breaker of the order of rows, never of ranks."""
    scores: Scores | None
    user: str = ""
    reason: str = ""
    """Reason for missing scores."""
    withdrawn: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)
    """Facts that are shown beside the scores, such as the image digest."""


@dataclass(frozen=True)
class Difference:
    """The difference of the leading metric between two entries; better is positive, whatever the direction of the metric.

    ``value`` and ``error`` are None where they are not known, and ``reason`` says why.
    """

    value: float | None
    error: float | None
    significant: bool
    """True where the difference exceeds two standard deviations."""
    reason: str = ""
    paired: bool = True


@dataclass(frozen=True)
class Row:
    """A row of the leaderboard."""

    name: str
    scores: dict[str, Score]
    rank: int | None = None
    """Rank; entries with the same rank do not differ significantly. None for published results."""
    tied: bool = False
    """True where another entry has the same rank."""
    run: int | str | None = None
    user: str = ""
    reference: bool = False
    source: str = ""
    to_above: Difference | None = None
    """Difference of the entry above to this one; None for the first entry and for references."""
    to_leader: Difference | None = None
    """Difference of the first entry of this rank to this one."""
    error_unknown: bool = False
    """True where the error of the leading metric is not known: the rank is that of the value alone."""
    runs: int = 1
    runs_left_out: tuple[int, ...] = ()
    """Runs of the ensemble that the outlier rule leaves out."""
    curve: Curve | None = None
    notes: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Unranked:
    """An entry that is not ranked, and why."""

    name: str
    reason: str
    run: int | str | None = None
    user: str = ""


@dataclass(frozen=True)
class Column:
    """A metric of the leaderboard."""

    name: str
    label: str
    direction: str
    precision: int | None = None
    ranks: bool = False
    """True where the metric decides the order."""
    signal_efficiency: float | None = None
    """The signal efficiency of a background rejection that is a point of the plot."""


@dataclass(frozen=True)
class Board:
    """The leaderboard of a phase."""

    title: str
    columns: tuple[Column, ...]
    order: tuple[str, ...]
    rows: tuple[Row, ...]
    unranked: tuple[Unranked, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the leaderboard for JSON, without the curves."""
        content = asdict(self)
        for row in content["rows"]:
            del row["curve"]
        found: dict[str, Any] = plain(content)
        return found
