"""The verbs ``simulate`` and ``export-events``."""

from pathlib import Path
from typing import Annotated

import typer

from collidekit.cli.app import SAMPLES, Analysis, DryRun, On, SiteFile, done_by_job, verb
from collidekit.plain_text import literal


@verb(SAMPLES)
def simulate(
    sample: Annotated[
        str, typer.Argument(help="top-tagging, jet-flavour, ttbar-dilepton, ttbar-hadronic, tth-semileptonic or moons.", show_default=False)
    ],
    jets: Annotated[
        int, typer.Option("--jets", "--events", "-n", help="Number of jets, or of events for ttbar, ttH and moons.", show_default=False)
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", show_default=False,
                           help="The file to write: .root; .h5 for ttbar-hadronic and tth-semileptonic; for jet-flavour also .json.gz.")
    ],
    source: Annotated[
        Path | None, typer.Option("--from", help="Convert the first jets of this ROOT file of the sample jet-flavour, without simulation.",
                                  show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed. The same seed gives the same rows with any number of workers.")] = 1,
    workers: Annotated[int, typer.Option(help="Number of processes.")] = 1,
    mantissa_bits: Annotated[
        int | None, typer.Option(help="Number of bits to which floats of lists are rounded (1 to 23), for smaller files.",
                                 show_default=False),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of the sample: --set noise=0.3. May be repeated.",
                                       metavar="NAME=VALUE", show_default=False),
    ] = None,
    on: On = None,
    site: SiteFile = None,
    dry_run: DryRun = False,
) -> None:  # fmt: skip
    """Simulate jets or top pairs with Pythia, FastJet and a parametrised detector, or two moons with a mass.

    All samples except moons need [bold]pip install 'collidekit\\[simulate]'[/bold].

    Example: [cyan]collidekit simulate top-tagging --jets 10000 -o jets.root --workers 4[/cyan]

    Settings of ttbar-dilepton: energy (TeV, 13), taus (1: also W to tau). Settings of ttbar-hadronic and
    tth-semileptonic: energy,
    max_jets (10 and 12), min_bjets (0). Settings of moons: noise, angle, min_mass, max_mass, mean, width, beta.

    Writes one ROOT file with the TTree [bold]tree[/bold], which appears when it is complete. ttbar-hadronic and
    tth-semileptonic are written as HDF5 in SPANet's layout, to a file name that ends in .h5 or .hdf5. jet-flavour can
    also be written to .json.gz: JSON lines in the layout of the public data of arXiv 1607.08633.
    """
    from collidekit.readers.files import check_local_files
    from collidekit.simulation import simulate as make
    from collidekit.simulation.samples import find_sample, parse_settings
    from collidekit.simulation.simulate import check_simulation

    given = parse_settings(settings or [])
    if on or site:
        check_simulation(sample, out, jets, seed, workers, mantissa_bits, given, source)
        if source is not None:
            check_local_files([str(source)])
    if done_by_job("simulation", out, on, site, dry_run, "--workers"):
        return
    written = make(sample, out, jets, seed, workers, mantissa_bits, given, source)
    typer.echo(f"{jets:,} {sample} {find_sample(sample).rows}: {written}")


@verb(SAMPLES)
def export_events(
    analysis: Analysis,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The file to write: .npz, .root, .parquet or .h5.", show_default=False)
    ],
    files: Annotated[
        list[str] | None,
        typer.Argument(help="Files to read. Default: the training files of the analysis file.", show_default=False),
    ] = None,
    padding: Annotated[
        float | None, typer.Option("--padding", help="Padding value of lists in .npz and .h5: a number or nan.",
                                   show_default="-999"),
    ] = None,
    drop_nan: Annotated[
        bool, typer.Option("--drop-nan", help="Drop rows with NaN or infinite inputs or truth, and count them.")
    ] = False,
    units: Annotated[
        str | None, typer.Option("--units", help="Write energies in MeV, GeV or TeV, converted from the units in the analysis file.",
                                 show_default=False),
    ] = None,
    max_rows: Annotated[
        int | None, typer.Option("--max-rows", help="Largest number of rows to write, from the start.", show_default=False)
    ] = None,
    split: Annotated[
        bool, typer.Option("--split", help="Add the column split as in a training: 0 training, 1 validation, 2 test. "
                                        "With folds, add the column fold."),
    ] = False,
) -> None:  # fmt: skip
    """Write selected events as plain arrays for other tools: inputs, truth, weights, spectators and event numbers.

    Selection, variables, order and limits are applied as in a training. Columns have the names of the features.
    Collections are padded arrays with a column of counts in .npz and .h5, and lists in .root and .parquet. The entry
    [bold]metadata[/bold] describes the columns as JSON.

    Example: [cyan]collidekit export-events ttbar_dilepton -o events.npz --units MeV --split[/cyan]

    Writes one file. An existing file is replaced when the new one is complete.
    """
    from rich.console import Console

    from collidekit.dataset.check import named_files
    from collidekit.dataset.export import export_events as write
    from collidekit.dataset.parts import Folds
    from collidekit.shipped import load_plan
    from collidekit.training.choice import training_config

    plan = load_plan(analysis)
    config = training_config(plan, {}) if split else None
    folds = Folds(config.folds, 0, config.fold_rule) if config and config.folds and config.fold < 0 else None
    made = write(
        plan, files or named_files(analysis, plan), out, padding=padding, drop_nan=drop_nan, units=units, max_rows=max_rows,
        split=config.split if config and not folds else None, folds=folds,
    )  # fmt: skip
    console = Console(soft_wrap=True, highlight=False)
    for step, number in made.counts.cutflow.items():
        console.print(f"  {number:>12,}  {literal(step)}")
    for name, number in {**made.counts.classes, **made.parts}.items():
        console.print(f"  {number:>12,}  written, {'in class ' if name in made.counts.classes else ''}{name}")
    for note in made.notes:
        console.print(f"[yellow]{literal(note)}[/yellow]")
    console.print(
        f"[bold green]Events[/bold green]: {literal(made.path)} ({made.counts.kept:,} rows, {len(made.columns)} columns)"
    )
