"""Compare relegation on the moons sample with a tuned threshold and with the best possible significance, for several random seeds.

    python benchmarks/relegation.py FOLDER --seeds 20 --fractions 0.001,0.01,0.1
    python benchmarks/relegation.py FOLDER --seeds 5 --noises 0.1,0.2,0.5,1 --events 5000,20000,50000

Each seed has its own training set, and determines initial weights, order and split. All use the same test set of
500,000 events. Existing results in FOLDER are reused.
"""

import argparse
import itertools
import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

AXES = ("noise", "fraction", "events")
TEST_EVENTS, TEST_SEED = 500_000, 987_654


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--fractions", default="0.01")
    parser.add_argument("--noises", default="0.2")
    parser.add_argument("--events", default="20000")
    parser.add_argument("--variants", default="relegator")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    settings = list(itertools.product(
        [float(value) for value in given.noises.split(",")], [float(value) for value in given.fractions.split(",")],
        [int(value) for value in given.events.split(",")],
    ))  # fmt: skip
    for noise in {noise for noise, _, _ in settings}:
        construct(given.folder, noise)
    jobs = [
        (given.folder, *setting, seed, given.variants.split(","))
        for setting in settings
        for seed in range(1, given.seeds + 1)
    ]
    with ProcessPoolExecutor(given.workers, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(one, jobs))
    rows = [row for rows in found for row in rows]
    show(settings, rows)
    draw(given.folder, rows)


def construct(folder: Path, noise: float) -> None:
    """Create the test dataset before several processes need it."""
    import os

    from collidekit.tasks.base import run_with_requirements
    from collidekit.tasks.dataset import DatasetConstructorTask

    test = simulated(folder, noise, TEST_EVENTS, TEST_SEED)
    os.environ["COLLIDEKIT_OUTPUT"] = str(folder / "results")
    run_with_requirements(DatasetConstructorTask(config="moons", filelist=(str(test),)))


def simulated(folder: Path, noise: float, events: int, seed: int) -> Path:
    """Return the sample with these settings; simulate it if it does not exist."""
    from collidekit.simulation import simulate

    path = folder / f"moons_{noise:g}_{events}_{seed}.root"
    if not path.exists():
        simulate("moons", path, events, seed, settings={"noise": noise})
    return path


def one(job: tuple[Path, float, float, int, int, list[str]]) -> list[dict[str, Any]]:
    """Return the significance of each variant, trained with one seed."""
    folder, noise, fraction, events, seed, variants = job
    import contextlib
    import os
    import shutil

    import torch

    from collidekit.evaluation.significance.evaluate import SignificanceEvaluator
    from collidekit.shipped import find_analysis
    from collidekit.simulation.moons import best_of_file
    from collidekit.tasks.base import run_with_requirements
    from collidekit.tasks.inference import InferenceTask

    torch.set_num_threads(1)
    results = folder / f"{noise:g}_{fraction:g}_{events}"
    results.mkdir(exist_ok=True)
    kept = results / f"{seed}_{'_'.join(variants)}.json"
    if kept.exists():
        return list(json.loads(kept.read_text()))
    os.environ["COLLIDEKIT_OUTPUT"] = str(folder / "results")
    analysis = results / "moons.yaml"
    analysis.write_text(
        find_analysis("moons").read_text().replace("signal_fraction: 0.01", f"signal_fraction: {fraction:g}")
    )
    train, test = simulated(folder, noise, events, seed), simulated(folder, noise, TEST_EVENTS, TEST_SEED)

    def judged(objective: str, files: Path) -> SignificanceEvaluator:
        task = InferenceTask(config=str(analysis), filelist=(str(train),), test_filelist=(str(files),), seed=seed,
                             objective=objective, n_threads=1)  # fmt: skip
        with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing):
            run_with_requirements(task)
        merit = task.analysis.figure_of_merit
        assert merit is not None
        judge = SignificanceEvaluator(task.predictions(), merit)
        shutil.rmtree(task.folder)  # half a million rows each
        return judge

    plain = judged("classification", test)
    threshold = judged("classification", train).best_threshold()
    best = best_of_file(str(test), plain.merit)
    choices = {
        "no choice": (plain, plain.everything()),
        "most probable class": (plain, plain.called()),
        "tuned threshold": (plain, plain.score() >= threshold),
    }
    for name in variants:
        judge = judged(name, test)
        choices[name] = (judge, judge.called())
    rows = []
    for name, (judge, chosen) in choices.items():
        found = judge.measure(chosen)
        rows.append({
            "noise": noise, "fraction": fraction, "events": events, "seed": seed, "variant": name, "best": best,
            "value": found.value, "error": found.error, "signal": found.signal, "background": found.background,
            "relegated": float(judge.yields[judge.relegated()].sum() / judge.yields.sum()),
        })  # fmt: skip
    kept.write_text(json.dumps(rows))
    return rows


def show(settings: list[tuple[float, float, int]], rows: list[dict[str, Any]]) -> None:
    """Print a line for each setting and variant: fraction of the best possible, spread, worst seed, and the worst relative to the threshold."""
    import numpy as np

    print(
        "| noise | fraction | events | choice | mean | spread | of the best | worst seed | worst against threshold | best |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for noise, fraction, events in settings:
        here = [row for row in rows if (row["noise"], row["fraction"], row["events"]) == (noise, fraction, events)]
        threshold = {row["seed"]: row for row in here if row["variant"] == "tuned threshold"}
        for variant in dict.fromkeys(row["variant"] for row in here):
            mine = [row for row in here if row["variant"] == variant]
            values, best = np.array([row["value"] for row in mine]), mine[0]["best"]
            pulls = [
                (row["value"] - threshold[row["seed"]]["value"])
                / np.hypot(row["error"], threshold[row["seed"]]["error"])
                for row in mine
            ]
            spread = values.std(ddof=1) if len(values) > 1 else 0.0
            print(
                f"| {noise:g} | {fraction:g} | {events:,} | {variant} | {values.mean():.4g} | {spread / values.mean():.1%} | "
                f"{values.mean() / best:.1%} | {values.min() / best:.1%} | {min(pulls):+.1f} errors | {best:.4g} |"
            )


def draw(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Plot a scan of each setting with several values: mean and spread over seeds, and the best possible."""
    import numpy as np

    from collidekit.evaluation.plots import plot_scan

    for name, label in (("noise", "noise"), ("fraction", "signal fraction"), ("events", "simulated events")):
        values = sorted({row[name] for row in rows})
        if len(values) < 2 or len({tuple(row[other] for other in AXES if other != name) for row in rows}) > 1:
            continue
        curves = []
        for variant in dict.fromkeys(row["variant"] for row in rows):
            of = [np.array([r["value"] for r in rows if (r["variant"], r[name]) == (variant, x)]) for x in values]
            spread = [v.std(ddof=1) if len(v) > 1 else 0.0 for v in of]
            curves.append((variant, np.array([v.mean() for v in of]), np.array(spread)))
        best = np.array([next(row["best"] for row in rows if row[name] == x) for x in values])
        for path in plot_scan(folder / f"scan_{name}", np.array(values, dtype=float), label, curves, best):
            print(path)


if __name__ == "__main__":
    main()
