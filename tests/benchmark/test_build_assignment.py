"""What build refuses of an assignment, whose truth is a position in a list."""

import pytest
import yaml

from collidekit.benchmark.build import build_benchmark
from collidekit.benchmark.create import create_benchmark
from collidekit.errors import CollidekitError


@pytest.mark.parametrize("where", ["phase", "training"])
def test_lists_that_lose_entries_are_refused(where, tmp_path):
    folder = tmp_path / "b"
    create_benchmark(folder, "ttbar_assignment")
    content = yaml.safe_load((folder / "benchmark.yaml").read_text())
    build = content["build"]
    source = build["training"] if where == "training" else build["phases"]["public"]["nominal"]
    source["keep"] = "jet_pt > 40"
    (folder / "benchmark.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(CollidekitError, match="keep: 'jet_pt > 40' takes entries out of lists"):
        build_benchmark(folder)
    assert not list(folder.rglob("*.parquet"))
