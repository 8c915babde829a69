"""Published models: the same scores as the checkpoint, checked on every load, and never any code."""

import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import toys
from safetensors import safe_open

from collidekit import shipped
from collidekit.bundle.publish import publish
from collidekit.dataset.loader import Dataset
from collidekit.errors import CollidekitError
from collidekit.sealed import seal
from collidekit.training import checkpoint as module
from collidekit.training.checkpoint import find_checkpoint, load_checkpoint
from collidekit.training.config import TrainingConfig
from collidekit.training.loop import Training


@pytest.fixture(scope="module")
def trained(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    config = TrainingConfig(model_options=toys.SMALL, epochs=2, ema_decay=0.9)
    return Training(config, dataset, folder, accelerator="cpu").run()


@pytest.fixture(scope="module")
def model(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published") / "toy"
    return publish(trained, folder).folder


@pytest.fixture
def copy(model: Path, tmp_path: Path) -> Path:
    """One that a test may spoil."""
    return shutil.copytree(model, tmp_path / "toy")


def test_weights_scaling_and_settings_come_back_bit_for_bit(trained: Path, model: Path) -> None:
    ours, theirs = load_checkpoint(trained), load_checkpoint(model)
    mine, yours = ours.tagger.state_dict(), theirs.tagger.state_dict()
    assert list(mine) == list(yours)
    assert any(name.startswith("scaling.") for name in mine)
    assert all(torch.equal(value, yours[name]) for name, value in mine.items())
    assert (ours.analysis, ours.config, ours.epoch) == (theirs.analysis, theirs.config, theirs.epoch)
    assert theirs.state == {}
    assert not theirs.tagger.training


def test_the_scores_are_the_same(trained: Path, model: Path, dataset: Dataset) -> None:
    rows = toys.all_rows(dataset)
    with torch.inference_mode():
        assert torch.equal(load_checkpoint(trained).tagger(rows), load_checkpoint(model).tagger(rows))


def test_other_programs_can_read_the_weights(model: Path) -> None:
    with safe_open(model / "model.safetensors", "pt") as file:
        assert set(file.keys()) == set(load_checkpoint(model).tagger.state_dict())


@pytest.mark.parametrize("of", ["folder", "file", "text"])
def test_what_may_be_named(model: Path, of: str) -> None:
    named = {"folder": model, "file": model / "model.safetensors", "text": str(model)}[of]
    assert find_checkpoint(named) == model / "model.safetensors"
    assert load_checkpoint(named).epoch >= 1


def test_the_folder_of_a_training_means_its_best_model(trained: Path) -> None:
    assert find_checkpoint(trained.parent) == trained


@pytest.fixture
def shelf(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models that ship."""
    folder = tmp_path / "weights"
    for name in ("top-tagging/particlenet", "top-tagging/pfn", "jet-flavour/deepjet"):
        shutil.copytree(model, folder / name)
    (folder / "README.md").write_text("What ships.")
    real = shipped._folders
    monkeypatch.setattr(shipped, "_folders", lambda part: [folder] if part == "weights" else real(part))
    return folder


def test_a_model_that_ships_is_found_by_its_name(shelf: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert list(module.shipped_models()) == ["jet-flavour/deepjet", "top-tagging/particlenet", "top-tagging/pfn"]
    monkeypatch.chdir(tmp_path)
    assert find_checkpoint("top-tagging/pfn") == shelf / "top-tagging" / "pfn" / "model.safetensors"
    assert load_checkpoint("top-tagging/pfn").config.model_options == toys.SMALL


def test_an_unknown_name_says_what_there_is(shelf: Path) -> None:
    with pytest.raises(CollidekitError) as error:
        find_checkpoint("top-taging/particlenet")
    assert str(error.value).startswith(
        "there is no model 'top-taging/particlenet' (did you mean 'top-tagging/particlenet'"
    )
    assert "bundled models are jet-flavour/deepjet, top-tagging/particlenet, top-tagging/pfn, or give a file" in str(
        error.value
    )


def test_a_path_that_is_not_there_is_a_path(shelf: Path) -> None:
    for path in ("none.pt", "none/model.safetensors", "/none/at/all"):
        with pytest.raises(CollidekitError, match="there is no such checkpoint"):
            find_checkpoint(path)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_truncated_weights(copy: Path, share: float) -> None:
    path = copy / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CollidekitError, match=r"^\S*model.safetensors: is not the file that model.json describes"):
        load_checkpoint(copy)


def test_one_changed_bit(copy: Path) -> None:
    path = copy / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CollidekitError, match="its checksum differs"):
        load_checkpoint(copy)


class Malicious:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("kind", ["pickle", "torch"])
def test_a_pickle_under_the_name_of_weights_is_not_run(copy: Path, tmp_path: Path, kind: str) -> None:
    import hashlib

    trace, path = tmp_path / "trace", copy / "model.safetensors"
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Malicious(trace)))
    else:
        torch.save(Malicious(trace), path)
    change(copy, weights={"sha256": hashlib.sha256(path.read_bytes()).hexdigest()})
    with pytest.raises(CollidekitError, match=r"^\S*model.safetensors: not a readable file of weights \("):
        load_checkpoint(copy)
    assert not trace.exists()


def change(folder: Path, **parts: Any) -> None:
    path = folder / "model.json"
    content = json.loads(path.read_text())
    for part, values in parts.items():
        content[part] = {**content[part], **values} if isinstance(values, dict) else values
    path.write_text(json.dumps(seal(content)))


@pytest.mark.parametrize(
    ("part", "values"),
    [
        ("config", {"model_name": "evil.py"}),
        ("config", {"model_name": "evil.py:Net"}),
        ("analysis", {"processor": "evil.py:Processor"}),
        ("analysis", {"source": {"format": "evil.py:Reader"}}),
    ],
)
def test_a_model_that_names_python_is_refused_and_the_python_not_run(
    copy: Path, monkeypatch: pytest.MonkeyPatch, part: str, values: dict[str, Any]
) -> None:
    (copy / "evil.py").write_text("import pathlib; pathlib.Path('trace').touch()\n")
    monkeypatch.chdir(copy)
    change(copy, **{part: values})
    with pytest.raises(CollidekitError, match=r"is user code \(evil.py\S*\), which a published model cannot"):
        load_checkpoint(copy)
    assert not (copy / "trace").exists()


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"collidekit model": 99}, r"model.json: does not describe a model of this version of collidekit"),
        ({"weights": "none"}, r"model.json: does not describe a model of this version"),
        ({"config": {"model_options": {"phi": [9]}}}, r"model.safetensors: its weights do not fit network 'pfn'"),
        ({"config": {"epoch": 3}}, r"model.safetensors: has settings of another version of collidekit \(epoch: "),
    ],
)
def test_descriptions_that_do_not_fit(copy: Path, parts: dict[str, Any], message: str) -> None:
    change(copy, **parts)
    with pytest.raises(CollidekitError, match=message) as error:
        load_checkpoint(copy)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"collidekit model": 1}'])
def test_a_broken_description(copy: Path, content: str) -> None:
    (copy / "model.json").write_text(content)
    with pytest.raises(CollidekitError, match=r"^\S*model.json: "):
        load_checkpoint(copy)


def test_weights_without_their_description(copy: Path) -> None:
    (copy / "model.json").unlink()
    with pytest.raises(
        CollidekitError, match=r"model.json: there is no such file; it must be in the folder of model.safetensors"
    ):
        load_checkpoint(copy)


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(CollidekitError, match=r"is a folder without best_model.pt and without model.safetensors"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "model.json"])
def test_a_link_out_of_the_folder_is_refused(copy: Path, tmp_path: Path, name: str) -> None:
    (copy / name).rename(tmp_path / name)
    (copy / name).symlink_to(tmp_path / name)
    with pytest.raises(CollidekitError, match=rf"{name}: is a link to \S*, out of the folder of the model"):
        load_checkpoint(copy)


def test_a_card_cannot_steer_the_terminal(copy: Path) -> None:
    import io

    from rich.console import Console

    from collidekit.bundle.shelf import show_card

    (copy / "README.md").write_text(
        "# A card\n\n\x1b]0;owned\x07 and \x1b[2J\x9b31m more [here](https://example.org)\n"
    )
    shown = io.StringIO()
    show_card(str(copy), Console(file=shown, force_terminal=True, width=80))
    assert "\x1b]" not in shown.getvalue()
    assert "\x1b[2J" not in shown.getvalue()
    assert "\x9b" not in shown.getvalue()
    assert "more" in shown.getvalue()
