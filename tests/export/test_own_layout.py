"""A user's layout with its own names, shapes and a random output: the bundle is checked with the outputs of the layout."""

import numpy as np
import torch
from bundles import write
from torch import Tensor

from collidekit.export import layouts
from collidekit.export.layouts.base import Arrays, Layout
from collidekit.export.templates import verify as verifier
from collidekit.export.verify import checks


class Stacked(Layout):
    """One row a call, a table without a batch axis, and two columns in one output."""

    name = "stacked"
    batched = False
    input_names = ["table", "flat"]  # noqa: RUF012
    output_names = ["both", "random"]  # noqa: RUF012
    axes = {"table": {0: "n_part"}}  # noqa: RUF012

    def example(self, rows: int, length: int) -> tuple[Tensor, ...]:
        return torch.randn(length, 13), torch.randn(1, 3)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        table, flat = tensors
        columns = self.graph.columns(table[None], torch.ones_like(table[:, 0])[None], flat)
        return torch.stack([columns["prob_top"], columns["TvsQCD"]], dim=1), torch.rand_like(flat)

    def given(self, generic: Arrays) -> dict[str, np.ndarray]:
        return {"table": generic["constituents"][0][generic["constituents_mask"][0] > 0], "flat": generic["jet"]}

    def found(self, outputs: Arrays, generic: Arrays) -> dict[str, np.ndarray]:
        return {"prob_top": outputs["both"][:, 0], "TvsQCD": outputs["both"][:, 1]}


def test_a_layout_is_checked_by_its_own_outputs(tmp_path, monkeypatch):
    monkeypatch.setitem(layouts.LAYOUTS, "stacked", Stacked)
    made = write("top-tagging/pfn", tmp_path / "bundle", layout="stacked")
    assert made.schema.columns == {"prob_top": ("both", 0), "TvsQCD": ("both", 1)}
    _, cases = verifier.read(made.folder / "golden.npz")
    arrays, _ = verifier.read(made.folder / "golden.npz")
    for number, (_, given, wanted) in enumerate(cases):
        assert set(given) == {"table", "flat"}
        assert set(wanted["0"]) == {"both"}, "random numbers are not compared"
        ragged = [arrays[f"{number}.out.0.{name}"][0] for name in ("prob_top", "TvsQCD")]
        np.testing.assert_allclose(wanted["0"]["both"][0], ragged, atol=1e-5)
    found = {check.title: check for check in checks(made.folder, 1)}
    assert all(check.passed for check in found.values())
    assert "model.onnx: rows at once" not in found
    assert {"TvsQCD", "model.onnx: lengths", "model.onnx: empty slots"} <= set(found)
