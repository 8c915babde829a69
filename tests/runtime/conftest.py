"""A toy tagger, its bundle, and the files that both predict."""

from pathlib import Path

import awkward as ak
import pytest
import toys
from toy_bundles import make_bundle, make_model

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.schema import Analysis
from collidekit.training.checkpoint import Checkpoint


@pytest.fixture(scope="session")
def analysis() -> Analysis:
    return parse_analysis(toys.TOY)[0]


@pytest.fixture(scope="session")
def model(analysis: Analysis) -> Checkpoint:
    return make_model(analysis)


@pytest.fixture(scope="session")
def bundle(model: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundles") / "toy", [model])


@pytest.fixture(scope="session")
def table() -> ak.Array:
    """300 rows; one has no constituents, one has one and one has 40, and their event numbers are in no order."""
    table = toys.toy_table(300, seed=8)
    return ak.with_field(table, (table.event * 7919) % 10007, "event")


@pytest.fixture(scope="session")
def files(table: ak.Array, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("files")
    parts = [(0, 70, "a.parquet"), (70, 71, "b.root"), (71, 300, "c.root")]
    return [str(toys.write_table(folder / name, table[first:last])) for first, last, name in parts]
