"""Every plot is written as PNG and PDF, has its labels, and does not change settings of matplotlib."""

import resource
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from collidekit.analysis.features import Feature
from collidekit.errors import CollidekitError
from collidekit.evaluation import plots
from collidekit.evaluation.classification.efficiency import efficiency_in_bins
from collidekit.evaluation.classification.metrics import classification_metrics
from collidekit.evaluation.classification.roc_result import measure_discriminator, measure_roc
from collidekit.evaluation.plots.efficiency import set_binned_axis
from collidekit.evaluation.report.input_histograms import HistogramAxis, InputHistograms

from .conftest import gaussians

HISTORY = [
    {"epoch": e, "train_loss": 1 / e, "val_loss": 1 / e + 0.01 * e, "train_accuracy": 0.8, "val_accuracy": 0.79}
    for e in range(1, 9)
]


@pytest.fixture
def labels(monkeypatch) -> list[str]:
    """Collect all texts of the axes and legends that are drawn while a test runs."""
    seen: list[str] = []
    save = Figure.savefig

    def recording(self: Figure, *arguments: object, **options: object) -> None:
        for axes in self.axes:
            legend = axes.get_legend()
            texts = [text.get_text() for text in legend.get_texts()] if legend else []
            seen.extend([axes.get_xlabel(), axes.get_ylabel(), axes.get_title("left"), *texts])
        save(self, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", recording)
    return seen


def written(paths: list[Path]) -> bool:
    heads = [path.read_bytes()[:4] for path in paths]
    return [path.suffix for path in paths] == [".png", ".pdf"] and heads == [b"\x89PNG", b"%PDF"]


@pytest.mark.parametrize(
    ("style", "axis"), [("b-tagging", "background efficiency"), ("top-tagging", "background rejection")]
)
def test_roc(tmp_path, labels, style, axis) -> None:
    scores, truth = gaussians(1000, 2.0, seed=0)
    blurred = scores + np.random.default_rng(0).normal(size=1000)
    results = [
        measure_roc(name, values, truth, replicates=20, signal="top", background="qcd")
        for name, values in (("sharp", scores), ("blurred", blurred))
    ]
    before = dict(mpl.rcParams)
    assert written(plots.plot_roc(tmp_path / "roc", results, style))
    assert dict(mpl.rcParams) == before
    assert any(label.startswith(axis) and label.endswith("(qcd)") for label in labels)
    assert any(label.startswith("sharp, AUC = 0.9") and "±" in label for label in labels)
    assert "ratio to\nsharp" in labels
    assert any("collidekit" in label for label in labels)


def test_several_discriminators_share_a_plot(tmp_path, flavour, labels) -> None:
    results = [measure_discriminator(flavour, name, replicates=10) for name in flavour.definitions]
    assert written(plots.plot_roc(tmp_path / "roc", results))
    assert any("CvsL (c vs light)" in label for label in labels)
    assert not any("ratio" in label for label in labels)


def test_discriminator_shapes(tmp_path, flavour, labels) -> None:
    assert written(plots.plot_discriminator_shapes(tmp_path / "shape", flavour, "BvsL", thresholds={"1 %": 0.8}))
    assert {"discriminator BvsL", "fraction of entries / 0.025"} <= set(labels)


def test_confusion_matrix(tmp_path, flavour, labels) -> None:
    assert written(plots.plot_confusion_matrix(tmp_path / "confusion", classification_metrics(flavour).confusion))
    assert {"predicted class", "true class", "fraction of the true class [%]"} <= set(labels)


def test_efficiency(tmp_path, flavour, labels) -> None:
    binned = efficiency_in_bins(flavour, "BvsL", 0.6, "jet_pt", [0, 10, 40, 60, 200])
    assert written(plots.plot_efficiency(tmp_path / "efficiency", binned, "jet $p_T$ [GeV]"))
    assert {"jet $p_T$ [GeV]", "b", "c", "light"} <= set(labels)


def test_loss_curves_from_rows_and_from_a_file(tmp_path, labels) -> None:
    assert written(plots.plot_loss_curves(tmp_path / "loss", HISTORY))
    assert {"loss", "accuracy", "epoch", "training", "validation"} <= set(labels)
    assert "learning rate" not in labels
    table = tmp_path / "history.csv"
    table.write_text("epoch,train_loss,val_loss,learning_rate\n1,0.7,0.71,0.001\n2,0.6,,0.00001\n")
    assert written(plots.plot_loss_curves(tmp_path / "loss2", table))
    with pytest.raises(CollidekitError, match="no epochs"):
        plots.plot_loss_curves(tmp_path / "loss3", [])


@pytest.mark.parametrize("default", [None, -1.0])
def test_input(tmp_path, labels, default) -> None:
    generator = np.random.default_rng(0)
    axis = HistogramAxis.of_feature(Feature(name="sv_mass", unit="GeV", default=default), 0, 5)
    histograms = InputHistograms(("b", "light"), {"sv_mass": axis})
    values = np.where(generator.random(1000) < 0.3, -1, generator.gamma(2, 1, 1000))
    histograms.fill("sv_mass", values, np.arange(1000) % 2, np.ones(1000), generator.random(1000))
    assert written(plots.plot_input(tmp_path / "input", histograms["sv_mass"], reference="light"))
    assert {"sv_mass [GeV]", "fraction of entries / 0.1 GeV", "ratio to\nlight"} <= set(labels)


def test_the_same_numbers_give_the_same_picture(tmp_path, flavour) -> None:
    first, second = (plots.plot_discriminator_shapes(tmp_path / name, flavour, "BvsL") for name in "ab")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_a_full_disk_is_one_line(tmp_path, flavour) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        with pytest.raises(CollidekitError, match=r"shape.png: cannot be written \(File too large\)"):
            plots.plot_discriminator_shapes(tmp_path / "shape", flavour, "BvsL")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("edges", "scale"),
    [([0.1, 0.2, 0.3], "linear"), ([20, 110, 200], "linear"), ([20, 50, 500], "log"), ([0, 50, 500], "linear")],
)
def test_a_binned_axis_is_logarithmic_if_one_bin_takes_most_of_it(edges: list[float], scale: str) -> None:
    axes = Figure().subplots()
    set_binned_axis(axes, np.array(edges, dtype=float))
    assert axes.get_xscale() == scale
