"""What cannot be meant in an analysis file is refused with its line."""

import re
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
from makers import make_plan, write_parquet

from collidekit.analysis.expressions import Expression
from collidekit.attacks.settings import AttackSettings
from collidekit.dataset.construct import construct
from collidekit.errors import CollidekitError
from collidekit.training.choice import training_config
from collidekit.training.config import TrainingConfig

BASE = """\
selection: x > 0
classes: {a: label == 0, b: label == 1}
inputs:
  parts:
    limit: 8
    order: part_x
    where: part_x > 0
    features: [part_x]
  jet: {features: [x]}
event: [number]
spectators: [label, weight, file]
discriminators: {D: {signal: a, background: b}}
working_points: [0.1, 0.01]
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[0.1, 0.01]", "[0.1, 0.01, 0.1]", r"analysis.yaml:13: working_points.2: 0.1 is given twice"),
        ("{D:", "{label:", r"analysis.yaml:12: discriminators.label: 'label' is another column of the predictions"),
        ("{D:", "{weight:", "'weight' is another column"),
        ("{D:", "{row:", "'row' is another column"),
        ("{D:", "{prob_a:", "'prob_a' is another column"),
        ("[number]", "[number, row]", r"analysis.yaml:10: event.1: 'row' is another column"),
        ("[number]", "[file]", "'file' is another column"),
        ("{a: label == 0,", "{relegated: label == 0,", r"analysis.yaml:2: classes.relegated: 'relegated' is the answer of a network"),
        ("signal: a,", "signal: [a, a],", r"analysis.yaml:12: discriminators.D.signal: 'a' is given twice"),
        ("order: part_x", "order: pi", r"analysis.yaml:6: 'pi': order uses no branch and no variable"),
        ("part_x > 0\n    feat", "2 > 1\n    feat", r"analysis.yaml:7: '2 > 1': where uses no branch"),
        ("selection: x > 0", "selection: 1 == 1", r"analysis.yaml:1: '1 == 1': selection uses no branch"),
        ("limit: 8", "limit: true", r"analysis.yaml:5: inputs.parts.limit: must be a number"),
        ("[0.1, 0.01]", "[0.1, true]", r"analysis.yaml:13: working_points: must be a number"),
        ("event: [number]", "event: [true]", r"analysis.yaml:10: event: must not be true or false"),
        ("features: [x]", "features: [{name: x, default: false}]", r"analysis.yaml:9: .*default: must be a number"),
        ("features: [x]", "features: [{name: x, bounds: [false, 1]}]", r"analysis.yaml:9: .*bounds: must be a number"),
    ],
)  # fmt: skip
def test_refused(old: str, new: str, said: str) -> None:
    make_plan(BASE)
    assert old in BASE
    with pytest.raises(CollidekitError, match=said):
        make_plan(BASE.replace(old, new, 1))


NUMBERS = [
    name
    for name, field in TrainingConfig.model_fields.items()
    if type(field.default) in (int, float) or name in ("betas", "learning_rate_factors")
]


@pytest.mark.parametrize("name", NUMBERS)
def test_a_flag_is_no_number_of_a_training(name: str) -> None:
    value: Any = {"betas": [True, 0.9], "learning_rate_factors": {"*": True}}.get(name, True)
    with pytest.raises(CollidekitError, match=f"{name}: must be a number"):
        training_config(make_plan(BASE + f"training: {{{name}: {str(value).lower()}}}\n".replace("'", '"')), {})


def test_flags_stay_flags() -> None:
    assert TrainingConfig(mixed_precision=True, model_options={"bias": True}).model_options == {"bias": True}
    assert not AttackSettings(attack_reduce=False).attack_reduce


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x > 0 && y > 0", "for '&&' write 'and'"), ("x > 0 || y", r"for '\|\|' write 'or'"), ("!x", "for '!' write 'not'"),
        ("x = 1", "'=' compares nothing; write '=='"), ("x > 0 ? 1 : 2", "write 'b if a else c'"),
        ("x ^ 2", r"'\^'; use \*\* for powers is not allowed"), ("x << 2", "'<<' is not allowed"),
    ],
)  # fmt: skip
def test_signs_of_other_languages(text: str, said: str) -> None:
    with pytest.raises(CollidekitError, match=said):
        Expression(text)
    assert Expression("x != 1 and y >= 2 and x <= 3 and y == 4")


@pytest.mark.parametrize("text", ["sort(ll)", "sort(l, ll)", "at(l, ll)", "pick(l, ll)", "abs(s)", "at(l, s)", "l > s"])
def test_no_internals_of_libraries(text: str) -> None:
    scope = {
        "l": ak.Array([[1.0, 2.0], [], [3.0]]), "ll": ak.Array([[[1.0], [2.0]], [], [[3.0]]]), "s": ak.Array(["a", "b", "c"])
    }  # fmt: skip
    with pytest.raises(CollidekitError) as caught:
        Expression(text).evaluate(scope)
    assert not re.search(r"Array|awkward|numpy|axis|slice|literal|overload|https", str(caught.value))


def test_a_list_where_a_number_is_needed_names_file_and_branch(tmp_path: Path) -> None:
    table = {"x": ak.Array([[1.0], [2.0, 3.0]] * 5), "label": np.arange(10) % 2}
    path = write_parquet(tmp_path / "lists.parquet", table)
    plan = make_plan(
        "classes: {a: label == 0, b: label == 1}\ninputs: {jet: {features: [{name: y, expression: x + label}]}}"
    )
    with pytest.raises(CollidekitError, match=r"'x \+ label': is a list in each row of .*lists.parquet \(so is x\)"):
        construct(plan, str(path), tmp_path / "out", progress=False)
