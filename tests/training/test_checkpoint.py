"""Checkpoints are data and never code; what does not fit says so."""

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
import toys

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.same_inputs import check_same_inputs
from collidekit.analysis.schema import Analysis
from collidekit.dataset.loader import Dataset
from collidekit.dataset.parts import Folds, Split
from collidekit.errors import CollidekitError
from collidekit.training.checkpoint import load_checkpoint, load_content


@pytest.fixture(scope="module")
def checkpoint(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from collidekit.training.config import TrainingConfig
    from collidekit.training.loop import Training

    folder = tmp_path_factory.mktemp("checkpoint")
    config = TrainingConfig(model_options=toys.SMALL, epochs=1)
    return Training(config, dataset, folder, accelerator="cpu").run()


class Malicious:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("kind", ["bare", "zip", "inside"])
def test_a_malicious_pickle_is_refused_and_not_run(checkpoint: Path, tmp_path: Path, kind: str) -> None:
    trace, path = tmp_path / "trace", tmp_path / "evil.pt"
    if kind == "bare":
        path.write_bytes(pickle.dumps(Malicious(trace)))
    elif kind == "zip":
        torch.save(Malicious(trace), path)
    else:
        torch.save({**load_content(checkpoint), "state": Malicious(trace)}, path)
    with pytest.raises(CollidekitError, match=r"evil.pt: not a readable checkpoint .*could run code"):
        load_checkpoint(path)
    assert not trace.exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_checkpoint(checkpoint: Path, tmp_path: Path, share: float) -> None:
    content = checkpoint.read_bytes()
    path = tmp_path / "short.pt"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CollidekitError, match=r"^\S*short.pt: not a readable checkpoint \(.*\)") as error:
        load_checkpoint(path)
    assert "\n" not in str(error.value)


def test_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CollidekitError, match=r"none.pt: there is no such checkpoint"):
        load_checkpoint(tmp_path / "none.pt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"collidekit": 99}, "not a checkpoint of this version of collidekit"),
        ({"config": '{"epoch": 3}'}, r"has settings of another version of collidekit \(epoch: "),
        ({"analysis": "{}"}, r"has settings of another version of collidekit \(inputs: "),
        ({"config": '{"model_options": {"phi": [9]}}'}, "its weights do not fit network 'pfn'"),
    ],
)
def test_content_that_does_not_fit(checkpoint: Path, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    torch.save({**load_content(checkpoint), **change}, tmp_path / "other.pt")
    with pytest.raises(CollidekitError, match=f"other.pt: {message}"):
        load_checkpoint(tmp_path / "other.pt")


@pytest.mark.parametrize("missing", ["tagger", "state", "config"])
def test_content_that_is_missing(checkpoint: Path, tmp_path: Path, missing: str) -> None:
    torch.save({key: value for key, value in load_content(checkpoint).items() if key != missing}, tmp_path / "other.pt")
    with pytest.raises(CollidekitError, match="not a checkpoint of this version"):
        load_checkpoint(tmp_path / "other.pt")


def test_a_tensor_is_no_checkpoint(tmp_path: Path) -> None:
    torch.save(torch.ones(3), tmp_path / "tensor.pt")
    with pytest.raises(CollidekitError, match="not a checkpoint"):
        load_checkpoint(tmp_path / "tensor.pt")


def test_it_comes_back_whole(checkpoint: Path, dataset: Dataset) -> None:
    loaded = load_checkpoint(checkpoint)
    assert loaded.analysis == dataset.analysis
    assert loaded.config.model_options == toys.SMALL
    assert loaded.epoch == 1
    assert loaded.state == {}
    assert not loaded.tagger.training


def analysis(*changes: tuple[str, str]) -> Analysis:
    text = toys.TOY
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return parse_analysis(text, "other.yaml")[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("      - part_y\n", "      - part_r\n"), "feature 2 of input 'constituents' is 'part_y', but analysis 'other' has 'part_r' there"),
        (("      - {name: part_d0, default: -9, scaling: robust}\n", ""), "feature 4 of input 'constituents' is 'part_d0', but analysis 'other' ends before it"),
        (("default: -9", "default: -1"), r"feature 'part_d0' of input 'constituents' has default -9.0, but -1.0 in analysis 'other'"),
        (("default: -9", "default: -9, unit: mm"), r"feature 'part_d0' .* has unit '', but 'mm'"),
        (("default: -9", "default: -9, bounds: [-9, 9]"), r"feature 'part_d0' .* has bounds None, but \(-9.0, 9.0\)"),
        (("kind: flag", "kind: integer"), r"feature 'jet_flag' of input 'jet' has kind 'flag', but 'integer'"),
        (("      - jet_pt\n", "      - jet_pt\n      - jet_mass\n"), "feature 2 of input 'jet' is 'jet_flag', but analysis 'other' has 'jet_mass'"),
        (("jet_pt > 0}", "jet_pt > 0}\n      - jet_mass"), "it has no feature 'jet_mass' in input 'jet'"),
        (("  jet:\n", "  jets:\n"), "was trained with input 'jet', which analysis 'other' does not have"),
        (("    coordinates: [part_x, part_y]\n", ""), "input 'constituents' is a collection with coordinates, but a collection with neither"),
        (("  jet:\n", "  jet:\n    limit: 3\n"), "input 'jet' is a flat group, but a collection"),
        (("  signal: label == 1", "  top: label == 1"), "its classes are background, signal, not background, top"),
    ],
)  # fmt: skip
def test_what_differs_from_the_training_is_named(dataset: Dataset, change: tuple[str, str], message: str) -> None:
    other = (
        [("signal: signal,", "signal: top,"), ("reference: signal", "reference: top")] if "top:" in change[1] else []
    )
    with pytest.raises(CollidekitError, match=message):
        check_same_inputs(Path("model.pt"), dataset.analysis, analysis(*other, change))


def test_what_does_not_decide_the_inputs_may_differ(dataset: Dataset) -> None:
    check_same_inputs(Path("model.pt"), dataset.analysis, analysis(("working_points: [0.1]", "working_points: [0.2]")))


def test_a_checkpoint_knows_the_rows_it_was_trained_on(train: Any, dataset: Dataset) -> None:
    """Its own, and those of the training that it began from; one of an earlier version knows none."""
    first = train(dataset, "first", epochs=1, train_val_split=0.5)
    second = train(
        dataset,
        "second",
        epochs=1,
        folds=3,
        fold=1,
        from_checkpoint=str(first.folder / "best_model.pt"),
        keep_head=True,
    )
    for name in ("best_model.pt", "last.pt"):
        (own, before) = load_checkpoint(second.folder / name).learned_from
        assert (own.split, before.split) == (Folds(3, 1), Split(0.5))
        assert list(own.files.values()) == list(before.files.values()) == ["rows.parquet"]
    path = first.folder / "best_model.pt"
    content = load_content(path)
    del content["learned_from"]
    torch.save(content, path)
    assert load_checkpoint(path).learned_from == ()
    torch.save({**content, "learned_from": [{"analysis": 1}]}, path)
    with pytest.raises(CollidekitError, match=r"best_model.pt: its list of training rows cannot be read"):
        load_checkpoint(path)
