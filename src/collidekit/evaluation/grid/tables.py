"""The table of a grid as CSV and LaTeX."""

from pathlib import Path

from collidekit.evaluation import sheet
from collidekit.evaluation.grid.results import Grid, shown
from collidekit.files import write_text


def write_csv(grid: Grid, path: Path) -> None:
    """Write a row for each point, in the order of the grid: settings, mean and spread of each figure, parameters, CPU time."""
    header = [*grid.settings, "seeds", "failed"]
    header += [column for name in grid.figures for column in (name, f"{name}_spread")]
    rows = []
    for point in grid.points:
        figures = [number for name in grid.figures for number in (point.mean(name), point.spread(name))]
        settings = map(shown, point.settings.values())
        cpu = round(point.cpu_seconds, 3)
        rows.append([*settings, len(point.trained), len(point.failed), *figures, point.parameters, cpu])
    sheet.write_csv(path, [*header, "parameters", "cpu_seconds"], rows)


def write_latex(grid: Grid, path: Path) -> None:
    """Write a ``tabular`` with the best point first, for ``\\input``."""
    header, rows = grid.cells()
    write_text(path, "\n".join([*sheet.tabular(header, rows, len(grid.settings)), ""]))
