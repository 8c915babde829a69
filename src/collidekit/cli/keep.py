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
    store: Annotated[
        str | None,
        typer.Option("--store", help="Look into this store, not into the results: a URL root://, s3:// or file://, or a file "
                     "with a store for each task.", metavar="STORE"),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove without the question.")] = False,
    output: Output = None,
) -> None:  # fmt: skip
    """See what takes space in the results, and remove what nothing needs.

    Datasets that nothing was made from, unfinished outputs, and what killed processes left can be removed; the same
    command constructs a dataset again. Trainings, predictions, curves, working points and reports are results: they always
    stay. So does everything of the last hour.

    With [bold]--store[/bold] the outputs of a store are shown, and [bold]--remove[/bold] removes what is left beside complete
    ones there, such as states of a training before its end. Nothing in a store is touched without it.

    Example: [cyan]collidekit clean --remove[/cyan]

    Writes nothing, and removes nothing without [bold]--remove[/bold].
    """
    from collidekit.errors import CollidekitError
    from collidekit.outputs.clean import clean_results, show_results
    from collidekit.outputs.clean_store import clean_stores
    from collidekit.tasks.base import results_folder

    if store is not None:
        if checkpoints:
            raise CollidekitError("clean --checkpoints: is for the results folder, and does nothing beside --store")
        clean_stores(store, remove, ask=not yes)
    elif remove:
        clean_results(results_folder(), checkpoints, ask=not yes)
    else:
        show_results(results_folder(), checkpoints)
