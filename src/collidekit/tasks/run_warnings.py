"""Warnings at the end of a run: overfitting, and seeds that differ by more than the statistical error."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median

from collidekit.errors import CollidekitError
from collidekit.evaluation.ensemble import EnsembleResult
from collidekit.sealed import as_written, read_sealed
from collidekit.tasks.inference import InferenceTask
from collidekit.tasks.roc import ROCCurveTask
from collidekit.training.history import read_history

FEWEST_EPOCHS, LAST = 4, 3
RISE = 0.02
"""Smallest relative rise of the validation loss for a warning."""


def overfitting_note(epochs: Sequence[dict[str, float]], name: str = "") -> str:
    """Return a warning if the validation loss rose after its best epoch while the training loss fell; empty if not.

    The rise is computed from the mean of the last epochs. It must be larger than 2 % and larger than the fluctuations
    of the loss.
    """
    if len(epochs) < FEWEST_EPOCHS:
        return ""
    best = min(range(len(epochs)), key=lambda i: epochs[i]["val_loss"])
    after = epochs[best + 1 :]
    if len(after) < 2:
        return ""
    last = after[-LAST:]
    lowest, now = epochs[best]["val_loss"], fmean(row["val_loss"] for row in last)
    noise = median(abs(b["val_loss"] - a["val_loss"]) for a, b in zip(epochs[best:-1], after, strict=True))
    steady = abs(after[-1]["val_loss"] - lowest) > 2 * noise or len(after) > LAST
    if now - lowest <= max(RISE * abs(lowest), noise) or not steady:
        return ""
    train, at_best = last[-1]["train_loss"], epochs[best]["train_loss"]
    if train >= at_best:
        return ""
    of = f" of {name}" if name else ""
    return (
        f"OVERFITTING{of}: after epoch {epochs[best]['epoch']:.0f} the validation loss rises from {lowest:.4g} to {now:.4g}, while the training "
        f"loss falls from {at_best:.4g} to {train:.4g}. The model of epoch {epochs[best]['epoch']:.0f} is kept. More "
        f"rows, augmentation, dropout or a "
        "larger weight_decay help; early_stopping=5 stops such a training"
    )


def unstable_note(results: Sequence[EnsembleResult]) -> str:
    """Return a warning if trainings with other seeds differ by more than the statistical error; empty if not."""
    parts = []
    for result in results:
        spread = result.spread()[1]
        error = fmean(member.auc_error for member in result.members)
        if len(result.members) > 1 and spread > error:
            parts.append(f"{result.discriminator} {spread:.2g} (statistical error {error:.2g})")
    if not parts:
        return ""
    return (
        f"UNSTABLE SEEDS: the AUC of {len(results[0].members)} trainings that differ only by their random seed has a "
        f"standard deviation of {', '.join(parts)}. "
        "One training says little about its recipe: compare means of several seeds, train longer, or lower the learning rate"
    )


def notes_of_run(inference: InferenceTask, roc: ROCCurveTask | None) -> list[str]:
    """Return the warnings of a complete run."""
    notes = []
    trainings = inference.trainings()
    for name, training in trainings.items():
        epochs = _losses(training.folder / "history.csv")
        notes.append(overfitting_note(epochs, name if len(trainings) > 1 else ""))
    if roc is not None and inference.all_seeds:
        path = roc.folder / "roc.json"
        with as_written(path):
            notes.append(unstable_note([EnsembleResult.read(one) for one in read_sealed(path).get("ensembles", ())]))
    return [note for note in notes if note]


def _losses(path: Path) -> list[dict[str, float]]:
    """Return the epochs of a history with their losses; none if it is damaged, which is an error of the report itself."""
    try:
        epochs = read_history(path)
    except CollidekitError:
        return []
    return epochs if all(row.keys() >= {"epoch", "train_loss", "val_loss"} for row in epochs) else []
