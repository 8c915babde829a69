"""One flipped bit in a checkpoint or a published model is an error, or changes nothing."""

import json
import random
from pathlib import Path

import pytest
import torch
import toys

from collidekit.dataset.loader import Dataset
from collidekit.errors import CollidekitError
from collidekit.models.temperature import Temperature
from collidekit.training.checkpoint import load_checkpoint, load_content, store_temperature
from collidekit.training.config import TrainingConfig
from collidekit.training.loop import Training
from collidekit.training.model_folder import save_model
from collidekit.training.seal import content_checksum


@pytest.fixture(scope="module")
def best(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = TrainingConfig(model_options=toys.SMALL, epochs=1)
    return Training(config, dataset, tmp_path_factory.mktemp("sealed"), accelerator="cpu").run()


@pytest.mark.parametrize("name", ["best_model.pt", "last.pt"])
def test_flipped_bits_change_nothing_unnoticed(best: Path, tmp_path: Path, name: str) -> None:
    content = (best.parent / name).read_bytes()
    whole = content_checksum(load_content(best.parent / name))
    drawn, refused = random.Random(7), 0
    for _ in range(120):
        damaged = bytearray(content)
        damaged[drawn.randrange(len(content))] ^= 1 << drawn.randrange(8)
        (tmp_path / "damaged.pt").write_bytes(damaged)
        try:
            assert content_checksum(load_content(tmp_path / "damaged.pt")) == whole
        except CollidekitError:
            refused += 1
    assert refused > 20


def test_a_flipped_weight_is_named_damage(best: Path, tmp_path: Path) -> None:
    content = best.read_bytes()
    weights = load_content(best)["tagger"]["network.f.0.weight"].numpy().tobytes()
    place = content.index(weights)
    damaged = bytearray(content)
    damaged[place + 6] ^= 4
    (tmp_path / "damaged.pt").write_bytes(damaged)
    with pytest.raises(CollidekitError, match=r"damaged.pt: is damaged: its content does not have the stored checksum"):
        load_checkpoint(tmp_path / "damaged.pt")


def test_a_flipped_name_of_the_checksum_is_damage(best: Path, tmp_path: Path) -> None:
    """It is no checkpoint of a version that wrote none."""
    content = bytearray((best.parent / "last.pt").read_bytes())
    content[content.index(b"checksum")] ^= 4
    (tmp_path / "damaged.pt").write_bytes(content)
    with pytest.raises(CollidekitError, match=r"damaged.pt: is damaged"):
        load_content(tmp_path / "damaged.pt")


def test_one_without_a_checksum_loads(best: Path, tmp_path: Path) -> None:
    content = load_content(best)
    del content["code"]
    torch.save(content, tmp_path / "old.pt")
    assert load_checkpoint(tmp_path / "old.pt").epoch == 1


def test_a_changed_description(best: Path, tmp_path: Path) -> None:
    loaded = load_checkpoint(best)
    described = {
        "analysis": json.loads(loaded.analysis.model_dump_json()),
        "config": json.loads(loaded.config.model_dump_json()),
    }
    save_model(tmp_path, loaded.tagger.state_dict(), {**described, "epoch": 1})
    store_temperature(tmp_path / "model.safetensors", Temperature(1.5, 0.1, 10, "rows"))
    assert load_checkpoint(tmp_path).temperature is not None
    text = (tmp_path / "model.json").read_text()
    assert '"default": -9.0' in text
    (tmp_path / "model.json").write_text(text.replace('"default": -9.0', '"default": -1.0'))
    with pytest.raises(CollidekitError, match=r"model.json: is damaged or was changed by hand"):
        load_checkpoint(tmp_path)
    content = json.loads(text)
    del content["checksum"]
    (tmp_path / "model.json").write_text(json.dumps(content))
    load_checkpoint(tmp_path)
