"""Features of pairs: each member of a collection with each member of another one that is kept."""

from typing import Any

import awkward as ak
import numpy as np
import pytest

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.schema import Analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.batch import Ragged
from collidekit.dataset.rows import build_rows
from collidekit.errors import CollidekitError

TEXT = """
targets: {number: {values: {x: count(a_px)}}}
inputs:
  jets:
    limit: 5
    momenta: [a_px, a_py, a_pz, a_e]
    pairs: {leptons: [mass, log_mass, delta_r, delta_eta, delta_phi]}
    features: [a_px]
  leptons: {limit: 2, order: b_q, where: b_px > 0, momenta: [b_px, b_py, b_pz, b_e], features: [b_q]}
"""


def particles(letter: str, counts: list[int], seed: int) -> dict[str, ak.Array]:
    generator = np.random.default_rng(seed)
    parts = {part: generator.normal(0, 30, sum(counts)) for part in ("px", "py", "pz")}
    parts["e"] = np.sqrt(sum(value**2 for value in parts.values()) + 25)
    return {f"{letter}_{part}": ak.unflatten(values, counts) for part, values in parts.items()}


@pytest.fixture
def rows() -> ak.Array:
    columns = particles("a", [3, 1, 0, 2, 4], 1) | particles("b", [2, 1, 2, 3, 4], 2)
    columns["b_q"] = ak.Array([[-1, 1], [1], [1, -1], [-1, 1, 1], [-1, -1, 1, 1]])
    return ak.zip(columns, depth_limit=1)


def test_features_are_those_of_the_pairs(rows: ak.Array) -> None:
    plan = Plan(*parse_analysis(TEXT))
    jets = build_rows(plan, rows, "file", 0, 0).batch.inputs["jets"]
    assert isinstance(jets, Ragged)
    names = [feature.name for feature in plan.analysis.inputs["jets"].features]
    found: list[dict[str, float]] = [dict(zip(names, row, strict=False)) for row in jets.data.tolist()]
    expected = []
    for row in rows:
        kept = [i for i in np.argsort(-np.asarray(row.b_q), kind="stable") if row.b_px[i] > 0][:2]
        for j in range(len(row.a_px)):
            one = np.array([row[f"a_{part}"][j] for part in ("px", "py", "pz", "e")])
            others = [np.array([row[f"b_{part}"][i] for part in ("px", "py", "pz", "e")]) for i in kept]
            expected.append(
                [pair(one, other) for other in others] + [dict.fromkeys(pair(one, one), 0.0)] * (2 - len(kept))
            )
    assert len(found) == len(expected) == 10
    for features, pairs in zip(found, expected, strict=True):
        for place, quantities in enumerate(pairs):
            for quantity, value in quantities.items():
                assert features[f"{quantity}_leptons_{place}"] == pytest.approx(value, rel=1e-5, abs=1e-5)


def pair(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> dict[str, float]:
    x, y, z, energy = one + other
    mass = np.sqrt(energy**2 - x**2 - y**2 - z**2)
    eta, phi = (np.array([f(*p[:3]) for p in (one, other)]) for f in (
        lambda x, y, z: np.arcsinh(z / np.hypot(x, y)), lambda x, y, z: np.arctan2(y, x),
    ))  # fmt: skip
    delta_eta, delta_phi = eta[0] - eta[1], (phi[0] - phi[1] + np.pi) % (2 * np.pi) - np.pi
    return {
        "mass": mass, "log_mass": np.log(mass), "delta_r": np.hypot(delta_eta, delta_phi), "delta_eta": delta_eta,
        "delta_phi": delta_phi,
    }  # fmt: skip


def test_an_analysis_that_is_written_and_read_again_is_the_same() -> None:
    analysis = parse_analysis(TEXT)[0]
    again = Analysis.model_validate(analysis.model_dump(mode="json"))
    assert again == analysis
    assert again.fingerprint == analysis.fingerprint
    assert [f.unit for f in analysis.inputs["jets"].features[1:3]] == ["GeV", "log GeV"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{leptons: [", "{lepton: [", "inputs.jets.pairs.lepton: no collection 'lepton' among the inputs (did you mean 'leptons'?)"),
        ("{leptons: [", "{jets: [", "inputs.jets.pairs.jets: pairs need a collection other than 'jets'"),
        ("[mass,", "[mas,", "inputs.jets.pairs.leptons.0: Input should be 'mass', 'log_mass'"),
        ("[mass,", "[mass, mass,", "inputs.jets.pairs.leptons: feature 'mass_leptons_0' is given twice"),
        ("    momenta: [a_px, a_py, a_pz, a_e]\n", "", "inputs.jets.pairs.leptons: the collection 'jets' has no momenta"),
        ("{limit: 2", "{limit: 9", "inputs.jets.pairs.leptons: 'leptons' has a limit of 9, but pairs allow at most 8"),
    ],
)  # fmt: skip
def test_what_has_no_pairs(old: str, new: str, said: str) -> None:
    assert old in TEXT
    with pytest.raises(CollidekitError) as error:
        parse_analysis(TEXT.replace(old, new), "x.yaml")
    assert said in str(error.value)
    assert str(error.value).startswith("x.yaml:")
