"""The two moons: their distributions, and the best possible significance."""

from pathlib import Path

import numpy as np
import pytest
import uproot
from scipy.stats import expon, kstest, norm
from sklearn.datasets import make_moons

from collidekit.errors import CollidekitError
from collidekit.simulation import moons as module
from collidekit.simulation import simulate
from collidekit.simulation.moons import Moons, moons
from collidekit.simulation.samples import OF_MOONS, parse_settings

EVENTS = 100_000
"""Weighted events of the study's evaluation."""


@pytest.fixture(scope="module")
def sample() -> module.Columns:
    return Moons(angle=0.0).generate(40_000, np.random.default_rng(3))


def test_the_plane_is_that_of_scikit_learn(sample: module.Columns) -> None:
    """Unturned: each coordinate and their sum and difference, of each class."""
    x, label = make_moons(40_000, noise=0.2, random_state=4)
    for value in (0, 1):
        ours = np.stack([sample["x1"], sample["x2"]], axis=1)[sample["label"] == value]
        theirs = x[label == value]
        for direction in ([1, 0], [0, 1], [1, 1], [1, -1]):
            assert kstest(ours @ direction, theirs @ direction).pvalue > 1e-3


def test_only_the_background_is_turned(sample: module.Columns) -> None:
    turned = Moons(angle=1.4).generate(40_000, np.random.default_rng(3))
    signal = sample["label"] == 1
    c, s = np.cos(1.4), np.sin(1.4)
    np.testing.assert_array_equal(turned["x1"][signal], sample["x1"][signal])
    np.testing.assert_allclose(turned["x1"][~signal], (sample["x1"] * c + sample["x2"] * s)[~signal], atol=1e-12)
    np.testing.assert_allclose(turned["x2"][~signal], (sample["x2"] * c - sample["x1"] * s)[~signal], atol=1e-12)


def test_the_mass_is_a_peak_on_a_falling_background(sample: module.Columns) -> None:
    signal = sample["label"] == 1
    assert kstest(sample["mass"][signal], norm(0.5, 0.03).cdf).pvalue > 1e-3
    falling = expon(scale=0.6)
    assert kstest(sample["mass"][~signal], lambda m: falling.cdf(m) / falling.cdf(1)).pvalue > 1e-3
    assert sample["mass"].min() >= 0
    assert sample["mass"].max() <= 1
    assert abs(np.corrcoef(sample["mass"][signal], sample["x1"][signal])[0, 1]) < 0.03


def test_half_of_the_events_are_signal(sample: module.Columns) -> None:
    assert (sample["label"] == 1).sum() == len(sample["label"]) / 2


@pytest.mark.parametrize("setting", ["sig_fraction", "n_sigmas"])
def test_what_changes_no_event_is_no_setting(setting: str, tmp_path: Path) -> None:
    with pytest.raises(CollidekitError, match=f"moons: {setting} does not change the sample.*figure_of_merit"):
        simulate("moons", tmp_path / "moons.root", 10, settings={setting: 0.1})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("setting", "value"), [(name, value) for name, value in OF_MOONS.items()])
def test_every_setting_changes_the_events(setting: str, value: float) -> None:
    usual, other = (
        moons(200, np.random.default_rng(1), **settings) for settings in ({}, {setting: value * 0.9 + 0.01})
    )
    assert any((usual[name] != other[name]).any() for name in ("x1", "x2", "mass"))


@pytest.mark.parametrize(("fraction", "study"), [(0.001, 0.85), (0.01, 8.32), (0.1, 66.8)])
def test_without_a_choice_the_significance_is_that_of_the_study(fraction: float, study: float) -> None:
    assert Moons(sig_fraction=fraction).raw_significance(EVENTS) == pytest.approx(study, rel=0.01)


@pytest.mark.parametrize(("fraction", "study"), [(0.001, 4.82), (0.01, 22.61), (0.1, 85.0)])
def test_the_best_is_a_little_better_than_any_of_the_study(fraction: float, study: float) -> None:
    assert study < Moons(sig_fraction=fraction).best_significance(EVENTS) < 1.3 * study


def test_the_best_is_what_the_ratio_of_densities_reaches_on_events() -> None:
    """The cut is chosen on one half of the events and evaluated on the other."""
    source = Moons(sig_fraction=0.1)
    events = source.generate(200_000, np.random.default_rng(5))
    x = np.stack([events["x1"], events["x2"]], axis=1)
    signal, background = map(np.concatenate, zip(*map(source.densities, np.array_split(x, 40)), strict=True))
    window = np.abs(events["mass"] - 0.5) < 2.5 * 0.03

    def significance(cut: float, part: slice) -> float:
        kept = (signal > cut * background) & window
        shares = {1: 2 * source.sig_fraction, 0: 2 * (1 - source.sig_fraction)}
        s, b = (share * np.sum(kept[part] & (events["label"][part] == k)) for k, share in shares.items())
        return float(s / np.sqrt(s + b) * np.sqrt(EVENTS / len(x[part])))

    first, second = slice(0, 100_000), slice(100_000, None)
    cut = max(np.geomspace(0.01, 10, 100), key=lambda cut: significance(cut, first))
    assert significance(cut, second) == pytest.approx(source.best_significance(EVENTS), rel=0.01)


def test_finer_cells_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    coarse = Moons().best_significance(EVENTS)
    monkeypatch.setattr(module, "STEP", module.STEP / 2)
    monkeypatch.setattr(module, "ARCS", module.ARCS * 2)
    monkeypatch.setattr(module, "REACH", module.REACH + 1)
    assert coarse == pytest.approx(Moons().best_significance(EVENTS), rel=1e-3)


def test_moons_that_do_not_overlap_are_told_apart() -> None:
    """Then all of the signal and none of the background is chosen."""
    source = Moons(noise=0.05, angle=0.0, sig_fraction=0.5)
    half = norm.cdf(2.5) - norm.cdf(-2.5)
    assert source.best_significance(1000) == pytest.approx((500 * half) ** 0.5, rel=1e-3)


def test_densities_are_normalised() -> None:
    cells, area = Moons()._cells()
    signal, background = map(np.concatenate, zip(*map(Moons().densities, cells), strict=True))
    assert signal.sum() * area == pytest.approx(1, abs=1e-4)
    assert background.sum() * area == pytest.approx(1, abs=1e-4)


def test_a_file_of_moons(tmp_path: Path) -> None:
    path = simulate("moons", tmp_path / "moons.root", 501, seed=2, settings={"noise": 0.4})
    tree = uproot.open(path)["tree"].arrays(library="np")
    assert sorted(tree) == ["event", "label", "mass", "x1", "x2"]
    np.testing.assert_array_equal(tree["event"], np.arange(501) + 2 * 10**9)
    again = uproot.open(simulate("moons", tmp_path / "b.root", 501, seed=2, settings={"noise": 0.4}))["tree"]
    np.testing.assert_array_equal(again["x1"].array(library="np"), tree["x1"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"nois": 1.0}, "did you mean 'noise'"),
        ({"noise": 0.0}, "'noise' must be > 0"),
        ({"mean": 1.5}, "mean must be between min_mass 0 and max_mass 1"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, float], message: str, tmp_path: Path) -> None:
    with pytest.raises(CollidekitError, match=message):
        simulate("moons", tmp_path / "moons.root", 10, settings=settings)
    assert not list(tmp_path.iterdir())


def test_settings_are_numbers() -> None:
    assert parse_settings(["noise=0.3", "mean=.4"]) == {"noise": 0.3, "mean": 0.4}
    with pytest.raises(CollidekitError, match="--set noise: needs NAME=VALUE"):
        parse_settings(["noise"])
    with pytest.raises(CollidekitError, match="'x' is not a number"):
        parse_settings(["noise=x"])


def test_the_function_takes_settings() -> None:
    assert len(moons(3, np.random.default_rng(1), noise=0.1)["x1"]) == 3
