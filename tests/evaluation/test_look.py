"""Plots use experiment, labels and formats of the analysis and the site."""

from pathlib import Path

import numpy as np
import pytest

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.plot_settings import PlotSettings
from collidekit.errors import CollidekitError
from collidekit.evaluation import plots
from collidekit.evaluation.classification.points_in_bins import points_in_bins
from collidekit.evaluation.classification.roc_result import measure_discriminator, measure_roc
from collidekit.evaluation.classification.spectrum import spectrum
from collidekit.evaluation.classification.working_point_files import write_working_points
from collidekit.evaluation.classification.working_points import working_points
from collidekit.evaluation.look import SITE, identity, look_of
from collidekit.evaluation.plots.confusion import cell_text
from collidekit.evaluation.plots.experiment import collisions, experiment_label
from collidekit.evaluation.plots.style import BESIDE, right_title

from .conftest import gaussians

TEXT = """
classes: {light: f == 0, c: f == 4, b: f == 5}
inputs: {jet: {features: [jet_pt]}}
labels: {b: b jets, light: light jets}
discriminators: {BvsL: {signal: b, background: light, label: $D_b$}}
plots: {experiment: ATLAS, status: Internal, energy: 13, luminosity: 140, formats: [svg], note: false}
"""


def test_labels_and_formats_are_those_of_the_analysis(tmp_path: Path, flavour) -> None:
    result = measure_discriminator(flavour, "BvsL", replicates=5)
    with look_of(parse_analysis(TEXT)[0]):
        drawn = plots.plot_roc(tmp_path / "roc", [result], note="a training")
    assert [path.suffix for path in drawn] == [".png", ".svg"]
    axes = drawn.figure.axes[0]
    assert axes.get_xlabel().endswith("(b jets)")
    assert axes.get_legend().get_texts()[0].get_text().startswith("$D_b$, AUC")
    assert "ATLAS" in axes.get_title("left")
    assert axes.get_title("right") == r"$\sqrt{s}$ = 13 TeV, 140 fb$^{-1}$"
    plain = plots.plot_roc(None, [result], note="a training").figure.axes[0]
    assert plain.get_title("right") == "a training"
    assert "collidekit" in plain.get_title("left")
    assert "imulation" not in plain.get_title("left")


def test_simulation_is_said_only_where_the_user_says_it() -> None:
    assert "Simulation" in experiment_label(PlotSettings(experiment="CMS", simulation=True))
    assert "imulation" not in experiment_label(PlotSettings(experiment="CMS"))
    assert experiment_label(PlotSettings(experiment="none")) == ""
    assert collisions(PlotSettings(experiment="CMS", energy=13.6, luminosity=138)) == "138 fb$^{-1}$ (13.6 TeV)"
    assert collisions(PlotSettings()) == ""


def test_the_file_of_a_site_is_under_the_analysis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site.yaml"
    site.write_text("experiment: LHCb\nenergy: 8\n")
    analysis = parse_analysis(TEXT)[0]
    without = parse_analysis(TEXT.split("labels:")[0])[0]
    before, nothing = identity(analysis), identity(without)
    assert nothing == {}
    monkeypatch.setenv(SITE, str(site))
    with look_of(analysis) as look:
        assert (look.settings.experiment, look.settings.energy) == ("ATLAS", 13)
    with look_of(None) as look:
        assert (look.settings.experiment, look.settings.energy) == ("LHCb", 8)
    assert identity(without) != nothing
    assert identity(analysis) == before
    for text, said in (
        ("energie: 8\n", "unknown key.*energy"),
        ("- 1\n", "lines 'key: value'"),
        ("size: 9\n", "size"),
    ):
        site.write_text(text)
        with pytest.raises(CollidekitError, match=rf"{site}:1: .*{said}|{site}:1: {said}"), look_of(None):
            pass
    monkeypatch.setenv(SITE, str(tmp_path / "none.yaml"))
    with pytest.raises(CollidekitError, match="cannot be read"), look_of(None):
        pass


def test_styles_of_mplhep(tmp_path: Path, flavour) -> None:
    pytest.importorskip("mplhep")
    result = measure_discriminator(flavour, "BvsL", replicates=5)
    plain = plots.plot_roc(tmp_path / "plain", [result])
    with look_of(None, PlotSettings(style="CMS")):
        drawn = plots.plot_roc(tmp_path / "cms", [result])
    assert b"TeXGyreHeros" in drawn[1].read_bytes()
    assert b"TeXGyreHeros" not in plain[1].read_bytes()
    assert drawn._repr_png_() != plain._repr_png_()


def test_the_curve_ends_where_too_few_rows_survive() -> None:
    scores, truth = gaussians(2000, 6.0, seed=0)  # nearly perfect: no background survives at most efficiencies
    result = measure_roc("sharp", scores, truth, replicates=10)
    axes = plots.plot_roc(None, [result]).figure.axes[0]
    curve, limit = axes.get_lines()[:2]
    assert curve.get_ydata().min() >= 3 / result.background_rows
    assert limit.get_ydata()[0] == pytest.approx(2.996 / result.background_rows)
    assert limit.get_xdata()[1] == curve.get_xdata()[0]
    assert axes.get_ylim()[0] < limit.get_ydata()[0]
    top = plots.plot_roc(None, [result], "top-tagging").figure.axes[0]
    assert top.get_lines()[0].get_ydata().max() < top.get_ylim()[1] / 2


def test_a_percentage_has_the_digits_of_its_error() -> None:
    assert cell_text(90.34, 0.42) == "90.3\n±0.4"
    assert cell_text(90.34, 3.4) == "90\n±3"
    assert cell_text(float("nan"), 1.0) == "no rows"


def test_thresholds_in_bins_are_those_of_the_rows_in_the_bin(tmp_path: Path, flavour) -> None:
    import correctionlib

    edges = [0.0, 40.0, 1e6]
    (found,) = [one for one in points_in_bins(flavour, {"jet_pt": edges}, [0.1], [0.7]) if one.discriminator == "BvsL"]
    scores, truth, weights = flavour.task("BvsL")
    rows = np.isin(flavour.labels, [flavour.classes.index(name) for name in ("b", "light")])
    for low, high, entry in zip(edges[:-1], edges[1:], found.bins, strict=True):
        pt = flavour.spectators["jet_pt"][rows]
        inside = (pt >= low) & (pt < high)
        background = inside & ~truth
        kept = weights[background & (scores >= entry.points[0].threshold)].sum() / weights[background].sum()
        assert 0.05 < kept <= 0.1 + 1e-9
    write_working_points(tmp_path / "wp", working_points(flavour, [0.1], [0.7]), "toy", [found])
    read = correctionlib.CorrectionSet.from_file(str(tmp_path / "wp_correctionlib.json"))["threshold_in_jet_pt"]
    assert read.evaluate("BvsL", "mistag_0.1", 20.0) == pytest.approx(found.bins[0].points[0].threshold)
    assert plots.plot_points_in_bins(None, found, "jet $p_T$").figure.axes[1].get_xlabel() == "jet $p_T$"


def test_a_bin_without_rows_has_a_reason(flavour) -> None:
    found = points_in_bins(flavour, {"jet_pt": [1e7, 1e8]}, [0.1])[0]
    assert found.bins[0].points[0].threshold is None
    assert "no signal rows in this bin" in str(found.bins[0].points[0].reason)


def test_a_spectrum_holds_the_weights_before_and_after(flavour) -> None:
    found = spectrum(flavour, "BvsL", 0.5, "jet_pt")
    b = flavour.classes.index("b")
    values, rows = flavour.spectators["jet_pt"], flavour.labels == b
    inside = rows & (values >= found.edges[0]) & (values <= found.edges[-1])
    passed = inside & (flavour.discriminator("BvsL") >= 0.5)
    assert found.before[0][b].sum() == pytest.approx(flavour.weights[inside].sum())
    assert found.after[0][b].sum() == pytest.approx(flavour.weights[passed].sum())
    assert plots.plot_spectrum(None, found, "jet $p_T$ [GeV]").figure.axes[0].get_ylabel().endswith("GeV")


def test_long_titles_break_after_a_comma() -> None:
    note = "top_tagging, pfn v1 a0d20e8737, mistag rate 10 %"
    assert right_title(note) == "top_tagging, pfn v1 a0d20e8737,\nmistag rate 10 %"
    assert max(map(len, right_title("a long name without any comma in it " * 3).splitlines())) <= BESIDE
