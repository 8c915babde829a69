"""Tables of training.py from its JSON file: medians and ranges of the turns, ratios, fractions of the peak."""

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

from rich.table import Table

MODES = ("training", "prediction")
TOLERANCE = 0.01
"""Allowed relative difference of the numbers of parameters of both sides."""


def same_size(ours: int, theirs: int) -> bool:
    """Return whether two numbers of parameters agree within the allowed difference."""
    return abs(ours - theirs) <= TOLERANCE * theirs


def rates(record: dict[str, Any] | None, mode: str) -> list[float]:
    """Return the jets per second of each turn; empty if the side is missing or failed."""
    if record is None or mode not in record or record[mode]["failure"]:
        return []
    return list(record[mode]["jets_per_second"])


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Return the ratios of both sides for each turn."""
    return [a / b for a, b in zip(ours, theirs, strict=False)]


def pairs(records: Sequence[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Yield each record of collidekit with the record of weaver to compare with.

    This is the record with the same network, batch size and precision, else the one in fp32, because weaver has no bf16 on a CPU.
    """
    theirs = {(r["network"], r["batch"], r["precision"]): r for r in records if r["side"] == "weaver"}
    for record in records:
        if record["side"] == "collidekit":
            key = (record["network"], record["batch"])
            yield record, theirs.get((*key, record["precision"])) or theirs.get((*key, "fp32"))


def tables(result: dict[str, Any]) -> list[Table]:
    """Return two tables: jets per second with their ratio; parameters, memory, operations and fraction of the peak."""
    repeats = result["settings"]["repeats"]
    speed = _table(
        f"Jets per second on {result['machine']['device name']}: median (range) of {repeats} turns",
        "weaver, collidekit, collidekit / weaver",
    )
    work = _table(
        "Work and memory, weaver / collidekit; the fraction is relative to the measured rate of matrix products in that precision",
        "parameters, peak MiB, memory of steps, less memory, MFLOP per jet, fraction of peak",
    )
    for ours, theirs in pairs(result["runs"]):
        compared = ours["precision"] if theirs is None else theirs["precision"]
        precision = ours["precision"] if compared == ours["precision"] else f"{ours['precision']} (weaver {compared})"
        for mode in MODES:
            name, last = (ours["network"], f"{ours['batch']}", mode, precision), mode == MODES[-1]
            found = ratios(rates(ours, mode), rates(theirs, mode))
            speed.add_row(*name, _rate(theirs, mode), _rate(ours, mode), spread(found), end_section=last)
            each = zip(_work(theirs, mode, result["peak"]), _work(ours, mode, result["peak"]), strict=True)
            cells = [f"{a or '-'} / {b or '-'}" for a, b in each]
            less = spread(ratios(_memory(theirs, mode), _memory(ours, mode)))
            work.add_row(*name, *cells[:3], less, *cells[3:], end_section=last)
    return [speed, work]


def _work(record: dict[str, Any] | None, mode: str, peak: dict[str, float]) -> list[str]:
    """Return parameters, peak memory, memory added by the steps, operations per jet and fraction of the peak of one side."""
    if record is None or "parameters" not in record:
        return [""] * 5
    parameters, part = f"{record['parameters']:,}", share(record, mode, peak)
    if part is None:
        return [parameters, *[""] * 4]
    memory = record[mode]["memory"]
    steps = max(memory - record["memory"], 0.0)
    return [parameters, short(memory), short(steps), short(record[mode]["flops"] / 1e6), f"{100 * part:.1f} %"]


def notes(result: dict[str, Any]) -> list[str]:
    """Return failed and skipped measurements with their reason."""
    found: dict[str, None] = {}
    for record in result["runs"]:
        name = f"{record['network']}, batch {record['batch']}, {record['side']} {record['precision']}"
        if record["failure"]:
            found[f"{name}: {record['failure']}"] = None
        for mode in MODES:
            if mode in record and record[mode]["failure"]:
                found[f"{name}, {mode}: {record[mode]['failure']}"] = None
    return [*found, *result["skipped"]]


def share(record: dict[str, Any], mode: str, peak: dict[str, float]) -> float | None:
    """Return the fraction of the peak (GFLOP/s by precision) that the steps of a side reach."""
    if not (values := rates(record, mode)):
        return None
    return float(record[mode]["flops"] * median(values) / (peak[record["precision"]] * 1e9))


def spread(values: Sequence[float]) -> str:
    """Return median and range as text."""
    if not values:
        return ""
    if len(values) == 1:
        return short(values[0])
    return f"{short(median(values))} ({short(min(values))} to {short(max(values))})"


def short(value: float) -> str:
    """Return a number with three digits, or all digits of an integer."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _table(title: str, columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in ("network", "batch", "", "precision"):
        table.add_column(column, justify="right" if column == "batch" else "left", no_wrap=True)
    for column in columns.split(", "):
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _rate(record: dict[str, Any] | None, mode: str) -> str:
    if record is None:
        return "not there"
    failure = record["failure"] or (record[mode]["failure"] if mode in record else "not there")
    if failure:
        return failure if failure == "out of memory" else "failed, see below"
    return spread(rates(record, mode))


def _memory(record: dict[str, Any] | None, mode: str) -> list[float]:
    return [record[mode]["memory"]] if record and rates(record, mode) else []
