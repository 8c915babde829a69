"""Check whether two checkouts give the same loss curves and predictions of every objective, bit for bit.

    python benchmarks/same_numbers.py OLD_CHECKOUT NEW_CHECKOUT [--only NAME ...]

Each case is one ``collidekit run`` on a small generated sample, with one thread and a fixed seed, with the code of each checkout.
Columns of times are ignored. The exit code is 1 if a number differs.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import awkward as ak
import numpy as np
import pandas as pd
import pyarrow.parquet as pq

ANALYSIS = """
classes: {background: label == 0, other: label == 2, signal: label == 1}
inputs:
  constituents:
    limit: 16
    order: part_pt
    momenta: ["px(part_pt, part_phi)", "py(part_pt, part_phi)", "pz(part_pt, part_eta)", "energy(part_pt, part_eta, 0)"]
    coordinates: [part_eta, part_phi]
    features:
      - {name: part_logpt, expression: log(part_pt)}
      - {name: part_eta, bounds: [-1, 1]}
      - {name: part_phi, default: 0, scaling: robust}
  jet: {features: [jet_pt, {name: jet_flag, kind: flag, expression: jet_pt > 60}]}
weight: weight
spectators: [mass]
event: [event]
kinematics: {jet_pt: [0, 40, 60, 80, 200], reference: signal}
discriminators: {SvsB: {signal: signal, background: [background, other]}}
figure_of_merit: {variable: mass, window: [80, 120], signal: signal, yields: {signal: 50, background: 500, other: 200}}
"""
TARGETS = """
targets:
  origin: {collection: constituents, classes: {hard: part_vertex == 0, soft: part_vertex > 0}, weight: 0.5}
  vertex: {collection: constituents, same: part_vertex}
"""
MOST = ["epochs=3", "batch_size=64", "learning_rate=0.005", "seed=7", "n_threads=1"]
PFN = ["model_name=pfn", 'model_options={"phi": [16, 16], "f": [16]}']
CASES: dict[str, list[str]] = {
    "classification": PFN,
    "focal": [*PFN, "loss_function=FocalLoss", "label_smoothing=0.1", "ema_decay=0.9", "lr_scheduler=cosine"],
    "relegator": [*PFN, "objective=relegator"],
    "relegator_factor": [*PFN, "objective=relegator_factor"],
    "relegator_difference": [*PFN, "objective=relegator_difference"],
    "modified_binary": [*PFN, "objective=modified_binary"],
    "disco": [*PFN, "objective=disco", "disco_weight=1.0"],
    "targets": ["model_name=transformer_small"],
    "adversarial": [*PFN, "attack=pgd", "attack_magnitude=0.05", "adversarial=mix"],
    "trades": [*PFN, "attack=fgsm", "attack_magnitude=0.05", "adversarial=trades"],
    "augmented": [*PFN, "augmentation=rotation,drop=0.1"],
    "lorentznet": ["model_name=lorentznet_small"],
    "particlenet": ["model_name=particlenet_lite"],
}
TIMES = ("seconds", "cpu_seconds", "rows_per_second")


def make_sample(path: Path, rows: int, seed: int, constituents: int = 5) -> None:
    """Write a sample in which signal has more constituents, higher pT and a peak in the mass."""
    random = np.random.default_rng(seed)
    label = random.integers(0, 3, rows)
    counts = random.poisson(constituents + 2 * label)
    part = np.repeat(label, counts)
    lists = {
        "part_pt": random.exponential(5 + 2 * part),
        "part_eta": random.normal(0, 0.3, len(part)),
        "part_phi": np.where(random.random(len(part)) < 0.1, np.nan, random.normal(0, 0.3, len(part))),
        "part_vertex": random.integers(-1, 3, len(part)),
    }
    columns = {
        "label": label,
        "jet_pt": random.gamma(6 + label, 8),
        "mass": np.where(label == 1, random.normal(100, 8, rows), random.uniform(50, 150, rows)),
        "weight": random.uniform(0.5, 1.5, rows),
        "event": np.arange(rows) + seed * 1_000_000,
        **{name: ak.unflatten(values, counts) for name, values in lists.items()},
    }
    pq.write_table(ak.to_arrow_table(ak.zip(columns, depth_limit=1), extensionarray=False), path)


def run(checkout: Path, sample: Path, folder: Path, name: str) -> dict[str, pd.DataFrame]:
    """Return the loss curve and the predictions of a case."""
    folder = folder / name
    folder.mkdir(parents=True)
    (folder / "case.yaml").write_text(ANALYSIS + (TARGETS if name == "targets" else ""))
    words = [f"--set={setting}" for setting in (*MOST, *CASES[name])]
    files = ["--files", str(sample / "train.parquet"), "--test-files", str(sample / "test.parquet")]
    made = subprocess.run(
        [sys.executable, "-m", "collidekit", "run", "case.yaml", *files, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise SystemExit(f"{checkout}: {name}: {made.stdout[-2000:]}{made.stderr[-2000:]}")
    history = pd.read_csv(next((folder / "results" / "TrainingTask").rglob("history.csv")))
    predictions = next((folder / "results" / "InferenceTask").rglob("predictions.parquet"))
    return {"history": history.drop(columns=list(TIMES)), "predictions": pd.read_parquet(predictions)}


def differences(old: pd.DataFrame, new: pd.DataFrame) -> list[str]:
    """Return the columns that differ, with their largest difference; types of columns may differ."""
    found = [f"{name}: only in one" for name in sorted(map(str, set(old) ^ set(new)))]
    for name in [column for column in old if column in new]:
        a, b = old[name].to_numpy(np.float64), new[name].to_numpy(np.float64)
        if not np.array_equal(a, b, equal_nan=True):
            found.append(f"{name}: {np.nanmax(np.abs(a - b)):.3g}" if len(a) == len(b) else f"{name}: other rows")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--only", nargs="*", default=list(CASES), choices=list(CASES))
    words = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        make_sample(place / "train.parquet", 1500, 1)
        make_sample(place / "test.parquet", 700, 2)
        for name in words.only:
            old, new = (
                run(checkout.resolve(), place, place / which, name)
                for which, checkout in (("a", words.old), ("b", words.new))
            )
            found = [f"{part} {text}" for part in old for text in differences(old[part], new[part])]
            wrong += bool(found)
            print(f"{name:22} {'; '.join(found) or 'the same'}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
