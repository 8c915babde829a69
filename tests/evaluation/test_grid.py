"""Means and spreads over seeds, the best point, tables and the plot of a grid."""

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import PathCollection

from collidekit.errors import CollidekitError
from collidekit.evaluation.grid.results import Grid, Point, Trained, choose_figure
from collidekit.evaluation.grid.tables import write_csv, write_latex
from collidekit.evaluation.plots import plot_grid
from collidekit.evaluation.plots.grid import Scale, is_geometric


def trained(seed: int, loss: float, accuracy: float = 0.5, **more: Any) -> Trained:
    return Trained(
        seed, "f", 3, {"val_loss": loss, "val_accuracy": accuracy, "val_v_rms": 7.0, **more}, 1234, 10.0 * seed
    )


def points() -> list[Point]:
    return [
        Point({"epochs": 5, "model_name": "a_b"}, [trained(1, 0.5, 0.7), trained(2, 0.7, 0.9)]),
        Point({"epochs": 50, "model_name": "a_b"}, [trained(1, 0.45, 0.6), trained(2, 0.55, 0.62)]),
        Point({"epochs": 5, "model_name": "c"}, [trained(1, 0.4)], {"2": "loss is nan"}),
        Point({"epochs": 50, "model_name": "c"}, [], {"1": "no", "2": "no"}),
    ]


def test_means_spreads_and_the_best_point() -> None:
    found = points()
    assert found[0].mean("val_loss") == pytest.approx(0.6)
    assert found[0].spread("val_loss") == pytest.approx(math.sqrt(0.02))
    assert found[2].spread("val_loss") is None
    assert math.isnan(found[3].mean("val_loss"))
    grid = Grid(found, "val_loss")
    assert grid.order() == [2, 1, 0, 3]
    assert grid.best is found[2]
    assert Grid(found, "val_accuracy").order() == [0, 1, 2, 3]  # the largest is best
    header, rows = grid.cells()
    assert header == ["epochs", "model_name", "validation loss", "validation accuracy", "parameters", "CPU time (s)"]
    assert rows[0] == ["5", "c", "0.4 (1 failed)", "0.5", "1,234", "10.0"]
    assert rows[2] == ["5", "a_b", "0.60 ± 0.14", "0.80 ± 0.14", "1,234", "15.0"]
    assert rows[3] == ["50", "c", "failed", "failed", "failed", "failed"]
    assert Point.read(found[0].as_dict()) == found[0]
    with pytest.raises(CollidekitError, match="no point of the grid was trained"):
        _ = Grid(found[3:], "val_loss").best


def test_losses_of_other_functions_are_not_compared() -> None:
    assert choose_figure(["epochs"], points()) == ("val_loss", "")
    figure, why = choose_figure(["epochs", "loss_function"], points())
    assert figure == "val_accuracy"
    assert "losses of different loss_function cannot be compared" in why
    only = [
        Point({"label_smoothing": v}, [Trained(1, "f", 1, {"val_loss": v, "val_v_rms": 1.0}, 1, 1.0)])
        for v in (0.0, 0.1)
    ]
    with pytest.raises(CollidekitError, match="label_smoothing cannot be compared, and the trainings have no accuracy"):
        choose_figure(["label_smoothing"], only)


def test_tables(tmp_path: Path) -> None:
    grid = Grid(points(), "val_loss")
    write_csv(grid, tmp_path / "g.csv")
    with (tmp_path / "g.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epochs"] for row in rows] == ["5", "50", "5", "50"]
    assert float(rows[1]["val_loss"]) == 0.5
    assert float(rows[1]["val_loss_spread"]) == pytest.approx(0.1 / math.sqrt(2))
    assert rows[3]["val_loss"] == rows[2]["val_loss_spread"] == rows[3]["cpu_seconds"] == ""
    assert (rows[2]["seeds"], rows[2]["failed"]) == ("1", "1")
    write_latex(grid, tmp_path / "g.tex")
    lines = (tmp_path / "g.tex").read_text().splitlines()
    assert lines[0] == r"\begin{tabular}{llrrrr}"
    assert r"5 & a\_b & 0.60 $\pm$ 0.14 & 0.80 $\pm$ 0.14 & 1,234 & 15.0 \\" in lines
    assert all(line.count("&") == 5 for line in lines[2:-2] if "&" in line)


def test_axes_are_logarithmic_where_values_are_spread_by_factors() -> None:
    for numbers in ([16, 32, 64], [0.001, 0.003, 0.01], [1, 100], [1, 2, 5, 10, 20]):
        assert is_geometric(numbers), numbers
    for numbers in ([5, 10, 15], [0, 1, 10], [-1, 1, 10], [5, 10], [3]):
        assert not is_geometric(numbers), numbers
    scale = Scale([16, 64, 32, 64])
    assert scale(32) == pytest.approx(0.5)
    assert Scale([1, 2, 3])(2) == pytest.approx(0.5)
    assert Scale(["b", "a"])("b") < Scale(["b", "a"])("a")
    assert Scale([7])(7) == 0.5
    assert [text for _, text in Scale([True, False]).ticks()] == ["True", "False"]
    assert not Scale([[64, 64], [32]]).numeric


def test_the_plot_has_a_line_for_each_trained_point(tmp_path: Path) -> None:
    plot = plot_grid(tmp_path / "grid", Grid(points(), "val_loss"), "toys, 4 points")
    axes = plot.figure.axes[0]
    lines = {tuple(np.round(line.get_ydata(), 3)): line for line in axes.lines if len(line.get_xdata()) == 3}
    assert len(lines) == 3
    best = next(line for line in lines.values() if line.get_label() == "best point")
    losses = sorted(line.get_ydata()[-1] for line in lines.values())
    assert best.get_ydata()[-1] == losses[0]  # the smallest loss is lowest on the last axis
    assert (losses[1] - losses[0]) / (losses[2] - losses[0]) == pytest.approx(0.5)  # 0.4, 0.5, 0.6
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        "epochs\n(log axis)",
        "model_name",
        "validation loss",
    ]
    assert not [one for one in axes.collections if isinstance(one, PathCollection)]
    assert {path.name for path in plot} == {"grid.png", "grid.pdf"}
    one = Grid([Point({"epochs": 5}, [trained(1, 0.5)])], "val_loss")
    assert len(plot_grid(None, one).figure.axes) == 1
