"""Attacks on momenta: what follows from them follows, and masses stay."""

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import torch
import toys

from collidekit.analysis.schema import Analysis
from collidekit.attacks.build import build_attack
from collidekit.attacks.settings import AttackSettings
from collidekit.dataset.batch import Batch, Ragged
from collidekit.dataset.loader import Dataset
from collidekit.dataset.rows import build_rows, columns_of
from collidekit.errors import CollidekitError
from collidekit.models import Tagger, build_network
from collidekit.readers import open_file
from collidekit.shipped import load_plan, shipped_analyses

NAMES = ("PX", "PY", "PZ", "E")


def columns(momenta: np.ndarray, counts: np.ndarray) -> dict[str, Any]:
    lists = {name: ak.unflatten(np.ascontiguousarray(momenta[:, i]), counts) for i, name in enumerate(NAMES)}
    return {"is_signal_new": np.arange(len(counts)) % 2, **lists}


@pytest.fixture
def jets(tmp_path: Path) -> Dataset:
    """Jets of 1 to 30 pions, made by hand; none of two transverse momenta are close."""
    random = np.random.default_rng(3)
    counts = random.integers(1, 30, 120)
    total = counts.sum()
    pt = np.concatenate([5 * 1.1 ** np.arange(count)[::-1] for count in counts])
    eta, phi = random.normal(0, 0.3, total) + 0.5, random.normal(0, 0.3, total)
    momenta = np.stack(
        [pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), np.hypot(pt * np.cosh(eta), 0.14)], axis=1
    )
    text = shipped_analyses()["top_tagging_reference"].read_text()
    return toys.make_dataset(tmp_path / "jets", text, ak.zip(columns(momenta, counts), depth_limit=1))


@pytest.fixture
def tagger(jets: Dataset) -> Tagger:
    torch.manual_seed(0)
    return Tagger(jets.analysis, build_network("pfn", jets.analysis.inputs, 2, {"phi": [16], "f": [16]}))


def attacked(tagger: Tagger, jets: Dataset, batch: Batch, **settings: Any) -> Batch:
    made = build_attack(AttackSettings(attack_space="momenta", **settings), jets.analysis, tagger.scaling)
    assert made is not None
    return made(tagger, batch)


def constituents(batch: Batch) -> Ragged:
    entry = batch.inputs["constituents"]
    assert isinstance(entry, Ragged)
    return entry


@pytest.mark.parametrize("name", ["fgsm", "pgd", "noise", "shift"])
def test_all_inputs_are_those_of_the_new_momenta(tagger: Tagger, jets: Dataset, tmp_path: Path, name: str) -> None:
    """The analysis, applied to a file of the attacked momenta, gives the attacked batch."""
    batch = toys.all_rows(jets)
    moved = attacked(tagger, jets, batch, attack=name, attack_magnitude=0.005)
    entry = constituents(moved)
    text = shipped_analyses()["top_tagging_reference"].read_text()
    table = ak.zip(columns(entry.momenta.double().numpy(), entry.counts.numpy()), depth_limit=1)
    expected = toys.all_rows(toys.make_dataset(tmp_path / "again", text, table))
    torch.testing.assert_close(entry.data, constituents(expected).data, rtol=2e-4, atol=2e-4)
    torch.testing.assert_close(moved.inputs["jet"], expected.inputs["jet"], rtol=2e-4, atol=2e-3)
    assert not torch.equal(entry.data, constituents(batch).data)


def test_masses_stay_and_moves_are_within_the_magnitude(tagger: Tagger, jets: Dataset) -> None:
    batch = toys.all_rows(jets)
    one, other = constituents(batch), constituents(attacked(tagger, jets, batch, attack="fgsm", attack_magnitude=0.05))

    def pt_and_mass2(momenta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        px, py, pz, energy = momenta.double().unbind(1)
        return torch.hypot(px, py), energy**2 - px**2 - py**2 - pz**2

    pt, mass2 = pt_and_mass2(one.momenta)
    new_pt, new_mass2 = pt_and_mass2(other.momenta)
    assert ((new_pt / pt).log().abs() <= 0.05 * (1 + 1e-4)).all()
    assert (new_pt / pt).log().abs().median() == pytest.approx(0.05, rel=1e-3)
    torch.testing.assert_close(new_mass2, mass2, rtol=0, atol=1e-5 * float(one.momenta[:, 3].max()) ** 2)
    distance = torch.hypot(*(other.coordinates - one.coordinates).unbind(1))
    assert 0 < distance.max() < 0.05 * 0.1 * 2**0.5 * 3  # the axis moves too


def test_without_a_magnitude_nothing_changes(tagger: Tagger, jets: Dataset) -> None:
    batch = toys.all_rows(jets)
    moved = attacked(tagger, jets, batch, attack="fgsm", attack_magnitude=0.0)
    assert torch.equal(constituents(moved).data, constituents(batch).data)
    assert torch.equal(moved.inputs["jet"], batch.inputs["jet"])  # type: ignore[arg-type]


def test_what_the_batch_does_not_hold_stays(tmp_path: Path) -> None:
    """log(trk_pt / jet_pt) with a jet_pt of the file moves by log(trk_pt) alone."""
    text = """
        classes: {a: label == 0, b: label == 1}
        inputs:
          tracks:
            limit: 10
            momenta: ["px(trk_pt, trk_phi)", "py(trk_pt, trk_phi)", "pz(trk_pt, trk_eta)", "energy(trk_pt, trk_eta, 0.14)"]
            features:
              - {name: fraction, expression: log(trk_pt / jet_pt)}
              - {name: d0, expression: trk_d0}
        """
    random = np.random.default_rng(1)
    counts = random.integers(1, 6, 40)
    lists = {
        name: ak.unflatten(random.uniform(0.5, 2, counts.sum()), counts)
        for name in ("trk_pt", "trk_eta", "trk_phi", "trk_d0")
    }
    table = ak.zip({"label": np.arange(40) % 2, "jet_pt": random.uniform(20, 50, 40), **lists}, depth_limit=1)
    dataset = toys.make_dataset(tmp_path, text, table)
    batch = toys.all_rows(dataset)
    tagger = Tagger(dataset.analysis, build_network("pfn", dataset.analysis.inputs, 2, {"phi": [8], "f": [8]}))
    attack = build_attack(
        AttackSettings(attack="shift", attack_magnitude=0.1, attack_space="momenta"), dataset.analysis, tagger.scaling
    )
    assert attack is not None
    one, other = batch.inputs["tracks"], attack(tagger, batch).inputs["tracks"]
    torch.testing.assert_close(
        other.values[:, 0] - one.values[:, 0], torch.full((len(one.data),), 0.1), atol=1e-5, rtol=0
    )  # type: ignore[union-attr]
    assert torch.equal(other.values[:, 1], one.values[:, 1])  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"attack_individual_factors": True}, "attack-individual-factors acts only on features"),
        ({"attack_factors": "factors.yaml"}, "attack-factors acts only on features"),
        ({"attack_restrict_impact": 0.1}, "attack-restrict-impact acts only on features"),
        ({"attack_inputs": "globals"}, "needs attack-inputs all or constituents"),
    ],
)
def test_what_has_no_meaning_for_momenta_is_refused(
    jets: Dataset, tagger: Tagger, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(CollidekitError, match=said):
        build_attack(AttackSettings(attack="fgsm", attack_space="momenta", **settings), jets.analysis, tagger.scaling)


def test_an_expression_that_cannot_be_differentiated_is_named(tmp_path: Path) -> None:
    text = shipped_analyses()["top_tagging_reference"].read_text().replace("jet_px: sum(PX)", "jet_px: first(PX)")
    random = np.random.default_rng(0)
    counts = np.full(10, 3)
    table = ak.zip(columns(np.abs(random.normal(size=(30, 4))) + np.array([0, 0, 0, 5]), counts), depth_limit=1)
    dataset = toys.make_dataset(tmp_path, text, table)
    tagger = Tagger(dataset.analysis, build_network("pfn", dataset.analysis.inputs, 2, {"phi": [8], "f": [8]}))
    with pytest.raises(CollidekitError, match="first cannot be differentiated"):
        attacked(tagger, dataset, toys.all_rows(dataset), attack="fgsm", attack_magnitude=0.1)


def test_analysis_without_momenta(tagger: Tagger) -> None:
    analysis = Analysis.model_validate(
        {"name": "flat", "classes": {"a": "y == 0", "b": "y == 1"}, "inputs": {"jet": {"features": ["x"]}}}
    )
    with pytest.raises(CollidekitError, match="no collection of the analysis has momenta"):
        build_attack(AttackSettings(attack="fgsm", attack_space="momenta"), analysis, tagger.scaling)


def test_a_tagger_that_looks_at_momenta_only_cannot_be_attacked_by_its_features(jets: Dataset) -> None:
    tagger = Tagger(jets.analysis, build_network("efn", jets.analysis.inputs, 2, {}))
    attack = build_attack(AttackSettings(attack="fgsm", attack_magnitude=0.1), jets.analysis, tagger.scaling)
    assert attack is not None
    with pytest.raises(CollidekitError, match="do not depend on it; use attack_space momenta"):
        attack(tagger, toys.all_rows(jets))
    attacked(tagger, jets, toys.all_rows(jets), attack="fgsm", attack_magnitude=0.1)


def test_the_bundled_jet_flavour_can_be_attacked_in_its_momenta() -> None:
    """Tracks and vertices move, and so does all that follows from them; the jet's axis stays."""
    plan = load_plan("jet_flavour")
    path = str(Path(__file__).parents[2] / "samples" / "jet_flavour" / "test.root")
    with open_file(path, plan.analysis.source) as reader:
        before = build_rows(plan, reader.read(columns_of(plan, reader), 0, 200), path, 0, 0).batch
    settings = AttackSettings(attack="shift", attack_magnitude=0.1, attack_space="momenta")
    network = build_network("pfn", plan.analysis.inputs, 3, {"phi": [8], "f": [8]})
    tagger = Tagger(plan.analysis, network)
    attack = build_attack(settings, plan.analysis, tagger.scaling)
    assert attack is not None
    after = attack(tagger, before)
    for name in ("tracks", "vertices"):
        names = [feature.name for feature in plan.analysis.inputs[name].features]
        change = (after.inputs[name].values - before.inputs[name].values).abs().amax(dim=0)  # type: ignore[union-attr]
        for feature, moved in zip(names, change.tolist(), strict=True):
            follows = any(part in feature for part in ("logpt", "deta", "dphi", "_dr"))
            assert (moved > 1e-3) == follows, (feature, moved)
    torch.testing.assert_close(after.inputs["jet"], before.inputs["jet"])
