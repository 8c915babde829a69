"""Measure the time of a step of adversarial training, relative to a nominal step, for each attack and training mode.

    python benchmarks/adversarial.py samples/top_tagging/train.root --analysis top_tagging --networks pfn,particlenet_lite

In each round, every setting trains for some seconds on the same batches, one after another in one process. The printed ratio is the
median over the rounds of the time of a step, divided by the time of a nominal step of the same round.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from collidekit.dataset.construct import construct
from collidekit.dataset.loader import Dataset
from collidekit.shipped import load_plan
from collidekit.training.choice import training_config
from collidekit.training.loop import Training

SETTINGS: dict[str, dict[str, Any]] = {
    "nominal": {},
    "noise": {"attack": "noise"},
    "fgsm, replace": {"attack": "fgsm"},
    "fgsm, mix": {"attack": "fgsm", "adversarial": "mix"},
    "fgsm, trades": {"attack": "fgsm", "adversarial": "trades"},
    "fgsm on momenta": {"attack": "fgsm", "attack_space": "momenta"},
    "pgd, 5 steps": {"attack": "pgd", "attack_iterations": 5, "attack_starts": 1},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--analysis", default="top_tagging_reference")
    parser.add_argument("--networks", default="pfn")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as folder:
        plan = load_plan(given.analysis)
        dataset = Dataset(construct(plan, [given.file], Path(folder) / "dataset", progress=False).folder)
        print("| network | step | ms of processor a step | against nominal |\n|---|---|---|---|")
        for network in given.networks.split(","):
            show(network, measure(network, plan, dataset, Path(folder), given))


def measure(network, plan, dataset, folder, given) -> dict[str, list[float]]:  # type: ignore[no-untyped-def]
    """Return the seconds of a step of each setting in each round."""
    trainings = {}
    for name, settings in SETTINGS.items():
        wanted: dict[str, Any] = {
            "model_name": network,
            "batch_size": given.batch_size,
            "attack_magnitude": 0.05,
            **settings,
        }
        config = training_config(plan, wanted)
        trainings[name] = Training(config, dataset, folder / f"{network} {name}", accelerator="cpu")
    seconds: dict[str, list[float]] = {name: [] for name in SETTINGS}
    for number in range(given.rounds + 1):
        for name, training in trainings.items():
            training.model.train()
            batches = iter(training.data.training)
            held = [next(batches) for _ in range(given.steps)]
            begun = time.process_time()
            for batch in held:
                training._train_step(batch)
            if number:  # the first round warms up
                seconds[name].append((time.process_time() - begun) / given.steps)
    return seconds


def show(network: str, seconds: dict[str, list[float]]) -> None:
    for name, found in seconds.items():
        ratios = [mine / nominal for mine, nominal in zip(found, seconds["nominal"], strict=True)]
        low, high = min(ratios), max(ratios)
        print(
            f"| {network} | {name} | {1e3 * statistics.median(found):.1f} | {statistics.median(ratios):.2f} "
            f"({low:.2f} to {high:.2f}) |"
        )


if __name__ == "__main__":
    main()
