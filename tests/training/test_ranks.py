"""Two ranks with half of each batch each give the numbers of one process."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rank_cases
import torch
import toys

from collidekit.dataset.loader import Dataset
from collidekit.training.loop import Training

HELPERS = Path(rank_cases.__file__).parent


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """700 rows: a last batch that is too small to share is among them."""
    return toys.make_dataset(tmp_path_factory.mktemp("ranks"), rank_cases.ANALYSIS, rank_cases.table(720))


@pytest.fixture(scope="module")
def follower(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The second rank of all cases, one after another; its folder."""
    place = tmp_path_factory.mktemp("follower")
    words = [sys.executable, str(HELPERS / "rank_cases.py"), str(data.manifest.folder), str(place), *rank_cases.CASES]
    with (place / "log").open("w") as log, subprocess.Popen(words, stdout=log, stderr=log) as process:
        yield place
        process.kill()


@pytest.mark.parametrize("case", rank_cases.CASES)
def test_two_ranks_are_one_process(case: str, data: Dataset, follower: Path, tmp_path: Path) -> None:
    ranks = rank_cases.rank_of(follower, case, 0)
    try:
        together = Training(rank_cases.config(case), data, tmp_path / "two", accelerator="cpu", ranks=ranks)
        together.run()
    finally:
        ranks.close()
    alone = Training(rank_cases.config(case), data, tmp_path / "one", accelerator="cpu")
    alone.run()
    assert together.step == alone.step == 2 * -(-together.data.rows // 96)
    np.testing.assert_allclose(together.history.losses, alone.history.losses, rtol=5e-7)
    for row, expected in zip(together.history.epochs, alone.history.epochs, strict=True):
        assert row.keys() == expected.keys()
        for name in row.keys() - {"seconds", "cpu_seconds", "rows_per_second"}:
            assert row[name] == pytest.approx(expected[name], rel=1e-6, abs=1e-9, nan_ok=True), name
    for (name, one), (_, two) in zip(
        alone._kept().state_dict().items(), together._kept().state_dict().items(), strict=True
    ):
        torch.testing.assert_close(two, one, rtol=1e-5, atol=1e-7, msg=lambda text, name=name: f"{name}: {text}")
