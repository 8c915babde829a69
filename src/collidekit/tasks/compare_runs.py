"""Comparison of runs, for ``collidekit compare`` and CompareTask."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from collidekit.errors import CollidekitError
from collidekit.evaluation.comparison.contenders import Contender, rows_differ
from collidekit.evaluation.comparison.page import short_rows
from collidekit.evaluation.comparison.study import Comparison, compare
from collidekit.evaluation.look import class_text, discriminator_text
from collidekit.plain_text import literal
from collidekit.progress import counting
from collidekit.tasks.compared_runs import Run, names_of
from collidekit.tasks.compared_taggers import F_C, tagger_contenders
from collidekit.tasks.tables import result_table


def compare_runs(
    runs: Sequence[Run],
    names: Sequence[str] = (),
    taggers: Sequence[str] = (),
    f_c: float = F_C,
    replicates: int = 200,
    efficiencies: Sequence[float] | None = None,
) -> Comparison:
    """Compare runs, and taggers in the files of the first run; ``names`` has one name for each run.

    Rejections are given at the signal ``efficiencies``; the default is those of the analysis of the first run.
    """
    for run in runs:
        if not run.predictions.classes:
            raise CollidekitError(f"{run.given}: predicts no classes, so there is no ROC curve to compare")
        if not run.predictions.definitions:
            raise CollidekitError(
                f"{run.given}: its analysis has no discriminators, so there is no ROC curve to compare"
            )
    if names and len(names) != len(runs):
        raise CollidekitError(f"--name: {len(names)} given for {len(runs)} runs; give one for each run, in their order")
    grouped = _grouped(runs, names)
    contenders = [contender for group, name in grouped for contender in _contenders(group, name)]
    _refuse_same_names(contenders)
    others, notes = tagger_contenders(taggers, runs[0], contenders[0].first, f_c)
    if len(contenders) + len(others) < 2:
        raise CollidekitError(
            "there is only one curve: name another run, --tagger BRANCH, or --attacked for the attacked predictions"
        )
    _refuse_same_names([*contenders, *others])
    analysis = runs[0].analysis
    if efficiencies is None:
        efficiencies = runs[0].drawn_as.efficiencies if runs[0].drawn_as else ()
    shown = {name: _own_settings(group[0], [other[0] for other, _ in grouped]) for group, name in grouped}
    total = len(runs[0].predictions.definitions) * (len(contenders) + len(others))
    with counting("Measuring", "curves", total) as done:
        return compare([*contenders, *others], analysis, replicates, shown, notes, done, efficiencies or ())


def _grouped(runs: Sequence[Run], names: Sequence[str]) -> list[tuple[list[Run], str]]:
    """Return groups of runs that differ only by their seed, each with its name."""
    automatic = names_of(runs)
    groups: list[tuple[list[Run], str, str]] = []
    for number, run in enumerate(runs):
        chosen = names[number] if names else automatic[number]
        for group, name, _ in groups:
            if name == chosen and _differ_by_seed(group[0], run):
                if run.seed in [other.seed for other in group]:
                    raise CollidekitError(
                        f"{run.given}: this is the same training as {group[0].given}; name each run only once"
                    )
                group.append(run)
                break
        else:
            groups.append(([run], chosen, run.attack))
    found = []
    for group, name, attack in groups:
        seeds = f" ({len(group)} seeds)" if len(group) > 1 and not names else ""
        found.append((group, f"{name}{seeds}" + (f", under {attack}" if attack and attack not in name else "")))
    return found


def _differ_by_seed(a: Run, b: Run) -> bool:
    return bool(
        a.config and a.recipe == b.recipe and a.attack == b.attack and not a.combination and not b.combination
        and not rows_differ(_plain(a), _plain(b))
    )  # fmt: skip


def _plain(run: Run) -> Contender:
    return Contender(run.given, (run.predictions,), run.attack, run.source)


def _contenders(group: Sequence[Run], name: str) -> list[Contender]:
    """Return the curve of a group, and for an ensemble a second curve of its members."""
    first = group[0]
    facts = {
        "run": [run.given for run in group],
        "network": first.network,
        "epochs": "" if first.epochs is None else first.epochs,
        "seed": ", ".join(str(run.seed) for run in group if run.seed is not None),
        "hash": ", ".join(run.hash for run in group),
        "folder": ", ".join(str(run.folder) for run in group),
    }
    members = first.predictions.of_members() if len(group) == 1 else {}
    if members:
        facts["seed"] = ", ".join(members)
    predictions = tuple(run.predictions for run in group)
    of_ensemble = f"{name}, {first.combination or 'mean'} of {len(members)}" if members else name
    found = [Contender(of_ensemble, predictions, first.attack, first.source, facts)]
    if members:
        found.append(
            Contender(f"{name}, each of {len(members)}", tuple(members.values()), first.attack, first.source, facts)
        )
    return found


def _refuse_same_names(contenders: Sequence[Contender]) -> None:
    names = [contender.name for contender in contenders]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise CollidekitError(
                f"two curves have the name {name!r}; give different names with --name, one for each run"
            )


def _own_settings(run: Run, all_runs: Sequence[Run]) -> dict[str, object]:
    """Return the settings of a run that are not equal in all runs."""
    return {
        key: run.recipe.get(key)
        for key in dict.fromkeys(key for other in all_runs for key in other.recipe)
        if any(other.recipe.get(key) != all_runs[0].recipe.get(key) for other in all_runs)
    }


def show_comparison(found: Comparison, page: Path, console: Console) -> None:
    """Print a table for each discriminator, the notes, and the path of the page."""
    for name, curves in found.curves.items():
        header, rows = short_rows(curves, found.differences[name])
        sides = f"{class_text(curves[0].first.signal)} against {class_text(curves[0].first.background)}"
        console.print(result_table(header, rows, f"{found.analysis}, {discriminator_text(name)}: {sides}"))
    for note in found.notes:
        style = "bold red" if note in found.warnings else "yellow"
        console.print(literal(note), style=style, highlight=False, soft_wrap=True)
    console.print(f"[bold green]Comparison[/bold green]: {literal(page)}", highlight=False, soft_wrap=True)
