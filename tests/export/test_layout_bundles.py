"""Bundles in layouts for consumers without folds: a training without folds can be exported, and its bundle passes the verifier."""

import pytest
from bundles import write

from collidekit.export.verify import checks

OPTIONS = {"triton": {}, "spanet": {}, "topcptoolkit": {"input.constituents": "jet_inputs"}}


@pytest.mark.parametrize("layout", OPTIONS)
def test_a_layout_that_refuses_folds_takes_a_training_without_them(layout, tmp_path):
    made = write("top-tagging/pfn", tmp_path / "bundle", rows=16, layout=layout, of_layout=OPTIONS[layout])
    assert (made.schema.layout, made.schema.folds) == (layout, 0)
    assert all(check.passed for check in checks(made.folder, 1))
