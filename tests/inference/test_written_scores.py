"""Written scores are exactly the scores from which thresholds were computed."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot

from collidekit.analysis.schema import Discriminator
from collidekit.errors import CollidekitError
from collidekit.evaluation.classification.working_points import working_points
from collidekit.inference.predictions import Predictions


@pytest.fixture
def separated() -> Predictions:
    """Two classes that are so far apart that most scores are within 1e-7 of 1."""
    random = np.random.default_rng(1)
    truth = np.arange(20_000) % 2
    logit = random.normal(np.where(truth == 1, 22, 12), 4)
    probability = 1 / (1 + np.exp(-logit))
    definition = Discriminator(signal=["sig"], background=["bkg"])
    return Predictions(
        classes=("bkg", "sig"), probabilities=np.stack([1 - probability, probability], axis=1), labels=truth,
        weights=np.ones(len(truth), dtype=np.float32), definitions={"SvsB": definition},
    )  # fmt: skip


@pytest.mark.parametrize("suffix", [".parquet", ".root"])
def test_a_threshold_on_the_written_column_gives_the_stated_mistag_rate(
    separated: Predictions, tmp_path: Path, suffix: str
) -> None:
    path = separated.write(tmp_path / f"scores{suffix}")
    if suffix == ".root":
        with uproot.open(path) as file:
            written = file["predictions"]["SvsB"].array(library="np")
    else:
        written = pq.read_table(path)["SvsB"].to_numpy()
    np.testing.assert_array_equal(written, separated.discriminator("SvsB"))
    points = working_points(separated, [0.001], [])[0].points
    background = written[separated.labels == 0]
    passed = (background >= points[0].threshold).mean()
    assert passed == pytest.approx(points[0].background_efficiency.value, abs=1e-12)
    assert passed <= 0.0011


def test_scores_near_one_stay_apart(separated: Predictions) -> None:
    scores = separated.discriminator("SvsB")
    assert len(np.unique(scores)) > 0.8 * len(scores)
    assert len(np.unique(scores.astype(np.float32))) < 0.6 * len(scores)


def test_a_flipped_bit_is_an_error(separated: Predictions, tmp_path: Path) -> None:
    path = separated.write(tmp_path / "scores.parquet")
    content = bytearray(path.read_bytes())
    for place in range(1000, len(content) - 20_000, len(content) // 40):
        damaged = bytearray(content)
        damaged[place] ^= 4
        path.write_bytes(damaged)
        with pytest.raises(CollidekitError):
            Predictions.read(path)
