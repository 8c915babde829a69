"""``collidekit check``."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.cli.conftest import Run, Trained
from tests.cli.samples import ANALYSIS, jets, write_root

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.check import Check, check
from collidekit.dataset.separation import auc


def checked(
    files: list[Path], test_files: list[Path] | None = None, analysis: str = ANALYSIS, limit: int | None = None
) -> Check:
    plan = Plan(*parse_analysis(analysis, "jets.yaml"))
    return check(plan, [str(path) for path in files], [str(path) for path in test_files or []], limit)


def texts(found: Check) -> str:
    return "\n".join(problem.text for problem in found.problems)


def test_clean_files(trained: Trained, run: Run) -> None:
    result = run("check", trained.analysis, trained.training, "--test-files", trained.test)
    assert result.exit_code == 0, result.output
    assert result.output.rstrip().endswith("no problems")
    for word in (
        "Files",
        "Cutflow",
        "Classes",
        "Features",
        "400",
        "200",
        "abs(jet_eta) < 2.5",
        "bytes a row",
        "part_d0",
    ):
        assert word in result.output


def test_fits_80_columns(trained: Trained, tmp_path: Path) -> None:
    from rich.console import Console

    from collidekit.dataset.check_tables import show

    console = Console(width=80, record=True, file=(tmp_path / "out").open("w"))
    show(checked([Path(trained.training)]), console)
    assert max(len(line.rstrip()) for line in console.export_text().splitlines()) <= 80


def test_every_missing_branch_is_named(tmp_path: Path, run: Run) -> None:
    columns = jets(30)
    columns["part_d00"], columns["jet_masses"] = columns.pop("part_d0"), columns.pop("jet_mass")
    (tmp_path / "jets.yaml").write_text(ANALYSIS)
    result = run("check", "jets.yaml", write_root(tmp_path / "other.root", columns))
    assert result.exit_code == 2
    said = " ".join(result.output.split())
    assert "'part_d0' (did you mean 'part_d00'" in said
    assert "'jet_mass' (did you mean 'jet_masses'" in said
    assert "jets.yaml:" in said
    assert said.endswith("1 error")


def test_rows_in_two_classes_and_in_none(tmp_path: Path) -> None:
    columns = jets(200)
    columns["label"][:20] = 7
    overlapping = ANALYSIS.replace("signal: label == 1", "signal: label in (1, 7)").replace(
        "label == 0", "label in (0, 7)"
    )
    found = checked([write_root(tmp_path / "a.root", columns)], analysis=overlapping)
    assert [problem.error for problem in found.problems] == [True]
    assert "20 rows are in both class 'background' and class 'signal'; the first is row 0 of" in texts(found)
    found = checked([tmp_path / "a.root"])
    assert found.parts[0].left_out == 20
    assert not found.problems


def test_nan_in_features_and_in_the_truth(tmp_path: Path) -> None:
    columns = jets(100)
    columns["jet_mass"][:3] = np.nan
    columns["label"] = columns["label"].astype(np.float32)
    columns["label"][7] = np.nan
    found = checked([write_root(tmp_path / "a.root", columns)])
    assert "jet.jet_mass is NaN or infinite 3 times" in texts(found)
    assert [problem.error for problem in found.problems] == [True, False]
    assert "label is NaN or infinite in 1 rows" in texts(found)
    assert "row 7 of" in texts(found)


def test_constant_feature_and_negative_weights(tmp_path: Path) -> None:
    columns = jets(100, jet_mass=np.full(100, 5, np.float32))
    columns["w"] = np.where(np.arange(100) < 10, -1, 1).astype(np.float32)
    found = checked([write_root(tmp_path / "a.root", columns)], analysis=ANALYSIS + "weight: w\n")
    assert "jet.jet_mass is 5 in every row" in texts(found)
    assert "10 rows have a negative weight" in texts(found)
    assert not found.errors


def test_a_class_whose_weights_cancel_is_an_error(tmp_path: Path) -> None:
    columns = jets(100)
    columns["w"] = np.where(columns["label"] == 1, 0, 1).astype(np.float32)
    found = checked([write_root(tmp_path / "a.root", columns)], analysis=ANALYSIS + "weight: w\n")
    assert "the weights of class 'signal' sum to 0; it must be more than 0" in texts(found)
    assert found.errors


def test_an_empty_class_is_an_error(tmp_path: Path) -> None:
    columns = jets(50)
    columns["label"][:] = 0
    found = checked([write_root(tmp_path / "a.root", columns)])
    assert "no row is in class 'signal' (label == 1)" in texts(found)
    assert found.errors


def test_repeated_rows_within_and_between_files(tmp_path: Path) -> None:
    import awkward as ak

    columns = {name: ak.Array(values) for name, values in jets(100).items()}
    order = np.concatenate([np.arange(100), [3, 4, 5]])
    found = checked([write_root(tmp_path / "a.root", {name: values[order] for name, values in columns.items()})])
    assert "3 rows repeat the inputs of an earlier row exactly" in texts(found)
    assert "row 3 of" in texts(found)
    assert "row 100 of" in texts(found)
    assert not found.errors
    write_root(tmp_path / "b.root", {name: values[:40] for name, values in columns.items()})
    found = checked([tmp_path / "a.root"], [tmp_path / "b.root"])
    assert "40 test rows (100.00%) are also in the training files" in texts(found)
    assert "40 test rows have an event number (event) of the training files" in texts(found)
    assert len(found.errors) == 1


def test_event_numbers_alone_are_only_a_warning(tmp_path: Path) -> None:
    a = write_root(tmp_path / "a.root", jets(100, seed=1))
    b = write_root(tmp_path / "b.root", jets(100, seed=2, event=np.arange(1_000_000, 1_000_100)))
    found = checked([a], [b])
    assert [problem.error for problem in found.problems] == [False]
    assert "numbers may restart" in texts(found)


def leaky(columns: dict[str, np.ndarray], strength: float) -> dict[str, np.ndarray]:
    noise = np.random.default_rng(5).normal(0, 1, len(columns["label"]))
    return columns | {"n_truth": np.round(strength * columns["label"] + noise).astype(np.float32)}


LEAKY = ANALYSIS.replace("[jet_pt, jet_mass]", "[jet_pt, jet_mass, jet_eta, n_truth]")


def test_a_measured_feature_may_be_the_best(tmp_path: Path) -> None:
    columns = leaky(jets(1500), 1.5)
    columns["n_truth"] += np.random.default_rng(1).uniform(-0.5, 0.5, 1500).astype(np.float32)
    assert not checked([write_root(tmp_path / "a.root", columns)], analysis=LEAKY).problems


@pytest.mark.parametrize(("strength", "named"), [(0.0, False), (2.5, True), (30.0, True)])
def test_a_feature_that_beats_all_others_is_named(tmp_path: Path, strength: float, named: bool) -> None:
    path = write_root(tmp_path / "a.root", leaky(jets(1500), strength))
    found = checked([path], analysis=LEAKY)
    assert ("jet.n_truth alone separates signal from background" in texts(found)) == named
    assert not found.errors
    assert "particles" not in texts(found), "no other feature is suspected"


def test_auc_counts_ties_half_and_has_no_direction() -> None:
    values, truth = np.array([1.0, 1.0, 2.0, 3.0]), np.array([False, True, False, True])
    assert auc(values, truth) == pytest.approx(0.625)
    assert auc(-values, truth) == pytest.approx(0.625)


def test_a_limited_look_is_spread_and_said(trained: Trained, run: Run) -> None:
    result = run("check", trained.analysis, trained.training, "--rows", "100")
    assert result.exit_code == 0, result.output
    assert "Read 100 of 400 rows" in result.output
    limited = checked([Path(trained.training)], limit=100)
    assert np.concatenate(limited.parts[0].places)[:, 1].max() > 380


def test_the_estimate_is_of_all_rows(trained: Trained) -> None:
    from collidekit.dataset.check_estimate import estimate

    whole, part = (estimate(checked([Path(trained.training)], limit=limit)) for limit in (None, 100))
    folders = [path.parent for path in (trained.folder / "results").rglob("manifest.json")]
    manifest = max(folders, key=lambda folder: (folder / "shard_00000.arrow").stat().st_size)
    on_disk = sum(path.stat().st_size for path in manifest.glob("shard_*.arrow"))
    assert whole is not None
    assert part is not None
    assert whole.rows == part.rows == 400
    assert whole.disk == pytest.approx(on_disk, rel=0.3)


def test_an_empty_file_is_an_error_with_its_remedy(tmp_path: Path, trained: Trained, run: Run) -> None:
    empty = write_root(tmp_path / "empty.root", {name: values[:0] for name, values in jets(5).items()})
    result = run("check", trained.analysis, trained.training, empty)
    assert result.exit_code == 2
    text = " ".join(result.output.split())
    assert "holds no entries; take it out of the list, or pass --skip-bad-files to 'collidekit run'" in text


def test_a_bad_file_is_an_error_and_the_rest_is_checked(tmp_path: Path, trained: Trained, run: Run) -> None:
    (tmp_path / "bad.root").write_bytes(b"root" + bytes(100))
    result = run("check", trained.analysis, "bad.root", trained.training)
    assert result.exit_code == 2
    assert "unusable" in result.output
    assert "400" in result.output


def test_bad_input(trained: Trained, refused: Callable[..., str]) -> None:
    assert "did you mean 'top_tagging" in refused("check", "top_taggin")
    assert "nothing.root: there is no such file" in refused("check", trained.analysis, "nothing.root")
    assert "names no files" in refused("check", trained.analysis)


def test_the_files_that_the_analysis_names(trained: Trained, run: Run) -> None:
    (trained.folder / "named.yaml").write_text(ANALYSIS + "files: {training: train.root, test: test.root}\n")
    result = run("check", trained.folder / "named.yaml")
    assert result.exit_code == 0, result.output
    assert "600 rows in datasets" in result.output


def test_the_jets_that_stand_twice_in_the_reference_data(shared_data: Path) -> None:
    from collidekit.analysis.load import read_analysis
    from collidekit.shipped import find_analysis

    plan = Plan(*read_analysis(find_analysis("top_tagging_reference")))
    assert "75 rows repeat" in texts(check(plan, str(shared_data / "top_tagging" / "train.parquet")))


def test_truth_in_real_jets(shared_data: Path) -> None:
    analysis = """
classes: {light: jet_flav == 0, c: jet_flav == 4, b: jet_flav == 5}
inputs:
  tracks: {limit: 30, features: [trk_pt, trk_d0, trk_z0, trk_eta]}
  jet: {features: [jet_pt, jet_eta, jet_M, n_vertices]}
"""
    path = shared_data / "jet_flavour" / "training_data.root"
    said = texts(checked([path], analysis=analysis))
    assert "jet.n_vertices alone separates b from light" in said
    assert "Truth leakage?" in said
    assert not checked([path], analysis=analysis.replace(", n_vertices", "")).problems


@pytest.mark.parametrize(
    ("recommended", "message"),
    [
        ("{epoch: 3}", r"jets\.yaml:\d+: training\.epoch: unknown key \(did you mean 'epochs'"),
        ("{epochs: 0}", r"jets\.yaml:\d+: training\.epochs: .*greater than or equal to 1, got 0"),
        ("{model_name: pnf}", "network 'pnf'"),
        ("{model_options: {width: 3}}", "network pfn: no option 'width'"),
    ],
)
def test_wrong_recommendations_for_the_training(tmp_path: Path, run: Run, recommended: str, message: str) -> None:
    text = re.sub(r"(?m)^training:.*\n", "", ANALYSIS)
    (tmp_path / "jets.yaml").write_text(f"{text}\ntraining: {recommended}\n")
    result = run("check", str(tmp_path / "jets.yaml"), write_root(tmp_path / "jets.root", jets(300)))
    assert result.exit_code == 2
    assert re.search(message, " ".join(result.output.split()))


def test_every_row_of_every_file_is_looked_at(tmp_path: Path) -> None:
    columns = jets(900)
    files = [
        write_root(tmp_path / f"{i}.root", {name: values[300 * i : 300 * (i + 1)] for name, values in columns.items()})
        for i in range(3)
    ]
    found = checked(files)
    assert [part.seen for part in found.parts] == [900]
    twice = checked([files[0], write_root(tmp_path / "again.root", {n: v[:300] for n, v in columns.items()})])
    assert "300 rows repeat the inputs of an earlier row exactly" in texts(twice)


def test_sizes_are_decimal() -> None:
    from collidekit.dataset.check_estimate import show_size

    assert [show_size(2e9), show_size(5e7), show_size(1.5e6)] == ["2.0 GB", "50 MB", "1.5 MB"]
