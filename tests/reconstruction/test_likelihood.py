"""The likelihood compared with plain NumPy, its derivatives with autograd, its maximum with scipy."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.stats import cauchy, norm
from top_decays import decays
from torch.func import grad, hessian, vmap

from collidekit.errors import CollidekitError
from collidekit.reconstruction.four_momenta import eta, mass_squared, with_mass
from collidekit.reconstruction.likelihood import NEUTRINO_UNIT, FitInput, Likelihood
from collidekit.reconstruction.likelihood_fit import fit

LIKELIHOOD = Likelihood(met_resolution=15.0)


def measured(count, seed=1, smear=True):
    toy = decays(count, seed=seed)
    rng = np.random.default_rng(seed)
    energy = toy.bottoms[..., 0]
    resolution = np.hypot(0.8 * np.sqrt(energy), 0.05 * energy) / energy * smear
    bottoms = toy.bottoms * np.maximum(1 + resolution * rng.normal(size=energy.shape), 0.2)[..., None]
    met = toy.met + rng.normal(0, 15 * smear, toy.met.shape)
    return toy, FitInput(*(torch.from_numpy(values) for values in (toy.leptons, bottoms, met)))


def one_event(parameters, leptons, bottoms, met):
    """Log-likelihood of one event from scipy's densities."""
    total = norm.logpdf(met, parameters[2:].reshape(2, 3)[:, :2].sum(axis=0) * NEUTRINO_UNIT, 15.0).sum()
    for side in (0, 1):
        energy = bottoms[side, 0]
        width = np.hypot(0.8 * np.sqrt(energy), 0.05 * energy)
        fitted = energy + parameters[side] * width
        total += norm.logpdf(energy, fitted, width)
        neutrino = with_mass(parameters[2:].reshape(2, 3)[side] * NEUTRINO_UNIT)
        boson = leptons[side] + neutrino
        top = boson + bottoms[side] * fitted / energy
        for momentum, centre, gamma in ((boson, 80.379, 2.085), (top, 172.5, 1.4)):
            total += cauchy.logpdf(mass_squared(momentum), centre**2, centre * gamma)
        lepton_eta = eta(leptons[side])
        total += norm.logpdf(eta(neutrino), 0.72 * lepton_eta - 0.018 * lepton_eta**3, 1.16)
    return total


def test_values_one_event_at_a_time():
    _, events = measured(30)
    parameters = torch.from_numpy(np.random.default_rng(2).normal(size=(30, 8)))
    found = LIKELIHOOD.log_likelihood(parameters, events)
    for event in range(30):
        arrays = [values[event].numpy() for values in events]
        assert found[event].item() == pytest.approx(one_event(parameters[event].numpy(), *arrays), rel=1e-9)


def test_derivatives_are_those_of_autograd():
    _, events = measured(50)
    parameters = torch.from_numpy(np.random.default_rng(3).normal(size=(50, 8)))

    def loss(values, *event):
        return -LIKELIHOOD.log_likelihood(values[None], FitInput(*(part[None] for part in event)))[0]

    found = LIKELIHOOD.derivatives(parameters, events)
    torch.testing.assert_close(found.value, vmap(loss)(parameters, *events), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.slope, vmap(grad(loss))(parameters, *events), rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(found.curvature, vmap(hessian(loss))(parameters, *events), rtol=1e-9, atol=1e-10)


def test_the_maximum_is_that_of_scipy():
    toy, events = measured(4)
    found = fit(LIKELIHOOD, events, torch.from_numpy(toy.neutrinos[..., 1:].copy()), tolerance=1e-9)
    assert found.converged.all()
    fitted = torch.cat([found.jet_pulls, found.neutrinos.reshape(-1, 6) / NEUTRINO_UNIT], dim=1)
    for event in range(4):
        arrays = [values[event].numpy() for values in events]

        def loss(parameters, arrays=arrays):
            return -one_event(parameters, *arrays)

        there = minimize(loss, fitted[event].numpy(), method="Nelder-Mead", options={"maxiter": 2000, "maxfev": 2000})
        assert found.log_likelihood[event].item() == pytest.approx(-loss(fitted[event].numpy()))
        assert found.log_likelihood[event].item() >= -there.fun - 1e-5


def test_exact_events_have_no_pulls_without_the_prior():
    toy, events = measured(100, smear=False)
    start = torch.from_numpy(toy.neutrinos[..., 1:].copy())
    found = fit(Likelihood(eta_width=1e6), events, start)
    assert found.converged.all()
    torch.testing.assert_close(found.neutrinos, start, rtol=1e-4, atol=1e-3)
    assert found.jet_pulls.abs().max() < 1e-4


def test_fits_gain_and_do_not_depend_on_their_neighbours():
    toy, events = measured(200)
    start = torch.from_numpy(toy.neutrinos[..., 1:].copy())
    found = fit(LIKELIHOOD, events, start)
    before = LIKELIHOOD.log_likelihood(
        torch.cat([torch.zeros(200, 2, dtype=torch.float64), start.reshape(-1, 6) / NEUTRINO_UNIT], dim=1), events
    )
    assert (found.log_likelihood >= before).all()
    assert found.converged.double().mean() > 0.99
    rows = torch.arange(0, 200, 9)
    alone = fit(LIKELIHOOD, events.rows(rows), start[rows])
    torch.testing.assert_close(alone.log_likelihood, found.log_likelihood[rows], rtol=1e-9, atol=1e-6)


def test_pulls_are_standard_normal_or_narrower():
    """With four mass constraints, six measured numbers and eight parameters, pulls of jets shrink and have no bias."""
    toy, events = measured(1000, seed=5)
    found = fit(LIKELIHOOD, events, torch.from_numpy(toy.neutrinos[..., 1:].copy()))
    assert abs(found.jet_pulls.mean()) < 0.1
    assert found.jet_pulls.std() < 1


def test_a_fit_that_is_stopped_says_so():
    toy, events = measured(20)
    assert not fit(LIKELIHOOD, events, torch.from_numpy(toy.neutrinos[..., 1:].copy()), steps=1).converged.all()
    with pytest.raises(CollidekitError, match="likelihood: w_width must be a positive number"):
        Likelihood(w_width=0.0)
