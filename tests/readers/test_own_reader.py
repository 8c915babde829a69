"""A reader of a user's own, which the analysis names: the example of the documentation, in all that reads files."""

import re
from pathlib import Path

import numpy as np
import pytest
from makers import make_plan

from collidekit.analysis.load import read_analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset import workers
from collidekit.dataset.check import check_named
from collidekit.dataset.construct import construct
from collidekit.dataset.loader import Dataset
from collidekit.errors import CollidekitError

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
ANALYSIS = """
source: {format: npy_reader.py:NpyReader}
classes: {left: x < 0, right: x >= 0}
inputs:
  point: {features: [x, y]}
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    code = next(
        block for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL) if "NpyReader" in block
    )
    (tmp_path / "npy_reader.py").write_text(code)
    (tmp_path / "points.yaml").write_text(ANALYSIS)
    for i in range(3):
        np.save(tmp_path / f"{i}.npy", np.random.default_rng(i).normal(size=(200, 2)))
    return tmp_path


def load(place: Path) -> Plan:
    return Plan(*read_analysis(place / "points.yaml"))


@pytest.mark.parametrize("count", [1, 2])
def test_it_is_found_by_every_worker(place: Path, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "WORTH", 0.0)
    manifest = construct(load(place), str(place / "*.npy"), place / "out", workers=count, progress=False)
    points = np.concatenate([np.load(place / f"{i}.npy") for i in range(3)]).astype(np.float32)
    dataset = Dataset(manifest)
    found = np.concatenate([dataset.read(block).inputs["point"].numpy() for block in dataset.blocks])
    np.testing.assert_array_equal(found, points)


def test_it_is_checked(place: Path) -> None:
    found = check_named(str(place / "points.yaml"), [str(place / "*.npy")])
    assert [part.seen for part in found.parts] == [600]


def test_other_code_is_another_dataset(place: Path) -> None:
    before = load(place).analysis.fingerprint
    code = (place / "npy_reader.py").read_text()
    (place / "npy_reader.py").write_text(code + "\n# changed\n")
    assert load(place).analysis.fingerprint != before


def test_what_is_no_reader(place: Path) -> None:
    (place / "npy_reader.py").write_text("class NpyReader: pass")
    with pytest.raises(CollidekitError, match=r"npy_reader\.py: there is no reader 'NpyReader'; classes that"):
        construct(load(place), str(place / "0.npy"), place / "out", progress=False)
    (place / "npy_reader.py").unlink()
    with pytest.raises(CollidekitError, match=r"npy_reader\.py: there is no such file"):
        construct(load(place), str(place / "0.npy"), place / "out", progress=False)


def test_a_misspelt_format() -> None:
    with pytest.raises(
        CollidekitError, match=r"analysis\.yaml:2: source\.format: 'parket' is none of auto, root, parquet"
    ) as error:
        make_plan("\nsource: {format: parket}\nclasses: {a: x < 0, b: x > 0}\ninputs: {p: {features: [x]}}")
    assert len(str(error.value)) < 250
