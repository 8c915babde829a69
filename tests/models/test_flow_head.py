"""The flow: a density that integrates to 1, draws that follow it, and noise that belongs to the event."""

import sys

import numpy as np
import pytest
import torch
from attrs import evolve
from scipy.stats import kstest

from collidekit.analysis.estimates import require_packages
from collidekit.analysis.load import parse_analysis
from collidekit.dataset.batch import Batch, Ragged
from collidekit.errors import CollidekitError
from collidekit.models.heads.flow import FlowHead, _rank, event_noise


def head(values: int, scale: str = "standard", draws: int = 128) -> FlowHead:
    """One with random weights that bend the density, far from a normal one."""
    names = ", ".join(f"v{k}: t{k}" for k in range(values))
    text = f"{{t: {{values: {{{names}}}, estimate: flow, scale: {scale}, draws: {draws}}}}}"
    target = parse_analysis(f"inputs: {{point: {{features: [x]}}}}\ntargets: {text}\n")[0].regressions["t"]
    torch.manual_seed(1)
    found = FlowHead(target)
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.mul_(2.0)
    found.fit(np.random.default_rng(1).lognormal(np.arange(values), 0.5, (4000, values)))
    return found.double()


def context(rows: int) -> torch.Tensor:
    return torch.randn(rows, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def batch(rows: int, truth: torch.Tensor | None = None, event: dict[str, torch.Tensor] | None = None) -> Batch:
    zeros = torch.zeros(rows, dtype=torch.int64)
    given = {"event": 100 + torch.arange(rows)} if event is None else event
    return Batch(
        inputs={}, labels=zeros, weights=torch.ones(rows), spectators={}, event=given, keys=zeros, processes=zeros,
        source=torch.stack([zeros, torch.arange(rows)], dim=1), index=zeros, truth={} if truth is None else {"t": truth},
    )  # fmt: skip


@torch.no_grad()
def test_the_density_integrates_to_1() -> None:
    one, grid = head(1), torch.linspace(-20, 20, 8001, dtype=torch.float64)
    for row in context(3):
        density = (-one.density(row.expand(len(grid), -1), grid[:, None])).exp()
        assert float(torch.trapezoid(density, grid)) == pytest.approx(1.0, abs=1e-4)
    two, line = head(2), torch.linspace(-14, 14, 401, dtype=torch.float64)
    points = torch.cartesian_prod(line, line)
    density = (-two.density(0.3 * context(1).expand(len(points), -1), points)).exp()
    assert float(density.sum()) * 0.07**2 == pytest.approx(1.0, abs=0.01)


@torch.no_grad()
@pytest.mark.parametrize("scale", ["standard", "log"])
def test_in_the_unit_it_integrates_to_1_too(scale: str) -> None:
    one = head(1, scale)
    grid = (
        torch.logspace(-12, 12, 20_001, dtype=torch.float64)
        if scale == "log"
        else torch.linspace(-40, 40, 20_001).double()
    )
    found = one._truth_density(context(1).expand(len(grid), -1), grid[:, None])
    assert float(torch.trapezoid((-found).exp(), grid)) == pytest.approx(1.0, abs=1e-3)
    assert one._truth_density(context(1), torch.tensor([[float("nan")]])).isnan().all()
    if scale == "log":
        assert one._truth_density(context(1), torch.tensor([[-2.0]])).isinf().all()


@torch.no_grad()
def test_draws_follow_the_density() -> None:
    one, row = head(1), context(1)
    noise = torch.randn(20_000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    drawn = one.draw(row, noise)[:, 0].numpy()
    grid = torch.linspace(-20, 20, 8001, dtype=torch.float64)
    density = (-one.density(row.expand(len(grid), -1), grid[:, None])).exp().numpy()
    steps = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2 * 0.005)])
    assert kstest(drawn, lambda x: np.interp(x, grid.numpy(), steps)).pvalue > 0.01
    assert kstest((drawn - drawn.mean()) / drawn.std(), "norm").pvalue < 1e-6  # the flow is not a plain normal one


def test_many_values_depend_on_each_other_and_go_there_and_back() -> None:
    one, rows = head(6), context(50)
    noise = torch.randn(50, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(4), requires_grad=True)
    values = one.draw(rows, noise)
    again, _ = one.flow(rows).call_and_ladj(values)
    torch.testing.assert_close(again, noise, atol=1e-6, rtol=0)
    jacobian = torch.autograd.functional.jacobian(lambda z: one.draw(rows[:1], z), noise[:1].detach())[0, :, 0]
    assert (jacobian.abs() > 1e-6).all()  # each value depends on all noise
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(noise[0]).sum()
    expected = -(normal - torch.linalg.slogdet(jacobian).logabsdet)
    torch.testing.assert_close(one.density(rows[:1], values[:1])[0], expected, rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_the_columns_are_those_of_the_draws() -> None:
    one, rows = head(3, "log", 200), context(20)
    truth = torch.rand(20, 3, dtype=torch.float64) + 0.5
    found = one.answer(rows, batch(20, truth), "t")
    assert {name for name in found if name.startswith("pred_")} == {
        column for column in one.target.columns if column.startswith("pred_")
    }
    noise, chance = event_noise(batch(20), "t", 200, 3)
    scaled = one.draw(rows[:, None], noise)
    values = one.in_unit(scaled).numpy()
    np.testing.assert_allclose(found["pred_v1"], np.quantile(values[..., 1], 0.5, axis=1, method="weibull"))
    np.testing.assert_allclose(found["pred_v1_q025"], np.quantile(values[..., 1], 0.025, axis=1, method="weibull"))
    np.testing.assert_allclose(found["pred_v2_mean"], values[..., 2].mean(axis=1))
    densities = np.stack([one._truth_density(rows, torch.from_numpy(values[:, k])).numpy() for k in range(200)], axis=1)
    best = densities.argmin(axis=1)
    for v in range(3):
        np.testing.assert_allclose(found[f"pred_v{v}_mode"], values[np.arange(20), best, v])
    below = (values < truth.numpy()[:, None]).sum(axis=1)
    np.testing.assert_allclose(found["pit_v0"], ((below + chance.numpy()) / 201)[:, 0])


@torch.no_grad()
def test_the_draw_on_the_mass_shell_is_the_one_whose_w_bosons_are_nearest_to_their_mass() -> None:
    text = """
inputs: {leptons: {limit: 2, momenta: [px, py, pz, e], features: [px]}}
targets:
  t: {values: {a_px: a, a_py: b, a_pz: c, b_px: d, b_py: e, b_pz: f}, unit: GeV, estimate: flow, draws: 60, on_shell: ["leptons[0]", "leptons[1]"]}
"""
    torch.manual_seed(3)
    one = FlowHead(parse_analysis(text)[0].regressions["t"])
    one.fit(np.random.default_rng(1).normal(0, 60, (4000, 6)))
    one, rows = one.double(), context(4)
    momenta = np.random.default_rng(2).normal(0, 50, (6, 3))
    leptons = np.concatenate([momenta, np.linalg.norm(momenta, axis=1, keepdims=True)], axis=1)
    counts = [2, 1, 0, 2]  # in the second row W- has no lepton, and in the third neither has one
    data = torch.from_numpy(np.concatenate([leptons[:, :1], leptons], axis=1)[:5])
    given = evolve(
        batch(4), inputs={"leptons": Ragged(data, torch.tensor([0, *counts]).cumsum(0), 1, has_momenta=True)}
    )
    found = one.answer(rows, given, "t")
    assert {name for name in found if name.startswith("pred_")} == {
        column for column in one.target.columns if column.startswith("pred_")
    }
    draws = one.in_unit(one.draw(rows[:, None], event_noise(given, "t", 60, 6).normal)).numpy().reshape(4, 60, 2, 3)
    for row, first in ((0, 0), (1, 2), (3, 3)):
        costs = np.zeros(60)
        for w in range(counts[row]):
            neutrino = draws[row, :, w]
            total = neutrino + leptons[first + w, :3]
            energy = np.linalg.norm(neutrino, axis=1) + leptons[first + w, 3]
            costs += (np.sqrt(energy**2 - (total**2).sum(axis=1)) - 80.379) ** 2
        best = draws[row, costs.argmin()].ravel()
        shell = [float(found[f"pred_{name}_shell"][row]) for name in one.target.values]
        np.testing.assert_allclose(shell, best, rtol=1e-9)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (("b_px", "b_qx"), "on_shell needs values in threes"),
        (("unit: GeV, ", ""), "on_shell needs momenta in GeV"),
        ((', "leptons[1]"', ""), "on_shell: 2 momenta need 2 leptons, not 1"),
        (("leptons[1]", "leptons[2]"), "'leptons[2]' is never kept: the limit of leptons is 2"),
        (("leptons[1]", "lepton"), "'lepton' must be a constituent, such as leptons[0]"),
        (("momenta: [px, py, pz, e], ", ""), "leptons has no momenta"),
        (("flow", "binned"), "on_shell: has no meaning with 'estimate: binned'"),
    ],
)
def test_leptons_of_the_mass_shell_that_cannot_be_used_are_one_error(changed: tuple[str, str], said: str) -> None:
    text = """
inputs: {leptons: {limit: 2, momenta: [px, py, pz, e], features: [px]}}
targets:
  t: {values: {a_px: a, a_py: b, a_pz: c, b_px: d, b_py: e, b_pz: f}, unit: GeV, estimate: flow, on_shell: ["leptons[0]", "leptons[1]"]}
"""
    parse_analysis(text)
    with pytest.raises(CollidekitError) as error:
        parse_analysis(text.replace(*changed))
    assert said in str(error.value)


@torch.no_grad()
def test_an_event_gets_the_same_whatever_is_in_its_batch() -> None:
    one, rows = head(2), context(200)
    whole = one.answer(rows, batch(200), "t")
    order = torch.randperm(200, generator=torch.Generator().manual_seed(5))
    mixed = one.answer(rows[order], batch(200).take(order), "t")
    alone = [one.answer(rows[k : k + 1], batch(200).slice(k, k + 1), "t") for k in (0, 133, 199)]
    for name, column in whole.items():
        if name.startswith("pred_"):
            torch.testing.assert_close(mixed[name], column[order], rtol=1e-9, atol=1e-9)
            torch.testing.assert_close(torch.cat([a[name] for a in alone]), column[[0, 133, 199]], rtol=1e-9, atol=1e-9)
        else:
            assert column.isnan().all()  # without truth


def test_noise_is_of_the_event_numbers_of_the_target_and_else_of_file_and_entry() -> None:
    one = event_noise(batch(5), "t", 40, 2)
    assert one.normal.shape == (5, 40, 2)
    as_floats = batch(5, event={"event": batch(5).event["event"].double()})
    torch.testing.assert_close(event_noise(as_floats, "t", 40, 2).normal, one.normal, rtol=0, atol=0)
    assert not (event_noise(batch(5), "other", 40, 2).normal == one.normal).any()
    with_run = batch(5, event={"run": torch.ones(5, dtype=torch.int64), "event": batch(5).event["event"]})
    assert not (event_noise(with_run, "t", 40, 2).normal == one.normal).any()
    without = batch(5, event={})
    shifted = evolve(without, source=without.source + torch.tensor([1, 0]))
    assert len(event_noise(without, "t", 40, 2).normal.unique()) == 400
    assert not (event_noise(without, "t", 40, 2).normal == event_noise(shifted, "t", 40, 2).normal).any()
    numbers = event_noise(batch(2000), "t", 40, 2).normal.flatten().numpy()
    assert kstest(numbers, "norm").pvalue > 0.01


def test_ranks_are_uniform_where_truth_is_one_of_the_draws() -> None:
    generator = torch.Generator().manual_seed(6)
    values, truth = torch.randn(4000, 41, 1, generator=generator).split([40, 1], dim=1)
    rank = _rank(values, truth[:, 0], torch.rand(4000, 1, generator=generator))
    assert kstest(rank[:, 0].numpy(), "uniform").pvalue > 0.01
    ties = _rank(torch.zeros(4000, 40, 1), torch.zeros(4000, 1), torch.rand(4000, 1, generator=generator))
    assert kstest(ties[:, 0].numpy(), "uniform").pvalue > 0.01


def test_without_zuko_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zuko", None)
    with pytest.raises(CollidekitError, match=r"target 't': 'estimate: flow': this needs zuko .*'collidekit\[flow\]'"):
        require_packages({"u": "binned", "t": "flow"})
    require_packages({"u": "binned"})
