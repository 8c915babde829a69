"""Plots of relegation and of the significance: files, axes, legends and errors."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from collidekit.errors import CollidekitError
from collidekit.evaluation import plots
from collidekit.evaluation.significance.evaluate import Measured
from collidekit.evaluation.significance.peak_fit import fit_peak

WINDOW = (0.425, 0.575)


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return all texts of the written figures, including legends."""
    found: list[str] = []
    written = mpl.figure.Figure.savefig

    def savefig(self, *args, **settings):  # type: ignore[no-untyped-def]
        found.extend(text.get_text() for text in self.findobj(mpl.text.Text))
        return written(self, *args, **settings)

    monkeypatch.setattr(mpl.figure.Figure, "savefig", savefig)
    return found


def written(paths: list[Path]) -> None:
    assert {path.suffix for path in paths} == {".png", ".pdf"}
    assert all(path.stat().st_size > 2000 for path in paths)


def test_boundary(tmp_path: Path, texts: list[str]) -> None:
    random = np.random.default_rng(0)
    points, labels = random.normal(size=(3000, 2)), np.arange(3000) % 2
    x, y = np.linspace(-3, 3, 30), np.linspace(-3, 3, 20)
    decisions = np.digitize(x[None, :] + 0 * y[:, None], [-0.5, 0.5]) * 1
    decisions = np.choose(decisions, [0, 2, 1])
    written(
        plots.plot_boundary(tmp_path / "b", points, labels, ["background", "signal"], x, y, decisions, ("x1", "x2"))
    )
    assert {"background", "signal", "relegated", "x1", "x2"} <= set(texts)


def test_masses(tmp_path: Path, texts: list[str]) -> None:
    random = np.random.default_rng(0)
    signal = np.arange(8000) % 4 == 0
    mass = np.where(signal, random.normal(0.5, 0.03, 8000), random.exponential(0.6, 8000) % 1)
    chosen, weights = signal | (random.uniform(size=8000) < 0.2), np.full(8000, 0.5)
    yields = (Measured(900, 450, 24.5, 0.3, 1, 100), Measured(900, 90, 28.6, 0.4, 0.3, 100))
    fits = tuple(fit_peak(mass[rows], weights[rows], WINDOW) for rows in (np.ones(8000, bool), chosen))
    written(plots.plot_masses(tmp_path / "m", mass, signal, chosen, weights, WINDOW, "mass [GeV]", fits, yields))
    said = "\n".join(texts)
    assert "mass [GeV]" in said
    assert "28.60 ± 0.40" in said or "28.6 ± 0.4" in said
    assert "fitted peak" in said
    assert "window" in said


def test_confusion_with_the_relegated_column(tmp_path: Path, texts: list[str]) -> None:
    written(
        plots.plot_confusion_relegated(
            tmp_path / "c", np.array([[0.7, 0.1, 0.2], [0.25, 0.6, 0.15]]), ["background", "signal"]
        )
    )
    assert {"70.0", "20.0", "60.0", "15.0", "relegated"} <= set(texts)
    with pytest.raises(CollidekitError, match="relegated column"):
        plots.plot_confusion_relegated(tmp_path / "c", np.eye(2), ["background", "signal"])


def test_curves_and_marks(tmp_path: Path, texts: list[str]) -> None:
    coverage = np.geomspace(1e-3, 1, 50)
    value = 20 * coverage**0.1
    written(plots.plot_risk_coverage(tmp_path / "r", [("relegator", coverage, 0.1 * coverage)]))
    curves, points = [("threshold", coverage, value, 0 * value)], [("relegator", 0.1, 16.0, 0.4)]
    written(plots.plot_significance_coverage(tmp_path / "s", curves, points, 23.0))
    said = "\n".join(texts)
    for text in ("threshold", "relegator, own decision", "best possible, 23", "coverage"):
        assert text in said
    with pytest.raises(CollidekitError, match="nothing to draw"):
        plots.plot_significance_coverage(tmp_path / "s", [], [], None)


def test_seeds_scans_and_epochs(tmp_path: Path, texts: list[str]) -> None:
    rows = [
        ("relegator", np.array([22.8, 22.9, 23.0]), np.full(3, 0.1)),
        ("tuned", np.array([22.0, 22.9, 22.5]), np.full(3, 0.1)),
    ]
    written(plots.plot_significance_seeds(tmp_path / "seeds", rows, 23.0))
    x = np.array([0.1, 0.3, 1.0])
    scan = [("relegator", np.array([30.0, 22.0, 9.0]), np.array([0.1, 0.1, 0.2]))]
    written(plots.plot_scan(tmp_path / "scan", x, "noise", scan, np.array([30.5, 22.3, 9.1])))
    every, some = np.arange(1.0, 6), np.array([1.0, 5.0])
    panels = [
        ("loss", [("training", every, np.ones(5)), ("validation", every, np.full(5, 1.1))]),
        ("significance", [("validation", every, np.arange(5.0)), ("evaluation", some, np.array([0.0, 3.0]))]),
    ]
    written(plots.plot_significance_epochs(tmp_path / "epochs", panels))
    assert {"relegator", "tuned", "noise", "loss", "significance", "training", "validation", "epoch"} <= set(texts)
    assert "evaluation" in texts
    with pytest.raises(CollidekitError, match="nothing to draw"):
        plots.plot_significance_epochs(tmp_path / "epochs", [])


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[mpl.figure.Figure]:
    """Return the written figures."""
    found: list[mpl.figure.Figure] = []
    written = mpl.figure.Figure.savefig

    def savefig(self, *args, **settings):  # type: ignore[no-untyped-def]
        found.append(self)
        return written(self, *args, **settings)

    monkeypatch.setattr(mpl.figure.Figure, "savefig", savefig)
    return found


@pytest.mark.parametrize(("rows", "each"), [(3000, 1500), (9000, 2000)])
def test_at_most_two_thousand_points_of_a_class_are_drawn(
    tmp_path: Path, drawn: list[mpl.figure.Figure], rows: int, each: int
) -> None:
    points, labels = np.random.default_rng(0).normal(size=(rows, 2)), np.arange(rows) % 2
    grid = np.linspace(-3, 3, 10)
    decisions = np.zeros((10, 10), dtype=int)
    plots.plot_boundary(tmp_path / "b", points, labels, ["background", "signal"], grid, grid, decisions, ("x1", "x2"))
    assert sum(len(line.get_xdata()) for line in drawn[0].axes[0].lines) == 2 * each


def test_a_small_coverage_has_a_logarithmic_axis(tmp_path: Path, drawn: list[mpl.figure.Figure]) -> None:
    for kept in (0.01, 0.5):
        plots.plot_significance_coverage(tmp_path / "s", [], [("relegator", kept, 5.0, 0.1)])
    assert [canvas.axes[0].get_xscale() for canvas in drawn[::2]] == ["log", "linear"]


def test_the_lower_panel_of_a_scan_is_the_ratio_to_the_best(tmp_path: Path, drawn: list[mpl.figure.Figure]) -> None:
    x, best = np.array([1.0, 0.1, 0.5]), np.array([10.0, 30.0, 20.0])
    plots.plot_scan(tmp_path / "s", x, "noise", [("relegator", 0.9 * best, 0.1 * best)], best)
    above, below = drawn[0].axes
    values = above.containers[0][0].get_ydata(), below.containers[0][0].get_ydata()
    np.testing.assert_allclose(values[0], [27.0, 18.0, 9.0])
    np.testing.assert_allclose(values[1], 0.9)
