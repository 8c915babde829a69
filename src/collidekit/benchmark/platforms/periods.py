"""Start and end of the phases, for platforms on which phases follow one another."""

from datetime import UTC, datetime, timedelta

from collidekit.benchmark.definition import Benchmark
from collidekit.errors import CollidekitError
from collidekit.progress import notice

DAYS = 90
"""Length of a phase, where no phase of the benchmark has a date."""
Period = tuple[datetime, datetime | None]


def periods(benchmark: Benchmark, start: datetime | None = None) -> dict[str, Period]:
    """Return begin and end of each phase in UTC; the last one may have no end.

    Without any date in the benchmark file the phases last 90 days each from ``start`` on, by default today, and a notice says so.
    Raises CollidekitError where phases overlap or one that is followed by another has no end.
    """
    begin = (start or datetime.now(UTC)).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    phases = benchmark.phases
    if len(phases) > 1 and not any(phase.start or phase.end for phase in phases.values()):
        notice(
            f"{benchmark.name}: no phase has a date; each lasts {DAYS} days from {begin:%Y-%m-%d} on, change it on the platform"
        )
        found: dict[str, Period] = {}
        for name in phases:
            found[name] = (begin, begin + timedelta(days=DAYS))
            begin += timedelta(days=DAYS)
        return found
    found = {}
    last = None
    for name, phase in phases.items():
        if last is not None and found[last][1] is None:
            raise CollidekitError(
                f"{benchmark.name}: phase {last} needs an `end`, because phase {name} follows it on this platform"
            )
        first = _utc(phase.start) or (found[last][1] if last is not None else None) or begin
        end = _utc(phase.end)
        if last is not None and first < (found[last][1] or first):
            raise CollidekitError(
                f"{benchmark.name}: phase {name} starts before phase {last} ends; on this platform phases follow one another"
            )
        if end is not None and end <= first:
            raise CollidekitError(f"{benchmark.name}: phase {name} ends before it starts")
        found[name] = (first, end)
        last = name
    return found


def _utc(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def shown(moment: datetime) -> str:
    """Return a date as the platforms read it, as text: one of them takes YAML's own dates to be midnight."""
    return f"{moment:%Y-%m-%d %H:%M:%S}"
