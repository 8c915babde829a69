"""Function of ``collidekit demo``: all steps on a bundled sample, for a first test."""

from pathlib import Path

from rich.console import Console

from collidekit.errors import CollidekitError, did_you_mean
from collidekit.plain_text import literal
from collidekit.shipped import find_analysis
from collidekit.tasks.inference import InferenceTask
from collidekit.tasks.to_report import report_task, run_to_report
from collidekit.tasks.training import TrainingTask
from collidekit.verbosity import is_quiet

DEMOS = {
    "top-tagging": ("top_tagging", "jets of top quarks against jets of quarks and gluons (QCD)"),
    "jet-flavour": ("jet_flavour", "jets of b quarks against those of c quarks and of light quarks and gluons"),
}


def run_demo(sample: str, threads: int | None = None) -> None:
    """Run the bundled analysis of a sample up to its report, and print the steps and the next commands."""
    if sample not in DEMOS:
        raise CollidekitError(
            f"there is no sample {sample!r}{did_you_mean(sample, list(DEMOS))}; there are {', '.join(DEMOS)}"
        )
    analysis, question = DEMOS[sample]
    console = Console(highlight=False, soft_wrap=True)
    task = report_task(analysis, settings={"n_threads": threads})
    training = TrainingTask.req(task)
    if is_quiet():
        run_to_report(task)
        return
    console.print(f"[bold]collidekit demo[/bold]: {question}.")
    console.print(f"  1. Construct a dataset from the bundled simulated jets with {find_analysis(analysis).name}.")
    config = training.training_config()
    console.print(f"  2. Train a network ({config.model_name}) for {config.epochs} epochs.")
    console.print("  3. Predict the test set, and compute the ROC curve.")
    console.print("  4. Write all results on one HTML page, the report.")
    console.print()
    run_to_report(task)
    checkpoint = training.folder / "best_model.pt"
    console.print("\n[bold]Next steps[/bold]")
    files = InferenceTask.req(task).test_files or training.requires()["dataset"].files()
    for command, meaning in (
        (f"collidekit check {analysis}", "check the sample"),
        (f"collidekit predict {checkpoint} {Path(files[0]).resolve()} -o scores.root", "apply the tagger to files"),
        ("collidekit init YOUR_FILE.root -o analysis.yaml", "write an analysis file for your own files"),
    ):
        console.print(f"  [cyan]{literal(command)}[/cyan]\n      {meaning}")
