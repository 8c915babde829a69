"""Rows of samples as a framework of an experiment holds them, taggers with random weights, and graphs as they are written."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import torch

from collidekit.analysis.load import load_analysis
from collidekit.analysis.schema import Analysis, Collection
from collidekit.analysis.scope import Plan
from collidekit.dataset.batch import Batch, Ragged
from collidekit.dataset.rows import build_rows, columns_of
from collidekit.export.layouts.base import Layout
from collidekit.models.heads import ClassesHead
from collidekit.models.registry import build_network
from collidekit.models.tagger import Tagger, outputs_of
from collidekit.readers import open_file
from collidekit.runtime.schema import Schema

ROOT = Path(__file__).parents[2]
NETWORKS: dict[str, dict[str, Any]] = {
    "pfn": {"phi": [16, 12], "f": [16]},
    "transformer_small": {"width": 16, "layers": 1},
}
Row = dict[str, np.ndarray[Any, Any]]
"""Of each collection a table (n, C), of each group its values (F,), in the units and the order of the analysis."""

TRACKS = [
    "trk_logpt", "trk_logptfraction", "trk_absdeta", "trk_absdphi", "trk_dr", "trk_d0", "trk_z0", "trk_d0_significance",
    "trk_z0_significance", "trk_log_d0_err", "trk_charge", "tracks_px", "tracks_py", "tracks_pz", "tracks_energy", "tracks_x", "tracks_y",
]  # fmt: skip
"""The variables of analyses/jet_flavour.yaml under the names by which a framework must offer them."""
VERTICES = [
    "sv_mass", "sv_logpt", "sv_energy_fraction", "sv_ntracks", "sv_loglxy", "sv_lxy_significance", "sv_dr",
    "vertices_px", "vertices_py", "vertices_pz", "vertices_energy", "vertices_x", "vertices_y",
]  # fmt: skip
JET = ["jet_logpt", "jet_abseta", "jet_n_tracks", "jet_n_vertices"]


def sample_rows(analysis: str, sample: str, number: int) -> tuple[Analysis, list[Row]]:
    """The first rows of a sample."""
    found = load_analysis(ROOT / "analyses" / f"{analysis}.yaml")
    path = str(ROOT / "samples" / sample / "test.root")
    plan = Plan(found)
    with open_file(path, found.source) as reader:
        chunk = reader.read(columns_of(plan, reader, with_truth=False), 0, number)
    batch = build_rows(plan, chunk, path, 0, 0, keep_all=True).batch
    return found, [_row(batch, i) for i in range(len(batch))]


def _row(batch: Batch, i: int) -> Row:
    found = {}
    for name, entry in batch.inputs.items():
        values = entry.data[entry.offsets[i] : entry.offsets[i + 1]] if isinstance(entry, Ragged) else entry[i]
        found[name] = values.numpy().copy()
    return found


def odd_rows(analysis: Analysis, rows: Sequence[Row]) -> list[Row]:
    """Rows with 0, 1, 2, limit and limit + 5 constituents, and some in which a value is NaN or infinite."""
    found = []
    pools = {name: np.concatenate([row[name] for row in rows]) for name in analysis.collections}
    for k, extra in enumerate((None, 1, 2, "limit", "more")):
        row = {name: values.copy() for name, values in rows[k].items()}
        for name, entry in analysis.collections.items():
            size = {None: 0, "limit": entry.limit, "more": entry.limit + 5}.get(extra, extra)
            row[name] = pools[name][np.arange(k, k + size) % len(pools[name])]
        found.append(row)
    for k, bad in enumerate((np.nan, np.inf, -np.inf)):
        row = {name: values.copy() for name, values in rows[10 + k].items()}
        for values in row.values():
            for column in range(values.shape[-1]):
                if values.size and column % 3 == k:
                    values[..., column].flat[-1:] = bad
                    if values.ndim == 1:
                        values[column] = bad
        found.append(row)
    return found


def batch_of(analysis: Analysis, rows: Sequence[Row]) -> Batch:
    """The batch in which collidekit has these rows: constituents beyond the limit are left out."""
    inputs: dict[str, Any] = {}
    for name, entry in analysis.inputs.items():
        tables = [row[name] for row in rows]
        if isinstance(entry, Collection):
            tables = [table[: entry.limit] for table in tables]
            offsets = np.concatenate([[0], np.cumsum([len(table) for table in tables])])
            data = torch.from_numpy(np.concatenate(tables).astype(np.float32))
            inputs[name] = Ragged(data, torch.from_numpy(offsets), len(entry.features), bool(entry.momenta))
        else:
            inputs[name] = torch.from_numpy(np.stack(tables).astype(np.float32))
    number = torch.arange(len(rows))
    return Batch(
        inputs, number, number.float(), {}, {"event": number}, number, number, torch.stack([number] * 2, 1), number
    )


def random_tagger(analysis: Analysis, network: str, rows: Sequence[Row], seed: int = 3) -> Tagger:
    """A tagger of random weights whose scaling is that of the rows."""
    torch.manual_seed(seed)
    head = ClassesHead.of(analysis)
    built = build_network(network, analysis.inputs, outputs_of(analysis, head), NETWORKS[network])
    tagger = Tagger(analysis, built, head)
    for name, entry in analysis.inputs.items():
        values = np.concatenate([np.atleast_2d(row[name]) for row in rows if row[name].size])
        features = torch.from_numpy(values[:, : len(entry.features)])
        tagger.scaling.get_buffer(f"{name}_shift")[: len(entry.features)] = features.mean(dim=0)
        tagger.scaling.get_buffer(f"{name}_factor")[: len(entry.features)] = 1 / (features.std(dim=0) + 1e-3)
    return tagger.eval()


def predicted(tagger: Tagger, analysis: Analysis, rows: Sequence[Row]) -> dict[str, np.ndarray[Any, Any]]:
    """The columns (N,) that the tagger itself gives."""
    with torch.no_grad():
        return {name: values.numpy() for name, values in tagger.predict(batch_of(analysis, rows)).items()}


def generic_of(analysis: Analysis, rows: Sequence[Row], slots: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    """The inputs of the generic layout for these rows, with some more empty slots than needed."""
    found = {}
    for name, entry in analysis.inputs.items():
        if not isinstance(entry, Collection):
            found[name] = np.stack([row[name] for row in rows]).astype(np.float32)
            continue
        longest = max(len(row[name]) for row in rows) + slots
        block, mask = (
            np.zeros((len(rows), longest, entry.width), np.float32),
            np.zeros((len(rows), longest), np.float32),
        )
        for i, row in enumerate(rows):
            block[i, : len(row[name])], mask[i, : len(row[name])] = row[name], 1
        found[name], found[f"{name}_mask"] = block, mask
    return found


def toy_schema(analysis: Analysis, layout: Layout) -> Schema:
    """What a bundle says of itself, as far as layouts look at it."""
    return Schema(
        name=layout.model_name, layout=layout.name, made="2026-01-01", analysis=analysis.model_dump(mode="json"), seed=1,
        fingerprint=analysis.fingerprint, inputs=(), outputs=(), opset=layout.opset, network={"name": "pfn"}, epoch=1,
        objective="classification", settings={}, versions={"torch": torch.__version__},
    )  # fmt: skip


def write_layout(layout: Layout, analysis: Analysis, folder: Path) -> Path:
    """The files of a layout in a folder, as an export writes them; the path of the graph."""
    schema = toy_schema(analysis, layout)
    model = layout.to_onnx()
    for key, value in layout.metadata(schema).items():
        model.metadata_props.add(key=key, value=value)
    for name, text in layout.files(schema).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    path = folder / layout.file_name()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return path


def open_session(path: Path) -> ort.InferenceSession:
    """A session with the settings of the frameworks: one thread, extended optimisation, no arena, only fatal messages."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def assert_same(
    found: Mapping[str, Any], wanted: Mapping[str, Any], names: Sequence[str], tolerance: float = 1e-5
) -> None:
    """Equal to a relative 1e-5 of the largest value of the column."""
    for name in names:
        size = max(1.0, float(np.abs(wanted[name]).max()))
        np.testing.assert_allclose(found[name], wanted[name], rtol=tolerance, atol=tolerance * size, err_msg=name)
