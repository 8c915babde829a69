"""Formatted numbers, and results that are complete or absent."""

import pytest

from collidekit.evaluation.numbers import with_error
from collidekit.files import plain, replacing, write_json


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.984772, 0.000156, "0.98477 ± 0.00016"),
        (1294.3, 98.2, "1294 ± 98"),
        (1294.3, 112.0, "1290 ± 110"),
        (0.5, 0.0996, "0.50 ± 0.10"),
        (3.14159, 0.0, "3.142"),
        (3.14159, None, "3.142"),
    ],
)
def test_two_digits_of_the_error(value, error, text) -> None:
    assert with_error(value, error) == text


def test_json_is_strict(tmp_path) -> None:
    assert plain({"a": float("inf"), 1: (2.0, float("nan"))}) == {"a": None, "1": [2.0, None]}
    assert "null" in write_json(tmp_path / "x.json", {"a": float("nan")}).read_text()


def test_a_failure_leaves_the_old_file_whole(tmp_path) -> None:
    path = write_json(tmp_path / "x.json", {"a": 1})

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert '"a": 1' in path.read_text()
    assert list(tmp_path.iterdir()) == [path]
