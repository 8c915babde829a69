"""Losses of momenta: by hand with vector, at their optimum, and where truth or lepton is missing."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import vector

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Batch, Ragged
from collidekit.errors import CollidekitError
from collidekit.models.heads import RegressionHead
from collidekit.models.heads.w_mass import deviations
from collidekit.objectives.momenta import relative_loss
from collidekit.objectives.targets import TargetLosses
from collidekit.training.truth import KnownValues

NAMES = ("nu_px", "nu_py", "nu_pz", "nubar_px", "nubar_py", "nubar_pz")
W_MASS = 80.379


def analysis(settings: str = "loss: relative", names: tuple[str, ...] = NAMES) -> Analysis:
    values = ", ".join(f"{name}: true_{name}" for name in names)
    return parse_analysis(f"""
variables: {{l_px: lep_pt, l_py: lep_pt, l_pz: lep_pt}}
inputs:
  leptons: {{limit: 2, momenta: [l_px, l_py, l_pz, lep_e], features: [lep_pt]}}
  jets: {{limit: 2, features: [jet_pt]}}
targets: {{neutrinos: {{values: {{{values}}}, unit: GeV, scale: none, {settings}}}}}
""")[0]


TRUTH = torch.tensor([[20.0, -30, 50, -10, 5, -80], [60.0, 10, 0, 3, 4, 12], [1.0, 2, 3, 4, 5, 6]], dtype=torch.float64)
GUESS = torch.tensor([[25.0, -20, 10, 10, 5, -60], [20.0, 90, 30, 3, 4, 12], [9.0, 9, 9, 9, 9, 9]], dtype=torch.float64)
LEPTONS = torch.tensor([[40.0, 10, 20, 46], [-30, 20, 5, 37], [15, 0, 0, 15]], dtype=torch.float64)
COUNTS = [2, 1, 0]


def batch(truth: torch.Tensor = TRUTH) -> Batch:
    zeros = torch.zeros(3, dtype=torch.int64)
    data = torch.cat([torch.zeros(3, 1), LEPTONS], dim=1).double()
    leptons = Ragged(data, torch.tensor([0, *COUNTS]).cumsum(0), 1, has_momenta=True)
    return Batch(
        inputs={"leptons": leptons}, labels=zeros - 1, weights=torch.ones(3), spectators={}, event={}, keys=zeros,
        processes=zeros, source=torch.stack([zeros, torch.arange(3)], dim=1), index=zeros, truth={"neutrinos": truth},
    )  # fmt: skip


def loss(settings: str, truth: torch.Tensor = TRUTH, guess: torch.Tensor = GUESS) -> torch.Tensor:
    chosen = analysis(settings)
    heads = {"neutrinos": RegressionHead(chosen.regressions["neutrinos"])}
    weights = torch.tensor([1.0, 3.0, 0.5], dtype=torch.float64)
    return TargetLosses(chosen, ["neutrinos"], heads)({"neutrinos": guess}, batch(truth), weights)["neutrinos"]


def huber(d: float) -> float:
    return d * d / 2 if abs(d) < 1 else abs(d) - 0.5


def relative_by_hand(true: list[float], guess: list[float]) -> float:
    a, b = (vector.obj(px=v[0], py=v[1], pz=v[2]) for v in (true, guess))
    return (huber(b.pt / a.pt - 1) + huber((b.pz - a.pz) / a.mag) + 1 - math.cos(a.deltaphi(b))) / 3


def w_by_hand(neutrino: list[float], lepton: list[float]) -> float:
    nu = vector.obj(px=neutrino[0], py=neutrino[1], pz=neutrino[2], mass=0)
    lep = vector.obj(px=lepton[0], py=lepton[1], pz=lepton[2], E=lepton[3])
    return float((nu + lep).mass / W_MASS - 1) ** 2


def each() -> tuple[list[float], list[float]]:
    relative = [
        sum(relative_by_hand(true[k : k + 3], guess[k : k + 3]) for k in (0, 3)) / 2
        for true, guess in zip(TRUTH.tolist(), GUESS.tolist(), strict=True)
    ]
    guesses, leptons = GUESS.tolist(), LEPTONS.tolist()
    first = (w_by_hand(guesses[0][:3], leptons[0]) + w_by_hand(guesses[0][3:], leptons[1])) / 2
    return relative, [first, w_by_hand(guesses[1][:3], leptons[2]), 0.0]  # row 1 has one lepton, row 2 none


def test_values_by_hand_with_the_weights_of_rows() -> None:
    relative, masses = each()
    weights = [1.0, 3.0, 0.5]
    assert float(loss("loss: relative")) == pytest.approx(
        sum(w * r for w, r in zip(weights, relative, strict=True)) / 3
    )
    both = "loss: relative, w_mass: {weight: 0.1, leptons: ['leptons[0]', 'leptons[1]']}"
    total = sum(w * (r + 0.1 * m) for w, r, m in zip(weights, relative, masses, strict=True)) / 3
    assert float(loss(both)) == pytest.approx(total)
    with_huber = "loss: huber, w_mass: {weight: 0.1, leptons: ['leptons[0]', 'leptons[1]']}"
    added = sum(w * 0.1 * m for w, m in zip(weights, masses, strict=True)) / 3
    assert float(loss(with_huber)) == pytest.approx(float(loss("loss: huber")) + added)


def test_a_row_that_is_not_known_is_not_counted() -> None:
    truth = TRUTH.clone()
    truth[1, 4] = math.nan
    guess = GUESS.clone().requires_grad_()
    relative, masses = each()
    found = loss("loss: relative, w_mass: {weight: 2, leptons: ['leptons[0]', 'leptons[1]']}", truth, guess)
    assert float(found.detach()) == pytest.approx((relative[0] + 2 * masses[0] + 0.5 * relative[2]) / 2)
    found.backward()
    assert guess.grad is not None
    assert guess.grad.isfinite().all()
    assert guess.grad[1].abs().sum() == 0


@pytest.mark.parametrize("start", [[0.0, 0.0, 0.0], [-200.0, 80.0, 900.0], [19.0, -33.0, 40.0]])
def test_the_truth_is_the_optimum(start: list[float]) -> None:
    truth = torch.tensor([[[20.0, -30.0, 50.0]]], dtype=torch.float64)
    assert float(relative_loss(truth, truth)) == pytest.approx(0, abs=1e-15)
    guess = torch.tensor([[start]], dtype=torch.float64).requires_grad_()
    optimizer = torch.optim.Adam([guess], lr=3)
    for step in range(1500):
        optimizer.param_groups[0]["lr"] = 3 * (1 - step / 1500)
        optimizer.zero_grad()
        found = relative_loss(guess, truth).sum()
        found.backward()
        assert guess.grad is not None
        assert guess.grad.isfinite().all()
        optimizer.step()
    torch.testing.assert_close(guess.detach(), truth, rtol=1e-3, atol=1e-2)


def test_the_mass_of_the_w_boson_is_the_optimum() -> None:
    lepton = LEPTONS[None, :1]
    guess = torch.tensor([[[10.0, 3.0, 4.0]]], dtype=torch.float64).requires_grad_()
    for _ in range(400):
        (gradient,) = torch.autograd.grad(deviations(guess, lepton).sum(), guess)
        guess = (guess - 200 * gradient).detach().requires_grad_()
    px, py, pz = guess[0, 0].tolist()
    nu = vector.obj(px=px, py=py, pz=pz, mass=0)
    lep = vector.obj(px=40, py=10, pz=20, E=46)
    assert (nu + lep).mass == pytest.approx(W_MASS, rel=1e-3)


def test_a_momentum_of_nothing_has_a_loss_and_a_derivative() -> None:
    nothing = torch.zeros(1, 1, 3, dtype=torch.float64, requires_grad=True)
    massless = torch.tensor([[[15.0, 0, 0, 15]]], dtype=torch.float64)
    found = relative_loss(nothing, torch.ones(1, 1, 3).double()) + deviations(nothing, massless)
    found.sum().backward()
    assert found.isfinite().all()
    assert nothing.grad is not None
    assert nothing.grad.isfinite().all()


def test_a_truth_without_transverse_momentum_is_an_error_of_its_row() -> None:
    truth = TRUTH.clone()
    truth[2, 3:5] = 0
    manifest = SimpleNamespace(files=["events.root"], folder="data")
    dataset: Any = SimpleNamespace(analysis=analysis(), manifest=manifest)
    with pytest.raises(
        CollidekitError, match=r"events\.root: row 2: 'nubar_px' and 'nubar_py' of target 'neutrinos' are 0"
    ):
        KnownValues(dataset).add(batch(truth))
    dataset.analysis = analysis("loss: huber")
    KnownValues(dataset).add(batch(truth))


LEPTON = "w_mass: {weight: 1, leptons: "


@pytest.mark.parametrize(
    ("settings", "names", "message"),
    [
        ("loss: relative", ("mass",), "needs values in threes, such as nu_px, nu_py, nu_pz, not mass"),
        ("loss: relative", ("a_px", "a_pz", "a_py"), ", not a_px, a_pz, a_py"),
        ("loss: relative", ("a_px", "b_py", "a_pz"), "needs values in threes"),
        ("loss: relative, scale: log", NAMES, "momenta may be negative"),
        (LEPTON + "['leptons[0]']}", NAMES, "2 momenta need 2 leptons, not 1"),
        (LEPTON + "['leptons[0]', 'leptons[2]']}", NAMES, r"'leptons\[2\]' is never kept: the limit of leptons is 2"),
        (LEPTON + "['leptons[0]', leptons]}", NAMES, "'leptons' must be a constituent"),
        (LEPTON + "['jets[0]', 'jets[1]']}", NAMES, "jets has no momenta"),
        (LEPTON + "['muons[0]', 'muons[1]']}", NAMES, "no collection 'muons'"),
        (LEPTON + "['leptons[0]', 'leptons[1]']}, unit: MeV", NAMES, "w_mass needs momenta in GeV"),
        ("w_mass: {weight: 0, leptons: ['leptons[0]', 'leptons[1]']}", NAMES, "weight"),
    ],
)
def test_what_cannot_be_meant_is_an_error(settings: str, names: tuple[str, ...], message: str) -> None:
    values = ", ".join(f"{name}: true_{name}" for name in names)
    given = settings + ("" if "unit" in settings else ", unit: GeV") + ("" if "scale" in settings else ", scale: none")
    with pytest.raises(CollidekitError, match=message):
        parse_analysis(f"""
variables: {{l_px: lep_pt, l_py: lep_pt, l_pz: lep_pt}}
inputs:
  leptons: {{limit: 2, momenta: [l_px, l_py, l_pz, lep_e], features: [lep_pt]}}
  jets: {{limit: 2, features: [jet_pt]}}
targets: {{neutrinos: {{values: {{{values}}}, {given}}}}}
""")


def test_they_change_no_dataset() -> None:
    both = "loss: relative, w_mass: {weight: 0.1, leptons: ['leptons[0]', 'leptons[1]']}"
    assert analysis(both).fingerprint == analysis("loss: huber").fingerprint
