"""The verbs ``runs`` and ``compare``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from collidekit.cli import complete
from collidekit.cli.app import (
    DATA,
    EVALUATE,
    MANAGE,
    RUNNING,
    AllowTrainingRows,
    AsJson,
    Output,
    Quiet,
    TrustCode,
    panel,
    verb,
)
from collidekit.errors import CollidekitError


@verb(MANAGE)
def runs(
    analysis: Annotated[
        str | None, typer.Argument(help="List only the trainings of this analysis.", show_default=False, autocompletion=complete.trained_analyses)
    ] = None,
    discriminator: Annotated[
        str | None,
        typer.Option("--discriminator", "-d", help="The discriminator whose AUC is shown. Default: the first one.",
                     metavar="NAME", show_default=False),
    ] = None,
    as_json: AsJson = False,
    output: Output = None,
) -> None:  # fmt: skip
    """List every training in the results: network, recipe, epochs, AUC with its error, processor time and folder.

    Settings that all trainings of an analysis share are listed once. Each training shows only its other settings.
    Interrupted and damaged trainings are listed, too.

    Example: [cyan]collidekit runs --discriminator BvsL[/cyan]

    Writes nothing. To compare trainings: [cyan]collidekit compare RUN RUN[/cyan].
    """
    from rich.console import Console

    from collidekit.outputs.runs_table import as_json as content
    from collidekit.outputs.runs_table import chosen_trainings, show_trainings
    from collidekit.tasks.base import results_folder

    results = results_folder()
    found = chosen_trainings(results, analysis)
    if as_json:
        typer.echo(json.dumps(content(found, results), indent=1))
    else:
        show_trainings(found, results, Console(), discriminator)


@verb(EVALUATE)
def compare(
    named: Annotated[
        list[str],
        typer.Argument(help="Folders of reports or trainings, the first letters of their hash, checkpoints, or .parquet files of "
                       "predictions. The first one is the reference.", metavar="RUN...", show_default=False, autocompletion=complete.runs),
    ],
    taggers: Annotated[
        list[str] | None,
        typer.Option("--tagger", help="A score in the files: BRANCH or NAME=EXPRESSION, such as DeepJet=Jet_btagDeepFlavB; GN2v01 "
                     "for GN2v01_pb, _pc and _pu. Write DISCRIMINATOR: before it to name its discriminator. May be repeated.",
                     metavar="TAGGER", show_default=False),
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Option("--name", help="Name of a run in tables, plots and legends. Repeat it for each run, in the same order.",
                     metavar="NAME", show_default=False),
    ] = None,
    attacked: Annotated[
        bool, typer.Option("--attacked", help="Add the attacked predictions of each run, such as those under fgsm or noise.")
    ] = False,
    f_c: Annotated[
        float | None,
        typer.Option("--f-c", help="With --tagger: fraction of c jets in the discriminant of a tagger with pb, pc and pu. Default: 0.1.",
                     metavar="FRACTION", show_default=False),
    ] = None,
    files: Annotated[
        list[str] | None,
        panel(DATA, "--files", "-f", help="Predict these files with every run. Default: use the predictions of the "
                                        "reports. May be repeated.", metavar="FILES"),
    ] = None,
    analysis: Annotated[
        str | None,
        panel(DATA, "--analysis", help="With --files: another analysis with the same inputs, for files of another "
                                       "layout.", metavar="ANALYSIS"),
    ] = None,
    replicates: Annotated[
        int, panel(RUNNING, "--replicates", help="Number of bootstrap replicates. Default: 200.", min=20, max=100_000, metavar="NUMBER")
    ] = 200,
    threads: Annotated[int | None, panel(RUNNING, "--threads", help="Threads of torch.", min=1, max=1024, metavar="NUMBER")] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for numbers, pictures and HTML page.", metavar="FOLDER")
    ] = Path("comparison"),
    as_json: AsJson = False,
    allow_training_rows: AllowTrainingRows = False,
    output: Output = None,
    trust_code: TrustCode = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Compare trained taggers on the same rows: ROC curves with paired ratios, differences with errors and significance.

    Runs that differ only by their random seed become one curve with a band. The default names of trainings contain
    their different settings. Runs on different rows are compared without pairing, with a warning. Runs with different
    classes are an error.

    Example: [cyan]collidekit compare 04b9 8cd5 --tagger DeepJet=Jet_btagDeepFlavB[/cyan]

    Writes comparison.html, comparison.json and pictures into a folder.
    """
    from rich.console import Console

    from collidekit.evaluation.comparison.page import write_comparison
    from collidekit.evaluation.look import look_of
    from collidekit.files import plain
    from collidekit.shown import counted
    from collidekit.tasks.base import results_folder
    from collidekit.tasks.compare_runs import compare_runs, show_comparison
    from collidekit.tasks.compared_runs import RunFinder
    from collidekit.tasks.compared_taggers import F_C

    if files and attacked:
        raise CollidekitError(
            "--attacked: has no effect with --files, which are predicted without attacks; leave out one of the two"
        )
    for option, given in (
        ("--analysis", analysis),
        ("--threads", threads),
        ("--allow-training-rows", allow_training_rows),
    ):
        if given and not files:
            raise CollidekitError(f"{option}: has an effect only with --files; leave it out or name files to predict")
    if f_c is not None and not taggers:
        raise CollidekitError("--f-c: has an effect only with --tagger; leave it out or name a tagger")
    if names and len(names) != len(named):
        raise CollidekitError(
            f"--name: {len(names)} given for {counted(len(named), 'run')}; give one for each run, in their order"
        )
    if files:
        from collidekit.tasks.compared_models import predict_runs

        found = predict_runs(named, files, analysis, threads, allow_training_rows)
    else:
        finder = RunFinder(results_folder())
        groups = [finder.find(name, attacked) for name in named]
        found = [run for group in groups for run in group]
        if names:
            names = [name for name, group in zip(names, groups, strict=True) for _ in group]
    made = compare_runs(found, names or (), taggers or (), F_C if f_c is None else f_c, replicates)
    with look_of(found[0].drawn_as):
        page = write_comparison(made, out)
        if as_json:
            typer.echo(json.dumps({**plain(made.as_dict(with_curves=False)), "page": str(page)}, indent=1))
        else:
            show_comparison(made, page, Console())
