"""Networks by name, and a user's own in a file."""

from pathlib import Path

import pytest
import torch

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Batch, Ragged
from collidekit.dataset.loader import Dataset
from collidekit.errors import CollidekitError
from collidekit.models import Tagger, build_network, find_network
from collidekit.models.heads import ClassesHead
from collidekit.models.mlp import MLP
from collidekit.models.registry import NETWORKS
from collidekit.models.tagger import outputs_of

MINE = """
import torch
from collidekit.models import Network

class Mine(Network):
    def __init__(self, inputs, outputs, width=5):
        super().__init__(inputs, outputs)
        self.layers = torch.nn.Sequential(torch.nn.Linear(len(inputs["jet"].features), width), torch.nn.Linear(width, outputs))

    def forward(self, inputs):
        return self.layers(inputs["jet"])
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "my_network.py"
    path.write_text(MINE)
    return path


def test_mlp_looks_at_the_flat_group_only(dataset: Dataset, batch: Batch) -> None:
    network = build_network("mlp", dataset.analysis.inputs, 3, {"hidden": [4, 5]})
    assert sum(p.numel() for p in network.parameters()) == (2 * 4 + 4) + (4 * 5 + 5) + (5 * 3 + 3)
    assert Tagger(dataset.analysis, network)(batch).shape == (len(batch), 3)


def test_mlp_without_hidden_layers(dataset: Dataset) -> None:
    network = build_network("mlp", dataset.analysis.inputs, 3, {"hidden": []})
    assert sum(p.numel() for p in network.parameters()) == 2 * 3 + 3


def test_mlp_without_a_flat_group(dataset: Dataset) -> None:
    with pytest.raises(
        CollidekitError,
        match="network mlp: the analysis has no flat group of inputs; add one, the option leading, or take pfn",
    ):
        build_network("mlp", dataset.analysis.collections, 2, {})


def test_names_do_not_depend_on_case() -> None:
    assert find_network("MLP") is MLP


@pytest.mark.parametrize("suffix", ["", ":Mine"])
def test_network_of_a_file(mine: Path, dataset: Dataset, batch: Batch, suffix: str) -> None:
    network = build_network(f"{mine}{suffix}", dataset.analysis.inputs, 2, {"width": 7})
    assert type(network).__name__ == "Mine"
    assert Tagger(dataset.analysis, network)(batch).shape == (len(batch), 2)


def test_network_imported_into_the_file_is_found_by_name(tmp_path: Path) -> None:
    path = tmp_path / "alias.py"
    path.write_text("from collidekit.models.mlp import MLP\n")
    assert find_network(f"{path}:MLP") is MLP
    with pytest.raises(CollidekitError, match="must define one network"):
        find_network(str(path))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pfm", r"there is no network 'pfm' \(did you mean 'pfn'.*\?\); known are mlp, pfn, .*or a file"),
        ("nowhere.py", r"nowhere.py: there is no such file"),
        ("{mine}:Thine", r"my_network.py: there is no network 'Thine'.*: Mine"),
        ("{mine}:torch", r"there is no network 'torch'"),
    ],
)
def test_wrong_names(mine: Path, name: str, message: str) -> None:
    with pytest.raises(CollidekitError, match=message):
        find_network(name.format(mine=mine))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", r"must define one network.*: none"),
        (MINE + MINE.replace("class Mine", "class Thine"), r"must define one network.*Mine, Thine"),
        ("import nothing_of_this_name\n", r"wrong.py:1: ModuleNotFoundError"),
        ("x = 1\ny = (\n", r"wrong.py:2: SyntaxError"),
        ("\n\nraise ValueError('so it is')\n", r"wrong.py:3: ValueError: so it is"),
    ],
)
def test_wrong_files(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "wrong.py"
    path.write_text(text)
    with pytest.raises(CollidekitError, match=message):
        find_network(str(path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"phy": [3]},
            r"network pfn: no option 'phy' \(did you mean 'phi'\?\); known are phi, f, activation, dropout, norm",
        ),
        ({"activation": "gelo"}, r"network pfn: there is no activation 'gelo' \(did you mean 'gelu'"),
        ({"f": "wide"}, r"network pfn with options .*wide"),
        ({"dropout": "half"}, r"network pfn: dropout: must be a number, got 'half'"),
        ({"dropout": True}, r"network pfn: dropout: must be a number, got True"),
        ({"dropout": 2.0}, r"network pfn with options .*: ValueError: dropout probability"),
    ],
)
def test_wrong_options(dataset: Dataset, options: dict[str, object], message: str) -> None:
    with pytest.raises(CollidekitError, match=message):
        build_network("pfn", dataset.analysis.inputs, 2, options)


@pytest.mark.parametrize("value", ["0x20", 32.0, True, None, [32]])
def test_a_width_is_a_whole_number(dataset: Dataset, value: object) -> None:
    with pytest.raises(CollidekitError, match=r"network transformer_small: width: must be a whole number, got "):
        build_network("transformer_small", dataset.analysis.inputs, 2, {"width": value})


def test_network_in_half_precision_behind_a_scaling_in_full(tagger: Tagger, batch: Batch) -> None:
    full = tagger(batch).softmax(dim=1)
    tagger.network.bfloat16()
    half = tagger(batch)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float().softmax(dim=1), full, rtol=0, atol=0.03)


def test_a_perceptron_of_leading_constituents() -> None:
    """The first of each collection side by side; those that are missing are alike, and what follows is not seen."""
    analysis = Analysis.model_validate(
        {
            "classes": {"a": "y == 0", "b": "y == 1"},
            "inputs": {"tracks": {"limit": 9, "features": ["d0", "z0"]}, "jet": {"features": ["pt"]}},
        }
    )
    torch.manual_seed(0)
    network = build_network("mlp", analysis.inputs, 2, {"hidden": [8], "leading": 3})
    data = torch.randn(8, 2)
    rows = {"tracks": Ragged(data, torch.tensor([0, 0, 2, 7, 8]), 2), "jet": torch.randn(4, 1)}
    found = network(rows)
    assert found.shape == (4, 2)
    beyond = data.clone()
    beyond[5:7] = 7.0  # the fourth and fifth constituent of row 2
    torch.testing.assert_close(network({**rows, "tracks": Ragged(beyond, rows["tracks"].offsets, 2)}), found)
    third = data.clone()
    third[4] = 7.0
    changed = (network({**rows, "tracks": Ragged(third, rows["tracks"].offsets, 2)}) - found).abs().sum(dim=1)
    assert (changed > 0).tolist() == [False, False, True, False]
    with torch.no_grad():
        network.missing["tracks"].fill_(3.0)
        changed = (network(rows) - found).abs().sum(dim=1)
    assert (changed > 0).tolist() == [True, True, False, True]
    embedded = network.embed(rows)
    assert network.width_of("tracks") == 2 + 8
    assert network.width_of("jet") == 0
    torch.testing.assert_close(
        embedded.constituents["tracks"][:, :2], data
    )  # its own features, then the row that it is in
    torch.testing.assert_close(embedded.constituents["tracks"][:, 2:], embedded.row[[1, 1, 2, 2, 2, 2, 2, 3]])
    assert build_network("mlp", analysis.inputs, 2, {"hidden": [8]}).width_of("tracks") == 0
    network(rows).sum().backward()
    assert network.missing["tracks"].grad.abs().sum() > 0
    assert sum(p.numel() for p in network.parameters()) == (1 + 3 * 2) * 8 + 8 + 8 * 2 + 2 + 2
    with pytest.raises(CollidekitError, match="leading is -1"):
        build_network("mlp", analysis.inputs, 2, {"leading": -1})


ODD_NAMES = """
classes: {a: label == 0, b: label == 1}
inputs:
  items: {limit: 3, momenta: [x, y, z, e], coordinates: [x, y], features: [x]}
  type: {features: [w]}
targets:
  values: {values: {v: y}}
  float: {collection: items, classes: {up: y > 0, down: y <= 0}}
  half: {collection: items, parents: {keys: {b: i}, train: {b: j}}}
"""


@pytest.mark.parametrize("name", sorted(set(NETWORKS) - {"mlp", "pcnn"}))
def test_names_that_torch_uses_itself(name: str) -> None:
    """Of inputs, targets and parents: they ended in a KeyError of torch."""
    analysis = parse_analysis(ODD_NAMES, "odd.yaml")[0]
    tagger = Tagger(analysis, build_network(name, analysis.inputs, outputs_of(analysis, ClassesHead.of(analysis)), {}))
    names = list(tagger.state_dict())
    assert "regressions.values.shift" in names
    assert any(entry.startswith("target_heads.heads.half.heads.keys.") for entry in names)
    again = Tagger(analysis, build_network(name, analysis.inputs, 3, {}))
    again.load_state_dict(tagger.state_dict())
    assert tagger.target_heads is not None
    assert set(tagger.learned_targets) == {"values", "float", "half"}
