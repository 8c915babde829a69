"""Adversarial training: what is learned from, and that nothing else changes."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import toys

from collidekit.attacks.adversary import Adversary
from collidekit.attacks.build import build_attack
from collidekit.dataset.batch import Batch
from collidekit.dataset.loader import Dataset, Loader
from collidekit.errors import CollidekitError
from collidekit.training.checkpoint import load_content
from collidekit.training.config import TrainingConfig
from collidekit.training.loop import Training

Train = Callable[..., Training]
PGD = {"attack": "pgd", "attack_magnitude": 0.1, "attack_iterations": 2, "attack_starts": 1}


def flat(batch: Batch) -> torch.Tensor:
    entry = batch.inputs["point"]
    assert isinstance(entry, torch.Tensor)
    return entry


def loss_under_attack(training: Training, dataset: Dataset, magnitude: float) -> float:
    config = TrainingConfig(attack="fgsm", attack_magnitude=magnitude)
    attack = build_attack(config, dataset.analysis, training.tagger.scaling)
    assert attack is not None
    batch = toys.all_rows(dataset)
    tagger = training.tagger.eval()
    with torch.no_grad():
        return torch.nn.functional.cross_entropy(tagger(attack(tagger, batch)), batch.labels).item()


def adversary(training: Training, kind: str, **options: float) -> Adversary:
    config = TrainingConfig(attack="fgsm", attack_magnitude=0.2)
    attack = build_attack(config, training.analysis, training.tagger.scaling)
    assert attack is not None
    return Adversary(attack, kind, **{"share": 0.5, "weight": 1.0, "ramp": 0.0, **options})


def test_one_that_learned_against_an_attack_loses_less_to_it(gaussians: Dataset, train: Train) -> None:
    """Classes two units apart, each row moved by one unit towards the other class: only a gentle slope is right."""
    nominal = train(gaussians, "nominal", epochs=3, learning_rate=0.01)
    for kind in ("replace", "mix", "trades"):
        hardened = train(
            gaussians, kind, epochs=3, learning_rate=0.01, attack="fgsm", attack_magnitude=0.7, adversarial=kind
        )
        assert loss_under_attack(hardened, gaussians, 0.7) < loss_under_attack(nominal, gaussians, 0.7) - 0.02, kind


def test_a_share_of_the_rows_is_attacked(gaussians: Dataset, training: Train) -> None:
    made = training(gaussians)
    batch = next(iter(Loader(gaussians, 2000)))
    for kind, share in (("replace", 1.0), ("mix", 0.3), ("trades", 0.0)):
        rows = adversary(made, kind, share=0.3).rows(made.tagger, batch, 1.0)
        moved = (flat(rows) != flat(batch)).any(dim=1).float().mean().item()
        assert moved == pytest.approx(share, abs=5 * (share * (1 - share) / 2000) ** 0.5 + 1e-9), kind


def test_the_magnitude_rises(gaussians: Dataset, training: Train) -> None:
    made = training(gaussians)
    batch = next(iter(Loader(gaussians, 200)))
    far = []
    for progress in (0.0, 0.25, 0.5, 1.0):
        rows = adversary(made, "replace", ramp=0.5).rows(made.tagger, batch, progress)
        far.append((flat(rows) - flat(batch)).abs().max().item())
    assert far[0] == 0
    assert far[1] == pytest.approx(far[2] / 2, rel=1e-3)
    assert far[3] == pytest.approx(far[2], rel=1e-6)


def test_an_attack_without_a_limit_does_nothing_before_the_ramp(gaussians: Dataset, training: Train) -> None:
    """To jetfool a magnitude of 0 is no limit."""
    made = training(gaussians)
    attack = build_attack(TrainingConfig(attack="jetfool", attack_magnitude=0.1), made.analysis, made.tagger.scaling)
    assert attack is not None
    batch = next(iter(Loader(gaussians, 200)))
    one = Adversary(attack, "replace", 0.5, 1.0, 0.5)
    assert torch.equal(flat(one.rows(made.tagger, batch, 0.0)), flat(batch))
    assert not torch.equal(flat(one.rows(made.tagger, batch, 0.1)), flat(batch))


def test_the_divergence_of_trades(gaussians: Dataset, training: Train) -> None:
    made = training(gaussians)
    made.tagger.eval()
    batch = next(iter(Loader(gaussians, 200)))
    outputs, weights = made.tagger(batch), torch.full((200,), 2.0)
    one = adversary(made, "trades", weight=3.0)
    found = one.consistency(made.tagger, made.tagger, batch, outputs, weights, 1.0)
    p = outputs.softmax(dim=1)
    q = made.tagger(one.attack(made.tagger, batch)).softmax(dim=1)
    by_hand = 3.0 * 2.0 * (p * (p / q).log()).sum(dim=1).mean()
    torch.testing.assert_close(found, by_hand)
    assert by_hand > 0
    assert adversary(made, "replace").consistency(made.tagger, made.tagger, batch, outputs, weights, 1.0) == 0.0


@pytest.mark.parametrize("kind", ["replace", "mix", "trades"])
def test_a_training_goes_on_as_though_it_was_not_interrupted(
    dataset: Dataset, training: Train, tmp_path: Path, kind: str
) -> None:
    settings = {**PGD, "adversarial": kind, "epochs": 3, "attack_ramp": 0.5, "model_options": {**toys.SMALL, "norm": 5}}
    whole = training(dataset, "whole", **settings)
    whole.run()
    first = training(dataset, "part", **settings)
    first.run()
    again = training(dataset, "again", **settings)
    again.resume(first.folder / "model_1.pt")
    again.run()
    one, other = (load_content(tmp_path / name / "last.pt")["tagger"] for name in ("whole", "again"))
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_an_attack_whose_magnitude_is_0_is_the_nominal_training(dataset: Dataset, train: Train) -> None:
    """Without random numbers, so that the order of rows and dropout are the same."""
    settings = {"model_options": {**toys.SMALL, "dropout": 0.0, "norm": 5}, "epochs": 2}
    nominal = train(dataset, "nominal", **settings)
    still = train(dataset, "still", attack="fgsm", attack_magnitude=0.0, **settings)
    one, other = nominal.tagger.state_dict(), still.tagger.state_dict()
    for key in one:
        torch.testing.assert_close(one[key], other[key])


def test_settings_of_attacks_are_in_the_identity_only_where_there_is_one() -> None:
    nominal = TrainingConfig()
    assert TrainingConfig(attack_magnitude=0.1, adversarial="mix").identity == nominal.identity
    assert not [name for name in nominal.identity if "attack" in name or "adversarial" in name]
    given = {"attack": "fgsm", "attack_magnitude": 0.1}
    seen = [TrainingConfig(**{**given, **more}).identity for more in (
        {}, {"attack_magnitude": 0.2}, {"attack": "pgd"}, {"adversarial": "mix"}, {"attack_ramp": 0.1}, {"attack_reduce": False},
        {"attack_restrict_impact": 0.1}, {"attack_overshoot": 0.1}, {"attack_uncertainty": 2.0}, {"attack_starts": 1},
        {"attack_individual_factors": True}, {"attack_iterations": 3},
    )]  # fmt: skip
    assert len({str(identity) for identity in seen}) == len(seen)


def test_the_content_of_a_file_of_factors_is_in_the_identity(tmp_path: Path) -> None:
    found = []
    for text in ("x: 1", "x: 2"):
        (tmp_path / "factors.yaml").write_text(text)
        settings = TrainingConfig(attack="fgsm", attack_factors=str(tmp_path / "factors.yaml"))
        found.append(settings.identity["attack_factors"])
    assert found == [{"x": 1.0}, {"x": 2.0}]


def test_an_attack_on_nothing_is_one_error_before_the_training(gaussians: Dataset, training: Train) -> None:
    with pytest.raises(CollidekitError, match="has no input for attack-inputs constituents"):
        training(gaussians, attack="fgsm", attack_magnitude=0.1, attack_inputs="constituents")
