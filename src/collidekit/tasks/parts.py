"""Parts of a construction or prediction, each a separate task that can run in its own process or job."""

import re
from functools import cached_property
from typing import Any

import law
import luigi
import numpy as np
import torch

from collidekit.dataset.construct import construct_share
from collidekit.errors import CollidekitError
from collidekit.files import replacing
from collidekit.inference.row_ranges import rows_of_share
from collidekit.inference.seen import SeenRows, content_of_inputs
from collidekit.plain_text import literal
from collidekit.tasks.base import AnalysisTask
from collidekit.tasks.dataset import DatasetConstructorTask
from collidekit.tasks.inference import InferenceTask


class PartOfTask(AnalysisTask):
    """Parameters of tasks that make one part."""

    part = luigi.Parameter(default="1/2", description="number of the part and of all parts: 1/4 to 4/4")
    exclude_index = True
    side_by_side = True
    stored = None
    """None, because only the task that joins the parts needs them: they are not kept in a store."""

    @cached_property
    def share(self) -> tuple[int, int]:
        """Number of the part, from 0, and number of all parts."""
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", str(self.part))
        if not match or not 1 <= int(match[1]) <= int(match[2]):
            raise CollidekitError(f"--part {self.part!r}: write the number of the part and of all parts, such as 1/4")
        return int(match[1]) - 1, int(match[2])

    def look_first(self) -> None:
        """Do nothing, because the task that needs the parts has checked everything."""


class ConstructionPartTask(PartOfTask, DatasetConstructorTask):
    """Make one part of a dataset; DatasetConstructorTask with ``--jobs`` joins and removes the parts."""

    exclude_index = False

    def requires(self) -> dict[str, AnalysisTask]:
        return {}

    def identity(self) -> dict[str, Any]:
        return {"dataset": DatasetConstructorTask.req(self).hash, "part": self.share}

    def output(self) -> dict[str, law.LocalFileTarget]:
        return {"run": self.target("run.json")}

    def make(self) -> None:
        self.say(f"[bold]Constructing[/bold] part {self.part} of {literal(self.analysis.name)}")
        construct_share(
            self.plan,
            self.files(),
            self.folder,
            *self.share,
            chunk_size=self.chunk_size,
            workers=self.coffea_worker,
            debug=self.debug,
            skip_bad_files=self.skip_bad_files,
        )
        self.write_provenance()


class PredictionPartTask(PartOfTask, InferenceTask):
    """Predict one part of the rows; InferenceTask with ``--jobs`` joins and removes the parts."""

    exclude_index = False

    def requires(self) -> dict[str, AnalysisTask]:
        return self.requires_for_rows()

    def identity(self) -> dict[str, Any]:
        return {"inference": InferenceTask.req(self).hash, "part": self.share}

    def output(self) -> dict[str, law.LocalFileTarget]:
        return {"known": self.target("known.npy"), "run": self.target("run.json")}

    def make(self) -> None:
        torch.set_num_threads(max(1, min(self.n_threads, torch.get_num_threads())))
        members = self.checkpoints(self.requires())
        rows = self.rows_to_predict(members)
        places = rows_of_share(rows, *self.share)
        states = np.zeros((len(members), 0), dtype=np.int8)
        if places:
            seen = SeenRows(members, content_of_inputs(rows.dataset.manifest))
            for number, found in enumerate(self.predict_rows(members, rows.within(places), seen), 1):
                found.write(self.folder / f"predictions_{number}.parquet")
            states = seen.states
        with replacing(self.folder / "known.npy") as temporary:
            np.save(temporary, states)
        self.say(f"[bold]Predicted[/bold] {states.shape[1]:,} rows, part {self.part}")
        self.write_provenance()
