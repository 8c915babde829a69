"""The calibration section of a report."""

from collections.abc import Sequence
from pathlib import Path

from collidekit.evaluation.calibration.reliability import BINS, CalibrationNumbers, CalibrationResult
from collidekit.evaluation.numbers import with_error
from collidekit.evaluation.report.report import Block, Pictures, Section, Table, Text

Rows = tuple[tuple[str, ...], ...]


def calibration_rows(result: CalibrationResult) -> tuple[tuple[str, ...], Rows]:
    """Return header and rows of a table: each number before and after calibration, with its error."""
    both = [result.before] if result.after is None else [result.before, result.after]
    header = ("", "before", "after") if result.after else ("", "as predicted")

    def line(name: str, texts: list[str]) -> tuple[str, ...]:
        return (name, *texts)

    rows: list[tuple[str, ...]] = []
    if result.temperature:
        rows.append(("temperature", "1", with_error(result.temperature.value, result.temperature.error)))
    rows.append(line("log loss", [with_error(n.log_loss, n.log_loss_error) for n in both]))
    if result.log_loss_change is not None:
        rows.append(("change of log loss", "", with_error(result.log_loss_change, result.log_loss_change_error)))
    rows.append(line("Brier score", [with_error(n.brier, n.brier_error) for n in both]))
    rows.append(line("calibration error", [_calibration_error(n) for n in both]))
    rows.append(line("… of exact probabilities", [f"{n.calibration_error_expected:.2g}" for n in both]))
    for name in result.before.class_errors:
        rows.append(line(f"calibration error of {name}", [f"{n.class_errors[name]:.2g}" for n in both]))
    return header, tuple(rows)


def _calibration_error(numbers: CalibrationNumbers) -> str:
    return with_error(numbers.calibration_error, numbers.calibration_error_error)


def calibration_section(
    result: CalibrationResult, plots: Sequence[Path], weighted: bool, notes: Sequence[str] = ()
) -> Section:
    """Return the section with table and reliability plots; ``weighted`` means that the training changes the class composition."""
    header, rows = calibration_rows(result)
    meaning = (
        "Rows have the weights of the training here, from class weights and kinematics: a probability is the fraction "
        "of the class in a sample with this composition."
        if weighted
        else "A probability is the fraction of the class in a sample with the composition of the training files."
    )
    caption = (
        f"{result.rows:,} rows. Calibration error: mean distance between the largest probability and the accuracy, in {BINS} "
        "bins; error from the bootstrap. The next row is the result of exact probabilities with the same number of rows."
    )
    blocks: list[Block] = [Text(meaning), *(Text(note) for note in notes), Table(header, rows, caption)]
    if plots:
        blocks.append(Pictures(tuple(plots)))
    return Section("Calibration", tuple(blocks))
