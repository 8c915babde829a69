"""Simulated b, c and light jets as JSON lines in the layout of the public flavour-tagging data (arXiv 1607.08633)."""

from __future__ import annotations

import gzip
import json
import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

from collidekit.errors import CollidekitError
from collidekit.simulation.columns import Columns

SUFFIXES = (".json", ".jsonl", ".json.gz", ".jsonl.gz")
THRESHOLD = 1.8
"""Threshold of the d0 significance of tracks that are counted and that define the vertex significance."""
PHI_ERROR, THETA_ERROR, QOVERP_ERROR = 5e-4, 5e-4, 1e-4
CHUNK = 1000


def is_lines(output: Path) -> bool:
    return output.name.endswith(SUFFIXES)


def read_tree(path: Path, jets: int) -> Iterator[Columns]:
    """Return the first ``jets`` jets of a ROOT file of the sample jet-flavour."""
    try:
        with uproot.open(path) as file:
            tree = file["tree"]
            if tree.num_entries < jets:
                raise CollidekitError(f"{path}: holds {tree.num_entries:,} jets, but {jets:,} are needed")
            missing = {"jet_flavour", "trk_d0_err", "sv_ntracks"} - set(tree.keys())
            if missing:
                raise CollidekitError(f"{path}: is not a file of the sample jet-flavour: it has no {min(missing)}")
            for chunk in tree.iterate(step_size=CHUNK, entry_stop=jets, library="ak"):
                yield _columns(chunk)
    except (OSError, KeyError, ValueError) as error:
        raise CollidekitError(
            f"{path}: cannot be read as a file of the sample jet-flavour ({' '.join(str(error).split())[:120]})"
        ) from None


def _columns(chunk: ak.Array) -> Columns:
    """Return the collections trk and sv as records, as in the simulation."""
    columns: Columns = {
        name: ak.to_numpy(chunk[name]) for name in chunk.fields if not name.startswith(("trk_", "sv_", "ntrk", "nsv"))
    }
    for prefix in ("trk", "sv"):
        names = [name for name in chunk.fields if name.startswith(f"{prefix}_")]
        columns[prefix] = ak.zip({name.removeprefix(f"{prefix}_"): chunk[name] for name in names})
    return columns


def write_lines(output: Path, parts: Iterable[Columns]) -> None:
    """Write one jet per line; after an error or interrupt, no file remains."""
    temporary = output.with_name(f".{output.name}.{os.getpid()}.partial")
    try:
        with (gzip.open if output.suffix == ".gz" else open)(temporary, "wt", encoding="utf-8") as file:
            for part in parts:
                for line in flavour_lines(part):
                    file.write(json.dumps(line) + "\n")
        temporary.replace(output)
    except OSError as error:
        raise CollidekitError(f"{output}: cannot write: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def flavour_lines(columns: Columns) -> Iterator[list[Any]]:
    """Yield ``[jet_pt, jet_eta, flavor, 8 track variables, 6 vertex variables, vertices of tracks of 28 numbers]`` of each jet.

    Missing values are the string "NaN", infinite ones "inf" or "-inf". A secondary vertex gets as many tracks as were fitted to it,
    those with the largest impact parameter significance. All other tracks are in the first group, whose vertex variables
    are "NaN". The simulation has no errors of track angles, so their covariances are constants.
    """
    tracks, vertices = ak.to_list(columns["trk"]), ak.to_list(columns["sv"])
    for jet, (trk, sv) in enumerate(zip(tracks, vertices, strict=True)):
        pt, eta = float(columns["jet_pt"][jet]), float(columns["jet_eta"][jet])
        trk = sorted(trk, key=lambda t: -abs(t["d0"] / t["d0_err"]))
        sv = sorted(sv, key=lambda v: -v["lxy"] / v["lxy_err"])
        groups = _groups(trk, sv)
        lists = [[_track(t, vertex) for t in members] for vertex, members in groups if members]
        yield [
            _number(pt),
            _number(eta),
            int(columns["jet_flavour"][jet]),
            _of_tracks(trk, pt),
            _of_vertices(sv, trk),
            lists,
        ]


def _groups(trk: list[Any], sv: list[Any]) -> list[tuple[Any, list[Any]]]:
    """Return the tracks without a vertex, then those of each vertex."""
    left = list(trk)
    groups: list[tuple[Any, list[Any]]] = []
    for vertex in sv:
        members, left = left[: vertex["ntracks"]], left[vertex["ntracks"] :]
        groups.append((vertex, members))
    return [(None, left), *groups]


def _of_tracks(trk: list[Any], jet_pt: float) -> list[Any]:
    d0 = [t["d0"] / t["d0_err"] for t in trk]
    z0 = [t["z0"] / t["z0_err"] for t in trk]
    weights = [t["pt"] / sum(t["pt"] for t in trk) for t in trk]
    widths = [math.sqrt(sum(w * t[key] ** 2 for w, t in zip(weights, trk, strict=True))) for key in ("deta", "dphi")]
    second, third = ([_number(values[i]) if len(values) > i else "NaN" for values in (d0, z0)] for i in (1, 2))
    return [
        second[0], third[0], second[1], third[1], sum(value > THRESHOLD for value in d0), _number(_jet_probability(d0)),
        *(_number(width) if trk else "NaN" for width in widths),
    ]  # fmt: skip


def _jet_probability(d0: list[float]) -> float:
    """Return the probability that all tracks with positive significance come from the primary vertex; NaN without such tracks.

    It is P sum_j (-ln P)^j / j! with the product P of the tail probabilities (ALEPH, Phys. Lett. B 313 (1993) 535).
    """
    tails = [math.erfc(value / math.sqrt(2)) for value in d0 if value > 0]
    if not tails:
        return math.nan
    log = -sum(math.log(max(tail, 1e-30)) for tail in tails)
    terms = [
        j * math.log(log) - math.lgamma(j + 1) if log > 0 else (0.0 if j == 0 else -math.inf) for j in range(len(tails))
    ]
    return min(sum(math.exp(term - log) for term in terms), 1.0)


def _of_vertices(sv: list[Any], trk: list[Any]) -> list[Any]:
    if not sv:
        return ["-inf" if not trk else "NaN", 0, 0, "NaN", "NaN", "NaN"]
    first = sv[0]
    return [
        _number(first["lxy"] / first["lxy_err"]), len(sv), sum(vertex["ntracks"] for vertex in sv),
        _number(math.hypot(first["deta"], first["dphi"])), _number(first["mass"]),
        _number(sum(vertex["energy_fraction"] for vertex in sv)),
    ]  # fmt: skip


def _track(t: Any, vertex: Any) -> list[Any]:
    theta = 2 * math.atan(math.exp(-t["eta"]))
    qoverp = t["charge"] / (t["pt"] * math.cosh(t["eta"]))
    errors = [t["d0_err"], t["z0_err"], PHI_ERROR, THETA_ERROR, QOVERP_ERROR]
    covariances = [errors[i] ** 2 if i == j else 0.0 for i in range(5) for j in range(i + 1)]
    of_vertex: list[Any] = ["NaN"] * 7
    if vertex is not None:
        significance = vertex["lxy"] / vertex["lxy_err"]
        values = (vertex["mass"], vertex["lxy"], vertex["deta"], vertex["dphi"], significance)
        of_vertex = [*map(_number, values), int(vertex["ntracks"]), _number(vertex["energy_fraction"])]
    five = (t["d0"], t["z0"], t["phi"], theta, qoverp)
    return [*map(_number, five), *map(_number, covariances), 1.0, *of_vertex]


def _number(value: float) -> Any:
    """Return a value with the digits of float32, or as a string if JSON has no such number."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return float(np.format_float_positional(np.float32(value), trim="0")) if abs(value) < 1e15 else float(value)
