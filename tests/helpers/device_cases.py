"""One training step of every network, objective and target on the virtual device: as a script, a line of JSON for each case.

It is a process of its own: a device must be registered before torch has differentiated anything.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import awkward as ak
import matrix
import numpy as np
import rank_cases
import torch
import toys
from virtual_device import VirtualDevice, to_virtual, virtual_device

from collidekit.dataset.batch import Batch
from collidekit.dataset.loader import Dataset
from collidekit.models.registry import NETWORKS
from collidekit.objectives import OBJECTIVES
from collidekit.objectives.target_weights import FACTOR
from collidekit.training.config import TrainingConfig
from collidekit.training.device import WeightedRows
from collidekit.training.ema import WeightAverage
from collidekit.training.loop import Training
from collidekit.training.optimizers import OPTIMIZERS, build_optimizer

EVENTS = """
inputs:
  jets:
    limit: 5
    momenta: ["px(jet_pt, jet_phi)", "py(jet_pt, jet_phi)", "pz(jet_pt, jet_eta)", "energy(jet_pt, jet_eta, 5)"]
    features: [jet_pt, jet_eta]
  leptons:
    limit: 2
    momenta: ["px(lep_pt, lep_phi)", "py(lep_pt, lep_phi)", "pz(lep_pt, lep_eta)", "energy(lep_pt, lep_eta, 0.1)"]
    features: [lep_pt, lep_eta]
event: [event]
targets:
"""
LEPTONS = '{weight: 0.1, leptons: ["leptons[0]"]}'
ENERGIES = {
    **{kind: f"estimate: {kind}" for kind in ("gaussian", "quantiles", "binned", "flow")},
    **{kind: f"loss: {kind}" for kind in ("huber", "mse", "mae")},
    "logarithm": "scale: log",
}
EVENTS += "\n".join(f"  {name}: {{values: {{e_{name}: nu_e}}, unit: GeV, {key}}}" for name, key in ENERGIES.items())
EVENTS += f"""
  relative: {{values: {{n_px: nu_x, n_py: nu_y, n_pz: nu_z}}, unit: GeV, loss: relative}}
  w_mass: {{values: {{w_px: nu_x, w_py: nu_y, w_pz: nu_z}}, unit: GeV, w_mass: {LEPTONS}}}
  tops:
    collection: jets
    parents: {{one: {{b: b1, q: q1, r: q2}}, two: {{b: b2}}}}
    symmetries: [[one.q, one.r]]
    partners: {{two: "leptons[0]"}}
    focal: 1
    exclusivity: 0.1
"""
PFN: dict[str, Any] = {"model_name": "pfn", "model_options": toys.SMALL}
EVENT_NETWORK: dict[str, Any] = {"model_name": "transformer_small", "model_options": matrix.SMALL["transformer_small"]}
JETS: dict[str, dict[str, Any]] = {
    **{f"network {name}": {"model_name": name, "model_options": matrix.SMALL[name]} for name in NETWORKS},
    "network particle_transformer": {
        "model_name": "particle_transformer",
        "model_options": {**matrix._PARTICLES, "dropout": 0.0},
    },
    "dropout": {"model_name": "particle_transformer", "model_options": matrix._PARTICLES},
    "network upart": {"model_name": "upart", "model_options": {**matrix._PARTICLES, "dropout": 0.0}},
    "network deepjet": {"model_name": "deepjet", "model_options": {"dense": [8, 8], "recurrent": {"constituents": 8}}},
    **{f"objective {name}": {**PFN, "objective": name} for name in OBJECTIVES},
    "objective focal": {**PFN, "loss_function": "FocalLoss", "label_smoothing": 0.1, "loss_weighting": True},
    "learned weights": {**EVENT_NETWORK, "target_weights": "learned"},
    **{f"optimizer {name}": {**PFN, "optimizer": name} for name in OPTIMIZERS},
}
COMMON: dict[str, Any] = {"batch_size": 64, "seed": 3, "ema_decay": 0.9, "gradient_clip": 1.0}


def event_table(rows: int) -> ak.Array:
    """Events with four to seven jets and none to two leptons."""
    random = np.random.default_rng(5)
    counts = {"jet": random.integers(4, 8, rows), "lep": random.integers(0, 3, rows)}
    lists = {}
    for name, number in counts.items():
        total = number.sum()
        found = {
            "pt": random.exponential(30, total) + 10,
            "eta": random.normal(0, 1, total),
            "phi": random.uniform(-3, 3, total),
        }
        lists |= {f"{name}_{key}": ak.unflatten(values, number) for key, values in found.items()}
    own = np.where(random.random((4, rows)) < 0.2, -1, random.random((4, rows)).argsort(axis=0))
    places = dict(zip(("b1", "b2", "q1", "q2"), own, strict=True))
    momentum = random.normal(0, 40, (3, rows))
    values = dict(zip(("nu_x", "nu_y", "nu_z"), momentum, strict=True))
    energy = np.where(random.random(rows) < 0.2, np.nan, np.linalg.norm(momentum, axis=0))
    return ak.zip({"event": np.arange(rows), **places, **values, "nu_e": energy, **lists}, depth_limit=1)


Columns = dict[str, Any]


def steps(
    dataset: Dataset, folder: Path, settings: dict[str, Any], mode: VirtualDevice | None
) -> tuple[list[float], Columns]:
    """The losses of two steps, and the columns of predictions after them.

    With a ``mode`` on its device, where what the second step waits for is counted.
    """
    training = Training(TrainingConfig(**{**COMMON, **settings}), dataset, folder, accelerator="cpu")
    training.model.train()
    training.objective.progress = 0.9
    training._set_learning_rate()
    rows = list(training.data.training)[:2]
    if mode is None:
        return [training._train_step(batch).read()[0] for batch in rows], _predicted(training, rows[0])
    with mode:
        _move(training, mode.device)
        one, two = (WeightedRows(batch.to(mode.device), training.data.weighting(batch)) for batch in rows)
        found = [training._train_step(one)]
        mode.waits.clear()
        found.append(training._train_step(two))
        assert training.average
        training.average.update(training.tagger, 1)
        waits = mode.waits.copy()
        predicted = _predicted(training, rows[0].to(mode.device))
        mode.waits = waits
        return [numbers.read()[0] for numbers in found], predicted


@torch.no_grad()
def _predicted(training: Training, rows: Batch) -> Columns:
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # parameters of the device have no data to replace
    try:
        columns = training.tagger.eval().predict(rows)
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(False)
    return {name: column.cpu().double().numpy() for name, column in columns.items()}


def _move(training: Training, device: torch.device) -> None:
    training.device, config = device, training.config
    to_virtual(training.tagger)
    parameters = [p for p in training.tagger.parameters() if p.requires_grad]
    training.optimizer = build_optimizer(
        config.optimizer, parameters, config.learning_rate, config.betas, config.eps, config.weight_decay
    )
    if training.learned_weights:
        to_virtual(training.learned_weights)
        group = {"params": list(training.learned_weights.parameters()), "weight_decay": 0.0, "factor": FACTOR}
        training.optimizer.add_param_group(group)
    training._set_learning_rate()
    training.average = WeightAverage(training.tagger, config.ema_decay)


def _distance(one: Any, other: Any) -> float:
    """The largest difference, relative to the size of the numbers."""
    return float(np.nanmax(np.abs(one - other)) / max(np.nanmax(np.abs(other)), 1e-9)) if len(one) else 0.0


def main() -> None:
    torch.set_num_threads(1)
    virtual_device()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        jets = toys.make_dataset(folder / "jets", rank_cases.ANALYSIS, rank_cases.table(300))
        events = toys.make_dataset(folder / "events", EVENTS, event_table(300))
        cases = {name: (jets, settings) for name, settings in JETS.items()}
        cases["targets of events"] = (events, EVENT_NETWORK)
        for number, (name, (dataset, settings)) in enumerate(cases.items()):
            if len(sys.argv) > 1 and sys.argv[1] not in name:
                continue
            mode = VirtualDevice()
            found: dict[str, Any] = {"case": name}
            try:
                expected, columns = steps(dataset, folder / f"{number}", settings, None)
                losses, on_device = steps(dataset, folder / f"{number} virtual", settings, mode)
                apart = {name: _distance(on_device[name], column) for name, column in columns.items()}
                found |= {"losses": [losses, expected], "predictions": apart, "waits": dict(mode.waits)}
            except Exception as error:
                if len(sys.argv) > 1:
                    raise
                found["failure"] = f"{type(error).__name__}: {str(error).splitlines()[0][:300]}"
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
