"""Values of parameters: each of its type, or one sentence."""

import pytest

from collidekit.benchmark.parameters import Parameter, checked_values
from collidekit.errors import CollidekitError


@pytest.mark.parametrize(
    ("keys", "value", "found"),
    [
        ({"type": "string"}, "deep", "deep"),
        ({"type": "int", "minimum": 1}, 3.0, 3),
        ({"type": "float"}, 3, 3.0),
        ({"type": "bool"}, True, True),
        ({"type": "select", "choices": ["a", "b"]}, "b", "b"),
        ({"type": "file"}, "mydata/weights.bin", "mydata/weights.bin"),
        ({"type": "list"}, [1, "a"], [1, "a"]),
        ({"type": "record"}, {"a": [1]}, {"a": [1]}),
    ],
)
def test_a_value_of_the_type_is_taken(keys, value, found):
    values = checked_values([Parameter(name="p", **keys)], {"p": value}, "here")
    assert values == {"p": found}
    assert type(values["p"]) is type(found)


@pytest.mark.parametrize(
    ("keys", "value", "said"),
    [
        ({"type": "string"}, 3, "parameter 'p' is 3, and text is needed"),
        ({"type": "int"}, True, "a whole number is needed"),
        ({"type": "int"}, 2.5, "a whole number is needed"),
        ({"type": "int"}, "3", "a whole number is needed"),
        ({"type": "int", "minimum": 1}, 0, "below its minimum 1"),
        ({"type": "float", "maximum": 1}, 1.5, "above its maximum 1"),
        ({"type": "int", "maximum": 2147483647}, 2147483648, "is 2147483648, above its maximum 2147483647"),
        ({"type": "float", "minimum": 0.1}, 0.0999999999, "is 0.0999999999, below its minimum 0.1"),
        ({"type": "int"}, 10**400, "a whole number is needed"),
        ({"type": "float", "minimum": 1}, -(10**400), "a finite number is needed"),
        ({"type": "float"}, float("nan"), "a finite number is needed"),
        ({"type": "float"}, float("inf"), "a finite number is needed"),
        ({"type": "bool"}, 1, "true or false is needed"),
        ({"type": "select", "choices": ["linear", "cubic"]}, "linaer", r"has no choice 'linaer' \(did you mean 'linear'\?\)"),
        ({"type": "file"}, "../other/secret", "is not a path inside"),
        ({"type": "file"}, "/etc/passwd", "is not a path inside"),
        ({"type": "list"}, "a", "a list is needed"),
        ({"type": "record"}, [1], "names with values is needed"),
        ({"type": "list"}, [float("nan")], "holds something that is no JSON"),
        ({"type": "string"}, "x" * 200_000, "more than 100,000 characters"),
        ({"type": "int", "required": True}, None, "parameter 'p' is required"),
    ],
)  # fmt: skip
def test_any_other_value_is_one_sentence(keys, value, said):
    with pytest.raises(CollidekitError, match=said) as error:
        checked_values([Parameter(name="p", **keys)], {"p": value}, "here")
    assert str(error.value).startswith("here: ")
    assert len(str(error.value)) < 300


def test_defaults_are_used_and_unknown_names_are_not():
    known = [Parameter(name="depth", type="int", default=4), Parameter(name="note")]
    assert checked_values(known, {}, "here") == {"depth": 4}
    with pytest.raises(CollidekitError, match=r"no parameter 'dept' \(did you mean 'depth'\?\)"):
        checked_values(known, {"dept": 1}, "here")
    with pytest.raises(CollidekitError, match="there are none"):
        checked_values([], {"dept": 1}, "here")
