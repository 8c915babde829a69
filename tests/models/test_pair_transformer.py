"""The pair transformer against the same written out row by row, and what its score does not depend on."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from collidekit.analysis.schema import Collection, Group
from collidekit.dataset.batch import Ragged
from collidekit.errors import CollidekitError
from collidekit.models.network import Inputs
from collidekit.models.pair_features import pair_features
from collidekit.models.pair_transformer import CENTRE, WIDTH, PairTransformer

COUNTS = [7, 0, 1, 12, 3]


def inputs() -> Inputs:
    momenta = ["px", "py", "pz", "e"]
    features = [{"name": "charge", "expression": "q"}, {"name": "d0", "expression": "d0"}]
    jet = Group(features=[{"name": "pt", "expression": "pt"}])  # type: ignore[list-item]
    return {"parts": Collection(limit=50, momenta=momenta, features=features), "jet": jet}  # type: ignore[arg-type]


@pytest.fixture
def jets() -> dict[str, Ragged | Tensor]:
    torch.manual_seed(1)
    offsets = F.pad(torch.tensor(COUNTS).cumsum(0), (1, 0))
    p = 20 * torch.randn(int(offsets[-1]), 3, dtype=torch.float64)
    data = torch.cat([torch.randn(len(p), 2).double(), p, p.norm(dim=1, keepdim=True)], dim=1)
    return {"parts": Ragged(data, offsets, 2, has_momenta=True), "jet": torch.randn(len(COUNTS), 1).double()}


def network(**options: object) -> PairTransformer:
    torch.manual_seed(2)
    made = PairTransformer(inputs(), 2, width=16, heads=4, feed_forward=24, **options).double()  # type: ignore[arg-type]
    for block in made.blocks:  # they begin as nothing
        torch.nn.init.normal_(block.mix.weight, std=0.3)
        torch.nn.init.normal_(block.outer.weight, std=0.3)
    return made


def row_by_row(net: PairTransformer, jets: dict[str, Ragged | Tensor]) -> Tensor:
    parts = jets["parts"]
    latent = []
    for start, stop in zip(parts.offsets[:-1].tolist(), parts.offsets[1:].tolist(), strict=True):
        n = stop - start
        if not n:
            latent.append(torch.zeros(16).double())
            continue
        x = net.embeddings["parts"](parts.values[start:stop])
        i, j = torch.ones(n, n).nonzero().T
        given = pair_features(parts.momenta[start:stop], i, j)
        hidden = F.silu(net.pairs.hidden((given - torch.tensor(CENTRE)) / torch.tensor(WIDTH)))
        bias = net.pairs.output(hidden).view(n, n, 4).masked_fill(torch.eye(n, dtype=torch.bool)[..., None], 0)
        for block in net.blocks:
            q, k, v = block.queries_keys_values(block.norm_attention(x)).view(n, 3, 4, 4).permute(1, 2, 0, 3)
            weights = (q @ k.transpose(1, 2) / 2 + bias.permute(2, 0, 1)).softmax(dim=2)
            x = x + block.mix((weights @ v).transpose(0, 1).reshape(n, 16))
            x = x + block.outer(F.silu(block.inner(block.norm_feed_forward(x))))
        x = net.norm(x)
        latent.append((net.gate(x).softmax(dim=0) * x).sum(dim=0))
    return net.output(torch.cat([torch.stack(latent), jets["jet"]], dim=1))


def test_it_is_its_equations(jets: dict[str, Ragged | Tensor]) -> None:
    net = network()
    gradients = []
    for outputs in (net(jets), row_by_row(net, jets)):
        net.zero_grad()
        (outputs * torch.tensor([[1.0, -2.0]])).sum().backward()
        gradients.append([outputs.detach(), *(p.grad.clone() for p in net.parameters() if p.grad is not None)])
    torch.testing.assert_close(*gradients)
    assert len(gradients[0]) == 1 + len(list(net.parameters()))


def test_a_chosen_feature_is_the_only_one_that_is_looked_at(jets: dict[str, Ragged | Tensor]) -> None:
    net = network(features=["charge"])
    score = net(jets)
    parts = jets["parts"]
    for column, differs in ((0, True), (1, False)):
        data = parts.data.clone()
        data[:, column] += 1
        changed = net({**jets, "parts": Ragged(data, parts.offsets, 2, has_momenta=True)})
        assert bool((changed != score).any()) == differs


def test_boosts_along_the_beam_and_turns_about_it(jets: dict[str, Ragged | Tensor]) -> None:
    net, parts = network(), jets["parts"]
    score, data = net(jets), parts.data.clone()
    px, py, pz, energy = parts.momenta.unbind(1)
    cos, sin, cosh, sinh = 0.6, 0.8, 1.25, 0.75
    data[:, 2:] = torch.stack(
        [px * cos - py * sin, px * sin + py * cos, pz * cosh + energy * sinh, energy * cosh + pz * sinh], dim=1
    )
    torch.testing.assert_close(net({**jets, "parts": Ragged(data, parts.offsets, 2, has_momenta=True)}), score)
    data[:, 2:5] = data[:, [3, 4, 2]]  # a turn out of the plane is another jet
    assert (net({**jets, "parts": Ragged(data, parts.offsets, 2, has_momenta=True)}) - score).abs().max() > 1e-3


def test_only_the_first_are_looked_at(jets: dict[str, Ragged | Tensor]) -> None:
    few, parts = network(first=2), jets["parts"]
    data = parts.data.clone()
    data[2:7] *= 1.5
    data[10:20] *= 1.5
    assert torch.equal(few({**jets, "parts": Ragged(data, parts.offsets, 2, has_momenta=True)}), few(jets))


def test_errors_name_what_is_wrong() -> None:
    with pytest.raises(CollidekitError, match=r"'chrge' \(did you mean 'charge'\?\)"):
        network(features=["chrge"])
    with pytest.raises(CollidekitError, match="width 10 cannot be shared by 4 heads"):
        PairTransformer(inputs(), 2, width=10, heads=4)
    without = Collection(limit=5, features=[{"name": "q", "expression": "q"}])  # type: ignore[list-item]
    with pytest.raises(CollidekitError, match="no collection of the analysis has momenta"):
        PairTransformer({"parts": without}, 2)
