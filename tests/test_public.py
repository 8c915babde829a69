"""What a notebook does, with the names of ``collidekit`` alone, and what it shows."""

import ast
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import toys
from matplotlib.figure import Figure

import collidekit as ck
from collidekit.extras import need
from collidekit.histograms import fill
from collidekit.shown import html_table

HEAVY = ("torch", "awkward", "matplotlib", "luigi", "law", "numpy", "pyarrow", "scipy", "sklearn", "pydantic")


class Notebook:
    """Every step of the toy, from its file to its plots."""

    def __init__(self, folder: Path) -> None:
        (folder / "toy.yaml").write_text(toys.TOY)
        toys.write_table(folder / "rows.root", toys.toy_table(1500))
        self.folder, self.files = folder, str(folder / "rows.root")
        self.plan = ck.load_plan(folder / "toy.yaml")
        ck.construct(self.plan, self.files, folder / "dataset", progress=False)
        self.dataset = ck.Dataset(folder / "dataset")
        settings = {
            "model_name": "pfn",
            "model_options": toys.SMALL,
            "epochs": 2,
            "batch_size": 100,
            "learning_rate": 0.01,
        }
        self.checkpoint = ck.train(self.dataset, folder / "training", show=False, **settings)
        self.predictions = ck.predict(self.checkpoint, self.dataset, allow_training_rows=True)
        self.roc = ck.measure_discriminator(self.predictions, "SvsB", replicates=20)


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Notebook:
    return Notebook(tmp_path_factory.mktemp("notebook"))


@pytest.mark.parametrize("name", ck.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(ck, name).__name__ == name


def test_names_for_type_checkers_are_the_same() -> None:
    tree = ast.parse(Path(ck.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    names = [alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert sorted(names) == sorted(ck.__all__)
    assert set(ck.__all__) <= set(dir(ck))


@pytest.mark.parametrize("code", ["import collidekit", "from collidekit.cli import main; main()"])
def test_heavy_packages_are_imported_when_they_are_used(code: str) -> None:
    """``import collidekit`` and ``collidekit --help`` answer at once."""
    end = f"import sys, atexit; atexit.register(lambda: print('loaded:', [m for m in {HEAVY} if m in sys.modules])); "
    done = subprocess.run([sys.executable, "-c", end + code, "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded: []"
    assert "main" not in code or "Usage" in done.stdout


def test_predictions_of_files_and_of_the_dataset_agree(notebook: Notebook) -> None:
    of_files = ck.predict(notebook.folder / "training", notebook.files, notebook.plan, allow_training_rows=True)
    np.testing.assert_array_equal(of_files.event["event"], notebook.predictions.event["event"])
    np.testing.assert_allclose(of_files.probabilities, notebook.predictions.probabilities, rtol=0, atol=1e-6)


def test_predictions_of_another_analysis_are_refused(notebook: Notebook, tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(toys.TOY.replace("      - jet_pt\n", "      - jet_mass\n"))
    with pytest.raises(ck.CollidekitError, match="'jet_pt'"):
        ck.predict(notebook.checkpoint, notebook.files, ck.load_plan(tmp_path / "other.yaml"))


def test_settings_of_a_training_are_checked(notebook: Notebook, tmp_path: Path) -> None:
    with pytest.raises(ck.CollidekitError, match="epochs"):
        ck.train(notebook.dataset, tmp_path, show=False, epochs=0)


def test_predictions_as_pandas_and_awkward(notebook: Notebook, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    columns = notebook.predictions.columns()
    frame, records = notebook.predictions.to_pandas(), notebook.predictions.to_awkward()
    assert list(frame.columns) == records.fields == list(columns)
    assert len(frame) == len(records) == 1500
    for name, values in columns.items():
        assert frame[name].dtype == values.dtype
        np.testing.assert_array_equal(frame[name].to_numpy(), values)
        np.testing.assert_array_equal(ak.to_numpy(records[name]), values)
    written = pandas.read_parquet(notebook.predictions.write(tmp_path / "p.parquet"))
    pandas.testing.assert_frame_equal(written, frame)


def test_a_package_that_is_missing_names_its_extra() -> None:
    with pytest.raises(ck.CollidekitError, match=r"this needs nowhere .*pip install 'collidekit\[pandas\]'"):
        need("nowhere", "pandas")


@pytest.mark.parametrize(
    ("what", "short"),
    [
        ("plan", r"Plan\(Analysis\('toy': 2 classes, 2 inputs, 6 features\)\)"),
        ("dataset", r"Dataset\('\S+dataset': 1,500 rows, 1 shard\)"),
        ("checkpoint", r"Checkpoint\('\S+best_model\.pt': pfn, [\d,]+ parameters, epoch [12]\)"),
        ("predictions", r"Predictions\(1,500 rows: prob_background, prob_signal, label, weight, SvsB, event, .*\)"),
        ("roc", r"RocResult\('SvsB': signal against background, AUC 0\.\d+ ± 0\.\d+\)"),
    ],
)
def test_what_is_shown(notebook: Notebook, what: str, short: str) -> None:
    shown = getattr(notebook, what)
    assert re.fullmatch(short, repr(shown))
    cells = _cells(shown._repr_html_())
    expected = {
        "plan": ["class", "background", "label == 0"],
        "dataset": ["signal", f"{int((notebook.predictions.labels == 1).sum()):,}"],
        "checkpoint": ["batch_size", "100"],
        "predictions": [f"{value:.4g}" for value in notebook.predictions.probabilities[4].tolist()],
        "roc": ["0.5", str(notebook.roc.rejections[1])],
    }
    places = [i for i, cell in enumerate(cells) if cell == expected[what][0]]
    assert any(cells[i : i + len(expected[what])] == expected[what] for i in places), cells


def test_what_files_say_is_no_markup() -> None:
    shown = html_table("<script>", [("a & b", 1234567, 0.123456, True)], ["<i>"])
    assert "<script>" not in shown
    assert "<i>" not in shown
    assert _cells(shown) == ["<i>", "a & b", "1,234,567", "0.1235", "True"]


def test_long_tables_are_cut() -> None:
    shown = html_table("t", [(i,) for i in range(1030)])
    assert len(_cells(shown)) == 20
    assert "and 1,010 more" in shown


def _cells(text: str) -> list[str]:
    return [unescape(cell) for cell in re.findall(r"<t[dh]>(.*?)</t[dh]>", text)]


def test_plots_are_shown_and_saved(notebook: Notebook, tmp_path: Path) -> None:
    plot = ck.plot_roc(None, [notebook.roc])
    assert isinstance(plot.figure, Figure)
    assert list(plot) == []
    assert plot._repr_png_().startswith(b"\x89PNG")
    saved = ck.plot_roc(tmp_path / "roc", [notebook.roc])
    assert [path.name for path in saved] == ["roc.png", "roc.pdf"]
    assert isinstance(saved.figure, Figure)
    axes = saved.figure.axes[0]
    np.testing.assert_allclose(max(axes.lines[0].get_xdata()), 1.0)
    assert isinstance(ck.plot_loss_curves(None, notebook.folder / "training" / "history.csv").figure, Figure)


def test_working_points(notebook: Notebook) -> None:
    (found,) = ck.working_points(notebook.predictions, [0.1])
    scores, signal, weights = notebook.predictions.task("SvsB")
    passes = (scores >= found.points[0].threshold) & ~signal
    assert weights[passes].sum() / weights[~signal].sum() <= 0.1


def test_more_of_what_is_shown(notebook: Notebook) -> None:
    tagger = notebook.checkpoint.tagger
    shown = _cells(tagger._repr_html_())
    parameters = sum(p.numel() for p in tagger.network.parameters())
    assert shown[3:6] == ["network", "PFN", f"{parameters:,}"]
    found = ck.check(notebook.plan, [notebook.files])
    assert len(_cells(found._repr_html_())) == 2 * max(len(found.problems), 1)
    (points,) = ck.working_points(notebook.predictions, [0.1, 1e-9])
    cells = _cells(points._repr_html_())
    assert cells[4:6] == ["mistag_0.1", f"{points.points[0].threshold:.4g}"]
    assert cells[8:10] == ["mistag_1e-09", "none"]


def test_rows_of_a_dataset_as_awkward_and_pandas(notebook: Notebook) -> None:
    pytest.importorskip("pandas")
    records, frame = notebook.dataset.to_awkward(), notebook.dataset.to_pandas()
    assert len(records) == len(frame) == 1500
    np.testing.assert_array_equal(ak.num(records["constituents"]), records["n_constituents"])
    np.testing.assert_array_equal(frame["event"], notebook.dataset.column("event:event"))
    assert frame["label"].value_counts().to_dict() == notebook.dataset.manifest.summary["class_counts"]
    few = notebook.dataset.to_awkward(rows=7)
    assert len(few) == 7
    assert few["constituents"].to_list() == records["constituents"][:7].to_list()
    with pytest.raises(ck.CollidekitError, match="rows: 0"):
        notebook.dataset.to_awkward(rows=0)


def test_histograms_hold_every_weight(notebook: Notebook) -> None:
    pytest.importorskip("hist")
    found, predictions = notebook.predictions.to_hist("SvsB", bins=20), notebook.predictions
    assert found.axes.name == ("class", "value")
    scores, weights = predictions.discriminator("SvsB"), predictions.weights.astype(np.float64)
    for index, name in enumerate(predictions.classes):
        chosen = predictions.labels == index
        inside = np.histogram(scores[chosen], found.axes["value"].edges, weights=weights[chosen])[0]
        np.testing.assert_allclose(found[name, :].values(), inside)
        np.testing.assert_allclose(inside.sum(), weights[chosen].sum())
        squares = np.histogram(scores[chosen], found.axes["value"].edges, weights=weights[chosen] ** 2)[0]
        np.testing.assert_allclose(found[name, :].variances(), squares)
    records = notebook.dataset.to_awkward()
    feature = records["constituents"].fields[0]
    of_tracks = notebook.dataset.to_hist(feature, bins=5)
    expected = ak.sum(ak.num(records["constituents"]) * records["weight"])
    np.testing.assert_allclose(of_tracks.sum(flow=True).value, expected)
    with pytest.raises(ck.CollidekitError, match=r"no column 'SvsC'.*did you mean 'SvsB'"):
        notebook.predictions.to_hist("SvsC")


def test_histograms_of_odd_values() -> None:
    """NaN goes to the overflow bin, an unknown class has a category, one value has a bin."""
    pytest.importorskip("hist")
    values = np.array([2.0, 2.0, np.nan, np.inf])
    found = fill("x", values, np.ones(4), np.array([0, -1, 0, 0]), ("unknown",), 1, None)
    assert list(found.axes["class"]) == ["unknown", "truth_unknown"]
    assert found["unknown", :].values().tolist() == [1.0]
    assert found["unknown", :].sum(flow=True).value == 3
    with pytest.raises(ck.CollidekitError, match="no finite value"):
        fill("x", np.array([np.nan]), np.ones(1), np.zeros(1), ("a",), 3, None)
    with pytest.raises(ck.CollidekitError, match="limits: 1 is not below 1"):
        fill("x", values, np.ones(4), np.zeros(4), ("a",), 3, (1, 1))
