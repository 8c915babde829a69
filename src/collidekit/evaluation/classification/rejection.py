"""Background rejection at a signal efficiency, with its error, or as a lower limit if no background survives."""

from dataclasses import asdict, dataclass
from typing import Any

from collidekit.evaluation.numbers import with_error


@dataclass(frozen=True)
class Rejection:
    """Rejection 1/eB at the tightest threshold that reaches a signal efficiency.

    If ``limit`` is True, too little background survives, and ``value`` is a lower limit at 95 % confidence.
    ``surviving`` is the unweighted number of background rows above the threshold. ``interval`` holds the central 68 % of the
    bootstrap; its upper end is None if some replicates have no background left.
    """

    signal_efficiency: float
    threshold: float
    background_efficiency: float
    value: float
    surviving: int
    limit: bool = False
    background_efficiency_error: float | None = None
    error: float | None = None
    interval: tuple[float | None, float | None] | None = None
    few_signal_rows: bool = False
    """True if the threshold is based on too few signal rows for an error."""

    def __str__(self) -> str:
        if self.limit:
            return f"> {self.value:.3g}"
        if self.few_signal_rows:
            return f"{self.value:.3g} (too few signal rows)"
        return f"{self.value:.4g}" if self.error is None else with_error(self.value, self.error)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
