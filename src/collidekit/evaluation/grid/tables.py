"""The table of a grid as CSV and LaTeX."""

import csv
import math
from pathlib import Path

from collidekit.evaluation.grid.results import Grid, shown
from collidekit.files import replacing, write_text

ESCAPES = str.maketrans(
    {
        **{letter: f"\\{letter}" for letter in "&%$#_{}"},
        "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    }
)  # fmt: skip


def write_csv(grid: Grid, path: Path) -> None:
    """Write a row for each point, in the order of the grid: settings, mean and spread of each figure, parameters, CPU time."""
    header = [*grid.settings, "seeds", "failed"]
    header += [column for name in grid.figures for column in (name, f"{name}_spread")]
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*header, "parameters", "cpu_seconds"])
        for point in grid.points:
            row = [*map(shown, point.settings.values()), len(point.trained), len(point.failed)]
            for name in grid.figures:
                mean, spread = point.mean(name), point.spread(name)
                row += ["" if math.isnan(mean) else repr(mean), "" if spread is None else repr(spread)]
            cpu = "" if math.isnan(point.cpu_seconds) else round(point.cpu_seconds, 3)
            writer.writerow([*row, point.parameters or "", cpu])


def write_latex(grid: Grid, path: Path) -> None:
    """Write a ``tabular`` with the best point first, for ``\\input``."""
    header, rows = grid.cells()
    lines = [rf"\begin{{tabular}}{{{'l' * len(grid.settings)}{'r' * (len(header) - len(grid.settings))}}}", r"\hline"]
    lines += [" & ".join(name.translate(ESCAPES) for name in header) + r" \\", r"\hline"]
    lines += [" & ".join(cell.translate(ESCAPES).replace("±", r"$\pm$") for cell in row) + r" \\" for row in rows]
    write_text(path, "\n".join([*lines, r"\hline", r"\end{tabular}", ""]))
