"""Augmentations: what they keep, how wide they are, and that the features stay those of the changed momenta."""

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import torch
import toys
from attrs import evolve

from collidekit.analysis.expressions import Expression
from collidekit.analysis.load import parse_analysis
from collidekit.consistency.lists import Counts, FlatExpression, Lists
from collidekit.dataset.batch import Batch, Ragged
from collidekit.dataset.loader import Dataset
from collidekit.dataset.statistics import Statistics, statistics
from collidekit.errors import CollidekitError
from collidekit.training.augmentations import AUGMENTATIONS, build_augmentation
from collidekit.training.augmentations.drop import Drop
from collidekit.training.config import TrainingConfig

INPUTS = """
classes: {qcd: label == 0, top: label == 1}
inputs:
  particles:
    limit: 100
    momenta: [px, py, pz, energy]
    coordinates: [part_deta, part_dphi]
    features:
      - part_deta
      - part_dphi
      - {name: part_logpt, expression: log(part_pt)}
      - {name: part_logptrel, expression: log(part_pt / jet_pt)}
      - {name: part_logerel, expression: log(energy / jet_energy)}
      - {name: part_r, expression: "hypot(part_deta, part_dphi)"}
      - {name: part_side, expression: abs(part_deta)}
      - {name: part_hard, expression: part_pt > mean(part_pt), kind: flag}
      - {name: part_d0, default: -9, bounds: [-2, 2]}
      - {name: part_charge, kind: integer}
  jet: {features: [jet_pt, jet_mass, {name: particles, expression: count(part_charge), kind: integer}]}
spectators: [label]
event: [event]
discriminators: {D: {signal: top, background: qcd}}
"""
PART = "  part_pt: pt(px, py)\n  part_deta: eta(px, py, pz) - jet_eta\n  part_dphi: delta_phi(phi(px, py), jet_phi)\n"
ALL_FROM_MOMENTA = (
    "variables:\n  jet_px: sum(px)\n  jet_py: sum(py)\n  jet_pz: sum(pz)\n  jet_energy: sum(energy)\n"
    "  jet_pt: pt(jet_px, jet_py)\n  jet_eta: eta(jet_px, jet_py, jet_pz)\n  jet_phi: phi(jet_px, jet_py)\n"
    f"  jet_mass: mass(jet_px, jet_py, jet_pz, jet_energy)\n{PART}{INPUTS}"
)
"""All of a jet is computed from its constituents."""
JET_OF_THE_FILE = f"variables:\n  jet_energy: sum(energy)\n{PART}{INPUTS}"
"""Axis, transverse momentum and mass of the jet are columns of the file."""
ANGLES_OF_THE_FILE = (
    "variables:\n  part_deta: part_eta - axis\n  axis: eta(sum(part_pt * cos(part_phi)), sum(part_pt * sin(part_phi)), "
    "sum(part_pt * sinh(part_eta)))\n  part_dphi: delta_phi(part_phi, jet_phi)\n  energy: energy(part_pt, part_eta, part_mass)\n"
    "  jet_energy: sum(energy)\n"
    + INPUTS.replace(
        "[px, py, pz, energy]",
        '["px(part_pt, part_phi)", "py(part_pt, part_phi)", "pz(part_pt, part_eta)", energy]',
    )
)
"""Momenta are functions of columns of the file."""
KINDS = {"momenta": ALL_FROM_MOMENTA, "jet": JET_OF_THE_FILE, "angles": ANGLES_OF_THE_FILE}


def columns_of(momenta: np.ndarray[Any, Any]) -> dict[str, Any]:
    """The columns of a file for constituents (T, 4)."""
    px, py, pz, energy = np.ascontiguousarray(momenta.T)
    pt = np.hypot(px, py)
    mass = np.sqrt(np.maximum(energy**2 - pt**2 - pz**2, 0))
    return {"px": px, "py": py, "pz": pz, "energy": energy, "part_pt": pt, "part_eta": np.arcsinh(pz / pt),
            "part_phi": np.arctan2(py, px), "part_mass": mass}  # fmt: skip


def make_table(rows: int = 300) -> ak.Array:
    """Jets of massive constituents about an axis; the first two rows have none and one."""
    generator = np.random.default_rng(4)
    label = generator.integers(0, 2, rows)
    counts = generator.integers(2, 40, rows)
    counts[:2] = 0, 1
    total = counts.sum()
    eta, phi = generator.uniform(-2, 2, rows), generator.uniform(-3, 3, rows)
    pt = generator.exponential(10, total) + 0.1
    part_eta = np.repeat(eta, counts) + generator.normal(0, 0.15, total)
    part_phi = np.repeat(phi, counts) + generator.normal(0, 0.15, total)
    momenta = np.stack([pt * np.cos(part_phi), pt * np.sin(part_phi), pt * np.sinh(part_eta)], axis=1)
    energy = np.sqrt((momenta**2).sum(axis=1) + 0.14**2)
    d0 = np.where(generator.random(total) < 0.3, -9, generator.normal(0, 1, total))
    lists = {
        **columns_of(np.column_stack([momenta, energy])),
        "part_d0": d0,
        "part_charge": generator.integers(-1, 2, total),
    }
    flat = {"label": label, "event": np.arange(rows), "jet_eta": eta, "jet_phi": phi, "jet_pt": generator.uniform(90, 110, rows),
            "jet_mass": generator.uniform(5, 15, rows)}  # fmt: skip
    return ak.zip({**flat, **{name: ak.unflatten(values, counts) for name, values in lists.items()}}, depth_limit=1)


@pytest.fixture(scope="module")
def table() -> ak.Array:
    return make_table()


@pytest.fixture(scope="module", params=KINDS)
def jets(request: pytest.FixtureRequest, table: ak.Array, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return toys.make_dataset(tmp_path_factory.mktemp(request.param), KINDS[request.param], table)


@pytest.fixture(scope="module")
def simple(table: ak.Array, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return toys.make_dataset(tmp_path_factory.mktemp("simple"), ALL_FROM_MOMENTA, table)


def changed(dataset: Dataset, text: str, seed: int = 1) -> tuple[Batch, Batch]:
    """All rows before and after augmentations, in the order of the events."""
    batch = toys.all_rows(dataset)
    augment = build_augmentation(text, dataset.analysis, statistics(batch, dataset.analysis))
    assert augment is not None
    torch.manual_seed(seed)
    return batch, augment(batch)


def particles(batch: Batch) -> Ragged:
    found = batch.inputs["particles"]
    assert isinstance(found, Ragged)
    return found


def feature(batch: Batch, dataset: Dataset, name: str, group: str = "particles") -> torch.Tensor:
    position = [entry.name for entry in dataset.analysis.inputs[group].features].index(name)
    entry = batch.inputs[group]
    return (entry.data if isinstance(entry, Ragged) else entry)[:, position].double()


def pairs_of(row: int, entry: Ragged, values: torch.Tensor) -> torch.Tensor:
    """Of the constituents of a row."""
    return values[entry.offsets[row] : entry.offsets[row + 1]].double()


def pairwise_masses(momenta: torch.Tensor) -> torch.Tensor:
    total = momenta[:, None] + momenta[None, :]
    return total[..., 3] ** 2 - (total[..., :3] ** 2).sum(dim=-1)


@pytest.mark.parametrize(
    "text", ["boost=1", "smearing=0.2", "angles=0.05", "drop=0.3", "threshold=3", "boost=1,drop=0.3,smearing=0.1"]
)
def test_features_are_those_of_the_changed_momenta(jets: Dataset, table: ak.Array, text: str, tmp_path: Path) -> None:
    """As if the file had held the changed momenta."""
    if "boost" in text and "jet_eta" not in jets.analysis.variables and "axis" not in jets.analysis.variables:
        pytest.skip("the boost of an axis of the file is not known")
    _, after = changed(jets, text)
    entry, order = particles(after), after.event["event"].numpy()
    lists = {**columns_of(entry.momenta.double().numpy()), "part_d0": feature(after, jets, "part_d0").numpy(),
             "part_charge": feature(after, jets, "part_charge").numpy()}  # fmt: skip
    columns = {name: table[name][order] for name in ("label", "event", "jet_eta", "jet_phi", "jet_pt", "jet_mass")}
    columns |= {name: ak.unflatten(values, entry.counts.numpy()) for name, values in lists.items()}
    kind = next(
        text
        for text in KINDS.values()
        if list(parse_analysis(text, "toy")[0].variables) == list(jets.analysis.variables)
    )
    anew = toys.all_rows(toys.make_dataset(tmp_path, kind, ak.zip(columns, depth_limit=1)))
    assert anew.event["event"].tolist() == order.tolist()
    single_precision = {"rtol": 1e-4, "atol": 0.02}  # of a mass
    torch.testing.assert_close(after.inputs["jet"], anew.inputs["jet"], **single_precision)
    torch.testing.assert_close(entry.offsets, particles(anew).offsets)
    torch.testing.assert_close(entry.data, particles(anew).data, rtol=1e-4, atol=2e-4)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_it_changes_inputs_only_and_of_the_batch_given_nothing(simple: Dataset, name: str) -> None:
    untouched = toys.all_rows(simple)
    before, after = changed(simple, name)
    assert not torch.equal(particles(after).data, particles(before).data)
    for one, other in ((before, untouched), (after, untouched)):
        assert torch.equal(one.labels, other.labels)
        assert torch.equal(one.weights, other.weights)
        assert torch.equal(one.spectators["label"], other.spectators["label"])
    assert torch.equal(particles(before).data, particles(untouched).data)
    assert torch.equal(before.inputs["jet"], untouched.inputs["jet"])  # type: ignore[arg-type]
    assert particles(after).counts[0] == 0
    assert torch.isfinite(particles(after).data).all()


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_same_seed_same_numbers(simple: Dataset, name: str) -> None:
    first, again, other = (changed(simple, name, seed)[1] for seed in (1, 1, 2))
    assert torch.equal(particles(first).data, particles(again).data)
    assert torch.equal(first.inputs["jet"], again.inputs["jet"])  # type: ignore[arg-type]
    assert not torch.equal(particles(first).data, particles(other).data)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_a_batch_of_empty_rows(simple: Dataset, name: str) -> None:
    batch = toys.all_rows(simple)
    none = evolve(particles(batch), data=particles(batch).data[:0], offsets=torch.zeros(4, dtype=torch.int64))
    rows = batch.slice(0, 3)
    empty = evolve(rows, inputs={**rows.inputs, "particles": none})
    augment = build_augmentation(name, simple.analysis, statistics(batch, simple.analysis))
    assert augment is not None
    assert particles(augment(empty)).data.shape == none.data.shape


def test_rotation_keeps_distances_and_momenta(simple: Dataset) -> None:
    before, after = changed(simple, "rotation")
    old, new = particles(before), particles(after)
    assert torch.equal(old.momenta, new.momenta)
    assert torch.equal(old.counts, new.counts)
    for row in range(2, 20):
        x, y = pairs_of(row, old, old.coordinates), pairs_of(row, new, new.coordinates)
        torch.testing.assert_close(torch.cdist(x, x), torch.cdist(y, y), rtol=1e-4, atol=1e-5)
        assert (x - y).abs().max() > 0.01
        pt = torch.hypot(*pairs_of(row, old, old.momenta[:, :2]).T)
        masses = [_masses_in_the_plane(pt, angles) for angles in (x, y)]
        torch.testing.assert_close(masses[0], masses[1], rtol=0.1, atol=1e-3)
        assert float(masses[0].sum() / masses[1].sum()) == pytest.approx(1, abs=0.02)
    torch.testing.assert_close(feature(after, simple, "part_deta").float(), new.coordinates[:, 0])
    torch.testing.assert_close(feature(after, simple, "part_side").float(), new.coordinates[:, 0].abs())


def _masses_in_the_plane(pt: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
    """m^2 = 2 pt pt' (cosh deta - cos dphi) of massless constituents."""
    deta, dphi = (angles[:, None, i] - angles[None, :, i] for i in (0, 1))
    return 2 * pt[:, None] * pt[None, :] * (deta.cosh() - dphi.cos())


def test_mirrored_in_half_of_the_cases_and_turned_by_any_angle(simple: Dataset) -> None:
    before, after = changed(simple, "rotation")
    old, new = particles(before), particles(after)
    first = old.offsets[:-1][old.counts > 1]
    a, b = (entry.coordinates[first].double() for entry in (old, new))
    c, d = (entry.coordinates[first + 1].double() for entry in (old, new))
    sides = [torch.sign(x[:, 0] * y[:, 1] - x[:, 1] * y[:, 0]) for x, y in ((a, c), (b, d))]
    mirrored = (sides[0] != sides[1]).double().mean()
    assert float(mirrored) == pytest.approx(0.5, abs=0.12)
    turned = torch.atan2(b[:, 1], b[:, 0])
    assert torch.histc(turned, 4, -torch.pi, torch.pi).min() > 0.15 * len(turned)


def test_boost_keeps_masses_and_differences_of_rapidity(simple: Dataset) -> None:
    before, after = changed(simple, "boost=0.8")
    old, new = particles(before), particles(after)
    rapidity = [torch.atanh(m[:, 2] / m[:, 3]) for m in (old.momenta.double(), new.momenta.double())]
    shift = rapidity[1] - rapidity[0]
    shifts = []
    for row in range(2, 60):
        x, y = (pairs_of(row, entry, entry.momenta) for entry in (old, new))
        rounding = 4e-7 * float(2 * max(x[:, 3].max(), y[:, 3].max())) ** 2  # of the squares that nearly cancel
        torch.testing.assert_close(pairwise_masses(x), pairwise_masses(y), rtol=1e-4, atol=rounding)
        torch.testing.assert_close(x[:, :2], y[:, :2])
        mine = pairs_of(row, old, shift)
        assert float(mine.max() - mine.min()) < 1e-4
        shifts.append(float(mine.mean()))
    assert max(map(abs, shifts)) <= 0.8
    assert np.std(shifts) == pytest.approx(0.8 / np.sqrt(3), rel=0.25)
    torch.testing.assert_close(
        feature(after, simple, "jet_mass", "jet"), feature(before, simple, "jet_mass", "jet"), rtol=1e-3, atol=1e-2
    )
    hard = (torch.hypot(*old.momenta[:, :2].T) > 5) & (old.rows > 1)
    moved = (feature(after, simple, "part_deta") - feature(before, simple, "part_deta"))[hard]
    assert float(moved.abs().max()) < 0.05  # the axis goes with its constituents, but for its mass


def test_smearing_has_the_width_and_keeps_the_direction(simple: Dataset) -> None:
    before, after = changed(simple, "smearing=0.1")
    old, new = particles(before).momenta.double(), particles(after).momenta.double()
    factor = new[:, 3] / old[:, 3]
    assert float(factor.mean()) == pytest.approx(1, abs=0.005)
    assert float(factor.std()) == pytest.approx(0.1, rel=0.05)
    torch.testing.assert_close(new / factor[:, None], old, rtol=1e-5, atol=1e-5)


def test_smeared_angles_have_the_width_and_keep_transverse_momenta_and_masses(simple: Dataset) -> None:
    before, after = changed(simple, "angles=0.03")
    old, new = (columns_of(particles(batch).momenta.double().numpy()) for batch in (before, after))
    assert (new["part_eta"] - old["part_eta"]).std() == pytest.approx(0.03, rel=0.05)
    turned = (new["part_phi"] - old["part_phi"] + np.pi) % (2 * np.pi) - np.pi
    assert turned.std() == pytest.approx(0.03, rel=0.05)
    np.testing.assert_allclose(new["part_pt"], old["part_pt"], rtol=1e-5)
    soft = old["part_pt"] < 5
    np.testing.assert_allclose(new["part_mass"][soft], old["part_mass"][soft], atol=0.02)


def test_noise_moves_what_is_continuous_and_known(simple: Dataset) -> None:
    before, after = changed(simple, "noise=0.1")
    moved = feature(after, simple, "part_logpt") - feature(before, simple, "part_logpt")
    assert float(moved.std() / feature(before, simple, "part_logpt").std()) == pytest.approx(0.1, rel=0.05)
    assert torch.equal(feature(after, simple, "part_charge"), feature(before, simple, "part_charge"))
    assert torch.equal(particles(after).momenta, particles(before).momenta)
    old, new = feature(before, simple, "part_d0"), feature(after, simple, "part_d0")
    assert torch.equal(old == -9, new == -9)
    assert (new[new != -9].abs() <= 2).all()
    assert not torch.equal(old, new)


def test_drop_has_its_rate_and_never_empties_a_row(simple: Dataset) -> None:
    before, after = changed(simple, "drop=0.2")
    old, new = particles(before).counts, particles(after).counts
    many = old > 5
    assert float(1 - new[many].sum() / old[many].sum()) == pytest.approx(0.2, abs=0.015)
    assert feature(after, simple, "particles", "jet").tolist() == new.tolist()
    _, all_lost = changed(simple, "drop=1")
    assert particles(all_lost).counts.tolist() == old.clamp(max=1).tolist()


def test_threshold_loses_the_soft_ones(simple: Dataset) -> None:
    before, after = changed(simple, "threshold=4")
    pt = [torch.hypot(*particles(batch).momenta[:, :2].T) for batch in (before, after)]
    assert (pt[1] > 4).sum() == (pt[0] > 4).sum()
    soft = [((values > 1.5) & (values < 2.5)).sum() for values in pt]
    assert float(soft[1] / soft[0]) == pytest.approx(0.5, abs=0.07)  # a threshold of 0 to 4 GeV
    hardest = [
        torch.zeros(len(before)).scatter_reduce(0, particles(b).rows, p, "amax")
        for b, p in zip((before, after), pt, strict=True)
    ]
    assert torch.equal(*hardest)


def test_targets_of_constituents_stay_with_them(simple: Dataset) -> None:
    batch = toys.all_rows(simple)
    entry = particles(batch)
    marked = evolve(entry, targets=(entry.momenta[:, 3:] * 1000).int())
    augment = build_augmentation("drop=0.5", simple.analysis, statistics(batch, simple.analysis))
    assert augment is not None
    after = particles(augment(evolve(batch, inputs={**batch.inputs, "particles": marked})))
    assert after.targets is not None
    assert torch.equal(after.targets, (after.momenta[:, 3:] * 1000).int())


def test_a_list_that_the_limit_cuts_changes_by_the_difference(table: ak.Array, tmp_path: Path) -> None:
    """Sums of the file are over more constituents than there are here."""
    cut = toys.make_dataset(tmp_path, ALL_FROM_MOMENTA.replace("limit: 100", "limit: 5"), table)
    before, after = changed(cut, "drop=0.4")
    lost = particles(before).counts - particles(after).counts
    assert int(particles(before).counts.max()) == 5
    assert float(feature(before, cut, "particles", "jet").max()) > 30
    assert torch.equal(
        feature(before, cut, "particles", "jet") - feature(after, cut, "particles", "jet"), lost.double()
    )
    same = lost == 0
    torch.testing.assert_close(feature(after, cut, "jet_pt", "jet")[same], feature(before, cut, "jet_pt", "jet")[same])


def test_they_act_one_after_another(simple: Dataset) -> None:
    before, after = changed(simple, "rotation,drop=0.5")
    assert len(particles(after).data) < 0.7 * len(particles(before).data)
    kept = torch.isin(particles(before).momenta[:, 3], particles(after).momenta[:, 3])
    assert (particles(before).coordinates[kept] - particles(after).coordinates).abs().max() > 0.1


@pytest.mark.parametrize(
    "text",
    [
        "log(a / b)", "sum(a) + a", "a - sum(a) / count(a)", "max(a) - a", "max(a, b)", "hypot(a, b) > 1", "(a > 1) + (b > 1)",
        "where(a > 1, a, n)", "a if a > 1 else b", "clip(a, 0, 1) ** 2", "first(a) * n", "at(a, 1)", "abs(-a) // 1 % 2", "position(a)",
        "spread(n, a) + mean(b)", "std(a)", "a in (1, 2)", "a > 1 and not b > 1", "sort(a, b)", "delta_phi(a, 5 * b)", "sum(a > 1)", "n * 2",
    ],
)  # fmt: skip
def test_flat_lists_give_what_awkward_arrays_give(text: str) -> None:
    generator = np.random.default_rng(3)
    counts = np.array([3, 0, 1, 5])
    columns = {name: generator.exponential(2, counts.sum()) for name in ("a", "b")}
    n = np.arange(4.0)
    shape = Counts(counts)
    flat = FlatExpression(text).evaluate({**{name: Lists(values, shape) for name, values in columns.items()}, "n": n})
    lists = {name: ak.unflatten(values, counts) for name, values in columns.items()}
    expected = Expression(text).evaluate({**lists, "n": n})
    if isinstance(flat, Lists):
        np.testing.assert_allclose(flat.values, ak.to_numpy(ak.flatten(expected, axis=1)))
    else:
        np.testing.assert_allclose(
            np.asarray(flat, dtype=float), ak.to_numpy(ak.fill_none(expected, np.nan)).astype(float)
        )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("rotation", "rotation"),
        ("none", "none"),
        ("", "none"),
        ([], "none"),
        ("rotation, drop=0.1", "drop=0.1,rotation"),
        (["rotation", {"drop": 0.1}], "drop=0.1,rotation"),
        ({"boost": 1, "noise": 0.01}, "boost=1,noise=0.01"),
        ("smearing", "smearing=0.05"),
    ],
)
def test_ways_to_write_it(given: Any, expected: str) -> None:
    if given == "":
        given = []
    assert TrainingConfig(augmentation=given).augmentation == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("rotaton", r"no augmentation 'rotaton' \(did you mean 'rotation'\?\); known are none, drop, "),
        ("rotation,rotation", "rotation stands twice"),
        ("rotation=2", "rotation takes no strength"),
        ("drop=much", "drop: 'much' is not a number"),
        ("drop=1.5", "drop: the strength must be above 0 and at most 1"),
        ("noise=-1", "noise: the strength must be above 0"),
        ("none,drop", "no augmentation 'none'"),
        (3, "string"),
    ],
)
def test_wrong_ways_to_write_it(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingConfig(augmentation=given)


def test_what_cannot_be_computed_anew_is_named() -> None:
    analysis = parse_analysis(JET_OF_THE_FILE, "jets.yaml")[0]
    with pytest.raises(
        CollidekitError,
        match=r"augmentation boost: cannot recompute part_deta of particles, .*: depends on jet_eta too, which a batch",
    ):
        build_augmentation("boost", analysis, {})
    unknown = parse_analysis(
        JET_OF_THE_FILE.replace("expression: abs(part_deta)", "expression: sqrt(part_pt / jet_pt)"), "j"
    )[0]
    with pytest.raises(CollidekitError, match=r"smearing: cannot recompute sqrt\(part_pt / jet_pt\) of particles"):
        build_augmentation("smearing", unknown, {})


@pytest.mark.parametrize("name", ["boost", "smearing", "angles", "threshold"])
def test_without_momenta(name: str, gaussians: Dataset) -> None:
    with pytest.raises(
        CollidekitError, match=f"augmentation {name}: no collection of the analysis has momenta to change"
    ):
        build_augmentation(name, gaussians.analysis, {})


def test_drop_needs_a_collection_and_noise_something_continuous(gaussians: Dataset) -> None:
    with pytest.raises(CollidekitError, match="augmentation drop: the analysis has no collection of constituents"):
        build_augmentation("drop", gaussians.analysis, {})
    flags = parse_analysis(toys.GAUSSIANS.replace("[x, y]", "[{name: x, kind: flag}]"), "flags.yaml")[0]
    with pytest.raises(
        CollidekitError, match="augmentation noise: no feature of the analysis is continuous and attackable"
    ):
        build_augmentation("noise", flags, {})


def test_a_training_with_all_of_them_is_resumed_exactly(training: Any, simple: Dataset) -> None:
    settings = {
        "augmentation": ",".join(AUGMENTATIONS), "epochs": 3, "batch_size": 32, "model_options": toys.SMALL, "ema_decay": 0.9,
    }  # fmt: skip
    whole = training(simple, "whole", **settings)
    whole.run()
    again = training(simple, "whole", **settings)
    torch.rand(7)
    again.resume(whole.folder / "model_1.pt")
    again.run()
    assert again.history.losses == whole.history.losses


def test_validation_rows_stay_as_they_are(train: Any, simple: Dataset) -> None:
    done = train(simple, epochs=1, augmentation="drop=0.9", model_options=toys.SMALL)
    assert done.validate()[0] == done.validate()[0] == done.history.epochs[-1]["val_loss"]


def test_widths_are_those_of_the_training_rows(simple: Dataset) -> None:
    found: Statistics = statistics(toys.all_rows(simple), simple.analysis)
    assert found["particles"]["part_logpt"].std == pytest.approx(
        float(feature(toys.all_rows(simple), simple, "part_logpt").std()), rel=0.01
    )


def test_partners_of_parents_are_not_dropped() -> None:
    """They are known by their place, which would be that of another constituent."""
    text = """
inputs:
  jets: {limit: 8, features: [jet_pt]}
  leptons: {limit: 8, features: [lep_pt]}
targets:
  tops: {collection: jets, parents: {t: {b: i}, u: {b: j}}, partners: {t: "leptons[0]", u: "leptons[1]"}}
"""
    analysis = parse_analysis(text)[0]
    torch.manual_seed(1)
    offsets = torch.arange(0, 401, 4)
    values = torch.arange(400.0)[:, None]
    zeros = torch.zeros(100, dtype=torch.int64)
    inputs: dict[str, Any] = {
        "jets": Ragged(values, offsets, 1, targets=torch.arange(4, dtype=torch.int32).repeat(100)[:, None]),
        "leptons": Ragged(values, offsets, 1),
    }
    batch = Batch(
        inputs=inputs, labels=zeros - 1, weights=torch.ones(100), spectators={}, event={}, keys=zeros, processes=zeros,
        source=zeros[:, None].repeat(1, 2), index=zeros, truth={},
    )  # fmt: skip
    after = Drop(analysis, Statistics({}), 0.5)(batch).inputs
    leptons, jets = after["leptons"], after["jets"]
    assert isinstance(leptons, Ragged)
    assert isinstance(jets, Ragged)
    assert leptons.data[leptons.offsets[:-1], 0].tolist() == list(range(0, 400, 4))
    assert leptons.data[leptons.offsets[:-1] + 1, 0].tolist() == list(range(1, 400, 4))
    assert 270 < len(leptons.data) < 330  # two of four, and half of the others
    assert 150 < len(jets.data) < 250
    assert jets.targets is not None
    assert jets.targets[:, 0].tolist() == (jets.data[:, 0] % 4).tolist()
