"""Tables of results for the terminal."""

from collections.abc import Iterable, Mapping, Sequence
from textwrap import wrap
from typing import Protocol

from rich import box
from rich.table import Table

from collidekit.evaluation import assignment, residuals, uncertainties
from collidekit.evaluation.classification.rejection import Rejection
from collidekit.evaluation.classification.roc_result import RocResult, measure_discriminator
from collidekit.evaluation.ensemble import EnsembleResult, measure_members
from collidekit.evaluation.look import discriminator_text
from collidekit.evaluation.numbers import with_error
from collidekit.inference.predictions import Predictions
from collidekit.plain_text import literal
from collidekit.progress import counting


def result_table(header: Sequence[str], rows: Iterable[Sequence[str]], title: str = "", names: int = 1) -> Table:
    """Return a table of cells; the first ``names`` columns are left-aligned, the others contain numbers.

    Headers are wrapped to the width of the cells below them, so that most tables fit into 80 characters.
    """
    lines = [tuple(map(literal, cells)) for cells in rows]
    table = Table(title=literal(title) or None, title_justify="left", box=box.SIMPLE_HEAD, collapse_padding=True)
    for number, name in enumerate(header):
        width = max(len(part) for part in (*name.split(), *(cells[number] for cells in lines)))
        table.add_column("\n".join(wrap(name, width)), justify="left" if number < names else "right")
    for cells in lines:
        table.add_row(*cells)
    return table


def measure_all(
    predictions: Predictions,
    replicates: int = 200,
    names: Sequence[str] | None = None,
    members: Mapping[str, Predictions] | None = None,
    efficiencies: Sequence[float] = (),
) -> tuple[list[RocResult], list[EnsembleResult]]:
    """Return the ROC of each discriminator (or of ``names``), and the comparison with the members of an ensemble.

    The default ``members`` are those in the predictions. Rejections are quoted at the signal ``efficiencies``, by
    default at conventional values.
    """
    names = list(predictions.definitions) if names is None else names
    members = predictions.of_members() if members is None else members
    with counting("Measuring", "curves", len(names) * (1 + len(members))) as done:
        results = []
        for name in names:
            results.append(measure_discriminator(predictions, name, targets=efficiencies, replicates=replicates))
            done(1)
        ensembles = [measure_members(members, result, predictions.combination, done) for result in results if members]
    return results, ensembles


class Quoted(Protocol):
    """Numbers of a line of the table: a ``RocResult``, or a ``RocLine`` read from JSON."""

    @property
    def name(self) -> str: ...
    @property
    def auc(self) -> float: ...
    @property
    def auc_error(self) -> float: ...
    @property
    def rejections(self) -> tuple[Rejection, ...]: ...


def roc_table(results: Sequence[Quoted], title: str = "") -> Table:
    """Return a table of AUC and rejections with errors, one line for each discriminator and signal efficiency."""
    table = Table(title=literal(title) or None, title_justify="left")
    table.add_column("discriminator")
    for name in ("AUC", "εS", "1/εB", "background left"):
        table.add_column(name, justify="right")
    for result in results:
        for i, r in enumerate(result.rejections):
            first = (
                (literal(discriminator_text(result.name)), with_error(result.auc, result.auc_error))
                if i == 0
                else ("", "")
            )
            table.add_row(
                *first, f"{r.signal_efficiency:g}", str(r), f"{r.surviving:,}", end_section=r is result.rejections[-1]
            )
    return table


def ensemble_table(result: EnsembleResult) -> Table:
    """Return a table with AUC and rejections of each member, their mean and spread, and the ensemble."""
    table = Table()
    for number, name in enumerate(result.header()):
        table.add_column(name.replace(" (", "\n("), justify="right" if number else "left")
    rows = result.rows()
    for number, row in enumerate(rows, 1):
        table.add_row(*map(literal, row), end_section=number in (len(result.members), len(result.members) + 1))
    return table


def residual_table(found: list[residuals.Residuals], title: str = "") -> Table:
    """Return a table with bias and resolution of each value."""
    return result_table(residuals.HEADER, [entry.cells() for entry in found], title, names=2)


def uncertainty_tables(
    spreads: list[uncertainties.Spreads], densities: list[uncertainties.LogDensity], title: str = ""
) -> list[Table]:
    """Return tables with the coverage of each interval and the log density of each target; empty if there are none."""
    lines = [line for entry in spreads for line in entry.cells()]
    tables = [result_table(uncertainties.HEADER, lines, title, names=3)] if spreads else []
    return [
        *tables,
        *([result_table(uncertainties.DENSITY_HEADER, [e.cells() for e in densities], title)] if densities else []),
    ]


def assignment_table(found: list[assignment.Found], title: str = "") -> Table:
    """Return a table with the efficiencies of each parent and of the whole event."""
    return result_table(assignment.HEADER, [entry.cells() for entry in found], title, names=2)
