"""A study of robustness in a folder: numbers, pictures, and one page that shows them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table as Shown

from collidekit.analysis.schema import Analysis
from collidekit.attacks.build import build_attack
from collidekit.attacks.factors import Percentiles
from collidekit.attacks.settings import AttackSettings
from collidekit.dataset.batch import Batch, Ragged
from collidekit.evaluation.look import discriminator_text, look_of
from collidekit.evaluation.numbers import with_error
from collidekit.evaluation.plots import plot_attacked_shapes, plot_carried, plot_input, plot_robustness
from collidekit.evaluation.report.input_histograms import HistogramAxis, InputHistograms, bins_for
from collidekit.evaluation.report.report import Pictures, ReportContent, Section, Table, Text, write_report
from collidekit.evaluation.robustness.measure import (
    NONE,
    OWN,
    WITHOUT_GRADIENT,
    AttackedTagger,
    AttackPlan,
    Line,
    Point,
    carried,
    measure_robustness,
    over_seeds,
    passes,
    recovered,
)
from collidekit.inference.predict import predict
from collidekit.plain_text import literal
from collidekit.progress import counting
from collidekit.sealed import write_sealed

SHOWN_BINS = 50
MAY_BE_EMPTY = ("spread", "recovered")
"""Columns that one seed, or one tagger, does not fill: they are left out then."""


@dataclass(frozen=True)
class Study:
    """What is compared, on which rows."""

    analysis: Analysis
    tested: Sequence[AttackedTagger]
    """The first kind is what the others are compared to."""
    batches: Sequence[Batch]
    plan: AttackPlan
    shown: float
    """The magnitude at which shapes are drawn."""
    summary: Percentiles | None = None
    of: str = ""
    """What is compared, for titles."""
    warning: str = ""
    """Rows that a tagger has learned from; empty where there are none."""

    @property
    def title(self) -> str:
        """Of tables, pictures and the page."""
        return f"{self.analysis.name}, {self.of}" if self.of else self.analysis.name

    @property
    def rows(self) -> int:
        return sum(map(len, self.batches))


def run_study(study: Study, folder: Path) -> list[Point]:
    """``robustness.json``, pictures and ``robustness.html`` in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with counting("Attacking", "rows", study.rows * passes(study.tested, study.plan)) as done:
        points = measure_robustness(study.tested, study.analysis, study.batches, study.plan, study.summary, done)
    lines = over_seeds(points)
    with look_of(study.analysis):
        pictures = _draw(study, lines, folder)
    content = {
        "format": "collidekit robustness 1", "analysis": study.analysis.name, "rows": study.rows,
        **({"warning": study.warning} if study.warning else {}),
        "attacks": {name: settings.identity for name, settings in study.plan.attacks.items()},
        "points": [point.as_dict() for point in points],
    }  # fmt: skip
    write_sealed(folder / "robustness.json", content)
    with look_of(study.analysis):
        _page(study, lines, pictures, folder / "robustness.html")
    return points


def _draw(study: Study, lines: Sequence[Line], folder: Path) -> dict[str, list[Path]]:
    """All pictures, PNG only, by the section of the page that shows them."""
    name = study.title
    pictures: dict[str, list[Path]] = {"curves": [], "carried": [], "shapes": [], "inputs": []}
    for score in study.analysis.discriminators:
        pictures["curves"] += plot_robustness(folder / f"robustness_{score}", lines, score, name)
    strong = _strongest(study.plan)
    if strong is None:
        return {key: [path for path in paths if path.suffix == ".png"] for key, paths in pictures.items()}
    attack_name, settings = strong[0], strong[1].model_copy(update={"attack_magnitude": study.shown})
    if settings.attack_space == "features":
        first = study.tested[0]
        alone = settings.model_copy(update={"attack": "fgsm", "attack_iterations": 1, "attack_starts": 0})
        with counting("Attacking features", "rows", study.rows * _features(study.analysis)) as done:
            losses = carried(first.tagger, study.analysis, study.batches, alone, done)
        for score, found in losses.items():
            note = f"{name}, {first.kind}, one step of fgsm\u00a0{study.shown:g}"
            pictures["carried"] += plot_carried(folder / f"carried_{score}", found, score, note)
    for kind in dict.fromkeys(entry.kind for entry in study.tested):
        entry = next(entry for entry in study.tested if entry.kind == kind)
        attack = build_attack(settings, study.analysis, entry.tagger.scaling, study.summary)
        assert attack is not None
        attacked = []
        with counting("Attacking once more, for shapes", "rows", study.rows) as done:
            for batch in study.batches:
                attacked.append(attack(entry.tagger, batch))
                done(len(batch))
        before = predict(entry.tagger, study.analysis, study.batches)
        after = predict(entry.tagger, study.analysis, attacked)
        file, note = re.sub(r"\W+", "_", kind).strip("_"), f"{name}, {kind}, {attack_name}\u00a0{study.shown:g}"
        for score in study.analysis.discriminators:
            stem = folder / f"shape_{score}_{file}"
            pictures["shapes"] += plot_attacked_shapes(stem, before, after, score, note=note)
        if entry is study.tested[0]:
            pictures["inputs"] = _draw_inputs(study, attacked, folder, note)
    return {key: [path for path in paths if path.suffix == ".png"] for key, paths in pictures.items()}


def _strongest(plan: AttackPlan) -> tuple[str, AttackSettings] | None:
    """The last attack by a gradient."""
    found = [(name, settings) for name, settings in plan.attacks.items() if name not in WITHOUT_GRADIENT]
    return found[-1] if found else None


def _features(analysis: Analysis) -> int:
    return sum(
        feature.attackable and feature.kind == "continuous"
        for entry in analysis.inputs.values() for feature in entry.features
    )  # fmt: skip


def _draw_inputs(study: Study, attacked: Sequence[Batch], folder: Path, note: str) -> list[Path]:
    """Each feature that moves, of all classes together, before and after, with the ratio."""
    pictures: list[Path] = []
    for name, entry in study.analysis.inputs.items():
        for position, feature in enumerate(entry.features):
            before, after = (
                np.concatenate([_column(batch, name, position) for batch in batches])
                for batches in (study.batches, attacked)
            )
            if np.array_equal(before, after):
                continue
            inside = before if feature.default is None else before[before != np.float32(feature.default)]
            low, high = (float(value) for value in np.percentile(inside, [0.5, 99.5]))
            bins = bins_for(len(inside), SHOWN_BINS)
            axis = HistogramAxis.of_feature(feature, low, high, bins, study.analysis.axis(feature))
            histograms = InputHistograms(("not attacked", "attacked"), {feature.name: axis})
            for label, values in enumerate((before, after)):
                ones = np.ones(len(values))
                histograms.fill(feature.name, values, np.full(len(values), label), ones, ones)
            pictures += plot_input(folder / f"input_{name}_{feature.name}", histograms[feature.name], note=note)
    return pictures


def _column(batch: Batch, name: str, position: int) -> Any:
    entry = batch.inputs[name]
    return (entry.data if isinstance(entry, Ragged) else entry)[:, position].numpy()


def gradient_label(line: Line) -> str:
    """Whose gradient moved the rows, in words."""
    return {NONE: "—", OWN: "own"}.get(line.gradient, line.gradient)


def table_rows(lines: Sequence[Line], discriminator: str) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows of one discriminator: AUC, what is lost to the rows as they are, rejection, and the recovered fraction."""
    mine = [line for line in lines if line.discriminator == discriminator]
    base = mine[0].kind
    clean = {line.kind: line for line in mine if line.attack == "nominal"}
    back = {id(line): share for line, _, share in recovered(lines, discriminator, base)}
    rows: list[tuple[str, ...]] = []
    for line in mine:
        nominal = line.attack == "nominal"
        spread = "" if line.auc_spread is None else f"{line.auc_spread:.4f}"
        rows.append(
            (
                "none" if nominal else line.attack, "" if nominal else f"{line.magnitude:g}",
                "" if nominal else gradient_label(line), line.kind,
                with_error(line.auc, line.auc_error), spread, "" if nominal else f"{clean[line.kind].auc - line.auc:.4f}",
                f"> {line.rejection:.3g}" if line.rejection_limit else with_error(line.rejection, line.rejection_error),
                f"{back[id(line)]:.0%}" if id(line) in back else "",
            )
        )  # fmt: skip
    header = ("attack", "magnitude", "gradient", "tagger", "AUC", "spread", "loss", "1/eB(.5)", "recovered")
    kept = [
        place for place in range(len(header)) if header[place] not in MAY_BE_EMPTY or any(row[place] for row in rows)
    ]
    return tuple(header[place] for place in kept), [tuple(row[place] for place in kept) for row in rows]


def robustness_table(lines: Sequence[Line], discriminator: str, title: str = "") -> Shown:
    """For a terminal."""
    header, rows = table_rows(lines, discriminator)
    table = Shown(title=literal(title), title_justify="left", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    wanted = ("attack", "gradient", "tagger", "AUC", "loss", "recovered")
    places = [header.index(name) for name in wanted if name in header]
    for number in places:
        words = number <= header.index("tagger")
        table.add_column(
            header[number], justify="left" if words else "right", no_wrap=not words, min_width=9 if words else 6
        )
    last = ""
    for row in rows:
        attack = f"{row[0]} {row[1]}".strip()
        table.add_row(attack if attack != last else "", *(literal(row[number]) for number in places[1:]))
        last = attack
    seeds = max(line.seeds for line in lines)
    won = f" recovered: fraction of what the attack costs {literal(lines[0].kind)}." if "recovered" in header else ""
    of_seeds = f" Means of {seeds} seeds; spread: their standard deviation." if seeds > 1 else ""
    table.caption = f"Errors: of the test rows. loss: of AUC, against rows that are not attacked.{won}{of_seeds}"
    table.caption_justify = "left"
    return table


def _page(study: Study, lines: Sequence[Line], pictures: dict[str, list[Path]], path: Path) -> None:
    sections = []
    for score in study.analysis.discriminators:
        header, rows = table_rows(lines, score)
        caption = "loss: of AUC, against rows that are not attacked."
        if "recovered" in header:
            caption += " recovered: fraction of what the attack costs the first tagger, each attacked in the same way."
        sections.append(
            Section(f"Robustness of {discriminator_text(score)}", (Table(header, tuple(rows), caption, names=4),))
        )
    curves = Section("AUC and rejection against the magnitude", (Pictures(tuple(pictures["curves"])),))
    more = []
    if pictures["carried"]:
        said = Text(
            "The loss of AUC of the first tagger where one feature alone is attacked, by one step of fgsm at the magnitude shown. "
            "Errors: paired, of the same rows (DeLong)."
        )
        more.append(Section("Which features carry the attack", (said, Pictures(tuple(pictures["carried"])))))
    if pictures["shapes"]:
        more.append(Section("Discriminators before and after", (Pictures(tuple(pictures["shapes"])),)))
    if pictures["inputs"]:
        said = Text("How little the inputs move: all rows, before and after the attack on the first tagger.")
        more.append(Section("Inputs before and after", (said, Pictures(tuple(pictures["inputs"]), layout="grid"))))
    kinds = ", ".join(dict.fromkeys(entry.kind for entry in study.tested))
    write_report(
        path,
        ReportContent(
            title=f"{study.title}: robustness",
            subtitle=f"{kinds}; {study.rows:,} rows",
            warnings=(study.warning,) if study.warning else (),
            sections=(curves, *sections, *more),
        ),
    )


def with_seeds(tested: Sequence[AttackedTagger]) -> list[AttackedTagger]:
    """Kinds that stand twice with the same seed are told apart by a number."""
    seen: dict[tuple[str, int], int] = {}
    found = []
    for entry in tested:
        number = seen[entry.kind, entry.seed] = seen.get((entry.kind, entry.seed), 0) + 1
        found.append(entry if number == 1 else replace(entry, kind=f"{entry.kind} ({number})"))
    return found
