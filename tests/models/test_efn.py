"""The energy-flow network: sizes of the paper, and scores that are infrared- and collinear-safe."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch
import toys

from collidekit.analysis.features import Feature
from collidekit.analysis.schema import Collection, Group
from collidekit.dataset.batch import Ragged
from collidekit.errors import CollidekitError
from collidekit.models import Network, build_network
from collidekit.models.efn import pt_fractions
from collidekit.training.config import TrainingConfig
from collidekit.training.loop import Training

FEATURES = [Feature(name="a"), Feature(name="b")]
FULL = Collection(limit=100, features=FEATURES, momenta=["px", "py", "pz", "e"], coordinates=["eta", "phi"])


def dense(*sizes: int) -> int:
    return sum(a * b + b for a, b in pairwise(sizes))


def parameters(network: Network) -> int:
    return sum(p.numel() for p in network.parameters())


def jet(pt: list[float], eta: list[float], phi: list[float]) -> Ragged:
    """One row of massless constituents about the axis (0, 0), with two features that say nothing."""
    size = torch.tensor(pt, dtype=torch.float64)
    y, angle = torch.tensor(eta, dtype=torch.float64), torch.tensor(phi, dtype=torch.float64)
    momenta = [size * angle.cos(), size * angle.sin(), size * y.sinh(), size * y.cosh()]
    data = torch.stack([torch.ones_like(size), torch.zeros_like(size), *momenta, y, angle], dim=1)
    return Ragged(data, torch.tensor([0, len(pt)]), num_features=2, has_momenta=True)


@pytest.fixture
def network() -> Network:
    torch.manual_seed(2)
    return build_network("efn", {"constituents": FULL}, 2, {}).double()


@torch.no_grad()
def score(network: Network, row: Ragged) -> torch.Tensor:
    return network({"constituents": row})


PT, ETA, PHI = [300.0, 120.0, 60.0, 5.0], [0.01, -0.2, 0.4, 0.3], [0.02, 0.1, -0.3, 0.6]


def test_parameters_are_those_of_the_paper() -> None:
    # arXiv 1810.05165: Phi 100, 100, 256 on two angles, F 100, 100, 100, one output a class.
    # The comparison of arXiv 1902.09914 says 82k.
    expected = dense(2, 100, 100, 256) + dense(256, 100, 100, 100) + dense(100, 2)
    assert expected == 82_358
    assert parameters(build_network("efn", {"constituents": FULL}, 2, {})) == expected


@pytest.mark.parametrize("part", [0.5, 0.1, 0.999])
@pytest.mark.parametrize("which", [0, 2])
def test_collinear_splitting_leaves_the_score(network: Network, which: int, part: float) -> None:
    split = jet([*PT, PT[which] * (1 - part)], [*ETA, ETA[which]], [*PHI, PHI[which]])
    split.data[which, 2:6] *= part
    torch.testing.assert_close(score(network, split), score(network, jet(PT, ETA, PHI)), rtol=0, atol=1e-12)


def test_a_soft_constituent_does_not_count(network: Network) -> None:
    before = score(network, jet(PT, ETA, PHI))
    changes = [
        (score(network, jet([*PT, soft], [*ETA, 0.7], [*PHI, -0.7])) - before).abs().max() for soft in (1, 1e-3, 1e-6)
    ]
    assert changes[0] > 1e-4
    assert changes[1] < 2e-3 * changes[0]
    assert changes[2] < 2e-6 * changes[0]


def test_a_soft_constituent_counts_for_a_pfn() -> None:
    """The same check fails where the network is not safe."""
    torch.manual_seed(2)
    network = build_network("pfn", {"constituents": FULL}, 2, {}).double()
    more = score(network, jet([*PT, 1e-6], [*ETA, 0.7], [*PHI, -0.7]))
    assert (more - score(network, jet(PT, ETA, PHI))).abs().max() > 1e-3


def test_scale_of_the_jet_does_not_count(network: Network) -> None:
    harder = jet([7 * pt for pt in PT], ETA, PHI)
    torch.testing.assert_close(score(network, harder), score(network, jet(PT, ETA, PHI)), rtol=0, atol=1e-12)


def test_fractions_add_up_to_one_in_each_row() -> None:
    rows = Ragged(torch.rand(7, 8), torch.tensor([0, 3, 3, 7]), 2, True)
    fractions = pt_fractions(rows)
    pt = torch.hypot(rows.momenta[:, 0], rows.momenta[:, 1])
    torch.testing.assert_close(fractions[:3, 0], pt[:3] / pt[:3].sum())
    assert fractions[3:].sum().item() == pytest.approx(1)


def test_rows_without_transverse_momentum_are_finite(network: Network) -> None:
    assert score(network, jet([0.0, 0.0], [0.1, 0.2], [0.0, 0.1])).isfinite().all()


def test_flat_groups_are_looked_at_on_demand() -> None:
    inputs = {"constituents": FULL, "jet": Group(features=[Feature(name=f"f{i}") for i in range(5)])}
    without, having = (build_network("efn", inputs, 2, {"flat": flat}) for flat in (False, True))
    assert parameters(having) - parameters(without) == 5 * 100


def test_a_collection_without_angles_is_not_looked_at() -> None:
    inputs = {"constituents": FULL, "muons": Collection(limit=3, features=FEATURES)}
    assert parameters(build_network("efn", inputs, 2, {})) == 82_358


@pytest.mark.parametrize("missing", ["momenta", "coordinates"])
def test_without_momenta_or_coordinates_there_is_one_clear_error(missing: str) -> None:
    inputs = {"constituents": FULL.model_copy(update={missing: None})}
    with pytest.raises(CollidekitError, match=r"efn: no collection .* has both momenta and coordinates; .*take pfn"):
        build_network("efn", inputs, 2, {})


def test_it_learns_how_wide_a_jet_is(tmp_path: Path) -> None:
    momenta = "    momenta: [part_e, part_e, part_e, part_e]\n"  # pT in proportion to the energy
    text = toys.TOY.replace("    coordinates", momenta + "    coordinates")
    dataset = toys.make_dataset(tmp_path, text, toys.toy_table(2000))
    settings = {"model_name": "efn", "model_options": {"phi": [32, 32], "f": [32]}, "epochs": 8, "batch_size": 128}
    training = Training(
        TrainingConfig(**settings, learning_rate=0.01), dataset, tmp_path / "training", accelerator="cpu"
    )
    training.run()
    assert training.history.epochs[-1]["val_accuracy"] > 0.6
