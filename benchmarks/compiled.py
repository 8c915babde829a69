"""Compare the CPU time per jet in training with and without torch.compile, alternately, after a warm-up.

    python benchmarks/compiled.py DATASET [--networks pfn,pair_transformer] [--options '{"phi": [128, 128, 128]}']

DATASET is the folder of a constructed dataset with a few thousand rows. A step is forward, loss, backward and AdamW. Each
line shows the best of several turns.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from collidekit import Dataset
from collidekit.dataset.batch import Batch
from collidekit.dataset.loader import Loader
from collidekit.dataset.statistics import statistics
from collidekit.models.registry import build_network
from collidekit.models.tagger import Tagger
from collidekit.objectives.classification import Classification
from collidekit.training.compiled import compile_dense
from collidekit.training.optimizers import build_optimizer

CPU = torch.device("cpu")


class Side:
    """One network in training."""

    def __init__(self, name: str, options: dict[str, Any], dataset: Dataset, rows: Batch, compiled: bool) -> None:
        torch.manual_seed(1)
        self.objective = Classification(torch.ones(len(dataset.analysis.classes)))
        network = build_network(name, dataset.analysis.inputs, len(dataset.analysis.classes), options)
        self.tagger = Tagger(dataset.analysis, network)
        self.tagger.scaling.fit(statistics(rows, dataset.analysis))
        self.optimizer = build_optimizer("AdamW", self.tagger.parameters(), 1e-3, (0.95, 0.999), 1e-6, 0.01)
        if compiled:
            compile_dense(self.tagger, CPU)

    def seconds(self, batches: Sequence[Batch]) -> float:
        """Return the CPU time of a step for each batch."""
        begin = time.process_time()
        for batch in batches:
            outputs = self.tagger(batch)
            loss = self.objective.loss(outputs, batch, batch.weights)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return time.process_time() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument(
        "--networks",
        default="pfn,efn,particlenet_lite,transformer_small,pair_transformer",
        type=lambda text: text.split(","),
    )
    parser.add_argument("--options", default={}, type=json.loads)
    parser.add_argument("--batch", default=512, type=int)
    parser.add_argument("--batches", default=6, type=int)
    parser.add_argument("--turns", default=3, type=int)
    parser.add_argument("--threads", default=1, type=int)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    dataset = Dataset(given.dataset)
    rows = next(iter(Loader(dataset, given.batch * given.batches, threads=0)))
    batches = [rows.take(index) for index in torch.randperm(len(rows)).split(given.batch)]
    for name in given.networks:
        plain, compiled = (Side(name, given.options, dataset, rows, compiled) for compiled in (False, True))
        for side in (plain, compiled):
            side.seconds(batches[:2])
        turns = [(plain.seconds(batches), compiled.seconds(batches)) for _ in range(given.turns)]
        one, two = (1e6 * min(times) / len(rows) for times in zip(*turns, strict=True))
        print(f"{name}: {one:.0f} us a row, compiled {two:.0f} us, {one / two:.2f} times as fast")


if __name__ == "__main__":
    main()
