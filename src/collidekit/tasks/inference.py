"""InferenceTask: a trained tagger and a dataset -> predictions."""

from functools import cached_property
from typing import Any

import law
import luigi
import torch

from collidekit.inference.predict import predict, predict_dataset
from collidekit.inference.predictions import Predictions
from collidekit.readers import expand
from collidekit.tasks.base import AnalysisTask
from collidekit.tasks.dataset import DatasetConstructorTask
from collidekit.tasks.training import TrainingParameters, TrainingTask
from collidekit.training.checkpoint import check_same_inputs, load_checkpoint
from collidekit.training.prepare import validation_rows


class TestParameters(TrainingParameters):
    """Parameters of everything that comes from predictions."""

    test_dataset_version = luigi.Parameter(default="v1", description="a name of yours for the test dataset")
    test_filelist = law.CSVParameter(
        default=(), description="test files; default: the analysis file's files.test, else the validation rows"
    )
    exclude_index = True

    def versions_in_path(self) -> list[str]:
        return [str(self.dataset_version), str(self.training_version), str(self.test_dataset_version)]

    @cached_property
    def test_files(self) -> tuple[str, ...]:
        """The test files; none means that the validation rows of the training dataset are taken."""
        if self.test_filelist:
            return tuple(expand(list(self.test_filelist)))
        if not self.analysis.files.test or self.filelist:
            return ()
        from collidekit.tasks.dataset import shipped_files

        return tuple(shipped_files(self, "test"))


class InferenceTask(TestParameters):
    """Predict all rows of the test dataset, in input order."""

    exclude_index = False

    def requires(self) -> dict[str, AnalysisTask]:
        needed: dict[str, AnalysisTask] = {"training": TrainingTask.req(self)}
        if self.test_files:
            needed["test"] = DatasetConstructorTask.req(
                self, dataset_version=self.test_dataset_version, filelist=self.test_files
            )
        return needed

    def identity(self) -> dict[str, Any]:
        needed = self.requires()
        return {
            "training": needed["training"].hash,
            "test": needed["test"].hash if "test" in needed else "validation rows",
            "discriminators": {name: entry.model_dump() for name, entry in self.analysis.discriminators.items()},
        }

    def output(self) -> dict[str, law.LocalFileTarget]:
        return {
            "predictions": self.target("predictions.parquet"),
            "output_root": self.target("output.root"),
            "run": self.target("run.json"),
        }

    def run(self) -> None:
        torch.set_num_threads(max(1, min(self.n_threads, torch.get_num_threads())))
        needed = self.requires()
        path = needed["training"].folder / "best_model.pt"
        checkpoint = load_checkpoint(path)
        check_same_inputs(path, checkpoint.analysis, self.analysis)
        if "test" in needed:
            predictions = predict_dataset(checkpoint, needed["test"].dataset(), threads=1)
        else:
            dataset = needed["training"].requires()["dataset"].dataset()
            share = checkpoint.config.train_val_split
            self.say(
                "[yellow]no test files were given: predicting the validation rows, which chose the best epoch[/yellow]"
            )
            predictions = predict(checkpoint.tagger, self.analysis, validation_rows(dataset, share))
        predictions.write(self.folder / "predictions.parquet")
        predictions.write(self.folder / "output.root")
        self.say(f"[bold]Predicted[/bold] {len(predictions):,} rows")
        self.write_provenance()

    def predictions(self) -> Predictions:
        return Predictions.read(self.folder / "predictions.parquet")


class PredictionTask(TestParameters):
    """Base of the tasks that look at predictions."""

    exclude_index = True

    def requires(self) -> dict[str, AnalysisTask]:
        return {"inference": InferenceTask.req(self)}

    def identity(self) -> dict[str, Any]:
        return {"inference": self.requires()["inference"].hash}

    def predictions(self) -> Predictions:
        return self.requires()["inference"].predictions()  # type: ignore[no-any-return]
