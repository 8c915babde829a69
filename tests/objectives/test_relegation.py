"""Relegation: its cross entropy, yields without bias, bounded pulls, and what it reaches on moons whose optimum is known."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from attrs import evolve
from torch import Tensor

from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Batch
from collidekit.errors import CollidekitError
from collidekit.models.heads import RelegationHead
from collidekit.objectives import OBJECTIVES
from collidekit.objectives.build import build_objective
from collidekit.objectives.relegation import GENTLE, PULL, STEEPER, Relegation, Thinned, relegated_cross_entropy
from collidekit.objectives.window_posterior import WindowPosterior
from collidekit.training.config import TrainingConfig

CLASSES = {"background": "label == 0", "signal": "label == 1"}
MERIT = {"variable": "mass", "window": [0.4, 0.6], "signal": "signal", "signal_fraction": 0.01, "events": 100_000}


def beside_classes(outputs: torch.Tensor, classes: int) -> torch.Tensor:
    """The raw numbers of a network that may relegate."""
    return RelegationHead([str(k) for k in range(classes)])(outputs)


def analysis(**changes: object) -> Analysis:
    merit = {**MERIT, **changes}
    return Analysis.model_validate(
        {
            "classes": CLASSES,
            "inputs": {"plane": {"features": ["x1", "x2"]}},
            "spectators": ["mass"],
            "figure_of_merit": merit,
        }
    )


def rows(number: int, seed: int = 0, mass: Tensor | None = None) -> Batch:
    random = torch.Generator().manual_seed(seed)
    labels = torch.arange(number) % 2
    drawn = torch.rand(number, generator=random)
    values = torch.where(labels == 1, 0.5 + 0.1 * (drawn - 0.5), drawn) if mass is None else mass
    return Batch(
        inputs={"plane": torch.randn(number, 2, generator=random) + labels[:, None]},
        labels=labels,
        weights=torch.ones(number),
        spectators={"mass": values},
        event={},
        keys=torch.arange(number),
        processes=torch.zeros(number, dtype=torch.int64),
        source=torch.stack([torch.zeros(number, dtype=torch.int64), torch.arange(number)], dim=1),
        index=torch.arange(number),
    )


def begun(batch: Batch, variant: str = "relegator", expected: bool = True, **changes: object) -> Relegation:
    objective = OBJECTIVES[variant](analysis(**changes), expected=expected)
    objective.begin([(batch, batch.weights)])
    objective.progress = 1.0
    return objective


def test_relegated_cross_entropy() -> None:
    p = torch.tensor([[0.2, 0.5, 0.3], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64).clamp(min=1e-12)
    found = relegated_cross_entropy(p.log(), F.one_hot(torch.tensor([1, 0, 0]), 2))
    expected = torch.tensor([-np.log(0.8 / 1.3), 0.0, np.log(2.0)])
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)
    half = relegated_cross_entropy(p[:1].log(), torch.tensor([[0.5, 0.5]]))
    assert half.item() == pytest.approx(-0.5 * (np.log(0.8 / 1.3) + np.log(0.5 / 1.3)))


def test_relegating_nothing_is_the_cross_entropy() -> None:
    logits = torch.randn(20, 2, dtype=torch.float64)
    labels = torch.arange(20) % 2
    none = torch.cat([F.log_softmax(logits, dim=1), torch.full((20, 1), -50.0, dtype=torch.float64)], dim=1)
    torch.testing.assert_close(
        relegated_cross_entropy(F.log_softmax(none, dim=1), F.one_hot(labels, 2)),
        F.cross_entropy(logits, labels, reduction="none"),
    )


def test_expected_events_of_all_rows_are_those_of_the_analysis() -> None:
    batch = rows(4000)
    objective = begun(batch)
    weight = objective.scale[batch.labels].mean().item()
    assert weight == pytest.approx(100_000)
    assert objective.yields[0] == pytest.approx(1000)  # all signal is in the window
    assert objective.yields[1] == pytest.approx(99_000 * 0.2, rel=0.1)


@pytest.mark.parametrize("size", [50, 400, 4000])
def test_yields_of_batches_are_those_of_all_rows_in_the_mean(size: int) -> None:
    batch = evolve(rows(4000), weights=torch.rand(4000, generator=torch.Generator().manual_seed(3)) * 2)
    batch = evolve(batch, weights=batch.weights / batch.weights.mean())
    objective = begun(batch, expected=False)
    called = batch.inputs["plane"][:, 0] > 0.7  # type: ignore[index]

    def yields(part: Batch, chosen: Tensor) -> tuple[float, float]:
        objective.yields = [0.0, 0.0]
        objective.all_yields = [0.0, 0.0]
        truth = F.one_hot(part.labels, 2).double()
        objective._update_yields(chosen, truth, part.weights * objective.in_window(part))
        return objective.yields[0] * 2, objective.yields[1] * 2  # a step keeps half of what was there, which is nothing

    # what the whole sample has, counted by hand
    inside = (batch.spectators["mass"] >= 0.4) & (batch.spectators["mass"] <= 0.6) & called
    by_hand = []
    for label, expected in ((1, 1000), (0, 99_000)):
        side = batch.labels == label
        by_hand.append(expected * (batch.weights[side & inside].sum() / batch.weights[side].sum()).item())
    order = torch.randperm(4000, generator=torch.Generator().manual_seed(1))
    parts = [order[i : i + size] for i in range(0, 4000, size)]
    found = np.mean([yields(batch.take(index), called[index]) for index in parts], axis=0)
    np.testing.assert_allclose(found, by_hand, rtol=1e-5)


def test_the_mask_moves_with_its_events() -> None:
    batch = rows(400)
    order = torch.randperm(400)
    objective = begun(batch)
    torch.testing.assert_close(objective.in_window(batch.take(order)), objective.in_window(batch)[order])


@pytest.mark.parametrize("variant", ["relegator", "relegator_factor", "relegator_difference", "modified_binary"])
@pytest.mark.parametrize("confidence", [0.0, 3.0, 100.0])
def test_gradients_are_bounded(variant: str, confidence: float) -> None:
    batch = rows(500)
    objective = begun(batch, variant, signal_fraction=1e-5)
    outputs = (
        torch.randn(500, objective.head.of(analysis()).outputs, generator=torch.Generator().manual_seed(0)) * confidence
    )
    outputs[:, 1] -= confidence  # hardly a row is called signal
    outputs.requires_grad_()
    for _ in range(20):
        outputs.grad = None
        loss = objective.loss(outputs, batch, batch.weights)
        loss.backward()
        assert torch.isfinite(loss)
        assert outputs.grad is not None
        assert outputs.grad.abs().max().item() * 500 <= np.exp(3.0) + 2 * PULL + 2


def test_a_network_that_refuses_everything_is_pulled_back_by_rows_that_are_hardly_pure() -> None:
    """From nothing at all, only a row that is surely signal would bring a gain; there may be none."""
    batch = rows(4000)
    objective = begun(batch)
    none, inside = torch.zeros(4000, dtype=torch.bool), batch.weights * objective.in_window(batch)
    for _ in range(50):
        objective._update_yields(none, F.one_hot(batch.labels, 2).double(), inside)
    assert objective.yields == pytest.approx([0.01 * value for value in objective.all_yields])
    better, worse = objective._pull(
        torch.tensor([[0.1, 0.9], [0.9, 0.1]], dtype=torch.float64), objective._slopes()
    ).tolist()
    assert better < 0 < worse


def test_a_row_that_helps_is_pulled_in_and_one_that_harms_is_pushed_out() -> None:
    batch = rows(2000)
    objective = begun(batch, expected=False)
    objective.yields = [500.0, 2000.0]
    truth = F.one_hot(torch.tensor([0, 1]), 2).double()
    background, signal = objective._pull(truth, objective._slopes()).tolist()
    assert signal < 0 < background
    # the derivative of w Z0 / Z by the number of background events, times what one training row stands for
    z = 500 / np.sqrt(2500)
    by_hand = 3 * objective.largest / z / (2 * 2500) * objective.scale[0].item()
    assert background == pytest.approx(min(by_hand, PULL))


def test_only_the_relegated_output_answers_to_the_significance() -> None:
    batch = rows(300)
    gradients = []
    for progress in (0.0, 1.0):
        objective = begun(batch)
        objective.progress = progress
        outputs = torch.zeros(300, 3, requires_grad=True)
        objective.loss(beside_classes(outputs, 2), batch, batch.weights).backward()
        gradients.append(outputs.grad)
    torch.testing.assert_close(gradients[0][:, :2], gradients[1][:, :2])
    assert (gradients[0][:, 2] - gradients[1][:, 2]).abs().max() > 1e-4


def test_a_network_that_always_says_the_same_refuses_what_its_classes_are_least_sure_of() -> None:
    odds = torch.linspace(-6, 6, 101, dtype=torch.float64)
    outputs = torch.stack([torch.zeros(101), odds, torch.full((101,), 2.0)], dim=1).double()
    found = beside_classes(outputs, 2)
    p = found.softmax(dim=1)
    torch.testing.assert_close(found[:, :2], F.log_softmax(outputs[:, :2], dim=1))
    # refused: exp(softplus(2)) (1 - q) > q with q = sigmoid(|odds|)
    assert ((p.argmax(dim=1) == 2) == (odds.abs() < np.log1p(np.exp(2.0)))).all()
    for classes in (2, 3, 5):
        never = beside_classes(torch.cat([torch.randn(500, classes), torch.full((500, 1), -90.0)], dim=1), classes)
        assert (never.argmax(dim=1) < classes).all()
    assert torch.isfinite(beside_classes(torch.tensor([[0.0, 200.0, 0.0]]), 2)).all()


def test_an_overtrained_network_is_trusted_less() -> None:
    random = np.random.default_rng(1)
    odds = random.normal(0, 2, 20_000)
    labels = (random.random(20_000) < 1 / (1 + np.exp(-odds))).astype(int)
    posterior = WindowPosterior(np.array([0.1, 1.0]))
    for sure, trust in ((2.0, 0.5), (1.0, 1.0), (0.5, 1.0)):
        logits = np.stack([-sure * odds / 2, sure * odds / 2], axis=1)
        posterior.fit_trust(logits, labels, random.random(20_000))
        assert posterior.trust == pytest.approx(trust, abs=0.05)
        before = posterior.state()
    other = WindowPosterior(np.array([0.1, 1.0]))
    other.restore(before)
    np.testing.assert_array_equal(other(logits), posterior(logits))
    posterior.fit_trust(logits[:3], labels[:3], np.ones(3))
    assert posterior.trust > 0.8  # three rows say little


def test_validation_rows_say_how_far_the_classes_are_trusted() -> None:
    batch = rows(1000)
    objective = begun(batch)
    validation = objective.validation()
    surely = 5.0 * torch.stack([-torch.ones(1000), torch.where(torch.arange(1000) % 3 == 0, 1.0, -1.0)], dim=1)
    validation.add(beside_classes(torch.cat([surely, torch.zeros(1000, 1)], dim=1), 2), batch, batch.weights)
    objective.calibrate(validation)
    assert objective.posterior.trust < 0.3
    assert objective.state()["posterior"]["trust"] == objective.posterior.trust


def of_relegated_output(objective: Relegation, odds: float, refused: float, mass: float = 0.5) -> float:
    """The derivative of the loss by the last output, for rows that are all alike."""
    batch = rows(100, mass=torch.full((100,), mass))
    outputs = torch.tensor([[0.0, odds, refused]]).repeat(100, 1).requires_grad_()
    objective.loss(beside_classes(outputs, 2), batch, batch.weights).backward()
    assert outputs.grad is not None
    return float(outputs.grad[:, 2].sum())


def test_a_sure_row_is_drawn_from_relegation_and_a_doubtful_one_into_it() -> None:
    objective = begun(rows(4000))
    assert of_relegated_output(objective, odds=6.0, refused=6.0) > 0.1
    assert of_relegated_output(objective, odds=0.5, refused=0.5) < -0.1


def test_the_slope_of_the_call_is_that_of_a_steeper_softmax() -> None:
    """At a row whose refusal and signal are equally probable, and background is not: slope STEEPER / 4 of each."""
    objective = begun(rows(4000))
    refused = 4.0
    level = float(F.softplus(torch.tensor(refused)))  # signal and refusal meet where the odds are this
    inside = of_relegated_output(objective, level, refused)
    outside = of_relegated_output(objective, level, refused, mass=0.9)  # of relCCE alone
    by_hand = PULL * GENTLE * STEEPER / 4 / (1 + np.exp(-refused))
    assert abs(inside - outside) == pytest.approx(by_hand, rel=0.05)


def test_until_half_of_the_warm_up_the_classes_learn_alone() -> None:
    batch = rows(500)
    objective = begun(batch, signal_fraction=0.3)
    outputs = beside_classes(torch.randn(500, 3, generator=torch.Generator().manual_seed(1)), 2)
    for progress, grown in ((0.0, False), (0.14, False), (0.3, True)):
        objective.progress = progress
        for _ in range(30):
            objective.loss(outputs, batch, batch.weights)
        assert (objective.prior > 0) == grown
        assert (of_relegated_output(objective, 1.0, 1.0) != 0) == grown


def test_trust_counts_in_probabilities_and_in_the_weight_of_the_signal() -> None:
    posterior = WindowPosterior(np.array([0.1, 1.0]))
    logits = np.array([[-1.0, 1.0]])
    odds = []
    for trust in (1.0, 0.5):
        posterior.trust = trust
        (background, signal) = posterior(logits)[0]
        odds.append(np.log(signal / background))
    assert odds == pytest.approx([np.log(10) + 2, np.log(10) + 1])
    priors = []
    for trust in (1.0, 0.5):
        objective = begun(rows(4000), signal_fraction=0.3)
        objective.posterior.trust = trust
        for _ in range(60):
            objective._update_prior(objective._slopes())
        priors.append(objective.prior)
    assert 0 < priors[0] < priors[1]


def test_of_many_rows_every_second_is_kept() -> None:
    kept = Thinned(most=100)
    for start in range(0, 1000, 70):
        kept.add(torch.arange(start, min(start + 70, 1000)))
    (found,) = kept.columns()
    assert 50 <= len(found) <= 100
    np.testing.assert_array_equal(found, np.arange(0, 1000, found[1]))


def test_validation_rows_without_signal_are_one_clear_error() -> None:
    batch = rows(300)
    objective = begun(batch)
    validation = objective.validation()
    background = batch.take(batch.labels == 0)
    validation.add(torch.randn(len(background), 3), background, background.weights)
    with pytest.raises(CollidekitError, match="no signal row with a weight is in the validation set"):
        validation.scores()


@pytest.mark.parametrize(
    ("objective", "settings", "said"),
    [
        ("relegator", {"early_stopping": 3}, "early_stopping has no meaning for the objective relegator"),
        (
            "modified_binary",
            {"loss_function": "FocalLoss", "label_smoothing": 0.1},
            "loss_function, label_smoothing has",
        ),
        ("disco", {"label_smoothing": 0.1}, "label_smoothing has no meaning for the objective disco"),
    ],
)
def test_settings_that_would_do_nothing_are_refused(objective: str, settings: dict[str, object], said: str) -> None:
    config = TrainingConfig.model_validate({"objective": objective, **settings})
    with pytest.raises(CollidekitError, match=said):
        build_objective(config, analysis())
    build_objective(TrainingConfig.model_validate({"objective": objective}), analysis())


@pytest.mark.parametrize("variant", ["relegator", "relegator_factor", "modified_binary"])
def test_state_comes_back(variant: str) -> None:
    batch = rows(600)
    one, other = begun(batch, variant), begun(batch, variant)
    outputs = torch.randn(600, one.head.of(analysis()).outputs)
    one.loss(outputs, batch, batch.weights)
    other.restore(one.state())
    torch.testing.assert_close(
        one.loss(outputs, batch, batch.weights), other.loss(outputs, batch, batch.weights), rtol=0, atol=0
    )


def test_validation_changes_nothing_and_counts() -> None:
    batch = rows(1000)
    objective = begun(batch)
    before = objective.state()
    validation = objective.validation()
    outputs = torch.full((1000, 3), -20.0)
    outputs[:, 1] = 0.0  # all are called signal
    for start in (0, 300):
        part = batch.slice(start, 300 if start == 0 else 1000)
        validation.add(outputs[: len(part)], part, part.weights)
    inside = ((batch.spectators["mass"] >= 0.4) & (batch.spectators["mass"] <= 0.6)).numpy()
    s, b = (expected * inside[batch.labels == label].mean() for label, expected in ((1, 1000), (0, 99_000)))
    assert validation.scores()["significance"] == pytest.approx(s / np.sqrt(s + b))
    assert objective.state() == before


@pytest.mark.parametrize(
    ("mass", "said"),
    [
        (torch.full((100,), 0.5), "mass is 0.5 in all rows"),
        (torch.where(torch.arange(100) == 7, torch.nan, torch.rand(100)), "NaN or infinite in row 7 of its file"),
        (torch.linspace(0.7, 0.9, 100), "no signal row has mass in the window"),
        (torch.where(torch.arange(100) % 2 == 1, 0.5, 0.9), "no background row has mass in the window"),
    ],
)
def test_a_figure_of_merit_of_no_use_is_one_clear_error(mass: Tensor, said: str) -> None:
    batch = rows(100, mass=mass)
    with pytest.raises(CollidekitError, match=said):
        Relegation(analysis()).begin([(batch, batch.weights)])


def test_several_backgrounds_share_what_is_expected() -> None:
    content = analysis().model_dump(exclude_defaults=True)
    content["classes"] = {"qcd": "label == 0", "w": "label == 1", "signal": "label == 2"}
    several = Analysis.model_validate(content)
    batch = rows(3000)
    batch = evolve(batch, labels=torch.arange(3000) % 3, spectators={"mass": torch.rand(3000)})
    objective = Relegation(several)
    objective.begin([(batch, batch.weights)])
    assert (objective.scale / 3).tolist() == pytest.approx([49_500, 49_500, 1000])
    outputs = torch.randn(3000, 4, requires_grad=True)
    objective.progress = 1.0
    objective.loss(outputs, batch, batch.weights).backward()
    assert torch.isfinite(outputs.grad).all()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"signal_fraction": 0}, "greater than 0"),
        ({"signal_fraction": 1}, "less than 1"),
        ({"window": [0.6, 0.4]}, "low < high"),
        ({"mean": 0.5, "width": 0.1}, "either 'mean' and 'width' or a 'window'"),
        ({"events": None}, "either 'events' and 'signal_fraction' or 'yields'"),
        ({"signal": "signl"}, "no class 'signl'"),
        ({"signal": ["signal", "background"]}, "all classes are signal"),
        ({"variable": "x1"}, "a network with this input would shape its background"),
        ({"variable": "pt"}, "must also be listed under 'spectators'"),
        ({"background_uncertainty": 0.1}, "only applies to 'significance: asimov'"),
    ],
)
def test_bad_figures_of_merit(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        analysis(**changes)


def test_the_window_may_be_given_by_mean_and_width() -> None:
    merit = analysis(window=None, mean=0.5, width=0.03, n_sigmas=2).figure_of_merit
    assert merit is not None
    assert merit.limits == pytest.approx((0.44, 0.56))


def test_moons_come_close_to_the_best_that_can_be_had(tmp_path: Path) -> None:
    """A quarter of the steps of the analysis that ships; the figures of whole trainings stand in docs/relegation.md."""
    from collidekit.evaluation.significance.evaluate import SignificanceEvaluator
    from collidekit.simulation import simulate
    from collidekit.simulation.moons import best_of_file
    from collidekit.tasks.base import run_with_requirements
    from collidekit.tasks.inference import InferenceTask

    train, test = (simulate("moons", tmp_path / f"{n}.root", n, seed=5) for n in (12_000, 60_000))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLLIDEKIT_OUTPUT", str(tmp_path / "results"))
        calibrated: list[int] = []
        calibrate = Relegation.calibrate
        patch.setattr(Relegation, "calibrate", lambda self, rows: (calibrated.append(1), calibrate(self, rows)))
        task = InferenceTask(config="moons", filelist=(str(train),), test_filelist=(str(test),), seed=1, epochs=25)
        run_with_requirements(task)
        judge = SignificanceEvaluator(task.predictions(), task.analysis.figure_of_merit)
    assert len(calibrated) == 25  # once an epoch
    found = judge.measure(judge.called())
    best = best_of_file(str(test), judge.merit)
    assert best == pytest.approx(22.99, abs=0.05)
    assert found.value > 0.95 * best
    assert judge.measure(judge.everything()).value < 0.4 * best
    assert 0.05 < judge.yields[judge.relegated()].sum() / judge.yields.sum() < 0.6
