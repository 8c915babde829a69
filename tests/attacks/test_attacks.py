"""Attacks: what they reach, what they leave alone, and what is refused."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from attrs import evolve

from collidekit.analysis.schema import Analysis
from collidekit.attacks.base import Attack
from collidekit.attacks.build import ATTACKS, build_attack
from collidekit.attacks.gradient import cross_entropy
from collidekit.attacks.settings import AttackSettings
from collidekit.dataset.batch import Batch, Ragged
from collidekit.errors import CollidekitError
from collidekit.models import Tagger

Build = Callable[..., Attack]
EVERY = pytest.mark.parametrize("name", list(ATTACKS))
STEPS: Mapping[str, Mapping[str, Any]] = {
    "pgd": {"iterations": 5, "starts": 2},
    "ngm": {"iterations": 5},
    "jetfool": {"iterations": 5},
    "optimizer": {"iterations": 5, "uncertainty": 0.1},
}


def tracks(batch: Batch) -> torch.Tensor:
    entry = batch.inputs["tracks"]
    assert isinstance(entry, Ragged)
    return entry.data


def jet(batch: Batch) -> torch.Tensor:
    entry = batch.inputs["jet"]
    assert isinstance(entry, torch.Tensor)
    return entry


def losses(tagger: Tagger, batch: Batch) -> torch.Tensor:
    with torch.no_grad():
        return cross_entropy(tagger(batch), batch.labels)


# --- what they reach


@pytest.mark.parametrize(
    "settings", [{"attack": "fgsm"}, {"attack": "pgd", "attack_iterations": 20, "attack_starts": 3}]
)
def test_the_worst_case_of_a_linear_tagger(linear: tuple[Tagger, Batch, Analysis], settings: dict[str, Any]) -> None:
    """Within e of each feature, w x changes by e sum |w| against the label."""
    tagger, batch, analysis = linear
    attack = build_attack(AttackSettings(attack_magnitude=0.3, **settings), analysis, tagger.scaling)
    assert attack is not None
    weights = tagger.network.weights.detach()  # type: ignore[attr-defined, union-attr, operator]
    with torch.no_grad():
        change = (tagger(attack(tagger, batch)) - tagger(batch))[:, 1] * (1 - 2 * batch.labels)
    torch.testing.assert_close(change, torch.full_like(change, 0.3 * weights.abs().sum().item()), rtol=0.01, atol=0)


@pytest.mark.parametrize("name", ["pgd", "ngm"])
def test_the_worst_case_in_l2(linear: tuple[Tagger, Batch, Analysis], name: str) -> None:
    tagger, batch, analysis = linear
    settings = AttackSettings(attack=name, attack_magnitude=0.3, attack_norm="l2", attack_iterations=3)
    attack = build_attack(settings, analysis, tagger.scaling)
    assert attack is not None
    weights = tagger.network.weights.detach()  # type: ignore[attr-defined, union-attr, operator]
    with torch.no_grad():
        change = (tagger(attack(tagger, batch)) - tagger(batch))[:, 1] * (1 - 2 * batch.labels)
    torch.testing.assert_close(change, torch.full_like(change, 0.3 * weights.norm().item()), rtol=0.01, atol=0)


def test_jetfool_goes_the_shortest_way_over_the_boundary(linear: tuple[Tagger, Batch, Analysis]) -> None:
    """In a linear tagger |w x| / ||w||, and so much further as the overshoot says."""
    tagger, batch, analysis = linear
    settings = AttackSettings(attack="jetfool", attack_overshoot=0.1)
    attack = build_attack(settings, analysis, tagger.scaling)
    assert attack is not None
    moved = attack(tagger, batch)
    with torch.no_grad():
        before, after = tagger(batch)[:, 1], tagger(moved)[:, 1]
    assert (before.sign() == -after.sign()).all()
    torch.testing.assert_close(after, -0.1 * before, rtol=0.01, atol=2e-4)
    scale = tagger.scaling.get_buffer("plane_factor")
    far = ((moved.inputs["plane"] - batch.inputs["plane"]) * scale).norm(dim=1)  # type: ignore[operator]
    weights = tagger.network.weights.detach()  # type: ignore[attr-defined, union-attr, operator]
    torch.testing.assert_close(far, 1.1 * before.abs() / weights.norm(), rtol=0.01, atol=2e-4)


def test_one_step_of_pgd_without_a_start_is_fgsm(build: Build, tagger: Tagger, batch: Batch) -> None:
    one, other = build("pgd")(tagger, batch), build("fgsm")(tagger, batch)
    torch.testing.assert_close(tracks(one), tracks(other), rtol=0, atol=0)
    torch.testing.assert_close(jet(one), jet(other), rtol=0, atol=0)
    assert not torch.equal(jet(one), jet(batch))


@pytest.mark.parametrize("name", ["fgsm", "pgd", "ngm"])
def test_attacks_by_gradient_are_worse_than_noise(build: Build, tagger: Tagger, batch: Batch, name: str) -> None:
    attacked = build(name, 0.2, **STEPS.get(name, {}))(tagger, batch)
    noisy = build("noise", 0.2)(tagger, batch)
    tagger.eval()
    clean, worse, noise = (losses(tagger, rows).mean().item() for rows in (batch, attacked, noisy))
    assert worse > clean + 2 * abs(noise - clean)


def test_more_starts_are_never_better_for_a_row(build: Build, tagger: Tagger, batch: Batch) -> None:
    tagger.eval()
    one, three = (losses(tagger, build("pgd", 0.3, iterations=3, starts=n)(tagger, batch)) for n in (1, 3))
    assert (three >= one - 1e-5).all()
    assert (three > one + 1e-4).any()


def test_the_optimizer_goes_further_where_more_is_uncertain(build: Build, tagger: Tagger, batch: Batch) -> None:
    far = []
    for uncertainty in (0.05, 0.2):
        moved = build("optimizer", 0.0, iterations=30, uncertainty=uncertainty)(tagger, batch)
        far.append((jet(moved) - jet(batch)).abs()[:, 0].mean().item())
    assert 0 < 2 * far[0] < far[1]
    tagger.eval()
    assert losses(tagger, moved).mean() > losses(tagger, batch).mean()


def test_noise_has_the_mean_and_width_that_are_asked_for(linear: tuple[Tagger, Batch, Analysis]) -> None:
    tagger, batch, analysis = linear
    attack = build_attack(
        AttackSettings(attack="noise", attack_magnitude=0.5, attack_offset=2.0), analysis, tagger.scaling
    )
    assert attack is not None
    scale = tagger.scaling.get_buffer("plane_factor")
    by = (attack(tagger, batch).inputs["plane"] - batch.inputs["plane"]) * scale  # type: ignore[operator]
    assert by.mean().item() == pytest.approx(2.0, abs=5 * 0.5 / np.sqrt(by.numel()))
    assert by.std().item() == pytest.approx(0.5, rel=0.08)
    assert np.corrcoef(by.numpy().T)[np.triu_indices(6, 1)] == pytest.approx(0, abs=0.25)


def test_a_shift_moves_all_rows_alike_by_the_factors_of_a_file(
    build: Build, tagger: Tagger, batch: Batch, tmp_path: Path
) -> None:
    (tmp_path / "factors.yaml").write_text("width: 0\njet.pt: -2\n")
    moved = build("shift", 0.1, factors=str(tmp_path / "factors.yaml"))(tagger, batch)
    width = 1 / tagger.scaling.get_buffer("jet_factor")[0]
    torch.testing.assert_close(jet(moved)[:, 0], jet(batch)[:, 0] - 0.2 * width)
    torch.testing.assert_close(jet(moved)[:, 2], jet(batch)[:, 2], rtol=0, atol=0)


def test_individual_factors_are_the_spread_of_the_features(build: Build, tagger: Tagger, batch: Batch) -> None:
    moved = build("shift", 1.0, individual_factors=True)(tagger, batch)
    low, high = np.percentile(jet(batch)[:, 0].numpy(), [20, 80])
    assert (jet(moved) - jet(batch))[:, 0].mean().item() == pytest.approx((high - low) / 2, rel=0.05)


# --- what they leave alone


@EVERY
@pytest.mark.parametrize("magnitude", [0.05, 3.0])
def test_physical_limits(build: Build, tagger: Tagger, batch: Batch, name: str, magnitude: float) -> None:
    moved = build(name, magnitude, **STEPS.get(name, {}))(tagger, batch)
    old, new = tracks(batch), tracks(moved)
    for column in (3, 4):  # an integer, and what may not be attacked
        assert torch.equal(new[:, column], old[:, column])
    assert torch.equal(jet(moved)[:, 1], jet(batch)[:, 1])
    assert new[:, 1].abs().max() <= 1
    at_default = old[:, 2] == -9
    assert torch.equal(new[at_default, 2], old[at_default, 2])
    if magnitude == 3.0:
        assert not torch.equal(new[~at_default, 2], old[~at_default, 2])
    assert torch.equal(moved.labels, batch.labels)
    assert torch.equal(moved.weights, batch.weights)
    limit = magnitude * (1 + 1e-5)
    if name not in ("noise", "optimizer"):
        by = (jet(moved) - jet(batch)) * tagger.scaling.get_buffer("jet_factor")
        assert by.abs().max() <= limit


@EVERY
def test_restrict_impact(build: Build, tagger: Tagger, batch: Batch, name: str) -> None:
    moved = build(name, 1.0, restrict_impact=0.02, **STEPS.get(name, {}))(tagger, batch)
    for old, new in ((tracks(batch), tracks(moved)), (jet(batch), jet(moved))):
        assert ((new - old).abs() <= 0.02 * old.abs() * (1 + 1e-4) + 1e-7).all()
        assert not torch.equal(new, old)


def test_without_reduce_integers_and_defaults_move_but_not_what_may_not_be_attacked(
    build: Build, tagger: Tagger, batch: Batch
) -> None:
    moved = build("fgsm", 0.1, reduce=False)(tagger, batch)
    assert not torch.equal(tracks(moved)[:, 3], tracks(batch)[:, 3])
    assert (tracks(moved)[:, 2] != -9).all()
    assert torch.equal(tracks(moved)[:, 4], tracks(batch)[:, 4])


@pytest.mark.parametrize(
    ("inputs", "moves"), [("constituents", (True, False)), ("globals", (False, True)), ("all", (True, True))]
)
def test_constituents_globals_or_both(
    build: Build, tagger: Tagger, batch: Batch, inputs: str, moves: tuple[bool, bool]
) -> None:
    moved = build("fgsm", 0.1, inputs=inputs)(tagger, batch)
    assert (not torch.equal(tracks(moved), tracks(batch)), not torch.equal(jet(moved), jet(batch))) == moves


@EVERY
def test_nothing_of_the_tagger_or_the_batch_changes(build: Build, tagger: Tagger, batch: Batch, name: str) -> None:
    """No gradient, no statistics of batch norm, no mode, no random state, no row."""
    tagger.network.output.eval()  # type: ignore[union-attr, operator]  # a part that is fixed in fine-tuning
    next(tagger.parameters()).requires_grad_(False)
    modes = [module.training for module in tagger.modules()]
    learning = [parameter.requires_grad for parameter in tagger.parameters()]
    state = {key: value.clone() for key, value in tagger.state_dict().items()}
    rows = tracks(batch).clone(), jet(batch).clone()
    random = torch.get_rng_state()
    build(name, 0.1, **STEPS.get(name, {}))(tagger, batch)
    assert [module.training for module in tagger.modules()] == modes
    assert [parameter.requires_grad for parameter in tagger.parameters()] == learning
    assert all(parameter.grad is None for parameter in tagger.parameters())
    assert all(torch.equal(value, state[key]) for key, value in tagger.state_dict().items())
    assert torch.equal(tracks(batch), rows[0])
    assert torch.equal(jet(batch), rows[1])
    assert torch.equal(torch.get_rng_state(), random)


@EVERY
def test_a_row_is_attacked_alike_whatever_else_is_in_the_batch(
    build: Build, tagger: Tagger, batch: Batch, name: str
) -> None:
    attack = build(name, 0.1, **STEPS.get(name, {}))
    together = jet(attack(tagger, batch))
    apart = torch.cat([jet(attack(tagger, batch.slice(start, start + 50))) for start in range(0, 200, 50)])
    torch.testing.assert_close(apart, together, rtol=1e-5, atol=1e-5)


def test_only_some_rows(build: Build, tagger: Tagger, batch: Batch) -> None:
    only = torch.arange(len(batch)) % 2 == 0
    moved, every = build("fgsm")(tagger, batch, only=only), build("fgsm")(tagger, batch)
    torch.testing.assert_close(jet(moved)[only], jet(every)[only], rtol=0, atol=0)
    assert torch.equal(jet(moved)[~only], jet(batch)[~only])
    rows = batch.inputs["tracks"].rows  # type: ignore[union-attr]
    assert torch.equal(tracks(moved)[~only[rows]], tracks(batch)[~only[rows]])


def test_rows_of_unknown_class_are_moved_away_from_what_they_are_called(
    build: Build, tagger: Tagger, batch: Batch
) -> None:
    tagger.eval()
    with torch.no_grad():
        called = tagger(batch).argmax(dim=1)
    unknown = evolve(batch, labels=torch.full_like(batch.labels, -1))
    known = evolve(batch, labels=called)
    assert torch.equal(jet(build("fgsm")(tagger, unknown)), jet(build("fgsm")(tagger, known)))


@EVERY
def test_rows_for_inference_can_be_attacked(build: Build, tagger: Tagger, batch: Batch, name: str) -> None:
    attack = build(name, 0.1, **STEPS.get(name, {}))
    with torch.inference_mode():
        inside = attack(tagger, batch._each(lambda entry: entry * 1 if isinstance(entry, torch.Tensor) else entry))
    torch.testing.assert_close(jet(inside), jet(attack(tagger, batch)))


# --- what is refused


def test_nothing_to_attack() -> None:
    analysis = Analysis.model_validate(
        {
            "name": "counts", "classes": {"a": "y == 0", "b": "y == 1"},
            "inputs": {"jet": {"features": [{"name": "n", "kind": "integer"}, {"name": "x", "attackable": False}]}},
        }
    )  # fmt: skip
    from collidekit.models.scaling import Scaling

    scaling = Scaling(analysis.inputs)
    with pytest.raises(CollidekitError, match="counts: there is nothing to attack: no feature of jet is continuous"):
        build_attack(AttackSettings(attack="fgsm"), analysis, scaling)
    with pytest.raises(CollidekitError, match="has no input for attack-inputs constituents"):
        build_attack(AttackSettings(attack="fgsm", attack_inputs="constituents"), analysis, scaling)
    with pytest.raises(CollidekitError, match="attack-space momenta: no collection of the analysis has momenta"):
        build_attack(AttackSettings(attack="fgsm", attack_space="momenta"), analysis, scaling)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("d00: 1", "factors.yaml: there is no feature 'd00' .did you mean 'd0'"),
        ("d0: fast", "factors.yaml: the factor of d0 is 'fast', not a number"),
        ("d0: .nan", "factors.yaml: the factor of d0 is nan, not a number"),
        ("- d0", "factors.yaml: must hold a factor for each feature, as in 'trk_d0: 2.0'"),
        ("{", "factors.yaml:1: not valid YAML"),
        ("d0: 1\nd0: 2", "factors.yaml:2: 'd0' is given twice"),
    ],
)
def test_files_of_factors(build: Build, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "factors.yaml").write_text(text)
    with pytest.raises(CollidekitError, match=said):
        build("fgsm", factors=str(tmp_path / "factors.yaml"))


def test_a_file_of_factors_that_is_not_there(build: Build, tmp_path: Path) -> None:
    with pytest.raises(CollidekitError, match=r"factors\.json: cannot be read \(No such file"):
        build("fgsm", factors=str(tmp_path / "factors.json"))
