"""WorkingPointTask: predictions -> thresholds for mistag rates and efficiencies."""

from typing import Any

import law

from collidekit.evaluation.classification.working_point_files import write_working_points
from collidekit.evaluation.classification.working_points import DiscriminatorPoints, working_points
from collidekit.plain_text import literal
from collidekit.tasks.inference import PredictionTask, require_discriminators


class WorkingPointTask(PredictionTask):
    """Find the thresholds of each discriminator for the analysis's mistag rates, or for efficiencies; JSON, YAML, correctionlib."""

    efficiencies = law.CSVParameter(
        default=(), description="signal efficiencies to find thresholds for, besides mistag rates"
    )
    exclude_index = False

    def identity(self) -> dict[str, Any]:
        return {
            **super().identity(),
            "mistag_rates": self.analysis.working_points,
            "efficiencies": [float(value) for value in self.efficiencies],
        }

    def output(self) -> dict[str, law.LocalFileTarget]:
        names = {
            "json": "working_points.json",
            "yaml": "working_points.yaml",
            "correction": "working_points_correctionlib.json",
        }
        return {key: self.target(name) for key, name in {**names, "run": "run.json"}.items()}

    def look_first(self) -> None:
        require_discriminators(self)

    def find(self) -> list[DiscriminatorPoints]:
        efficiencies = [float(value) for value in self.efficiencies]
        return working_points(self.predictions(), self.analysis.working_points, efficiencies)

    def make(self) -> None:
        for path in write_working_points(self.folder / "working_points", self.find(), self.title):
            self.say(f"working points: {literal(path)}")
        self.write_provenance()
