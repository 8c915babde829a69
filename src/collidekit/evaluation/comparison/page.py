"""Page and tables of a comparison."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from collidekit.evaluation.classification.comparison import Difference
from collidekit.evaluation.comparison.curves import ComparedCurve
from collidekit.evaluation.comparison.differences import SIGMAS, ComparedDifference, significance
from collidekit.evaluation.comparison.study import STYLES, Comparison
from collidekit.evaluation.look import class_text, discriminator_text
from collidekit.evaluation.numbers import with_error
from collidekit.evaluation.plots.comparison import plot_compared
from collidekit.evaluation.report.report import Details, Pictures, ReportContent, Section, Table, Text, write_report

FACTS = ("network", "epochs", "seed", "hash", "attack", "rows")


def write_comparison(found: Comparison, folder: Path) -> Path:
    """Write ``comparison.json``, the plots and ``comparison.html`` to a folder; return the path of the page."""
    folder.mkdir(parents=True, exist_ok=True)
    sections = [_compared(found)]
    mark = ", with attacks" if found.attacked else ""
    for name, curves in found.curves.items():
        pictures = []
        for style in STYLES:
            drawn = plot_compared(
                folder / found.stem(name, style), curves, style, f"{found.analysis}, {discriminator_text(name)}{mark}"
            )
            pictures += [path for path in drawn if path.suffix == ".png"]
        sections.append(_discriminator(name, curves, found.differences[name], pictures))
    if any(found.settings.values()):
        sections.append(_recipes(found))
    found.write(folder / "comparison.json")
    first = next(iter(found.curves), "")
    return write_report(
        folder / "comparison.html",
        ReportContent(
            title=f"{found.title}{mark}",
            subtitle=" · ".join(contender.name for contender in found.contenders) if len(found.contenders) > 2 else "",
            headline={
                f"{curve.name}: AUC of {discriminator_text(first)}": with_error(curve.auc, curve.auc_error)
                for curve in (found.curves[first][:4] if first else ())
            },
            warnings=found.warnings,
            sections=tuple(sections),
        ),
    )


def _compared(found: Comparison) -> Section:
    rows = []
    for contender in found.contenders:
        facts = {**contender.facts, "rows": f"{len(contender.first):,}", "attack": contender.attack or "none"}
        rows.append((contender.name, *(str(facts.get(name, "")) for name in FACTS)))
    caption = "The differences below are relative to the first row."
    notes = [Text(f"{note}.") for note in found.notes if note not in found.warnings]
    folders = "\n".join(f"{one.name}: {one.facts['folder']}" for one in found.contenders if one.facts.get("folder"))
    table = Table(("name", *FACTS), tuple(rows), caption, names=len(FACTS) + 1)
    more = (Details("Folders", folders),) if folders else ()
    return Section("Compared taggers", (table, *notes, *more))


def _discriminator(
    name: str, curves: Sequence[ComparedCurve], differences: Sequence[ComparedDifference], pictures: Sequence[Path]
) -> Section:
    header, rows = result_rows(curves)
    signal, background = class_text(curves[0].first.signal), class_text(curves[0].first.background)
    seeds = any(curve.seeds > 1 for curve in curves)
    caption = (
        f"{signal} against {background}; {curves[0].first.signal_rows:,} and {curves[0].first.background_rows:,} rows. Errors: Poisson bootstrap of the test rows."
        + (" Several seeds: the mean; spread: standard deviation over the seeds." if seeds else "")
        + " “>”: lower limit at 95 % confidence."
    )
    blocks: list[Table | Pictures | Text] = [Table(header, tuple(rows), caption)]
    if differences:
        header, rows = difference_rows(differences)
        kind = {one.paired for one in differences}
        said = {
            frozenset({True}): "Errors: paired bootstrap on the same rows.",
            frozenset({False}): "Errors: added in quadrature, because the rows differ.",
        }.get(
            frozenset(kind),
            "Errors: paired bootstrap on the same rows; added in quadrature on different rows (marked unpaired).",
        )
        of_seeds = " Errors include the error of the mean over the seeds." if seeds else ""
        caption = f"Differences to {curves[0].name}. {said}{of_seeds} “Better” and “worse” mean a difference of more than {SIGMAS:g} errors."
        blocks.append(Table(header, tuple(rows), caption, names=2))
    note = Text(
        "Bands: 68 % of the bootstrap, or the standard deviation over the seeds; in the ratio both, paired on the same rows. "
        "Solid: nominal rows; dashed: attacked rows; dash-dotted: scores from the files."
    )
    return Section(f"Discriminator {discriminator_text(name)}", (*blocks, Pictures(tuple(pictures)), note))


def result_rows(curves: Sequence[ComparedCurve]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return header and cells: AUC, spread over the seeds, and 1/eB at each signal efficiency."""
    seeds = any(curve.seeds > 1 for curve in curves)
    targets = curves[0].first.replicates.targets
    header = ("name", "AUC", *(("spread",) if seeds else ()), *(f"1/εB (εS = {target:g})" for target in targets))
    rows = []
    for curve in curves:
        spread = "" if curve.auc_spread is None else f"{curve.auc_spread:.2g}"
        rejections = [_rejection(curve, index) for index in range(len(targets))]
        rows.append((curve.name, with_error(curve.auc, curve.auc_error), *((spread,) if seeds else ()), *rejections))
    return header, rows


def short_rows(
    curves: Sequence[ComparedCurve], differences: Sequence[ComparedDifference]
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return header and cells for a terminal: AUC, its difference to the first curve, and 1/eB at a signal efficiency of 0.5 or the middle one."""
    targets = curves[0].first.replicates.targets
    shown = targets.index(0.5) if 0.5 in targets else len(targets) // 2
    header = ("name", "AUC", "difference", "in errors", f"1/εB (εS = {targets[shown]:g})")
    rows: list[tuple[str, ...]] = [
        (curves[0].name, with_error(curves[0].auc, curves[0].auc_error), "reference", "", _rejection(curves[0], shown))
    ]
    for curve, one in zip(curves[1:], differences, strict=True):
        change, size, _ = _verdict(one.auc, one.reference)
        name = curve.name + ("" if one.paired else " (other rows)")
        rows.append((name, with_error(curve.auc, curve.auc_error), change, size, _rejection(curve, shown)))
    return header, rows


def _rejection(curve: ComparedCurve, index: int) -> str:
    """Return 1/eB with its error as text; for several seeds from the mean eB."""
    if curve.seeds == 1:
        return str(curve.first.rejections[index])
    mean = float(np.mean([result.rejections[index].background_efficiency for result in curve.results]))
    if mean <= 0:
        return "–"
    drawn = np.mean([result.replicates.background_efficiency[:, index] for result in curve.results], axis=0)
    return with_error(1 / mean, float(np.nanstd(drawn, ddof=1)) / mean**2)


def difference_rows(differences: Sequence[ComparedDifference]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return header and cells: the difference with its error, its significance and the verdict."""
    header = ("name", "quantity", "difference", "significance", "verdict")
    rows: list[tuple[str, ...]] = []
    for one in differences:
        for entry in one.entries:
            name = one.name + ("" if one.paired else " (unpaired)")
            rows.append((name if entry is one.auc else "", entry.quantity, *_verdict(entry, one.reference)))
    return header, rows


def _verdict(entry: Difference, reference: str) -> tuple[str, str, str]:
    if entry.value is None:
        return "–", "–", entry.reason
    size = significance(entry)
    shown = "–" if size is None else f"{size:+.1f} σ"
    if entry.better is None:
        return with_error(entry.value, entry.error), shown, "not significant"
    return with_error(entry.value, entry.error), shown, "worse" if entry.better == reference else "better"


def _recipes(found: Comparison) -> Section:
    names = list(dict.fromkeys(name for values in found.settings.values() for name in values))
    rows = [
        (name, *(_short(values.get(name)) for values in found.settings.values())) for name in names
    ]  # fmt: skip
    table = Table(
        ("setting", *found.settings),
        tuple(rows),
        "Settings that differ between the trainings.",
        names=1 + len(found.settings),
    )
    return Section("Recipes", (table,))


def _short(value: object) -> str:
    return "–" if value is None else " ".join(str(value).split())[:80]
