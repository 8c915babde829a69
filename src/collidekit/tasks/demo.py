"""``collidekit demo``: the whole way on a sample that ships, for people who have just installed it."""

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
    """Run the shipped analysis of a sample to its report, and say what is going on and what one may do next."""
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
    console.print(
        f"  1. Simulated jets, which ship with collidekit, become a dataset as {find_analysis(analysis).name} says."
    )
    config = training.training_config()
    console.print(f"  2. A network ({config.model_name}) learns from them, {config.epochs} times over.")
    console.print("  3. It judges jets that it has never seen; this gives the ROC curve.")
    console.print("  4. Everything that is known of the run goes on one HTML page, the report.")
    console.print()
    run_to_report(task)
    checkpoint = training.folder / "best_model.pt"
    console.print("\n[bold]What next[/bold]")
    files = InferenceTask.req(task).test_files or training.requires()["dataset"].files()
    for command, meaning in (
        (f"collidekit check {analysis}", "what is in the sample, and whether it can be trusted"),
        (f"collidekit predict {checkpoint} {Path(files[0]).resolve()} -o scores.root", "use the tagger on files"),
        ("collidekit init YOUR_FILE.root -o analysis.yaml", "begin an analysis of your own"),
    ):
        console.print(f"  [cyan]{literal(command)}[/cyan]\n      {meaning}")
