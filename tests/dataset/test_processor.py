"""A user's own coffea processor."""

from pathlib import Path

import pytest
from makers import numbered, write_parquet

from collidekit.analysis.load import read_analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.construct import construct
from collidekit.dataset.loader import Dataset, Loader
from collidekit.errors import CollidekitError
from collidekit.plugins import user_sources

ANALYSIS = """
processor: mine.py:Mine
classes: {even: odd == 0, odd: odd == 1}
inputs: {jet: {features: [double]}}
"""
GOOD = """
import awkward as ak
from coffea.processor import ProcessorABC

class Mine(ProcessorABC):
    def process(self, events):
        rows = ak.zip({"double": events.number * 2, "odd": events.label}, depth_limit=1)
        return rows

    def postprocess(self, accumulator):
        return accumulator
"""


def make(folder: Path, code: str) -> Dataset:
    (folder / "mine.py").write_text(code)
    (folder / "a.yaml").write_text(ANALYSIS)
    file = folder / "rows.parquet"
    if not file.exists():
        write_parquet(file, numbered(100))
    plan = Plan(*read_analysis(folder / "a.yaml"))
    return Dataset(construct(plan, str(file), folder / "out", progress=False))


def doubles(dataset: Dataset) -> list[float]:
    return [x for batch in Loader(dataset, 64, threads=0) for x in batch.inputs["jet"][:, 0].tolist()]  # type: ignore[index]


def test_its_rows(tmp_path: Path) -> None:
    assert doubles(make(tmp_path, GOOD)) == list(range(0, 200, 2))


def test_a_changed_one_is_loaded_anew_and_makes_another_dataset(tmp_path: Path) -> None:
    before = make(tmp_path, GOOD).manifest.analysis.fingerprint
    after = make(tmp_path, GOOD.replace("* 2", "* 30"))
    assert doubles(after) == list(range(0, 3000, 30))
    assert after.analysis.fingerprint != before


def test_rows_may_be_dropped_and_repeated_when_it_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collidekit.dataset.construct.CHUNK", 40)
    code = GOOD.replace(
        "return rows", "rows['entry'] = ak.local_index(events, axis=0); return rows[events.number % 5 == 0]"
    )
    dataset = make(tmp_path, code)
    assert doubles(dataset) == list(range(0, 200, 10))
    assert [row for batch in Loader(dataset, 7) for row in batch.source[:, 1].tolist()] == list(range(0, 100, 5))


def test_it_knows_the_file(tmp_path: Path) -> None:
    code = GOOD.replace("return rows", "assert events.attrs['filename'].endswith('rows.parquet'); return rows")
    assert len(make(tmp_path, code)) == 100


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "class Mine(ProcessorABC)",
            "class Mine",
            "there is no processor 'Mine'; classes that derive from coffea.processor.ProcessorABC: none",
        ),
        ("class Mine", "class Mien", "there is no processor 'Mine' (did you mean 'Mien'?)"),
        ("class Mine", "clas Mine", "mine.py:5: SyntaxError"),
        ("return rows", "return rows.nothing", "mine.py:8: Mine.process: "),
        ("return rows", "return None", "must return one record per row"),
        ("return rows", "return {'a': 1}", "must return one record per row"),
        ("return rows", "return events.number", "must return one record per row"),
        ("return rows", "return rows[:7]", "returns 7 rows for 100 entries; add a column 'entry'"),
        ("return rows", "rows['entry'] = rows.double; return rows", "column 'entry' must hold integers from 0 to 99"),
        ("return rows", "rows['s'] = ['x'] * len(rows); return rows", "column 's' does not hold numbers"),
        ('"double"', '"doubel"', "there is no branch or variable 'double' (did you mean 'doubel'?)"),
        ("    def process", "    def __init__(self, n): pass\n    def process", "Mine() cannot be made"),
    ],
)
def test_mistakes_name_the_file(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(CollidekitError) as error:
        make(tmp_path, GOOD.replace(old, new))
    assert said in str(error.value)
    assert "mine.py" in str(error.value) or "a.yaml" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    make(tmp_path, GOOD)
    (tmp_path / "mine.py").unlink()
    (tmp_path / "rows2.parquet").write_bytes((tmp_path / "rows.parquet").read_bytes())
    plan = Plan(*read_analysis(tmp_path / "a.yaml"))
    with pytest.raises(CollidekitError, match=r"mine\.py: there is no such file"):
        construct(plan, str(tmp_path / "rows2.parquet"), tmp_path / "out2", progress=False)


def test_a_module_beside_it_is_found_and_part_of_the_dataset(tmp_path: Path) -> None:
    """It may import others in turn; a change in any of them makes another dataset, with other numbers."""
    code = GOOD.replace("* 2", "* factors.factor()").replace(
        "import awkward as ak", "import awkward as ak\nimport factors"
    )
    (tmp_path / "factors.py").write_text("from deeper import numbers\n\ndef factor():\n    return numbers.NUMBER\n")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "__init__.py").write_text("")
    (tmp_path / "deeper" / "numbers.py").write_text("from .last import NUMBER\n")
    (tmp_path / "deeper" / "last.py").write_text("NUMBER = 3\n")
    before = make(tmp_path, code)
    fingerprint = before.manifest.analysis.fingerprint
    assert doubles(before) == list(range(0, 300, 3))
    (tmp_path / "deeper" / "last.py").write_text("NUMBER = 5\n")
    after = make(tmp_path, code)
    assert doubles(after) == list(range(0, 500, 5))
    assert after.analysis.fingerprint != fingerprint


def test_installed_packages_are_no_part_of_the_code(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(GOOD + "\nimport torch, json, collidekit.errors\nfrom rich.text import Text\n")
    assert list(user_sources(tmp_path / "mine.py")) == ["mine.py"]
