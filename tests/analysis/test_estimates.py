"""What a regression gives for each value: keys that have a meaning, columns, and hashes that stay."""

import pytest

from collidekit.analysis.estimates import LEVELS, level_of, suffix_of
from collidekit.analysis.load import parse_analysis
from collidekit.analysis.schema import Analysis
from collidekit.errors import CollidekitError
from collidekit.tasks.training import _target_weights

TEXT = """
inputs: {point: {features: [x]}}
targets:
  energy: {values: {e: true_e, f: true_f}, unit: GeV@}
"""
FORMS = (
    "", ", estimate: gaussian, scale: log", ", estimate: quantiles, quantiles: [0.1, 0.5, 0.9]",
    ", estimate: binned, bins: 7", ", estimate: quantiles", ", estimate: flow, draws: 64, scale: log",
)  # fmt: skip


def analysis(more: str) -> Analysis:
    return parse_analysis(TEXT.replace("@", more), "my.yaml")[0]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("estimate: gaussian, quantiles: [0.1, 0.5, 0.9]", "'estimate: quantiles'"),
        ("quantiles: [0.1, 0.5, 0.9]", "has no meaning with 'estimate: value'"),
        ("estimate: quantiles, loss: mse", "loss: has no meaning with 'estimate: quantiles'"),
        ("estimate: gaussian, loss: huber", "loss: has no meaning with 'estimate: gaussian'"),
        ("estimate: gaussian, bins: 10", "it is for 'estimate: binned'"),
        ("estimate: binned, draws: 100", "it is for 'estimate: flow'"),
        ("estimate: binned, scale: log", "scale: has no meaning"),
        ("estimate: normal", "estimate"),
        ("estimate: binned, bins: 1", "bins"),
        ("estimate: flow, draws: 39", "draws"),
        ("estimate: quantiles, quantiles: [0.1, 0.9, 0.95]", "must contain 0.5"),
        ("estimate: quantiles, quantiles: [0.5, 0.7, 0.9]", "at least one level on each side"),
        ("estimate: quantiles, quantiles: [0.1, 0.5, 0.5, 0.9]", "in ascending order"),
        ("estimate: quantiles, quantiles: [0.9, 0.5, 0.1]", "in ascending order"),
        ("estimate: quantiles, quantiles: [0, 0.5, 0.9]", "between 0 and 1"),
        ("estimate: quantiles, quantiles: [.nan, 0.5, 0.9]", "quantiles"),
    ],
)
def test_keys_act_or_are_refused(more: str, said: str) -> None:
    with pytest.raises(CollidekitError) as error:
        analysis(f", {more}")
    assert str(error.value).startswith("my.yaml:4: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("more", FORMS)
def test_there_and_back(more: str) -> None:
    """A checkpoint holds an analysis as JSON; keys that would be refused are not written."""
    one = analysis(more)
    again = Analysis.model_validate_json(one.model_dump_json())
    assert again == one
    assert again.regressions["energy"].form == one.regressions["energy"].form


def test_a_plain_value_is_written_and_hashed_as_before() -> None:
    one = analysis("")
    assert one.model_dump(mode="json")["targets"]["energy"] == {
        "weight": 1.0, "values": {"e": "true_e", "f": "true_f"}, "unit": "GeV", "scale": "standard", "loss": "huber", "w_mass": None,
    }  # fmt: skip
    assert _target_weights(one) == {"energy": [1.0, "standard", "huber", "GeV"]}
    assert len({analysis(more).fingerprint for more in FORMS}) == 1  # the datasets are the same
    assert len({str(_target_weights(analysis(more))) for more in FORMS}) == len(FORMS)


def test_columns() -> None:
    def columns(more: str) -> list[str]:
        return analysis(f", estimate: {more}").targets["energy"].columns[4:]  # type: ignore[union-attr]

    assert columns("gaussian") == ["pred_e_sigma", "pred_f_sigma"]
    assert columns("quantiles")[:4] == ["pred_e_q025", "pred_e_q16", "pred_e_q84", "pred_e_q975"]
    assert columns("binned")[:2] == ["pred_e_median", "pred_e_q025"]
    assert columns("binned")[-2:] == ["pit_e", "pit_f"]
    assert columns("flow")[:3] == ["pred_e_mean", "pred_e_mode", "pred_e_q025"]


def test_suffixes_say_the_level() -> None:
    assert [suffix_of(level) for level in (*LEVELS, 0.1, 1e-5)] == ["q025", "q16", "q5", "q84", "q975", "q1", "q00001"]
    assert [level_of(suffix_of(level)) for level in (*LEVELS, 1e-5)] == [*LEVELS, 1e-5]
    assert [level_of(suffix) for suffix in ("sigma", "q", "quark", "median")] == [None] * 4


def test_two_values_of_one_column_are_refused() -> None:
    text = TEXT.replace("@", ", estimate: gaussian") + "  other: {values: {e_sigma: true_g}}\n"
    with pytest.raises(CollidekitError, match="also has the column 'pred_e_sigma' of the predictions"):
        parse_analysis(text)
