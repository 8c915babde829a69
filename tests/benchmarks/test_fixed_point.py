"""The fixed-size form of a small tagger for hls4ml (benchmarks/fixed_point.py) gives the same results as the tagger."""

import sys
from pathlib import Path

import pytest
import torch
import toys
from attrs import evolve

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import fixed_point
from fixed_size import FixedSizePFN, largest_number, multiplications, rounded, slots_of, weights, with_rounded_numbers

from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Batch, Ragged
from collidekit.errors import CollidekitError
from collidekit.models.pfn import PFN
from collidekit.models.tagger import Tagger

SLOTS = 6
COUNTS = [0, 1, 3, SLOTS, 9]
"""Numbers of constituents of each row; the last row has more than there are slots."""


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    text = toys.TOY.split("  jet:\n")[0] + toys.TOY[toys.TOY.index("weight: weight") :]
    return toys.write_analysis(tmp_path_factory.mktemp("fixed") / "toy.yaml", text)


def make_tagger(analysis: Analysis, **options: object) -> Tagger:
    """A tagger with biases and a scaling that are not trivial."""
    torch.manual_seed(1)
    network = PFN(analysis.inputs, 2, **{"phi": [7, 5, 8], "f": [6, 4], "norm": 3.0, "dropout": 0.5, **options})  # type: ignore[arg-type]
    tagger = Tagger(analysis, network).eval()
    with torch.no_grad():
        for name, part in network.named_parameters():
            if name.endswith("bias"):
                part.normal_()
        tagger.scaling.get_buffer("constituents_shift")[:4].copy_(torch.tensor([0.1, -0.2, 0.5, 0.3]))
        tagger.scaling.get_buffer("constituents_factor")[:4].copy_(torch.tensor([0.5, 2.0, 1.5, 0.7]))
    return tagger


def make_batch(counts: list[int]) -> Batch:
    """Rows with NaN, infinity and the default among their values."""
    generator = torch.Generator().manual_seed(2)
    offsets = torch.tensor([0, *counts]).cumsum(0)
    data = torch.randn(int(offsets[-1]), 6, generator=generator)
    data[0, 3], data[2, 0], data[3, 1], data[5, 3] = torch.nan, torch.inf, torch.nan, -9.0
    none = torch.zeros(len(counts), dtype=torch.int64)
    inputs = {"constituents": Ragged(data, offsets, 4)}
    return Batch(inputs, none, none.float(), {}, {}, keys=none, processes=none, source=none, index=none)


def leading(batch: Batch, slots: int) -> Batch:
    entry = batch.inputs["constituents"]
    assert isinstance(entry, Ragged)
    rows = [entry.data[a:b][:slots] for a, b in zip(entry.offsets, entry.offsets[1:], strict=False)]
    offsets = torch.tensor([0, *map(len, rows)]).cumsum(0)
    return evolve(batch, inputs={"constituents": evolve(entry, data=torch.cat(rows), offsets=offsets)})


@pytest.mark.parametrize("signal", ["signal", "background"])
@pytest.mark.parametrize("counts", [COUNTS, [1, 2, 3], [SLOTS]])
@torch.no_grad()
def test_the_form_of_fixed_size_gives_the_taggers_own_numbers(analysis, signal, counts):
    tagger, batch = make_tagger(analysis), make_batch(counts)
    slots = slots_of(tagger, batch, SLOTS)
    assert slots.shape == (len(counts), 5, SLOTS)
    found = FixedSizePFN(tagger, SLOTS, signal)(slots)[:, 0].sigmoid()
    wanted = tagger.predict(leading(batch, SLOTS))[f"prob_{signal}"]
    torch.testing.assert_close(found, wanted.float(), rtol=1e-5, atol=1e-6)
    assert found.isfinite().all()
    assert len(found.unique()) == len(found)


@torch.no_grad()
def test_an_empty_slot_is_zero_in_each_layer(analysis):
    model, batch = FixedSizePFN(make_tagger(analysis), SLOTS, "signal"), make_batch(COUNTS)
    found = slots_of(make_tagger(analysis), batch, SLOTS)
    for layer in model.phi:
        found = layer(found)
        assert (found[0] == 0).all()
        assert (found[1, :, 1:] == 0).all()
        assert (found[1, :, 0] != 0).any()


@torch.no_grad()
def test_its_size_is_that_of_the_dense_layers(analysis):
    tagger, batch = make_tagger(analysis), make_batch(COUNTS)
    model = FixedSizePFN(tagger, SLOTS, "signal")
    phi, f = 4 * 7 + 7 * 5 + 5 * 8, 8 * 6 + 6 * 4 + 4
    assert sum(part.numel() for part in weights(model)) == phi + f
    assert multiplications(model, SLOTS) == SLOTS * phi + f
    assert largest_number(model, slots_of(tagger, batch, SLOTS)) >= slots_of(tagger, batch, SLOTS).abs().max()


@pytest.mark.parametrize(
    ("options", "part"), [({"activation": "silu"}, "SiLU"), ({"f": [6], "phi": [3], "activation": "gelu"}, "GELU")]
)
def test_other_activations_are_refused(analysis, options, part):
    with pytest.raises(CollidekitError, match=part):
        FixedSizePFN(make_tagger(analysis, **options), SLOTS, "signal")


def test_the_analysis_has_the_leading_constituents_and_few_features():
    content = fixed_point.with_leading(SLOTS)
    constituents = content["inputs"].pop("constituents")
    assert constituents["limit"] == SLOTS
    assert len(constituents["features"]) == len(fixed_point.FEATURES)
    assert not content["inputs"]
    assert fixed_point.sample("train").is_file()
    assert fixed_point.sample("test").is_file()


def test_without_hls4ml_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["fixed_point.py"])
    monkeypatch.setattr(fixed_point, "find_spec", lambda name: None)
    fixed_point.main()
    assert capsys.readouterr().out == "skipped: this needs hls4ml (pip install hls4ml) and the compiler g++\n"


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(0.3, 0.25), (0.375, 0.5), (-0.375, -0.25), (-0.3, -0.25), (9.0, 3.75), (-9.0, -4.0), (0.0, 0.0)],
)
def test_numbers_are_rounded_to_the_nearest_and_saturate(value, wanted):
    """``ap_fixed<5, 3>`` has steps of 1/4 from -4 to 3.75."""
    assert rounded(torch.tensor([value]), 5, 3).item() == wanted


@torch.no_grad()
def test_rounded_numbers_approach_those_of_single_precision(analysis):
    tagger = make_tagger(analysis)
    model, slots = FixedSizePFN(tagger, SLOTS, "signal"), slots_of(tagger, make_batch(COUNTS), SLOTS)
    single = model(slots)
    differs = [float((with_rounded_numbers(model, slots, w, 8) - single).abs().max()) for w in (10, 14, 24)]
    assert differs[2] < 1e-3 < differs[1] < differs[0]
    assert (with_rounded_numbers(model, slots, 10, 8) % 0.25 == 0).all()
