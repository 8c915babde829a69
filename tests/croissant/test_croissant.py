"""Croissant metadata, validated and read by the library mlcroissant."""

import hashlib
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scoring_toys import gaussian_scores, write_benchmark, write_parquet

from collidekit.benchmark.croissant import describe_benchmark
from collidekit.croissant import DescribedFile, describe, write_croissant
from collidekit.errors import CollidekitError
from collidekit.simulation import simulate
from collidekit.simulation.metadata import describe_shipped

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:rdflib", "ignore::DeprecationWarning:mlcroissant", "ignore:.*:FutureWarning"
)
ROOT = Path(__file__).parents[2]
SAMPLES = ("top_tagging", "jet_flavour", "ttbar_dilepton")


def loaded(path: Path) -> Any:
    """The data set as the library loads it; a problem is an error."""
    mlcroissant = pytest.importorskip("mlcroissant")
    dataset = mlcroissant.Dataset(jsonld=str(path))
    assert not dataset.metadata.ctx.issues.errors
    return dataset


def records(dataset: Any, table: str) -> list[dict[str, Any]]:
    """The rows of a table, with short names."""
    return [
        {name.rsplit("/", 1)[1]: value for name, value in row.items()}
        for row in dataset.records(record_set=f"{table}/rows")
    ]


@pytest.mark.parametrize("sample", SAMPLES)
def test_samples_that_ship_have_metadata_with_their_checksums(sample: str, tmp_path: Path) -> None:
    folder = ROOT / "samples" / sample
    dataset = loaded(folder / "croissant.json")
    assert not dataset.metadata.ctx.issues.warnings, "every recommended property is there"
    for file in dataset.metadata.distribution:
        assert hashlib.sha256((folder / file.content_url).read_bytes()).hexdigest() == file.sha256
    shutil.copytree(folder, tmp_path / sample)
    fresh = describe_shipped(tmp_path / sample)
    assert fresh.read_text() == (folder / "croissant.json").read_text(), "run describe_shipped again"
    assert "tree `tree` (" in fresh.read_text()


def test_tables_are_read(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    columns = {
        "row": np.arange(4), "x": np.array([0.5, 1.5, 2.5, 3.5], dtype=np.float32), "hits": [[1, 2], [], [3], [4, 5, 6]], "ok": [True, False, True, True],
        "name": ["a", "b", "ü", "d"], "deep": [[[1.0], [2.0, 3.0]]] * 4,
    }  # fmt: skip
    write_parquet(tmp_path / "data" / "t.parquet", columns)
    (tmp_path / "u.csv").write_text("row,y\n0,0.25\n1,0.5\n")
    files = [
        DescribedFile(tmp_path / "data" / "t.parquet", "data/t.parquet", "A table.", {"x": "A number in mm."}, "row"),
        DescribedFile(tmp_path / "u.csv", "u.csv"),
    ]
    path = write_croissant(
        tmp_path / "croissant.json", describe("toy", "A toy.", files, date=datetime(2026, 1, 2, tzinfo=UTC))
    )
    dataset = loaded(path)
    rows = records(dataset, "data/t.parquet")
    assert [row["row"] for row in rows] == [0, 1, 2, 3]
    assert rows[1]["x"] == np.float32(1.5)
    assert rows[3]["hits"] == [4, 5, 6]
    assert list(rows[1]["hits"]) == []
    assert rows[0]["deep"] == [[1.0], [2.0, 3.0]]
    assert [bool(row["ok"]) for row in rows] == [True, False, True, True]
    assert rows[2]["name"].decode() == "ü"
    assert [row["y"] for row in records(dataset, "u.csv")] == [0.25, 0.5]
    content = json.loads(path.read_text())
    assert content["datePublished"] == "2026-01-02"
    assert content["recordSet"][0]["field"][1]["description"] == "A number in mm."
    assert content["recordSet"][0]["key"] == {"@id": "data/t.parquet/rows/row"}


def test_a_changed_file_is_refused_by_the_reader(tmp_path: Path) -> None:
    write_parquet(tmp_path / "t.parquet", {"row": [0]})
    path = write_croissant(
        tmp_path / "croissant.json", describe("toy", "A toy.", [DescribedFile(tmp_path / "t.parquet", "t.parquet")])
    )
    write_parquet(tmp_path / "t.parquet", {"row": [1]})
    dataset = loaded(path)
    with pytest.raises(Exception, match="Download") as caught:
        records(dataset, "t.parquet")
    assert "is not identical with the reference" in str(caught.value.__cause__)


def test_a_benchmark_has_metadata_of_all_its_files(tmp_path: Path) -> None:
    p, labels = gaussian_scores(20, 1.5, 1)
    samples = {"nominal": {"label": labels, "weight": np.ones(20)}, "up": {"label": labels}}
    write_parquet(tmp_path / "train.parquet", {"row": np.arange(3), "label": [0, 1, 0]})
    benchmark = write_benchmark(
        tmp_path, samples, {"nominal": {"x": p}, "up": {"x": p}}, training=[{"path": "train.parquet"}],
        license="https://creativecommons.org/licenses/by/4.0/",
    )  # fmt: skip
    public, truth = (loaded(path) for path in describe_benchmark(benchmark))
    for path in (tmp_path / "croissant.json", tmp_path / "croissant_truth.json"):
        assert json.loads(path.read_text())["license"] == "https://creativecommons.org/licenses/by/4.0/"
    assert {file.content_url for file in public.metadata.distribution} == {
        "nominal_features.parquet",
        "up_features.parquet",
        "train.parquet",
    }
    assert {file.content_url for file in truth.metadata.distribution} == {"nominal_truth.parquet", "up_truth.parquet"}
    assert "truth" not in (tmp_path / "croissant.json").read_text().replace("with truth", "")
    assert [row["x"] for row in records(public, "up_features.parquet")] == p.tolist()
    assert [row["label"] for row in records(truth, "nominal_truth.parquet")] == labels.tolist()
    checksums = {file.path: file.sha256 for file in benchmark.data_files() if file.sha256}
    assert checksums == {
        f.content_url: f.sha256
        for d in (public, truth)
        for f in d.metadata.distribution
        if f.content_url != "train.parquet"
    }


def test_simulate_writes_metadata_beside_its_file(tmp_path: Path) -> None:
    file = simulate("moons", tmp_path / "moons.root", 50, seed=4, settings={"noise": 0.3})
    dataset = loaded(tmp_path / "moons.root.croissant.json")
    (described,) = dataset.metadata.distribution
    assert described.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert described.encoding_formats == ["application/x-root"]
    assert "tree `tree` (50 entries) with the branches" in described.description
    assert "50 events" in dataset.metadata.description
    assert "seed 4, noise = 0.3" in dataset.metadata.description


@pytest.mark.parametrize(
    ("sample", "name", "holds"), [("ttbar-hadronic", "t.h5", "INPUTS"), ("jet-flavour", "j.json.gz", "")]
)
def test_other_formats_are_files_with_checksums(sample: str, name: str, holds: str, tmp_path: Path) -> None:
    pytest.importorskip("pythia8mc")
    file = simulate(sample, tmp_path / name, 3, seed=1)
    (described,) = loaded(tmp_path / f"{name}.croissant.json").metadata.distribution
    assert described.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert holds in (described.description or "")


def test_an_unknown_format_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_text("")
    with pytest.raises(CollidekitError, match=r"a\.xyz: files with the suffix '\.xyz' cannot be described"):
        describe("x", "x", [DescribedFile(tmp_path / "a.xyz", "a.xyz")])
