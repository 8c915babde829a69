"""A prediction that waits at one place, run by test_interruption.py in its own process and killed there.

python slow_predict.py STAGE CHECKPOINT OUTPUT FILES...
"""

import sys
import time
from pathlib import Path
from typing import Any

import torch

from collidekit.inference import file_rows, predictions
from collidekit.inference.predict_to_file import predict_to_file


def wait(*args: Any, **options: Any) -> None:
    print("reached", flush=True)
    time.sleep(60)


def half_written(table: Any, path: Path, **options: Any) -> None:
    path.write_bytes(b"PAR1 and then nothing")
    wait()


if __name__ == "__main__":
    stage, checkpoint, output, *files = sys.argv[1:]
    torch.set_num_threads(1)
    if stage == "predicting":
        file_rows.build_rows = wait
    elif stage == "writing":
        predictions.pq.write_table = half_written
    predict_to_file(Path(checkpoint), files, Path(output))
