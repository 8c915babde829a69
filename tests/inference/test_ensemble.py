"""Ensembles: combination compared with a calculation by hand, members compared with single models, and refusals."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import toys

from collidekit.analysis.scope import Plan
from collidekit.dataset.loader import Dataset
from collidekit.errors import CollidekitError
from collidekit.inference.combination import check_combination, combine, combine_probabilities
from collidekit.inference.ensemble import load_members, predict_files_with
from collidekit.inference.predict import predict_files
from collidekit.inference.predict_to_file import predict_to_file
from collidekit.inference.predictions import Predictions
from collidekit.training.checkpoint import Checkpoint, load_checkpoint
from collidekit.training.config import TrainingConfig
from collidekit.training.loop import Training


def train(dataset: Dataset, folder: Path, seed: int, **settings: object) -> Path:
    config = TrainingConfig(
        model_options=toys.SMALL, epochs=3, batch_size=32, learning_rate=1e-2, seed=seed, **settings
    )
    return Training(config, dataset, folder, accelerator="cpu").run()


@pytest.fixture(scope="module")
def paths(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three seeds of one training."""
    return [train(dataset, tmp_path_factory.mktemp(f"seed_{seed}"), seed) for seed in (1, 2, 3)]


@pytest.fixture(scope="module")
def members(paths: list[Path]) -> dict[str, Checkpoint]:
    return load_members(paths)


@pytest.fixture(scope="module")
def predicted(members: dict[str, Checkpoint], files: list[str]) -> dict[str, Predictions]:
    return predict_files_with(members, files)[0]


def test_mean_and_median_by_hand() -> None:
    members = [np.array([[0.1, 0.2, 0.7]]), np.array([[0.3, 0.3, 0.4]]), np.array([[0.8, 0.1, 0.1]])]
    np.testing.assert_allclose(combine_probabilities(members), [[0.4, 0.2, 0.4]])
    np.testing.assert_allclose(combine_probabilities(members, "median"), np.array([[0.3, 0.2, 0.4]]) / 0.9)


def test_the_median_of_one_wild_member_is_that_of_the_others() -> None:
    usual = np.array([[0.9, 0.1]])
    found = combine_probabilities([usual, usual, np.array([[0.0, 1.0]])], "median")
    np.testing.assert_allclose(found, usual)


def test_where_all_medians_vanish_the_median_is_the_mean() -> None:
    found = combine_probabilities(list(np.eye(3)[:, None, :]), "median")
    np.testing.assert_allclose(found, [[1 / 3, 1 / 3, 1 / 3]])


@pytest.mark.parametrize("combination", ["mean", "median"])
def test_the_order_of_the_members_does_not_matter(predicted: dict[str, Predictions], combination: str) -> None:
    how = check_combination(combination)
    there = combine(predicted, how)
    back = combine(dict(reversed(predicted.items())), how)
    np.testing.assert_allclose(there.probabilities, back.probabilities, rtol=0, atol=1e-7)
    np.testing.assert_allclose(there.probabilities.sum(axis=1), 1, atol=1e-6)


def test_each_member_predicts_as_on_its_own_in_input_order(
    members: dict[str, Checkpoint], predicted: dict[str, Predictions], files: list[str]
) -> None:
    assert list(predicted) == list(members)
    for name, member in members.items():
        alone = predict_files(member, Plan(member.analysis), files)[0]
        np.testing.assert_array_equal(predicted[name].probabilities, alone.probabilities)
        assert predicted[name].event["event"].tolist() == list(range(1000, 1150))
    assert len({found.probabilities.tobytes() for found in predicted.values()}) == 3


def test_all_but_the_probabilities_is_that_of_the_first_member(predicted: dict[str, Predictions]) -> None:
    first, ensemble = next(iter(predicted.values())), combine(predicted)
    assert ensemble.combination == "mean"
    assert not ensemble.members
    assert replace(ensemble, probabilities=first.probabilities, combination="") == first
    by_hand = np.mean([found.probabilities for found in predicted.values()], axis=0)
    np.testing.assert_allclose(ensemble.probabilities, by_hand, atol=1e-7)
    assert ensemble.probabilities.dtype == first.probabilities.dtype


def test_classes_in_another_order_are_put_in_order(predicted: dict[str, Predictions]) -> None:
    first = next(iter(predicted.values()))
    turned = replace(first, classes=first.classes[::-1], probabilities=first.probabilities[:, ::-1])
    np.testing.assert_array_equal(combine({"a": first, "b": turned}).probabilities, first.probabilities)


def test_other_classes_are_refused(predicted: dict[str, Predictions]) -> None:
    first = next(iter(predicted.values()))
    with pytest.raises(CollidekitError, match=r"^b: its classes are top, qcd, and a has background, signal;"):
        combine({"a": first, "b": replace(first, classes=("top", "qcd"))})


def test_members_with_other_features_predict_with_their_own_analysis(
    members: dict[str, Checkpoint], files: list[str], tmp_path: Path
) -> None:
    text = toys.TOY.replace("      - part_y\n", "")
    dataset = toys.make_dataset(tmp_path / "other", text, toys.toy_table(300))
    other = load_checkpoint(train(dataset, tmp_path / "trained", 1))
    name, first = next(iter(members.items()))
    found, _ = predict_files_with({name: first, "other": other}, files)
    alone = predict_files(other, Plan(other.analysis), files)[0]
    np.testing.assert_array_equal(found["other"].probabilities, alone.probabilities)
    both = combine(found)
    np.testing.assert_allclose(both.probabilities, (found[name].probabilities + alone.probabilities) / 2, atol=1e-7)
    with pytest.raises(CollidekitError, match=r"^other: was made with a different analysis: "):
        predict_files_with({name: first, "other": other}, files, Plan(first.analysis))


@pytest.mark.parametrize(("cut", "row"), [("jet_pt > 50", None), ("event < 1140", 69)])
def test_another_selection_is_refused(
    members: dict[str, Checkpoint], files: list[str], cut: str, row: int | None
) -> None:
    name, first = next(iter(members.items()))
    narrow = replace(first, analysis=first.analysis.model_copy(update={"selection": cut}))
    found, _ = predict_files_with({name: first, "narrow": narrow}, files)
    with pytest.raises(CollidekitError, match=r"^narrow: selects other rows than .*need the same selection") as error:
        combine(found)
    if row is not None:
        assert f"(140 and 150; the first that differs is row {row} of file 3)" in str(error.value)


def test_files_are_read_once_for_members_with_the_same_inputs(
    members: dict[str, Checkpoint], files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from collidekit.inference import file_rows as module

    opened: list[str] = []
    real = module.open_file
    monkeypatch.setattr(module, "open_file", lambda path, source: opened.append(path) or real(path, source))
    done: list[int] = []
    predict_files_with(members, files, done=done.append)
    assert opened == files
    assert sum(done) == 150


def test_a_bad_file_is_left_out_of_every_member(
    members: dict[str, Checkpoint], files: list[str], tmp_path: Path
) -> None:
    (tmp_path / "bad.root").write_bytes(b"root" + bytes(300))
    found, skipped = predict_files_with(members, [str(tmp_path / "bad.root"), files[0]], skip_bad_files=True)
    assert {len(predictions) for predictions in found.values()} == {70}
    assert len(skipped) == 1


def test_the_same_model_twice_is_refused(paths: list[Path]) -> None:
    with pytest.raises(CollidekitError, match=r"is the same model as .*; name each member of an ensemble once"):
        load_members([paths[0], paths[0].parent])


def test_an_unknown_combination() -> None:
    with pytest.raises(CollidekitError, match=r"no combination 'medain' \(did you mean 'median'.*known are mean, med"):
        check_combination("medain")


@pytest.mark.parametrize("suffix", ["parquet", "root"])
def test_the_members_are_written_where_wanted(
    paths: list[Path], predicted: dict[str, Predictions], files: list[str], tmp_path: Path, suffix: str
) -> None:
    import uproot

    out = tmp_path / f"out.{suffix}"
    done = predict_to_file(paths[0], files, out, others=paths[1:], combination="median", keep_members=True)
    assert list(done.members) == [str(path) for path in paths]
    if suffix == "root":
        columns = uproot.open(f"{out}:predictions").arrays(library="np")
    else:
        back = Predictions.read(out)
        assert back.combination == "median"
        assert list(back.members) == [str(path) for path in paths]
        assert list(back.of_members()) == list(back.members)
        columns = back.columns()
    for number, one in enumerate(predicted.values(), 1):
        np.testing.assert_array_equal(columns[f"prob_background_{number}"], one.probabilities[:, 0])
        np.testing.assert_array_equal(columns[f"prob_signal_{number}"], one.probabilities[:, 1])
    median = np.median([one.probabilities for one in predicted.values()], axis=0)
    np.testing.assert_allclose(columns["prob_signal"], median[:, 1] / median.sum(axis=1), atol=1e-6)


def test_the_members_are_left_out_else(paths: list[Path], files: list[str], tmp_path: Path) -> None:
    predict_to_file(paths[0], files, tmp_path / "out.parquet", others=paths[1:])
    assert not Predictions.read(tmp_path / "out.parquet").members


def test_a_column_of_a_member_never_takes_the_name_of_a_class() -> None:
    values = np.full((2, 2), 0.5, dtype=np.float32)
    found = Predictions(
        ("b", "b_1"), values, np.zeros(2, np.int64), np.ones(2), members={"one": np.eye(2, dtype=np.float32)}
    )
    columns = found.columns()
    assert list(columns) == ["prob_b", "prob_b_1", "label", "weight", "member_prob_b_1", "prob_b_1_1"]
    np.testing.assert_array_equal(columns["prob_b_1"], values[:, 1])
    np.testing.assert_array_equal(columns["member_prob_b_1"], [1, 0])
