"""WorkingPointTask: find thresholds for mistag rates and efficiencies from predictions."""

from typing import Any

import law

from collidekit.evaluation.classification.points_in_bins import PointsInBins, points_in_bins
from collidekit.evaluation.classification.working_point_files import write_working_points
from collidekit.evaluation.classification.working_points import DiscriminatorPoints, working_points
from collidekit.plain_text import literal
from collidekit.tasks.inference import PredictionTask, require_discriminators


class WorkingPointTask(PredictionTask):
    """Find thresholds of each discriminator for mistag rates and efficiencies; write JSON, YAML and correctionlib."""

    efficiencies = law.CSVParameter(
        default=(),
        description="signal efficiencies to find thresholds for, besides mistag rates; default: efficiencies of the analysis",
    )
    exclude_index = False

    def identity(self) -> dict[str, Any]:
        return {
            **super().identity(),
            "mistag_rates": self.analysis.working_points,
            "efficiencies": self.wanted_efficiencies(),
            **({"bins": self.analysis.working_point_bins} if self.analysis.working_point_bins else {}),
        }

    def wanted_efficiencies(self) -> list[float]:
        """Return the efficiencies of the option, else those of the analysis."""
        return [float(value) for value in self.efficiencies] or list(self.analysis.efficiencies)

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
        return working_points(self.predictions(), self.analysis.working_points, self.wanted_efficiencies())

    def find_in_bins(self) -> list[PointsInBins]:
        """Return the thresholds in the bins of the analysis; empty without bins."""
        bins = self.analysis.working_point_bins
        return points_in_bins(self.predictions(), bins, self.analysis.working_points, self.wanted_efficiencies())

    def make(self) -> None:
        stem, in_bins = self.folder / "working_points", self.find_in_bins()
        for path in write_working_points(stem, self.find(), self.title, in_bins):
            self.say(f"working points: {literal(path)}")
        self.write_provenance()
