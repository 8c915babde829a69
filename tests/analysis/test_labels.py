"""Labels, settings of plots and discriminators with weights: read, checked, and without effect on any number."""

import numpy as np
import pytest

from collidekit.analysis.discriminators import SMALLEST, Discriminator
from collidekit.analysis.labels import without_latex
from collidekit.analysis.load import parse_analysis
from collidekit.errors import CollidekitError

TEXT = """
classes: {light: f == 0, c: f == 4, b: f == 5}
inputs: {jet: {features: [jet_pt, {name: logm, expression: log(m), unit: log GeV}]}}
spectators: [jet_pt]
units: {jet_pt: GeV}
discriminators: {DB: {signal: b, background: [c, light]}}
"""


@pytest.mark.parametrize(
    ("label", "text"),
    [
        (r"jet $p_\mathrm{T}$", "jet pT"),
        (r"$H\to b\bar{b}$", "H → bb̄"),
        (r"$\Delta R(\ell, j)$", "ΔR(ℓ, j)"),
        (r"$p_x(\bar{\nu})$", "px(ν̄)"),
        (r"$m^{2}$", "m²"),
        (r"$\frac{a}{b}$", "a/b"),
        (r"$\dfrac{p_\mathrm{T}}{m_{jj}}$", "pT/mjj"),
        (r"$\frac{\frac{a}{b}}{c}$", "(a/b)/c"),
        (r"$\frac{a}{\frac{b}{c}}$", "a/(b/c)"),
        (r"$\frac{a+b}{\sqrt{s}}$", "(a+b)/√s"),
        ("5 $", "5 $"),
        ("plain", "plain"),
    ],
)
def test_a_label_as_plain_text(label: str, text: str) -> None:
    assert without_latex(label) == text


def test_labels_change_no_dataset_and_stand_on_axes() -> None:
    plain = parse_analysis(TEXT)[0]
    named = parse_analysis(
        TEXT.replace("unit: log GeV", "unit: log GeV, label: 'log($m$ / GeV)'").replace(
            "[c, light]}", "[c, light], label: $D_b$}"
        )
        + "labels: {jet_pt: jet $p_T$, b: b jets}\nplots: {experiment: CMS, simulation: true}\nefficiencies: [0.7]\n"
        + "working_point_bins: {jet_pt: [20, 50]}\n"
    )[0]
    assert named.fingerprint == plain.fingerprint
    assert plain.shown == {}
    assert named.shown["features"] == {"jet.logm": "log($m$ / GeV)"}
    assert [named.axis(feature) for feature in named.inputs["jet"].features] == ["jet $p_T$", "log($m$ / GeV)"]
    assert [plain.axis(feature) for feature in plain.inputs["jet"].features] == ["jet_pt", "logm (log of GeV)"]
    assert named.label("jet_pt") == "jet $p_T$ [GeV]"
    assert type(named).model_validate_json(named.model_dump_json()) == named


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("labels: {jet_ptt: x}", "jet_ptt.*did you mean 'jet_pt'"),
        (r"labels: {jet_pt: '$\nonsense{$'}", "not LaTeX that can be drawn"),
        ("labels: {jet_pt: ''}", "not a label"),
        ("plots: {experimnt: CMS}", "unknown key.*experiment"),
        ("plots: {energy: -13}", "greater than 0"),
        ("plots: {formats: [pdf, pdf]}", "twice"),
        ("plots: {masses: [m]}", "no spectator 'm'"),
        ("mistag_rates: [0.1]\nworking_points: [0.1]", "the same key as 'working_points'"),
        ("efficiencies: [0.7, 0.7]", "is given twice"),
        ("efficiencies: [1.7]", "less than 1"),
        ("working_point_bins: {eta: [0, 1]}", "must be listed under 'spectators'"),
        ("working_point_bins: {jet_pt: [50, 20]}", "edges in ascending order"),
    ],
)
def test_a_wrong_key_is_one_line_that_names_it(more: str, said: str) -> None:
    with pytest.raises(CollidekitError, match=said) as found:
        parse_analysis(TEXT + more + "\n", "my.yaml")
    assert str(found.value).startswith("my.yaml:")
    assert "\n" not in str(found.value)


def test_mistag_rates_are_working_points() -> None:
    assert parse_analysis(TEXT + "mistag_rates: [0.2]\n")[0].working_points == [0.2]


def test_the_discriminant_of_b_tagging() -> None:
    definition = Discriminator.model_validate({"signal": "b", "background": {"c": 0.1, "light": 0.9}, "form": "log"})
    p = {"b": np.array([0.7, 0.0]), "c": np.array([0.2, 1.0]), "light": np.array([0.1, 0.0])}
    expected = np.log((p["b"] + SMALLEST) / (0.1 * p["c"] + 0.9 * p["light"] + SMALLEST))
    assert definition.scores(p) == pytest.approx(expected)
    assert np.isfinite(definition.scores(p)).all()
    assert definition.formula == ("p(b)", "0.1 p(c) + 0.9 p(light)")
    again = Discriminator.model_validate(definition.identity)
    assert again.scores(p) == pytest.approx(expected)


def test_a_fraction_without_weights_has_the_identity_that_it_always_had() -> None:
    definition = Discriminator(signal=["b"], background=["c", "light"], label="$D$")
    assert definition.identity == {"signal": ["b"], "background": ["c", "light"]}
    p = {"b": np.array([0.5, 0.0]), "c": np.array([0.25, 0.0]), "light": np.array([0.25, 0.0])}
    assert definition.scores(p).tolist() == [0.5, 0.0]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{signal: b, background: [c], weights: {light: 2}}", "neither signal nor background"),
        ("{signal: b, background: {c: 2}, weights: {c: 2}}", "two weights"),
        ("{signal: b, background: {c: 0}}", "greater than 0"),
        ("{signal: b, background: c, form: ratio}", "'fraction' or 'log'"),
    ],
)
def test_a_wrong_discriminator(entry: str, said: str) -> None:
    with pytest.raises(CollidekitError, match=said):
        parse_analysis(TEXT.replace("{signal: b, background: [c, light]}", entry))
