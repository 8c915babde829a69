"""The verb ``clean``."""

from typing import Annotated

import typer

from collidekit.cli.app import MANAGE, Output, verb


@verb(MANAGE)
def clean(
    remove: Annotated[bool, typer.Option("--remove", help="Remove all that can be removed, after a question.")] = False,
    checkpoints: Annotated[
        bool,
        typer.Option("--checkpoints", help="Also remove the checkpoints model_N.pt of complete trainings, except for "
                                        "the best and the last epoch."),
    ] = False,
    store: Annotated[
        str | None,
        typer.Option("--store", help="Use this store instead of the results: a URL root://, s3:// or file://, or a file "
                     "with a store for each task.", metavar="STORE"),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove without the question.")] = False,
    output: Output = None,
) -> None:  # fmt: skip
    """Show the disk space of the results, and remove outputs that nothing needs.

    Datasets that no output was made from, unfinished outputs, and temporary files of killed processes can be removed.
    The same command constructs a dataset again. Trainings, predictions, ROC curves, working points and reports are
    always kept. So are files that changed in the last hour.

    With [bold]--store[/bold], the outputs of a store are shown, and [bold]--remove[/bold] removes files that no
    complete output needs, such as states of unfinished trainings. Without [bold]--remove[/bold] a store is not changed.

    Example: [cyan]collidekit clean --remove[/cyan]

    Writes nothing, and removes nothing without [bold]--remove[/bold].
    """
    from collidekit.errors import CollidekitError
    from collidekit.outputs.clean import clean_results, show_results
    from collidekit.outputs.clean_store import clean_stores
    from collidekit.tasks.base import results_folder

    if store is not None:
        if checkpoints:
            raise CollidekitError("clean --checkpoints: has no effect with --store; leave out one of the two")
        clean_stores(store, remove, ask=not yes)
    elif remove:
        clean_results(results_folder(), checkpoints, ask=not yes)
    else:
        show_results(results_folder(), checkpoints)
