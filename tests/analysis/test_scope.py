"""Names: what is read from a file, what a variable stands for, and what an unknown name says."""

import awkward as ak
import numpy as np
import pytest
from makers import make_plan

from collidekit.analysis.scope import Plan, Scope
from collidekit.errors import CollidekitError

TEXT = """\
variables:
  fourth: third + x
  third: second * 2
  second: first_one + 1
  first_one: x
classes: {a: label == 0, b: label == 1}
inputs: {jet: {features: [fourth, y]}}
weight: w * 2
"""


def make_scope(plan: Plan, columns: dict[str, ak.Array]) -> Scope:
    """Columns of a file whose rows come from entries 100, 101 ..."""
    return Scope(plan, columns, "rows.root", 100 + np.arange(len(next(iter(columns.values())))))


def test_variables_in_any_order() -> None:
    plan = make_plan(TEXT)
    scope = make_scope(plan, {"x": ak.Array([1.0, 2.0])})
    assert ak.to_list(scope["fourth"]) == [5, 8]


def test_only_what_is_needed_is_read() -> None:
    plan = make_plan(TEXT + "spectators: [x]\n")
    assert set(plan.columns(["x", "y", "w", "label", "other"])) == {"x", "y", "w", "label"}
    assert set(plan.columns(["x", "y", "other"], with_truth=False)) == {"x", "y"}


def test_an_unknown_name_says_where_and_what_is_near() -> None:
    with pytest.raises(CollidekitError) as error:
        make_plan(TEXT, "my.yaml").columns(["xx", "y", "label", "w"])
    assert "my.yaml:2: 'third + x': there is no branch or variable 'x' (did you mean 'xx'?)" in str(error.value)
    with pytest.raises(CollidekitError, match=r"my.yaml:5: 'x'"):
        make_plan(TEXT.replace("third + x", "third"), "my.yaml").columns(["xx", "y", "label", "w"])
    with pytest.raises(CollidekitError, match=r"'y'.*did you mean 'yy'"):
        make_plan(TEXT).columns(["x", "yy", "label", "w"])
    with pytest.raises(CollidekitError, match="there is no branch or variable 'label'"):
        make_plan(TEXT).columns(["x", "y", "w"])


def test_deep_and_wide_chains_of_variables() -> None:
    """Each variable uses the one before twice: 2^60 paths, 60 names."""
    lines = ["  v0: x", *(f"  v{i}: v{i - 1} + v{i - 1} * 0" for i in range(1, 60))]
    text = "\n".join(["variables:", *lines, *TEXT.splitlines()[5:]]).replace("fourth", "v59")
    plan = make_plan(text)
    assert "x" in plan.columns(["x", "y", "label", "w"])
    assert ak.to_list(make_scope(plan, {"x": ak.Array([3.0])})["v59"]) == [3]
    lines += [f"  v{i}: v{i - 1}" for i in range(60, 2000)]
    with pytest.raises(CollidekitError, match="a chain of more than 100 variables that use each other"):
        make_plan("\n".join(["variables:", *lines, *TEXT.splitlines()[5:]]).replace("fourth", "v1999"))


def test_a_variable_that_needs_itself() -> None:
    with pytest.raises(
        CollidekitError, match=r"my.yaml:5: variables use each other in a circle: first_one -> first_one"
    ):
        make_plan(TEXT.replace("first_one: x", "first_one: first_one"), "my.yaml")


@pytest.mark.parametrize("kind", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float16", "float32"])
def test_small_numbers_do_not_overflow_or_lose_digits(kind: str) -> None:
    scope = make_scope(make_plan(TEXT), {"x": ak.values_astype(ak.Array([100, 3]), kind)})
    assert ak.to_list(scope["third"]) == [202, 8]
    from collidekit.analysis.expressions import Expression

    assert ak.to_list(Expression("x * 100000").evaluate(scope)) == [10_000_000, 300_000]
    assert ak.to_list(Expression("-x").evaluate(scope)) == [-100, -3]
    assert ak.to_numpy(Expression("x / 7").evaluate(scope)) == pytest.approx(np.array([100 / 7, 3 / 7]), rel=1e-15)


def test_large_event_numbers_keep_their_bits() -> None:
    number = 2**64 - 2
    scope = make_scope(make_plan(TEXT), {"x": ak.Array(np.array([number, 5], dtype=np.uint64))})
    assert ak.to_list(scope["x"]) == [number, 5]


def test_an_index_that_points_nowhere_names_file_and_row() -> None:
    """Also behind a variable and after a selection."""
    plan = make_plan(TEXT.replace("first_one: x", "first_one: pick(hits, x)"), "my.yaml")
    scope = make_scope(plan, {"x": ak.Array([0, 1, -1, 9]), "hits": ak.Array([[1.0], [1.0, 2.0], [], [3.0] * 8])})
    said = r"^rows.root: row 103: my.yaml:5: 'pick\(hits, x\)': index 9 points beyond the end of a list of 8$"
    for chosen in (scope, scope.select(np.array([False, True, True, True]))):
        with pytest.raises(CollidekitError, match=said):
            chosen.numbers(plan["inputs", "jet", "features", 0])
    chosen = scope.select(np.array([True, True, True, False]))
    np.testing.assert_array_equal(chosen["first_one"], [1, 2, np.nan])


def test_a_list_where_a_number_is_needed() -> None:
    plan = make_plan(TEXT, "my.yaml")
    scope = make_scope(plan, {"x": ak.Array([[1.0], []]), "y": ak.Array([1.0, 2.0])})
    with pytest.raises(
        CollidekitError, match=r"my.yaml:7: 'fourth': is a list in each row of rows.root, but one number is needed"
    ):
        scope.numbers(plan["inputs", "jet", "features", 0])
    assert list(scope.numbers(plan["inputs", "jet", "features", 1])) == [1, 2]


def test_a_name_is_there_if_it_can_be_read() -> None:
    """Whether the truth is in a file: also of a branch that needs backticks or another name for its dot."""
    plan = make_plan("classes: {a: '`br[/b]anch` == 0', b: jet_flav == 1}\ninputs: {jet: {features: [pt]}}")
    columns = {"br[/b]anch": ak.Array([0]), "jet.flav": ak.Array([1]), "pt": ak.Array([2.0])}
    scope = Scope(plan, columns, "file.root", np.arange(1))
    assert "`br[/b]anch`" in scope
    assert "jet_flav" in scope
    assert "`jet.flav`" in scope
    assert "jet_mass" not in scope
