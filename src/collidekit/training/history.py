"""History of a training: a row for each epoch, and the loss of each step; as CSV and in checkpoints."""

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collidekit.errors import CollidekitError
from collidekit.files import replacing
from collidekit.sealed import as_written

COLUMNS = (  # columns of the objective and of targets follow
    "epoch",
    "train_loss",
    "val_loss",
    "learning_rate",
    "rows",
    "seconds",
    "cpu_seconds",
    "rows_per_second",
    "steps",
)


@dataclass
class History:
    """Epochs and losses of all steps so far."""

    epochs: list[dict[str, float]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    def state(self) -> dict[str, Any]:
        """Return the state for a checkpoint, with losses in double precision, so that they are restored bit for bit."""
        import torch  # not needed by readers such as `collidekit runs`

        return {"epochs": self.epochs, "losses": torch.tensor(self.losses, dtype=torch.float64)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "History":
        return cls([dict(row) for row in state["epochs"]], state["losses"].tolist())

    def write(self, folder: Path) -> None:
        """Write ``history.csv`` (a row for each epoch) and ``steps.csv`` (a row for each step) completely."""
        with replacing(folder / "history.csv") as path, path.open("w", newline="", encoding="utf-8") as file:
            columns = dict.fromkeys(name for row in self.epochs or [dict.fromkeys(COLUMNS, 0.0)] for name in row)
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(self.epochs)
        with replacing(folder / "steps.csv") as path, path.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["step", "loss"])
            rows.writerows((step, repr(loss)) for step, loss in enumerate(self.losses))


def read_history(path: Path) -> list[dict[str, float]]:
    """Return the numbers of each epoch in a ``history.csv``, without empty cells; an empty list if there is no file.

    Raises CollidekitError for a damaged file.
    """
    try:
        with as_written(path), path.open(newline="", encoding="utf-8") as file:
            return [{name: float(value) for name, value in row.items() if value != ""} for row in csv.DictReader(file)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CollidekitError(f"{path}: cannot be read ({error.strerror or error})") from None
