"""Defaults of an analysis beside the bulk, and suggestions that are near it."""

import re
from pathlib import Path

import numpy as np
import pytest
import uproot

from collidekit.analysis.features import Feature
from collidekit.analysis.load import parse_analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.check import check
from collidekit.dataset.defaults import FoundDefault, find_defaults
from collidekit.errors import CollidekitError

ANALYSIS = """
classes: {a: label == 0, b: label == 1}
inputs:
  jet:
    features:
      - {name: far, default: -3}
      - {name: near, default: -0.4}
      - {name: inside, default: 0}
      - {name: not_a_number}
      - {name: full, default: -9}
      - {name: chosen, expression: log(sentinel) if sentinel > 0 else -9, default: -9}
      - sentinel
"""


@pytest.fixture
def found(tmp_path: Path) -> dict[str, FoundDefault]:
    random = np.random.default_rng(1)
    values = 0.1 * random.normal(size=4000)
    missing = random.random(4000) < 0.8

    def with_missing(value: float, bulk: np.ndarray = values) -> np.ndarray:
        return np.where(missing, value, bulk)

    with uproot.recreate(tmp_path / "f.root") as file:
        file["tree"] = {
            "label": random.integers(0, 2, 4000), "far": with_missing(-3), "near": with_missing(-0.4),
            "inside": with_missing(0), "not_a_number": with_missing(np.nan), "full": values,
            "sentinel": with_missing(-999, np.exp(values)),
        }  # fmt: skip
    plan = Plan(*parse_analysis(ANALYSIS))
    return {one.feature.name: one for one in find_defaults(check(plan, [str(tmp_path / "f.root")]))}


def test_shares_distances_and_suggestions(found: dict[str, FoundDefault]) -> None:
    verdicts = {name: one.verdict for name, one in found.items()}
    assert re.match(r"-999 in (7[789]|8[0-2])\.", verdicts.pop("sentinel"))
    assert verdicts == {
        "far": "far", "near": "near", "inside": "inside the bulk", "not_a_number": "inside the bulk", "full": "none missing",
        "chosen": "far",
    }  # fmt: skip
    assert found["far"].share == pytest.approx(0.8, abs=0.02)
    assert found["far"].widths == pytest.approx((3 - 0.258) / 0.1, rel=0.1)
    for name in ("far", "inside", "not_a_number"):
        assert -0.5 < found[name].suggested < found[name].low


def test_lines_to_paste(found: dict[str, FoundDefault]) -> None:
    assert found["far"].line == f"- {{name: far, default: {found['far'].suggested:g}}}"
    better = found["chosen"].suggested
    assert found["chosen"].line == (
        f"- {{name: chosen, expression: log(sentinel) if sentinel > 0 else {better:g}, default: {better:g}}}"
    )
    for one in found.values():
        analysis, _ = parse_analysis(
            f"classes: {{a: x == 0, b: x == 1}}\ninputs:\n  jet:\n    features:\n      {one.line}"
        )
        assert analysis.inputs["jet"].features[0].default == pytest.approx(one.suggested)


def test_all_keys_of_a_feature_are_kept() -> None:
    feature = Feature.model_validate(
        {"name": "x", "expression": "hypot(a, b)", "unit": "mm", "bounds": [-1, 1], "default": -9, "attackable": False}
    )
    line = FoundDefault("jet", feature, 0.5, -1, 1, 8, -1.2).line
    analysis, _ = parse_analysis(f"classes: {{a: x == 0, b: x == 1}}\ninputs:\n  jet:\n    features:\n      {line}")
    assert analysis.inputs["jet"].features[0] == feature.model_copy(update={"default": -1.2})


def test_an_unusable_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "f.root").write_bytes(b"root" + bytes(50))
    with pytest.raises(CollidekitError, match=r"f\.root"):
        find_defaults(check(Plan(*parse_analysis(ANALYSIS)), [str(tmp_path / "f.root")]))
