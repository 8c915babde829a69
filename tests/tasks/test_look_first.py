"""Errors are found before anything is written, for every task."""

from pathlib import Path
from typing import Any

import awkward as ak
import pytest
import toys

from collidekit.errors import CollidekitError
from collidekit.tasks.base import AnalysisTask, run_with_requirements
from collidekit.tasks.importance import ImportanceTask
from collidekit.tasks.inference import InferenceTask
from collidekit.tasks.report import ReportTask
from collidekit.tasks.robustness import RobustnessTask
from collidekit.tasks.roc import ROCCurveTask
from collidekit.tasks.training import TrainingTask
from collidekit.tasks.working_points import WorkingPointTask

FILES: dict[str, Any] = {"config": "toy.yaml", "filelist": ("train.root",), "test_filelist": ("test.parquet",)}
NETWORK = """
from torch import nn
from collidekit.models import Network

class Mine(Network):
    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs)
        self.output = nn.Linear({width}, outputs)

    def forward(self, inputs):
        return self.output(inputs["jet"]){end}
"""


def refused(task: AnalysisTask, said: str) -> None:
    """Check that the task fails with this error, and that nothing was written."""
    with pytest.raises(CollidekitError, match=said):
        run_with_requirements(task)
    assert not list(Path("results").rglob("*"))


def write(name: str, table: ak.Array) -> tuple[str, ...]:
    toys.write_table(Path(name), table)
    return (name,)


def without(table: ak.Array, *names: str) -> ak.Array:
    return table[[name for name in table.fields if name not in names]]


@pytest.mark.parametrize("lost", ["label", "part_e", "weight", "jet_mass", "event", "part_d0"])
@pytest.mark.parametrize("part", ["filelist", "test_filelist"])
def test_a_branch_for_truth_inputs_weights_spectators_and_events(place: Path, part: str, lost: str) -> None:
    files = write("lacks.parquet", without(toys.toy_table(100, seed=3), lost))
    refused(ReportTask(**{**FILES, part: files}), f"toy.yaml:.*no branch or variable '{lost}' in lacks.parquet")


def test_the_second_file_is_looked_at_too(place: Path) -> None:
    more = write("more.root", without(toys.toy_table(100, seed=3), "part_d0"))
    refused(
        ReportTask(**{**FILES, "test_filelist": ("test.parquet", *more)}), "no branch or variable 'part_d0' in more"
    )


def test_a_class_without_test_rows(place: Path) -> None:
    table = toys.toy_table(400, seed=3)
    files = write("one.parquet", table[table.label == 0])
    refused(ReportTask(**{**FILES, "test_filelist": files}), "one.parquet: no row is in class 'signal'")


def test_a_class_that_a_large_file_may_hold_further_on_is_looked_for_before_the_training(place: Path) -> None:
    table = toys.toy_table(3000, seed=3)
    files = write("sorted.parquet", table[ak.argsort(table.label)])
    run_with_requirements(InferenceTask(**{**FILES, "test_filelist": files}))
    files = write("one.parquet", table[table.label == 0])
    task = InferenceTask(**{**FILES, "test_filelist": files, "seed": 3})
    with pytest.raises(CollidekitError, match=r"one.parquet: no row is in class 'signal'"):
        run_with_requirements(task)
    assert not task.requires()["training"].folder.exists()


def test_files_that_cannot_be_read(place: Path) -> None:
    (place / "cut.root").write_bytes((place / "train.root").read_bytes()[:3000])
    refused(ReportTask(**{**FILES, "test_filelist": ("cut.root",)}), "cut.root: is truncated")


@pytest.mark.parametrize("task", [ReportTask, ROCCurveTask, WorkingPointTask, RobustnessTask])
def test_an_analysis_without_discriminators(place: Path, task: type[AnalysisTask]) -> None:
    text = (place / "toy.yaml").read_text()
    (place / "toy.yaml").write_text("".join(l for l in text.splitlines(True) if not l.startswith("discriminators")))
    refused(task(**FILES), "toy.yaml: has no discriminators")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"model_name": "pfm"}, "there is no network 'pfm'"),
        ({"model_options": {"fi": [3]}}, "network pfn: no option 'fi'"),
        ({"model_name": "lorentznet"}, "network lorentznet: "),
        ({"augmentation": "boost"}, "augmentation boost: no collection of the analysis has momenta"),
        ({"attack": "fgsm", "attack_magnitude": 0.1, "attack_space": "momenta"}, "no collection of the analysis has mom"),
        ({"objective": "relegator"}, "needs a figure of merit"),
        ({"calibrated": True, "checkpoint": ("top-tagging/pfn",)}, "pfn.*: was made with a different analysis"),
        ({"test_attack": "fgsm", "test_attack_magnitude": 0.1, "test_attack_space": "momenta"}, "no collection of the ana"),
    ],
    ids=str,
)  # fmt: skip
def test_settings_that_fail_at_the_first_step(place: Path, given: dict[str, Any], said: str) -> None:
    refused(ReportTask(**FILES, **given), said)


@pytest.mark.parametrize(
    ("width", "end", "said"),
    [
        (3, "", r"network mine.py: fails on the first rows: RuntimeError: mat1.*\(.*linear.py:\d+\)"),
        (2, "[:, :1]", r"network mine.py: returns outputs of shape \(8, 1\) for 8 rows, not 2 for each row"),
    ],
)
def test_a_network_of_ones_own_is_tried_on_a_few_rows(place: Path, width: int, end: str, said: str) -> None:
    (place / "mine.py").write_text(NETWORK.format(width=width, end=end))
    refused(ReportTask(**FILES, model_name="mine.py"), said)


def test_the_look_leaves_the_random_numbers_of_the_training_alone(place: Path) -> None:
    import torch

    torch.manual_seed(5)
    assert not ReportTask(**FILES).complete()
    assert torch.rand(1) == torch.rand(1, generator=torch.Generator().manual_seed(5))


def test_importance_of_an_ensemble(place: Path) -> None:
    refused(ImportanceTask(**FILES, seeds=("1", "2")), "feature importance needs a single model")
    refused(ImportanceTask(**FILES, scores=("SvsC",)), "unknown discriminator or class 'SvsC'")


def test_bad_files_may_be_skipped(place: Path) -> None:
    (place / "cut.root").write_bytes((place / "train.root").read_bytes()[:3000])
    task = TrainingTask(config="toy.yaml", filelist=("train.root", "cut.root"), skip_bad_files=True)
    assert not task.complete()
    with pytest.raises(CollidekitError, match="none of the 1 input files can be used"):
        TrainingTask(config="toy.yaml", filelist=("cut.root",), skip_bad_files=True).complete()


def test_of_many_files_some_are_opened(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from collidekit.dataset import look
    from collidekit.readers import open_file

    opened: list[str] = []
    monkeypatch.setattr(look, "open_file", lambda path, source: opened.append(path) or open_file(path, source))
    names = [write(f"many_{i:02d}.parquet", toys.toy_table(20, seed=i + 1))[0] for i in range(45)]
    assert not TrainingTask(config="toy.yaml", filelist=tuple(names)).complete()
    assert len(opened) == look.MOST_OPENED
    assert {names[0], names[-1]} < set(opened)
