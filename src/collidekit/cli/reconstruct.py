"""The verb ``reconstruct``."""

from pathlib import Path
from typing import Annotated

import typer

from collidekit.cli.app import DATA, PIPELINE, Analysis, panel, verb
from collidekit.plain_text import literal


@verb(PIPELINE)
def reconstruct(
    analysis: Analysis,
    files: Annotated[list[str], typer.Argument(help="Files: paths, globs, .txt lists, root:// URLs.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write: .root or .parquet.", show_default=False)],
    methods: Annotated[
        str | None, typer.Option("--methods", help="Methods, separated by commas. Default: all except delta_r_greedy and sonnenschein.",
                                 metavar="NAMES", show_default=False),
    ] = None,
    plots: Annotated[
        Path | None, typer.Option("--plots", help="Folder for tables and plots of the comparison with the truth.",
                                  show_default=False),
    ] = None,
    skip_bad_files: Annotated[bool, panel(DATA, "--skip-bad-files", help="Skip unreadable and empty files.")] = False,
) -> None:  # fmt: skip
    """Reconstruct dileptonic top pairs with classical methods: the jet of each lepton, and the neutrinos.

    No training is needed. The key [bold]dilepton[/bold] of the analysis file names leptons, jets and missing momentum,
    and its key [bold]methods[/bold] has settings. The files may lack the truth; if they have it, the methods are
    compared with it.

    Example: [cyan]collidekit reconstruct ttbar_dilepton events.root -o methods.root --methods
    ellipse,neutrino_weighting[/cyan]

    Writes one file with a row for each selected event: <method>_index_<slot> (position of the jet in the file, -1 for
    none),
    <method>_nu_px to <method>_nubar_pz, <method>_m_tt, <method>_score, <method>_status. The file appears when it is
    complete.
    """
    from rich.console import Console

    from collidekit.evaluation.reconstruct_to_file import STATUSES, reconstruct_to_file
    from collidekit.evaluation.reconstruction import USUAL
    from collidekit.progress import counting
    from collidekit.shipped import load_plan
    from collidekit.tasks.reconstruction import method_table

    chosen = USUAL if methods is None else tuple(name.strip() for name in methods.split(",") if name.strip())
    with counting("Reading", "events") as done:
        made = reconstruct_to_file(load_plan(analysis), files, out, chosen, plots, skip_bad_files, done)
    console = Console(soft_wrap=True, highlight=False)
    for message in made.skipped:
        console.print(f"[yellow]skipped:[/yellow] {literal(message)}")
    for note in made.notes:
        console.print(f"[yellow]{literal(note)}[/yellow]")
    if made.results:
        console.print(method_table(made.results))
    console.print(f"Status: {STATUSES}")
    if made.plots:
        console.print(f"Tables and plots: {literal(made.plots)}")
    console.print(f"[bold green]Reconstructed[/bold green]: {literal(made.path)} ({made.events:,} events)")
