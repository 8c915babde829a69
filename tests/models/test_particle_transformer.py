"""The Particle Transformer: sizes of the paper, and the same numbers as a plain one that pads, row by row."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from collidekit.analysis.features import Feature
from collidekit.analysis.schema import Collection, Group
from collidekit.dataset.batch import Input, Ragged
from collidekit.errors import CollidekitError
from collidekit.models import build_network, pair_embedding, particle_transformer
from collidekit.models.network import Attentive
from collidekit.models.packing import pack
from collidekit.models.particle_attention import Heads
from collidekit.models.particle_blocks import ParticleBlock, TransformerBlock
from collidekit.models.particle_transformer import ParticleTransformer
from collidekit.models.random_bits import Drop

LENGTHS = [7, 0, 1, 12, 3, 30, 1, 0, 29]
SMALL = {"embedding": [8, 16, 8], "pair_embedding": [6, 5], "heads": 2, "layers": 2, "class_layers": 2}


def features(number: int) -> list[Feature]:
    return [Feature(name=f"f{i}") for i in range(number)]


def collection(number: int, momenta: bool = True) -> Collection:
    return Collection(limit=200, features=features(number), momenta=["px", "py", "pz", "e"] if momenta else None)


INPUTS = {"particles": collection(3)}
SETS = {
    "loose": collection(2, momenta=False),
    "tracks": collection(3),
    "vertices": collection(1),
    "jet": Group(features=features(2)),
}


def ragged(lengths: list[int], entry: Collection) -> Ragged:
    """Random features and momenta of massive particles in a jet."""
    total, number = sum(lengths), len(entry.features)
    values = [torch.randn(total, number, dtype=torch.float64)]
    if entry.momenta:
        three = torch.randn(total, 3, dtype=torch.float64) * 3 + torch.tensor([30.0, 20.0, 40.0])
        values += [three, (three.square().sum(dim=1, keepdim=True) + 0.14**2).sqrt()]
    offsets = F.pad(torch.tensor(lengths).cumsum(0), (1, 0))
    return Ragged(torch.cat(values, dim=1), offsets, number, bool(entry.momenta))


def particles(lengths: list[int]) -> dict[str, Input]:
    torch.manual_seed(1)
    return {"particles": ragged(lengths, INPUTS["particles"])}


def several() -> dict[str, Input]:
    torch.manual_seed(2)
    rows = {name: LENGTHS[k:] + LENGTHS[:k] for k, name in enumerate(("loose", "tracks", "vertices"))}
    inputs: dict[str, Input] = {name: ragged(lengths, SETS[name]) for name, lengths in rows.items()}  # type: ignore[arg-type]
    return {**inputs, "jet": torch.randn(len(LENGTHS), 2, dtype=torch.float64)}


def make(inputs: dict[str, Collection | Group] = INPUTS, **options: object) -> ParticleTransformer:  # type: ignore[assignment]
    """A small one in double precision, with nothing left at its first value."""
    torch.manual_seed(3)
    network = build_network("particle_transformer", inputs, 3, {**SMALL, "dropout": 0.0, **options}).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
        for name, buffer in network.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer += torch.rand_like(buffer)
    assert isinstance(network, ParticleTransformer)
    return network


# --- a plain one: every equation as it stands in the paper and in weaver-core -------------------------------------------


def plain_features(p: Tensor) -> Tensor:
    """ln kT, ln z, ln ΔR, ln m² (L, L, 4) of one row."""
    px, py, pz, energy = p.unbind(1)
    pt, phi = torch.hypot(px, py), torch.atan2(py, px)
    rapidity = 0.5 * torch.log((energy + pz) / (energy - pz))
    dphi = (phi[:, None] - phi + torch.pi) % (2 * torch.pi) - torch.pi
    distance = ((rapidity[:, None] - rapidity) ** 2 + dphi**2).clamp(min=1e-30).sqrt()
    softer = torch.minimum(pt[:, None], pt)
    total = p[:, None] + p
    mass = total[..., 3] ** 2 - (total[..., :3] ** 2).sum(dim=-1)
    return torch.stack([softer * distance, softer / (pt[:, None] + pt), distance, mass], dim=-1).clamp(min=1e-8).log()


def plain_pairs(network: ParticleTransformer, momenta: list[Tensor]) -> list[Tensor]:
    """What the heads add (heads, L, L) in each row; means and variances are those of all pairs i >= j."""
    embedding = network.pair_embedding
    assert embedding is not None
    below = [torch.ones(len(p), len(p)).tril().bool() for p in momenta]
    values = embedding.norm(torch.cat([plain_features(p)[mask] for p, mask in zip(momenta, below, strict=True)]))
    for dense, norm in zip(embedding.dense, embedding.norms, strict=True):
        values = F.gelu(norm(dense(values)))
    spread = []
    for mask, own in zip(below, values.split([int(mask.sum()) for mask in below]), strict=True):
        lower = own.new_zeros(*mask.shape, network.heads).masked_scatter(mask[:, :, None], own)
        upper = lower.transpose(0, 1).masked_fill(torch.eye(len(mask)).bool()[:, :, None], 0)
        spread.append((lower + upper).permute(2, 0, 1))
    return spread


def plain_block(block: TransformerBlock, x: Tensor, others: Tensor | None, bias: Tensor | float) -> Tensor:
    """Attention of x (L, E) to itself, or of x to itself and others."""
    keys = block.norm_attention(x if others is None else torch.cat([x, others]))
    asking = keys if others is None else x
    wq, wk, wv = block.queries_keys_values.weight.chunk(3)
    bq, bk, bv = block.queries_keys_values.bias.chunk(3)
    q, k, v = (
        F.linear(values, w, b).unflatten(1, (block.heads, -1)).transpose(0, 1)
        for values, w, b in ((asking, wq, bq), (keys, wk, bk), (keys, wv, bv))
    )
    weights = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5 + bias).softmax(dim=-1)
    attended = block.mix((weights @ v).transpose(0, 1).flatten(1)).unflatten(1, (block.heads, -1))
    x = x + block.norm_attended((attended * block.head_scale[:, None]).flatten(1))
    fed = block.outer(block.norm_inner(F.gelu(block.inner(block.norm_feed_forward(x)))))
    return fed + block.residual_scale * x


def plain(network: ParticleTransformer, inputs: dict[str, Input]) -> Tensor:
    """Outputs (N, K), one row after another."""
    entries = {name: inputs[name] for name in network.collections}
    cut = []
    for name, entry in entries.items():
        embedding = network.embeddings[name]
        values = embedding.layers(embedding.norm(entry.values))
        cut.append([values[a:b] for a, b in pairwise(entry.offsets)])
    rows = [torch.cat(row) for row in zip(*cut, strict=True)]
    momenta = [
        torch.cat(
            [entries[name].momenta[entries[name].offsets[r] : entries[name].offsets[r + 1]] for name in network.moving]
        )
        for r in range(len(rows))
    ]
    biases = plain_pairs(network, momenta)
    tokens = []
    for x, bias in zip(rows, biases, strict=True):
        missing = len(x) - bias.shape[1]
        for block in network.particle_blocks:
            x = plain_block(block, x, None, F.pad(bias, (0, missing, 0, missing)))
        token = network.class_token[None]
        for block in network.class_blocks:
            token = plain_block(block, token, x, 0.0)
        tokens.append(network.norm(token))
    return network.output(torch.cat([torch.cat(tokens), *(inputs[name] for name in network.groups)], dim=1))


CASES = pytest.mark.parametrize("case", ["one", "several"])


def case_of(case: str) -> tuple[ParticleTransformer, dict[str, Input]]:
    return (make(), particles(LENGTHS)) if case == "one" else (make(SETS), several())


@CASES
@pytest.mark.parametrize("training", [False, True])
def test_outputs_gradients_and_statistics_are_those_of_a_plain_one(case: str, training: bool) -> None:
    network, inputs = case_of(case)
    network.train(training)
    state = {name: value.clone() for name, value in network.state_dict().items()}
    results = []
    for forward in (network, lambda given: plain(network, given)):
        network.load_state_dict(state)
        network.zero_grad()
        outputs = forward(inputs)
        (outputs * torch.arange(outputs.numel()).view_as(outputs).cos()).sum().backward()
        gradients = {name: value.grad.clone() for name, value in network.named_parameters() if value.grad is not None}
        results.append((outputs.detach(), gradients, {name: value.clone() for name, value in network.named_buffers()}))
    (ours, our_gradients, our_buffers), (theirs, their_gradients, their_buffers) = results
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)
    assert ours.std(dim=0).min() > 0.01
    assert set(our_gradients) == set(their_gradients) == set(dict(network.named_parameters()))
    for name, gradient in their_gradients.items():
        torch.testing.assert_close(our_gradients[name], gradient, rtol=1e-8, atol=1e-8, msg=name)
    for name, buffer in their_buffers.items():
        torch.testing.assert_close(our_buffers[name], buffer, rtol=1e-9, atol=1e-9, msg=name)


@pytest.mark.parametrize("training", [False, True])
def test_gradients_of_the_inputs_are_those_of_a_plain_one(training: bool) -> None:
    network = make().train(training)
    lengths = [7, 12, 3, 30, 2]
    gradients = []
    for forward in (network, lambda given: plain(network, given)):
        inputs = particles(lengths)
        inputs["particles"].data.requires_grad_()
        forward(inputs).cos().sum().backward()
        gradients.append(inputs["particles"].data.grad)
    assert gradients[0][:, 3:].abs().max() > 1e-4
    torch.testing.assert_close(*gradients, rtol=1e-7, atol=1e-9)


def test_parameters_are_those_of_weaver_core() -> None:
    # ParticleTransformer(7, 2) of weaver-core 0.4.17, and so of the paper: 2.14 million
    network = build_network("particle_transformer", {"particles": collection(7)}, 2, {})
    assert sum(parameter.numel() for parameter in network.parameters()) == 2_141_134
    sizes = [part.weight.shape for part in network.modules() if isinstance(part, torch.nn.Linear)]
    assert sizes[:3] == [(128, 7), (512, 128), (128, 512)]
    assert sizes[3:7] == [(64, 4), (64, 64), (64, 64), (8, 64)]
    assert sizes[7:] == [(384, 128), (128, 128), (512, 128), (128, 512)] * 10 + [(2, 128)]


def test_what_blocks_add_is_small_at_first() -> None:
    network = build_network("particle_transformer", INPUTS, 2, {})
    spread = [
        float(block.mix.weight.detach().std() * number**0.5) for number, block in enumerate(network.particle_blocks, 1)
    ]
    assert max(spread) < 1.1 * min(spread)
    assert spread[0] == pytest.approx((2 / 256 / 2) ** 0.5, rel=0.05)


def test_the_small_one_is_the_same_network() -> None:
    small = build_network("particle_transformer_small", INPUTS, 2, {})
    assert isinstance(small, ParticleTransformer)
    assert sum(parameter.numel() for parameter in small.parameters()) == 153_746


@CASES
def test_attention_is_shared_by_the_particles_and_the_class_token(case: str) -> None:
    network, inputs = case_of(case)
    network.eval()
    assert isinstance(network, Attentive)
    seen = network.attention(inputs)
    entries = {name: entry for name, entry in inputs.items() if isinstance(entry, Ragged)}
    assert set(seen) == set(entries)
    total = torch.zeros(len(LENGTHS), dtype=torch.float64)
    for name, weights in seen.items():
        assert weights.min() > 0
        total.index_add_(0, entries[name].rows, weights)
    filled = sum(entry.counts for entry in entries.values()) > 0
    assert (total[filled] < 1).all()
    assert (total[filled] > 0.1).all()
    assert (total[~filled] == 0).all()


def test_attention_is_what_the_class_token_looks_at() -> None:
    network = make(class_layers=1).eval()
    inputs = particles([4])
    entry = inputs["particles"]
    weights = network.attention(inputs)["particles"]
    x = network.embed(inputs).constituents["particles"]
    block = network.class_blocks[0]
    keys = block.norm_attention(torch.cat([network.class_token[None], x]))
    wq, wk, _ = block.queries_keys_values.weight.chunk(3)
    bq, bk, _ = block.queries_keys_values.bias.chunk(3)
    q = F.linear(network.class_token, wq, bq).view(2, 1, 4)
    k = F.linear(keys, wk, bk).view(5, 2, 4).permute(1, 2, 0)
    expected = (q @ k / 2).softmax(dim=-1).mean(dim=0)[0, 1:]
    torch.testing.assert_close(weights, expected, rtol=0, atol=1e-12)
    assert len(weights) == len(entry.data)


def test_embeddings_are_those_of_the_rows_and_constituents() -> None:
    network, inputs = make(SETS).eval(), several()
    found = network.embed(inputs)
    torch.testing.assert_close(found.outputs, network(inputs), rtol=0, atol=0)
    assert found.row.shape == (len(LENGTHS), network.row_width)
    for name, values in found.constituents.items():
        assert values.shape == (len(inputs[name].data), network.constituent_width)
    moved = several()
    moved["tracks"].data[5] += 1
    changed = (network.embed(moved).constituents["tracks"] - found.constituents["tracks"]).abs().sum(dim=1) > 0
    assert torch.equal(changed, inputs["tracks"].rows == inputs["tracks"].rows[5])


def test_dropout_is_in_the_particle_blocks_and_repeats_with_the_seed() -> None:
    network, inputs = make(dropout=0.3).train(), particles(LENGTHS)

    def outputs(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return network(inputs).detach()

    assert torch.equal(outputs(1), outputs(1))
    assert (outputs(1) - outputs(2))[2].abs().min() > 1e-6
    empty = [k for k, length in enumerate(LENGTHS) if length == 0]
    assert torch.equal(outputs(1)[empty], outputs(2)[empty])  # only the class token is there
    assert torch.equal(network.eval()(inputs), network(inputs))


def test_dropout_leaves_means_as_they_are() -> None:
    """What is dropped anywhere in a block is made up for, up to what is not linear."""
    torch.manual_seed(0)
    block = ParticleBlock(8, 2, 4).double()
    x = torch.randn(40, 8, dtype=torch.float64)
    blocks = [Heads.of(block, 2, 40) for block in pack(torch.tensor([0, 40])).blocks]
    biases = [torch.zeros(1, 2, 40, 40, dtype=torch.float64)]
    drop = Drop(0.02, x.device)
    with torch.no_grad():
        expected = block(x, block.prepare(None), blocks, biases, None)
        some = torch.stack([block(x, block.prepare(drop), blocks, biases, drop) for _ in range(400)])
    assert (some.std(dim=0) > 0.01).all()
    pulls = (some.mean(dim=0) - expected) / (some.std(dim=0) / 400**0.5)
    assert pulls.std() < 1.5


def test_gradients_through_dropout_are_those_of_the_outputs() -> None:
    network, inputs = make(dropout=0.3).train(), particles([5, 3, 8])

    def loss() -> Tensor:
        torch.manual_seed(4)
        return network(inputs).square().sum()

    loss().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None
        direction = torch.randn_like(parameter)
        with torch.no_grad():
            parameter += 1e-5 * direction
            above = loss()
            parameter -= 2e-5 * direction
            slope = (above - loss()) / 2e-5
            parameter += 1e-5 * direction
        expected = float((parameter.grad * direction).sum())
        assert float(slope) == pytest.approx(expected, rel=1e-4, abs=1e-6), name


def test_without_pair_features_momenta_do_not_matter() -> None:
    network = make({"loose": collection(2, momenta=False)}, pair_embedding=[]).eval()
    outputs = network({"loose": ragged(LENGTHS, SETS["loose"])})
    assert outputs.isfinite().all()
    with_momenta = make(pair_embedding=[]).eval()
    inputs = particles(LENGTHS)
    before = with_momenta(inputs)
    inputs["particles"].data[:, 3:] *= 2
    assert torch.equal(with_momenta(inputs), before)


def test_a_batch_in_which_nobody_has_constituents() -> None:
    for training in (False, True):
        outputs = make().train(training)(particles([0, 0]))
        assert torch.equal(outputs[0], outputs[1])
        outputs.sum().backward()


def test_bfloat16_through_and_through() -> None:
    network, inputs = make().float().eval(), particles(LENGTHS)
    entry = inputs["particles"]
    full = network({"particles": entry.to("cpu", torch.float32)})
    half = network.bfloat16()({"particles": entry.to("cpu", torch.bfloat16)})
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), full, rtol=0, atol=0.3)


def test_torch_compile_changes_nothing() -> None:
    network = make().eval()
    compiled = torch.compile(network, backend="eager", dynamic=True)
    for lengths in ([3, 5], [9, 0, 2]):
        torch.testing.assert_close(compiled(particles(lengths)), network(particles(lengths)), rtol=0, atol=0)


def test_parts_of_a_batch_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The constituents and pairs that are worked on at a time."""
    network, inputs = make().train(), particles(LENGTHS)
    expected = network(inputs)
    monkeypatch.setattr(particle_transformer, "CHUNK", 20)
    monkeypatch.setattr(pair_embedding, "CHUNK", 64)
    torch.testing.assert_close(network(inputs), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        ({"jet": SETS["jet"]}, {}, "the analysis has no collection of constituents; take mlp"),
        ({"loose": SETS["loose"]}, {}, r"no collection has momenta: give loose momenta: \[px, py, pz, E\]"),
        (
            INPUTS,
            {"embedding": [8, 10], "heads": 4},
            r"the last size of embedding \[8, 10\] must be a multiple of the 4 heads",
        ),
        (INPUTS, {"embedding": []}, r"the last size of embedding \[\] must be"),
        (INPUTS, {"class_layers": 0}, "needs at least one class layer"),
        (INPUTS, {"dropout": 1.0}, "dropout is 1.0; it must be at least 0 and below 1"),
    ],
)
def test_errors(inputs: dict[str, Collection | Group], options: dict[str, object], message: str) -> None:
    with pytest.raises(CollidekitError, match=f"network particle_transformer: {message}"):
        build_network("particle_transformer", inputs, 2, options)
