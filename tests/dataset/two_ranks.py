"""Run by test_scale.py: two processes that train a linear model together, each on its share of every batch.

python two_ranks.py DATASET FOLDER RANK RANKS
"""

import sys
from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed

from collidekit.dataset.loader import Dataset, Loader
from collidekit.dataset.parts import Split

if __name__ == "__main__":
    dataset, folder, rank, ranks = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    torch.set_num_threads(1)
    meeting = f"file://{folder}/meeting_{ranks}"
    distributed.init_process_group("gloo", meeting, timedelta(seconds=60), world_size=ranks, rank=rank)
    weights = torch.zeros(2, dtype=torch.float64)
    for epoch in range(2):
        loader = Loader(Dataset(dataset), 64, Split(0.7), shuffle=True, seed=4, rank=rank, ranks=ranks)
        loader.set_epoch(epoch)
        for batch in loader:
            x = batch.inputs["jet"].double() / 5000
            gradient = x.T @ (x @ weights - batch.labels)
            rows = torch.tensor([len(batch)], dtype=torch.float64)
            distributed.all_reduce(gradient)  # would wait for ever for a rank with fewer steps
            distributed.all_reduce(rows)
            weights -= 0.1 * gradient / rows
    print(weights.tolist())
