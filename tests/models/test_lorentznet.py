"""LorentzNet against its equations written out pair by pair, and its published size."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from collidekit.analysis.schema import Collection
from collidekit.dataset.batch import Ragged
from collidekit.errors import CollidekitError
from collidekit.models.lorentznet import Layer, LorentzNet, LorentzNetSmall, minkowski, psi
from collidekit.models.sets import Sets, leading

COUNTS = [5, 0, 1, 9, 3, 2]


def collection() -> Collection:
    momenta = ["px", "py", "pz", "e"]
    return Collection(limit=50, momenta=momenta, features=[{"name": "charge", "expression": "q"}])  # type: ignore[list-item]


@pytest.fixture
def jets() -> Ragged:
    torch.manual_seed(1)
    offsets = F.pad(torch.tensor(COUNTS).cumsum(0), (1, 0))
    p = 20 * torch.randn(int(offsets[-1]), 3, dtype=torch.float64)
    energy = (p.square().sum(dim=1, keepdim=True) + 0.02).sqrt()
    charge = torch.randint(-1, 2, (len(p), 1)).double()
    return Ragged(torch.cat([charge, p, energy], dim=1), offsets, 1, has_momenta=True)


def pair_by_pair(layer: Layer, h: Tensor, x: Tensor, scalars: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Eqs. 3.1 to 3.4 with the normalisation of all edges."""
    rows = torch.repeat_interleave(offsets.diff())
    edges = (rows[:, None] == rows[None]) & ~torch.eye(len(h), dtype=torch.bool)
    i, j = edges.nonzero().T
    difference = x[i] - x[j]
    products = torch.stack([psi(minkowski(difference)), psi(minkowski(x[i], x[j]))], dim=1)
    edge = F.relu(layer.edge_norm(layer.edge(torch.cat([h[i], h[j], products], dim=1))))
    m = F.relu(layer.message(edge))
    total = torch.zeros_like(h).index_add(0, i, layer.phi_m(m).sigmoid() * m)
    number = torch.bincount(i, minlength=len(h)).clamp(min=1)[:, None]
    move = torch.zeros_like(x).index_add(0, i, layer.phi_x(m) * difference) / number
    return h + layer.phi_h(torch.cat([h, total, scalars], dim=1)), x + layer.step * move


@pytest.mark.parametrize("training", [True, False])
def test_a_layer_is_its_equations(jets: Ragged, training: bool) -> None:
    sets = Sets.of({"": jets.offsets}, 12)
    assert len(sets.packing.blocks) > 1
    x = jets.momenta[sets.order] / 20
    layer = Layer(8, 1, step=1.0, last=False).double().train(training)
    torch.nn.init.normal_(layer.phi_x[2].weight)
    torch.nn.init.uniform_(layer.edge_norm.weight)
    reference = copy.deepcopy(layer)
    h, scalars = torch.randn(len(x), 8).double(), torch.randn(len(x), 1).double()
    given = [values.clone().requires_grad_() for values in (h, x, h, x)]
    found, wanted = layer(*given[:2], scalars, sets), pair_by_pair(reference, *given[2:], scalars, sets.offsets)
    weights = [torch.randn_like(values) for values in found]
    for outputs in (found, wanted):
        sum((values * weight).sum() for values, weight in zip(outputs, weights, strict=True)).backward()
    assert (found[1] - x).abs().max() > 0.01
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(given[0].grad, given[2].grad)
    torch.testing.assert_close(given[1].grad, given[3].grad)
    for mine, theirs in zip(layer.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)
    for mine, theirs in zip(layer.buffers(), reference.buffers(), strict=True):
        if mine.ndim:
            torch.testing.assert_close(mine, theirs)


def test_size_of_the_paper() -> None:
    """Table 2 of arXiv 2201.08187 has 224k."""
    assert sum(p.numel() for p in LorentzNet({"jets": collection()}, 2).parameters()) == 224_072
    assert sum(p.numel() for p in LorentzNetSmall({"jets": collection()}, 2).parameters()) < 15_000


def test_messages_that_are_computed_again_give_the_same(jets: Ragged, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(2)
    network = LorentzNet({"jets": collection()}, 2, width=6, layers=2, dropout=0).double()
    gradients = []
    for kept in (2**26, 0):
        monkeypatch.setattr("collidekit.models.lorentznet.KEPT", kept)
        network.zero_grad()
        network({"jets": jets}).square().sum().backward()
        gradients.append([p.grad.clone() for p in network.parameters() if p.grad is not None])
    torch.testing.assert_close(*gradients)


def test_a_named_scalar_is_looked_at(jets: Ragged) -> None:
    torch.manual_seed(2)
    other = Ragged(torch.cat([-jets.data[:, :1], jets.data[:, 1:]], dim=1), jets.offsets, 1, has_momenta=True)
    for scalars, differs in (((), False), (("charge",), True)):
        network = LorentzNet({"jets": collection()}, 2, width=6, layers=2, scalars=scalars).double().eval()
        assert (network({"jets": jets}) != network({"jets": other})).any() == differs


def test_beams_break_the_symmetry_to_that_about_the_beam(jets: Ragged) -> None:
    torch.manual_seed(2)
    network = LorentzNet({"jets": collection()}, 2, width=6, layers=2).double().eval()
    angle = torch.tensor(0.7)
    about_z, about_x = torch.eye(5).double(), torch.eye(5).double()
    for turn, a, b in ((about_z, 1, 2), (about_x, 2, 3)):
        turn[a, a] = turn[b, b] = angle.cos()
        turn[a, b], turn[b, a] = angle.sin(), -angle.sin()
    score = network({"jets": jets})
    by_z, by_x = (
        network({"jets": Ragged(jets.data @ turn, jets.offsets, 1, has_momenta=True)}) for turn in (about_z, about_x)
    )
    torch.testing.assert_close(by_z, score)
    assert (by_x - score).abs().max() > 1e-4


def test_errors_name_what_is_wrong() -> None:
    with pytest.raises(CollidekitError, match=r"'chrge' \(did you mean 'charge'\?\)"):
        LorentzNet({"jets": collection()}, 2, scalars=["chrge"])
    without = Collection(limit=50, features=[{"name": "q", "expression": "q"}])  # type: ignore[list-item]
    with pytest.raises(CollidekitError, match="no collection of the analysis has momenta"):
        LorentzNet({"jets": without}, 2)


def test_leading_takes_the_first_of_each_row(jets: Ragged) -> None:
    few = leading(jets, 2)
    assert few.counts.tolist() == [2, 0, 1, 2, 2, 2]
    assert few.data.tolist() == [row for a in (0, 5, 6, 15, 18) for row in jets.data[a : a + 2 - (a == 5)].tolist()]
    assert leading(jets, 9) is jets
