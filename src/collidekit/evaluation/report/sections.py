"""Standard sections of a report, made from results."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from collidekit.evaluation.classification.comparison import PairedDifference
from collidekit.evaluation.classification.metrics import ClassCount, Metrics
from collidekit.evaluation.classification.points_in_bins import PointsInBins
from collidekit.evaluation.classification.roc_result import RocResult
from collidekit.evaluation.classification.working_points import DiscriminatorPoints
from collidekit.evaluation.ensemble import EnsembleResult
from collidekit.evaluation.look import class_text, discriminator_text
from collidekit.evaluation.numbers import percent, with_error
from collidekit.evaluation.report.report import Block, Details, Facts, Pictures, Section, Table, Text

MOST_HEADLINES = 8
"""Maximum number of discriminators whose AUC is shown at the top."""


def headline(results: Sequence[RocResult], metrics: Metrics | None = None) -> dict[str, str]:
    """Return the numbers at the top: the AUC of each discriminator, the rejections if there is only one, and the accuracy."""
    numbers = {
        f"AUC, {discriminator_text(one.name)}": with_error(one.auc, one.auc_error) for one in results[:MOST_HEADLINES]
    }
    if len(results) == 1:
        numbers |= {f"1/εB at εS = {r.signal_efficiency:g}": str(r) for r in results[0].rejections}
    return numbers | ({"accuracy": metrics.headline()["accuracy"]} if metrics else {})


def data_section(
    counts: Mapping[str, Sequence[ClassCount]],
    cutflow: Sequence[tuple[str, int]] = (),
    selection: str = "",
    notes: Sequence[str] = (),
    processes: Sequence[tuple[str, ...]] = (),
) -> Section:
    """Return the section on the data: class counts of each part (``training`` -> counts), rows after each cut, and processes.

    A row of ``processes`` has the label, the number of files and of their entries, and the weight.
    """
    blocks: list[Block] = [Text(note) for note in notes]
    rows = []
    for part, classes in counts.items():
        for c in classes:
            rows.append(
                (part, class_text(c.name), f"{c.rows:,}", f"{c.weight:,.6g}", f"{c.effective:,.0f}", f"{c.negative:,}")
            )
    header = ("part", "class", "rows", "sum of weights", "effective rows", "negative weights")
    if rows:
        blocks.append(
            Table(
                header,
                tuple(rows),
                "Effective rows: (Σw)²/Σw², the number of unweighted rows with the same statistical power.",
                names=2,
            )
        )
    if processes:
        blocks.append(Table(("process", "files", "entries", "weight"), tuple(processes)))
    if cutflow:
        first = max(cutflow[0][1], 1)
        steps = tuple((step, f"{left:,}", percent(left / first)) for step, left in cutflow)
        blocks.append(Table(("cutflow", "rows left", "of the first"), steps))
    if selection:
        blocks.append(Facts({"selection": selection}))
    return Section("Data", tuple(blocks))


def roc_section(
    results: Sequence[RocResult], plots: Sequence[Path] = (), differences: Sequence[PairedDifference] = ()
) -> Section:
    """Return the section with AUC and rejections with errors and surviving rows, ROC plots and paired comparisons."""
    targets = [f"{r.signal_efficiency:g}" for r in results[0].rejections]
    columns = [text for target in targets for text in (f"1/εB (εS = {target})", "rows")]
    rows = []
    for result in results:
        numbers = [text for r in result.rejections for text in (str(r), f"{r.surviving:,}")]
        question = f"{class_text(result.signal)} vs {class_text(result.background)}"
        rows.append((discriminator_text(result.name), question, with_error(result.auc, result.auc_error), *numbers))
    caption = (
        f"Errors: Poisson bootstrap, {len(results[0].replicates.auc)} replicates. Rows: background rows above the "
        "threshold. “>”: lower limit at 95 % confidence, no background survives."
    )
    blocks: list[Block] = [Table(("discriminator", "question", "AUC", *columns), tuple(rows), caption, names=2)]
    for pair in differences:
        lines = tuple(_difference_row(pair, index) for index in range(1 + len(pair.rejections)))
        note = f"{pair.a} − {pair.b}, paired bootstrap on the same rows. “Better” means a difference of more than {pair.sigmas:g} errors."
        blocks.append(Table(("quantity", "difference", "verdict"), lines, note))
    return Section("ROC curves", (*blocks, *_pictures(plots)))


def ensemble_section(ensembles: Sequence[EnsembleResult]) -> Section:
    """Return the section with the members of an ensemble, their mean and spread, and the gain of the ensemble."""
    note = (
        "Errors of members and ensemble: statistical errors of the test rows, which all share. Spread: standard deviation "
        "over the members. Error of the gain: paired bootstrap."
    )
    tables = [
        Table(result.header(), tuple(result.rows()), note if i == 0 else "") for i, result in enumerate(ensembles)
    ]
    return Section("Ensemble", tuple(tables))


def trees_section(rows: Sequence[tuple[str, ...]]) -> Section:
    """Return the section that compares the network with boosted trees that were trained on some of the same rows."""
    note = (
        "AUC on the same rows, at most 10,000. The trees are trained on up to 10,000 training rows, with flat features and mean, "
        "maximum, minimum and spread of the features of constituents: a network that is worse is not well trained. Error "
        "of the difference: DeLong et al., on the same rows."
    )
    return Section("Boosted trees", (Table(("discriminator", "network", "trees", "difference"), tuple(rows), note),))


def _difference_row(pair: PairedDifference, index: int) -> tuple[str, str, str]:
    entry = (pair.auc, *pair.rejections)[index]
    if entry.value is None:
        return entry.quantity, "—", entry.reason
    verdict = f"{entry.better} is better" if entry.better else "no difference within the error"
    return entry.quantity, with_error(entry.value, entry.error), verdict


def classification_section(metrics: Metrics, plots: Sequence[Path] = ()) -> Section:
    """Return the section with accuracy, log loss and calibration, discriminator shapes and confusion matrix."""
    return Section("Discriminators and classes", (Facts(metrics.headline()), *_pictures(plots)))


def working_points_section(found: Sequence[DiscriminatorPoints], plots: Sequence[Path] = ()) -> Section:
    """Return the section with thresholds, the efficiencies that they reach, and efficiency plots."""
    rows, reasons = [], []
    for entry in found:
        name = discriminator_text(entry.discriminator)
        for point in entry.points:
            wanted = f"{'mistag rate' if point.kind == 'mistag' else 'efficiency'} {percent(point.target)}"
            if point.threshold is None or not point.background_efficiency:
                rows.append((name, wanted, "not reachable", "—", "—", "—"))
                reasons.append(Text(f"{name}, {wanted}, is not reachable: {point.reason}."))
                continue
            background = point.background_efficiency
            survivors = f"{background.passed:,} of {background.total:,}"
            reached = (f"{point.threshold:.6g}", str(point.signal_efficiency), str(background), survivors)
            rows.append((name, wanted, *reached))
    header = ("discriminator", "wanted", "threshold", "signal efficiency", "mistag rate", "surviving background")
    note = "A row is tagged if its score is at least the threshold. Errors: binomial, of weighted rows."
    return Section("Working points", (Table(header, tuple(rows), note, names=2), *reasons, *_pictures(plots)))


def points_in_bins_blocks(
    found: Sequence[PointsInBins], labels: Mapping[str, str], plots: Sequence[Path]
) -> tuple[Block, ...]:
    """Return a table of thresholds in bins of spectators, whose ``labels`` are plain text, and plots."""
    rows = []
    for entry in found:
        for low, high, points in zip(entry.edges[:-1], entry.edges[1:], entry.bins, strict=True):
            place = f"{labels.get(entry.variable, entry.variable)}: {low:g} to {high:g}"
            for point in points.points:
                wanted = f"{'mistag rate' if point.kind == 'mistag' else 'efficiency'} {percent(point.target)}"
                reached = ("not reachable", "—", "—")
                if point.threshold is not None:
                    reached = (f"{point.threshold:.6g}", str(point.signal_efficiency), str(point.background_efficiency))
                rows.append((discriminator_text(entry.discriminator), place, wanted, *reached))
    header = ("discriminator", "bin", "wanted", "threshold", "signal efficiency", "mistag rate")
    note = "Thresholds for each bin separately."
    return (Table(header, tuple(rows), note, names=3), *_pictures(plots)) if rows else ()


def training_section(plots: Sequence[Path], facts: Mapping[str, str]) -> Section:
    """Return the section with loss curves and the numbers of the training (parameters, epochs, time)."""
    return Section("Training", (Facts(facts), *_pictures(plots)))


def inputs_section(plots: Sequence[Path], captions: Sequence[str] = ()) -> Section:
    """Return the section with thumbnails of every input, for each class."""
    note = Text(
        "Distribution of each input for each class, before (dashed) and after weighting (solid). Click on a plot to enlarge it."
    )
    return Section("Inputs", (note, Pictures(tuple(plots), tuple(captions), layout="grid")))


def provenance_section(
    configuration: str, versions: Mapping[str, str], git: Mapping[str, str], seeds: Mapping[str, str]
) -> Section:
    """Return the section with everything that is needed to reproduce the numbers."""
    facts = {**{f"random seed, {name}": seed for name, seed in seeds.items()}, **git, **versions}
    return Section("How to reproduce this", (Facts(facts), Details("Resolved configuration", configuration)))


def _pictures(paths: Sequence[Path]) -> tuple[Block, ...]:
    return (Pictures(tuple(paths)),) if paths else ()
