"""ROC curves as text, for a terminal."""

from collections.abc import Sequence

import numpy as np

from collidekit.evaluation.classification.few_rows import LEAST_ROWS
from collidekit.evaluation.classification.roc_result import RocResult
from collidekit.evaluation.numbers import with_error

MARKS = "*o+x#@%&"


def terminal_roc(results: Sequence[RocResult], width: int = 78, height: int = 20) -> str:
    """Return the background efficiency (logarithmic, from 1 down) against the signal efficiency (0 to 1) as lines of text."""
    width, height = max(width - 8, 20), max(height, 6)
    decades = max(1, int(np.ceil(np.log10(max(r.background_rows / LEAST_ROWS for r in results)))))
    grid = np.full((height, width), " ")
    at = (np.arange(width) + 0.5) / width  # signal efficiency at the middle of each column
    for number, result in enumerate(results):
        background = result.curve.background_efficiencies[result.curve.points(at)]
        for column, value in enumerate(background):
            depth = -np.log10(value) / decades if value > 0 else np.inf
            if depth <= 1:
                grid[min(int(depth * height), height - 1), column] = MARKS[number % len(MARKS)]
    lines = ["background efficiency"]
    for row in range(height):
        label = next((f"1e-{d}" if d else "1" for d in range(decades) if int(d / decades * height) == row), "")
        lines.append(f"{label:>6} |" + "".join(grid[row]).rstrip())
    lines.append(f"{f'1e-{decades}':>6} +" + "-" * width)
    ticks = [" "] * width
    for tick in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        place = min(int(tick * width), width - 3)
        ticks[place : place + 3] = list(f"{tick:.1f}")
    lines.append(" " * 8 + "".join(ticks).rstrip())
    lines.append("signal efficiency".rjust(width + 8))
    for number, result in enumerate(results):
        name = f"{result.name} ({result.signal} against {result.background})"
        lines.append(f"  {MARKS[number % len(MARKS)]} {name}, AUC {with_error(result.auc, result.auc_error)}")
    return "\n".join(lines)
