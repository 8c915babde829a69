"""The verb that looks after results."""

from typing import Annotated

import typer

from collidekit.cli.app import KEEP, Output, verb


@verb(KEEP)
def clean(
    remove: Annotated[bool, typer.Option("--remove", help="Remove what can be freed, after a question.")] = False,
    checkpoints: Annotated[
        bool,
        typer.Option("--checkpoints", help="Also the checkpoints model_N.pt of complete trainings, but for the best and "
                     "the last epoch."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove without the question.")] = False,
    output: Output = None,
) -> None:  # fmt: skip
    """See what takes space in the results, and remove what nothing needs.

    Datasets that nothing was made from, unfinished outputs, and what killed processes left can be removed; the same
    command constructs a dataset again. Trainings, predictions, curves, working points and reports are results: they always
    stay. So does everything of the last hour.

    Example: [cyan]collidekit clean --remove[/cyan]

    Writes nothing, and removes nothing without [bold]--remove[/bold].
    """
    from collidekit.outputs.clean import clean_results, show_results
    from collidekit.tasks.base import results_folder

    if remove:
        clean_results(results_folder(), checkpoints, ask=not yes)
    else:
        show_results(results_folder(), checkpoints)
