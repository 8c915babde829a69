"""Small taggers of any network and head, and rows of events, for graphs of any layout."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.schema import Analysis
from collidekit.export.cases import Array, Row, batch_of
from collidekit.models.registry import build_network
from collidekit.models.tagger import Tagger, outputs_of
from collidekit.objectives import head_of

JETS, LEPTONS = 5, 3
"""The limits."""
ANALYSIS = f"""
inputs:
  jets:
    limit: {JETS}
    momenta: [px, py, pz, e]
    coordinates: [eta, phi]
    features: [px, py, pz, {{name: loge, expression: log(1 + e)}}, {{name: logm, default: -3}}, btag]
  leptons:
    limit: {LEPTONS}
    momenta: [lpx, lpy, lpz, le]
    coordinates: [leta, lphi]
    features: [lpx, lpy, lpz, {{name: lloge, expression: log(1 + le)}}, charge, flavour]
  met: {{features: [metx, mety, sumet]}}
  misc: {{features: [ne, nmu, nj]}}
event: [event]
"""
CLASSES = """
classes: {a: label == 0, b: label == 1, c: label == 2}
discriminators: {BvsA: {signal: b, background: [a, c]}}
"""
NEUTRINOS = ("nu_px", "nu_py", "nu_pz", "nubar_px", "nubar_py", "nubar_pz")
ASSIGNMENT = """
  tops:
    collection: jets
    parents: {top: {b: i}, antitop: {b: j}}
    partners: {top: "leptons[0]", antitop: "leptons[1]"}
"""
ORIGIN = "\n  origin: {collection: jets, classes: {light: k == 0, charm: k == 1, beauty: k == 2}}"
VERTEX = "\n  vertex: {collection: jets, same: v}"


def regression(estimate: str, scale: str = "", draws: int = 40) -> str:
    """A target of six values and one of a single value."""
    keys = f"unit: GeV, estimate: {estimate}" + (f", scale: {scale}" if scale else "")
    keys += f", draws: {draws}" if estimate == "flow" else ""
    values = ", ".join(f"{name}: {name}" for name in NEUTRINOS)
    return f"\n  neutrinos: {{values: {{{values}}}, {keys}}}\n  pair: {{values: {{mass: mass}}, {keys}}}"


SCALES = ("standard", "log", "robust", "none")
OBJECTIVES = ("classification", "relegator", "relegator_factor", "relegator_difference", "modified_binary", "disco")
REGRESSIONS = {
    f"{estimate} {scale}".strip(): regression(estimate, scale)
    for estimate in ("value", "gaussian", "quantiles", "flow")
    for scale in (SCALES if estimate != "flow" else ("standard", "log"))
} | {"binned": regression("binned")}
TARGETS = {
    **dict.fromkeys(OBJECTIVES, ""),
    **REGRESSIONS,
    "assignment": ASSIGNMENT,
    "origin": ORIGIN,
    "vertex": VERTEX,
    "no classes": regression("value"),
    "all": regression("gaussian", "log") + ASSIGNMENT + ORIGIN + VERTEX,
}
"""The targets beside the classes, by the name of a head or objective."""
_ATTENTION = {"width": 16, "layers": 1, "heads": 2, "feed_forward": 16}
_SET = {**_ATTENTION, "latent": 16, "head": [8], "registers": 1}
_PARTICLES = {"embedding": [16], "pair_embedding": [8], "heads": 2, "layers": 1, "class_layers": 1, "expansion": 1}
_EDGES = {"k": 3, "widths": [8], "layers": 2, "dense": [8], "embedding": 8}
SMALL: dict[str, dict[str, Any]] = {
    "mlp": {"hidden": [8], "leading": 2},
    "pfn": {"phi": [8, 8], "f": [8]},
    "efn": {"phi": [8, 8], "f": [8]},
    "pcnn": {"stem": 8, "units": [8, 8, 8], "dense": [8]},
    "deepjet": {"dense": [8, 8], "recurrent": {"jets": 8}},
    "deepjet_hlt": {"dense": [8, 8]},
    "deepjet_transformer": {"width": 16, "layers": 1, "heads": 2, "expansion": 1, "flat": True},
    "particle_transformer": _PARTICLES,
    "upart": _PARTICLES,
    "particle_transformer_small": _PARTICLES,
    "particlenet": _EDGES,
    "particlenet_lite": _EDGES,
    "lorentznet": {"width": 8, "layers": 1},
    "lorentznet_small": {"width": 8, "layers": 1, "first": 3},
    "pair_transformer": {**_ATTENTION, "pair_width": 8, "head": [8]},
    "transformer": _SET,
    "transformer_small": _SET,
    "cross_attention": _SET,
}


@lru_cache(maxsize=1)
def _events(number: int = 40) -> dict[str, Array]:
    """Numbers that are as large as those of events, by name."""
    generator = np.random.default_rng(7)
    found = {}
    for name, mass in (("jets", 8.0), ("leptons", 0.1)):
        momentum = generator.normal(size=(number, JETS + 5, 3)) * [40, 40, 80] + 1
        energy = np.sqrt((momentum**2).sum(axis=2) + mass**2)
        other = generator.integers(0, 2, size=(number, JETS + 5, 2)) - 0.3
        pt, phi = np.hypot(momentum[..., 0], momentum[..., 1]), np.arctan2(momentum[..., 1], momentum[..., 0])
        angles = np.stack([np.arcsinh(momentum[..., 2] / pt), phi], axis=2)
        columns = [momentum, np.log(1 + energy)[..., None], other, momentum, energy[..., None], angles]
        found[name] = np.concatenate(columns, axis=2).astype(np.float32)
    found["met"] = (generator.normal(size=(number, 3)) * 50).astype(np.float32)
    found["misc"] = generator.integers(0, 4, size=(number, 3)).astype(np.float32)
    return found


def make_rows(analysis: Analysis) -> list[Row]:
    """Rows with 0, 1, 2, some, the limit and five more constituents, with jets or leptons alone, and with missing values."""
    events = _events()
    lengths = [(0, 0), (1, 1), (2, 2), (4, 1), (JETS, LEPTONS), (JETS + 5, LEPTONS + 5), (0, 2), (3, 0), (2, 3), (5, 2)]
    rows = []
    for number, (jets, leptons) in enumerate(lengths):
        values = {"jets": events["jets"][number, :jets], "leptons": events["leptons"][number, :leptons]}
        values |= {name: events[name][number].copy() for name in ("met", "misc")}
        for name, entry in analysis.collections.items():
            values[name] = values[name][:, : entry.width].copy()
        rows.append(Row(f"{jets} jets, {leptons} leptons", values, {"event": 100 + number}))
    rows[-1].values["jets"][0, 4], rows[-1].values["jets"][-1, 5] = np.nan, np.inf
    rows[-2].values["leptons"][0, 4] = np.nan
    rows[-2].values["met"][:] = -np.inf, np.nan, 1
    return rows


def make_analysis(head: str, coordinates: bool = True) -> Analysis:
    text = ANALYSIS + ("" if head == "no classes" else CLASSES)
    if TARGETS[head]:
        text += f"targets:{TARGETS[head]}\n"
    if not coordinates:
        text = "\n".join(line for line in text.splitlines() if "coordinates" not in line) + "\n"
    return parse_analysis(text, "matrix.yaml")[0]


def make_tagger(network: str, head: str, coordinates: bool = True) -> tuple[Tagger, Analysis]:
    """A tagger with random weights, scaled to the rows, whose answers differ from row to row."""
    analysis = make_analysis(head, coordinates)
    torch.manual_seed(5)
    built_head = head_of(head if head in OBJECTIVES else "classification", analysis)
    built = build_network(network, analysis.inputs, outputs_of(analysis, built_head), SMALL[network])
    tagger = Tagger(analysis, built, built_head)
    generator = np.random.default_rng(3)
    for name, entry in analysis.inputs.items():
        number = len(entry.features)
        values = torch.from_numpy(_events()[name][..., :number].reshape(-1, number))
        tagger.scaling.get_buffer(f"{name}_shift")[:number] = values.mean(dim=0)
        tagger.scaling.get_buffer(f"{name}_factor")[:number] = 1 / values.std(dim=0)
    for target in tagger.regressions.values():
        truth = generator.normal(3, 0.5, size=(500, len(target.target.values)))
        target.fit(np.exp(truth) if target.target.scale == "log" else 30 * truth)
    with torch.no_grad():
        for module in tagger.modules():
            if isinstance(module, torch.nn.BatchNorm1d):
                module.running_mean.normal_(0.1, 0.3)  # type: ignore[union-attr, operator]
                module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr, operator]
        for parameter in tagger.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return tagger.eval(), analysis


@torch.no_grad()
def constituents_wanted(tagger: Tagger, analysis: Analysis, rows: Sequence[Row]) -> dict[str, list[Array]]:
    """The columns of constituents by the ragged form: of each row as many numbers as it has constituents below the limit."""
    from collidekit.models.packing import pairs

    batch = batch_of(rows, analysis)
    jets: Any = batch.inputs["jets"]
    raw = tagger(evolve_filled(tagger, batch), with_targets=True)[1]
    found: dict[str, list[Array]] = {}
    split = jets.counts.tolist()
    if "origin" in raw:
        chances = raw["origin"].softmax(dim=1)
        kinds = analysis.member_targets["origin"].classes  # type: ignore[union-attr]
        for k, kind in enumerate(kinds):
            found[f"origin_{kind}"] = [part.numpy() for part in chances[:, k].split(split)]
        found["origin"] = [part.numpy() for part in chances.argmax(dim=1).split(split)]
    if "vertex" in raw:
        i, j = pairs(jets.offsets)
        joined = [(a, b) for a, b, x in zip(i.tolist(), j.tolist(), raw["vertex"].tolist(), strict=True) if x > 0]
        found["vertex"] = [_groups(range(*ends), joined) for ends in zip(jets.offsets, jets.offsets[1:], strict=False)]
    return found


def evolve_filled(tagger: Tagger, batch: Any) -> Any:
    """The batch with defaults in the place of what is missing, as a construction makes it."""
    from attrs import evolve

    return evolve(batch, inputs=tagger.filling(batch.inputs))


def _groups(members: range, joined: Sequence[tuple[int, int]]) -> Array:
    """The number of the group of each member, where some are joined; groups count from 0 in the order of their first members."""
    group = {member: member for member in members}
    for _ in members:
        for a, b in joined:
            if a in group:
                group[a] = group[b] = min(group[a], group[b])
    order = sorted(set(group.values()))
    return np.array([order.index(group[member]) for member in members], dtype=np.int64)
