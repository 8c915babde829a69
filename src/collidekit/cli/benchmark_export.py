"""Verbs that export a benchmark to other platforms."""

from pathlib import Path
from typing import Annotated

import typer

from collidekit.cli.benchmark import ORGANISE, Folder, benchmark_verb
from collidekit.plain_text import literal

Out = Annotated[Path, typer.Option("--out", "-o", help="The zip file to write.", show_default=False)]


@benchmark_verb(ORGANISE)
def export_codabench(
    folder: Folder,
    out: Out,
    image: Annotated[str, typer.Option("--image", help="Container image for the scoring, with Python 3.11 and numpy, "
                                        "and pyarrow for Parquet.",
                                       metavar="NAME")] = "codalab/codalab-legacy:py312",
    seconds: Annotated[int, typer.Option("--seconds", help="Time limit of the scoring in seconds.", min=10)] = 900,
) -> None:  # fmt: skip
    """Write a competition bundle for Codabench, with the same scorer and the same scores.

    Participants submit predictions on Codabench. Its phases are consecutive: each phase except the last needs an
    [bold]end[/bold] in benchmark.yaml. The bundle contains the truth: give it only to the platform.

    Example: [cyan]collidekit benchmark export-codabench my_benchmark -o bundle.zip[/cyan]

    Writes one zip file, which appears when it is complete.
    """
    from collidekit.benchmark.check import check_benchmark
    from collidekit.benchmark.codabench import export_codabench as write
    from collidekit.benchmark.definition import load_benchmark

    check_benchmark(load_benchmark(folder))
    typer.echo(f"{literal(write(folder, out, image=image, seconds=seconds))}: a competition bundle for Codabench")


@benchmark_verb(ORGANISE)
def export_evalai(folder: Folder, out: Out) -> None:
    """Write a challenge for EvalAI, with the same scorer and the same scores.

    Participants submit predictions on EvalAI. The zip file contains the truth: give it only to the platform.

    Example: [cyan]collidekit benchmark export-evalai my_benchmark -o challenge.zip[/cyan]

    Writes one zip file, which appears when it is complete.
    """
    from collidekit.benchmark.check import check_benchmark
    from collidekit.benchmark.definition import load_benchmark
    from collidekit.benchmark.evalai import export_evalai as write

    check_benchmark(load_benchmark(folder))
    typer.echo(f"{literal(write(folder, out))}: a challenge for EvalAI")
