"""Tables and report sections of feature importance."""

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table as Shown

from collidekit.analysis.labels import without_latex
from collidekit.evaluation.importance.features import FeatureImportance, SampleImportance
from collidekit.evaluation.importance.of_targets import TargetImportance
from collidekit.evaluation.look import discriminator_text
from collidekit.evaluation.numbers import with_error
from collidekit.evaluation.report.report import Block, Pictures, Section, Table, Text
from collidekit.plain_text import literal


def importance_rows(found: SampleImportance) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Return header and rows, whole inputs first, the most important feature at the top."""
    header = (
        f"{discriminator_text(found.score)}, {found.rows:,} rows",
        "input",
        "drop of AUC",
        "mean |attribution|",
        "mean",
    )
    rows = tuple(_line(feature) for feature in sorted(found.features, key=_rank))
    return header, rows


def _rank(feature: FeatureImportance) -> tuple[bool, float]:
    if feature.drop is not None:
        return not feature.whole, -feature.drop.value
    return not feature.whole, -feature.attribution.size if feature.attribution else 0.0


def _line(feature: FeatureImportance) -> tuple[str, ...]:
    drop, attribution = feature.drop, feature.attribution
    return (
        without_latex(feature.label),
        feature.input,
        with_error(drop.value, drop.error) if drop else "—",
        with_error(attribution.size, attribution.size_error) if attribution else "—",
        with_error(attribution.mean, attribution.mean_error) if attribution else "—",
    )


def importance_table(found: SampleImportance) -> Shown:
    """Return the table for a terminal."""
    header, rows = importance_rows(found)
    title = f"AUC {with_error(found.auc, found.auc_error)}" if found.auc is not None else None
    table = Shown(title=title, title_justify="left")
    for number, name in enumerate(header[:-1]):
        table.add_column(name, justify="right" if number > 1 else "left", no_wrap=number > 1)
    whole = sum(feature.whole for feature in found.features)
    for number, row in enumerate(rows, 1):
        table.add_row(*map(literal, row[:-1]), end_section=number == whole)
    return table


def target_rows(found: TargetImportance) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Header and lines, inputs as a whole first, the most important feature on top."""
    lines = [_line(feature)[:3] for feature in sorted(found.features, key=_rank)]
    return (f"{found.target}, {found.rows:,} rows", "input", found.drop_title), tuple(lines)


def target_table(found: TargetImportance) -> Shown:
    """Return the table for a terminal."""
    header, rows = target_rows(found)
    table = Shown(title=f"{found.figure} {with_error(found.value, found.error)}", title_justify="left")
    for number, name in enumerate(header):
        table.add_column(literal(name), justify="right" if number > 1 else "left", no_wrap=number > 1)
    whole = sum(feature.whole for feature in found.features)
    for number, row in enumerate(rows, 1):
        table.add_row(*map(literal, row), end_section=number == whole)
    return table


def target_section(found: Sequence[TargetImportance], plots: Sequence[Path]) -> Section:
    """Return the section on the importance of features for targets."""
    blocks: list[Block] = [
        Text(
            "Loss of efficiency of an assignment, or growth of the residuals, if a feature is shuffled among "
            "constituents or rows. Features with the same information can replace one another."
        )
    ]
    for result in found:
        caption = f"Without permutation: {result.figure} {with_error(result.value, result.error)}."
        if result.unused:
            caption += f" The network does not use {without_latex(', '.join(result.unused))}."
        blocks.append(Table(*target_rows(result), caption, names=2))
    return Section("Feature importance for targets", (*blocks, *([Pictures(tuple(plots))] if plots else [])))


def importance_section(found: Sequence[SampleImportance], plots: Sequence[Path]) -> Section:
    """Return the section on the features that a tagger uses."""
    blocks: list[Block] = [
        Text(
            "Drop of AUC: loss if a feature is shuffled among constituents or rows. Features with the "
            "same information can replace one another. Attribution: contribution of a feature to the score, by integrated gradients "
            "from the mean of each feature, summed over the constituents of a row; mean over the rows of its absolute value and "
            "of its value."
        )
    ]
    for result in found:
        caption = f"Attributions are contributions to {without_latex(result.label)}."
        if result.unused:
            caption += f" The network does not use {without_latex(', '.join(result.unused))}."
        blocks.append(Table(*importance_rows(result), caption, names=2))
    if plots:
        blocks.append(Pictures(tuple(plots)))
    return Section("Feature importance", tuple(blocks))
