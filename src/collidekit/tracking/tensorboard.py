"""Scalars for TensorBoard, in the folder of the training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from collidekit.extras import need
from collidekit.tracking.base import Tracker, Tracking


class TensorBoard(Tracker):
    """Tracker that writes all epochs again when an interrupted training continues, so that each epoch is there once."""

    in_background = False
    _writer: Any = None

    @classmethod
    def check(cls, tracking: Tracking) -> None:
        need("torch.utils.tensorboard", "tensorboard")

    def begin(self, settings: Mapping[str, Any], analysis: str, folder: Path) -> None:
        board = folder / "tensorboard"
        for leftover in board.glob("events.out.tfevents.*"):
            leftover.unlink()
        self._writer = need("torch.utils.tensorboard", "tensorboard").SummaryWriter(str(board))

    def epoch(self, row: Mapping[str, float]) -> None:
        """Record the numbers of an epoch, against its last step."""
        for name, value in row.items():
            if name not in ("epoch", "steps"):
                self._writer.add_scalar(name, value, int(row["steps"]))
        self._writer.flush()

    def end(self, kept_epoch: int, files: Sequence[Path]) -> None:
        self.stop()

    def stop(self) -> None:
        self._writer.close()
