"""Run epochs of weaver's loader, built as in its train.py, and print one JSON line; started by loader.py in weaver's environment.

python weaver_loader.py CONFIG FILES_GLOB WORKERS EPOCHS
"""

import glob
import json
import sys
import time

from torch.utils.data import DataLoader
from weaver.utils.dataset import SimpleIterDataset

BATCH = 512


def main() -> None:
    config, pattern, workers, epochs = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    begin = time.perf_counter()
    data = SimpleIterDataset(
        {"_": sorted(glob.glob(pattern))},
        config,
        batch_size=BATCH,
        for_training=True,
        load_range_and_fraction=((0, 1), 1, 1),
        fetch_step=float(sys.argv[5]),
        name="train",
    )
    loader = DataLoader(
        data, batch_size=BATCH, drop_last=True, pin_memory=False, num_workers=workers, persistent_workers=workers > 0
    )
    seconds, rows = [], 0
    for _ in range(epochs):
        begin_epoch, rows = time.perf_counter(), 0
        for inputs, _labels, _observers in loader:
            rows += len(next(iter(inputs.values())))
        seconds.append(time.perf_counter() - begin_epoch)
    first = time.perf_counter() - begin - sum(seconds[1:])
    print(json.dumps({"rows": rows, "seconds": seconds, "first": first}))


if __name__ == "__main__":
    main()
