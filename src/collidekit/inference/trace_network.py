"""Output of a trained tagger for one traced row: scaled inputs, probabilities, discriminators."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from rich.console import Console

from collidekit.analysis.same_inputs import check_same_inputs
from collidekit.dataset.batch import Ragged
from collidekit.dataset.trace import Trace
from collidekit.inference.predict import predict
from collidekit.plain_text import literal
from collidekit.training.checkpoint import find_checkpoint, load_checkpoint


@dataclass(frozen=True)
class Answer:
    """Scaled inputs (constituents or 1, F) and outputs of the network for one row."""

    scaled: dict[str, NDArray[Any]]
    probabilities: dict[str, float]
    discriminators: dict[str, float]
    values: dict[str, str]
    """Estimated values of the row, as text with units."""


@torch.inference_mode()
def ask(checkpoint: str | Path, found: Trace) -> Answer:
    """Return the output of a checkpoint for a traced row; it must have the inputs of the traced analysis."""
    path = find_checkpoint(checkpoint)
    loaded = load_checkpoint(path)
    analysis = found.plan.analysis
    check_same_inputs(path, loaded.analysis, analysis)
    scaled = {
        name: (entry.values if isinstance(entry, Ragged) else entry).numpy()
        for name, entry in loaded.tagger.scaling(found.batch.inputs).items()
    }
    predictions = predict(loaded.tagger, analysis, [found.batch])
    return Answer(
        scaled,
        dict(zip(analysis.classes, predictions.probabilities[0].tolist(), strict=True)),
        {name: float(predictions.discriminator(name)[0]) for name in analysis.discriminators},
        {
            name: f"{values[0]:.5g} {predictions.units.get(name, '')}".strip()
            for name, values in predictions.values.items()
        },
    )


def show_answer(answer: Answer, console: Console) -> None:
    """Print probabilities, discriminators and values, one line each."""
    console.print("[bold]6. Output of the network[/bold]\n")
    for title, numbers in (("probability", answer.probabilities), ("discriminator", answer.discriminators)):
        if numbers:
            console.print(
                f"  {title:13} " + "   ".join(f"{name} [bold]{value:.4f}[/bold]" for name, value in numbers.items())
            )
    if answer.values:
        listed = "   ".join(f"{name} [bold]{literal(value)}[/bold]" for name, value in answer.values.items())
        console.print(f"  {'estimate':13} {listed}")
