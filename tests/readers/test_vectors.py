"""Objects with vectors, written by ROOT itself in several baskets (files/make_vectors.py)."""

from pathlib import Path

import awkward as ak
import numpy as np
import pytest

from collidekit.analysis.schema import Source
from collidekit.readers import open_file
from collidekit.starter.starter import start_analysis

FILES = Path(__file__).parent / "files"
ROWS = 300
COLUMNS = ["v3_fX", "v3_fY", "v3_fZ", "p4_fP_fX", "p4_fP_fZ", "p4_fE", "tracks_fX", "tracks_fY"]


@pytest.mark.parametrize("name", ["vectors_split", "vectors_unsplit"])
@pytest.mark.parametrize("step", [1, 7, 64, ROWS])
def test_every_row_has_its_own_values(name: str, step: int) -> None:
    with open_file(str(FILES / f"{name}.root"), Source(tree="tree")) as reader:
        parts = [reader.read(COLUMNS, start, min(start + step, ROWS)) for start in range(0, ROWS, step)]
    read = {column: ak.concatenate([part[column] for part in parts]) for column in COLUMNS}
    row = np.arange(ROWS)
    for column, factor in (("v3_fX", 1), ("v3_fY", 2), ("v3_fZ", 3)):
        np.testing.assert_array_equal(ak.to_numpy(read[column]), factor * row)
    pt, eta = 50.0 + row, 0.1 * (row % 20)
    np.testing.assert_allclose(ak.to_numpy(read["p4_fP_fX"]), pt * np.cos(0.3), rtol=1e-12)
    np.testing.assert_allclose(ak.to_numpy(read["p4_fP_fZ"]), pt * np.sinh(eta), rtol=1e-12)
    np.testing.assert_allclose(ak.to_numpy(read["p4_fE"]), np.sqrt((pt * np.cosh(eta)) ** 2 + 25), rtol=1e-12)
    assert ak.num(read["tracks_fX"]).tolist() == (row % 4).tolist()
    place = ak.local_index(read["tracks_fX"])
    assert ak.all(read["tracks_fX"] == place + row)
    assert ak.all(read["tracks_fY"] == place)


def test_init_leaves_out_what_cannot_be_read(tmp_path: Path) -> None:
    """uproot does not know an unsplit PtEtaPhiMVector."""
    made = start_analysis([str(FILES / "vectors_unsplit.root")], tmp_path / "start.yaml")
    assert made.unreadable == [f"pem_fCoordinates_{part}" for part in ("fPt", "fEta", "fPhi", "fM")]
    text = made.path.read_text()
    assert "v3_fX" in text
    assert "pem" not in text
