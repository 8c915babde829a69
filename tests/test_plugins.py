"""Networks, objectives, readers and attacks of a user's: in one file, or in an installed package."""

import csv
import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toys
from luigi.task_register import Register

from collidekit import trust
from collidekit.analysis.load import load_analysis
from collidekit.attacks.settings import AttackSettings
from collidekit.dataset.loader import Dataset
from collidekit.errors import CollidekitError
from collidekit.inference.predict import predict_dataset
from collidekit.models import find_network
from collidekit.objectives import Objective, find_objective
from collidekit.objectives.build import build_objective
from collidekit.plugins import known_names
from collidekit.readers import open_file
from collidekit.shipped import load_plan
from collidekit.tasks.base import run_with_requirements
from collidekit.tasks.training import TrainingTask
from collidekit.training.checkpoint import load_checkpoint, load_content
from collidekit.training.choice import training_config
from collidekit.training.config import TrainingConfig
from collidekit.training.look import try_training
from collidekit.training.loop import Training

MINE = """
import torch
import torch.nn.functional as F

from collidekit.models import Network
from collidekit.models.heads import ClassesHead
from collidekit.objectives import Objective


class Line(Network):
    \"\"\"The outputs are linear in the inputs.\"\"\"

    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs)
        self.output = torch.nn.Linear(2, outputs)

    def forward(self, rows):
        return self.output(rows["point"])


class Softer(ClassesHead):
    \"\"\"Half the outputs are the logits.\"\"\"

    def forward(self, outputs):
        return outputs / 2


class Squares(Objective):
    \"\"\"The mean square of the distance of the probabilities to what is true.\"\"\"

    settings = ("label_smoothing",)
    head = Softer

    @classmethod
    def build(cls, config, analysis):
        objective = cls()
        objective.smoothing = config.label_smoothing
        return objective

    def loss(self, outputs, batch, weights):
        truth = F.one_hot(batch.labels, outputs.shape[1]) * (1 - self.smoothing)
        return (((outputs.softmax(dim=1) - truth) ** 2).sum(dim=1) * weights).mean()
"""
READER = """
import awkward as ak
import numpy as np

from collidekit.readers import FileReader


class Npy(FileReader):
    def __init__(self, path, source):
        super().__init__(path, source)
        self._values = np.load(path)
        self.columns = {"x": "float64"}

    def _count(self):
        return len(self._values)

    def _read(self, columns, start, stop):
        return {"x": ak.from_numpy(self._values[start:stop])}

    def close(self):
        pass
"""
ATTACK = """
import torch

from collidekit.attacks.base import Attack


class Backwards(Attack):
    needs_magnitude = False

    def moves(self, tagger, region, seed, loss):
        return {name: -torch.ones_like(values) for name, values in region.nowhere().items()}
"""
Package = Callable[..., Path]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """Install a package of one module ``their_physics``, which offers classes, in a folder of its own on the search path."""
    site = tmp_path / "site-packages"
    monkeypatch.syspath_prepend(str(site))

    def install(
        version: str = "1.2.0", text: str = MINE + READER + ATTACK, name: str = "their-physics", **offered: str
    ) -> Path:
        site.mkdir(exist_ok=True)
        (site / "their_physics.py").write_text(text)
        info = site / f"{name.replace('-', '_')}.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        groups = {
            "networks": "their_line = their_physics:Line", "objectives": "their_squares = their_physics:Squares",
            "readers": "npy = their_physics:Npy", "attacks": "backwards = their_physics:Backwards", **offered,
        }  # fmt: skip
        (info / "entry_points.txt").write_text(
            "".join(f"[collidekit.{key}]\n{value}\n" for key, value in groups.items())
        )
        sys.modules.pop("their_physics", None)
        importlib.invalidate_caches()
        return info

    return install


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return toys.make_dataset(tmp_path_factory.mktemp("gaussians"), toys.GAUSSIANS, toys.gaussians_table(4000, 3.0))


def train(dataset: Dataset, folder: Path, **settings: Any) -> Path:
    config = TrainingConfig(**{"epochs": 3, "batch_size": 100, "learning_rate": 0.05, **settings})
    return Training(config, dataset, folder, accelerator="cpu").run()


def test_network_head_and_objective_in_one_file(tmp_path: Path, dataset: Dataset) -> None:
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    best = train(dataset, tmp_path / "training", model_name=str(file), objective=f"{file}:Squares")
    loaded = load_checkpoint(best)
    found = predict_dataset(loaded, dataset, allow_training_rows=True)
    batch = dataset.read(dataset.blocks[0])
    line = loaded.tagger.network(loaded.tagger.scaling(batch.inputs)).double()
    softer = torch.softmax(line / 2, dim=1).detach().numpy()
    np.testing.assert_allclose(found.probabilities[: len(batch)], softer, rtol=1e-6)
    right = found.probabilities.argmax(axis=1) == found.labels
    assert right.mean() == pytest.approx(0.933, abs=0.01)  # the optimum, Phi(1.5), of two Gaussians 3 apart
    code = load_content(best)["code"]
    assert code["network"]["source"] == code["objective"]["source"] == MINE


def test_the_objective_is_what_is_learned(tmp_path: Path, dataset: Dataset) -> None:
    """The loss in the history is that of the user's formula, with the setting that it reads."""
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    config = TrainingConfig(objective=str(file), label_smoothing=0.2)
    objective = build_objective(config, dataset.analysis)
    batch = dataset.read(dataset.blocks[0])
    found = objective.loss(torch.zeros(len(batch), 2), batch, torch.ones(len(batch)))
    assert found.item() == pytest.approx((0.5 - 0.8) ** 2 + 0.5**2)


def test_settings_that_a_users_objective_does_not_read_are_refused(tmp_path: Path, dataset: Dataset) -> None:
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    with pytest.raises(
        CollidekitError, match=r"loss_function has no meaning for the objective .*or name it in 'settings' of"
    ):
        build_objective(TrainingConfig(objective=str(file), loss_function="FocalLoss"), dataset.analysis)
    weighted = dataset.analysis.model_copy(update={"class_weights": {"left": 2.0}})
    with pytest.raises(CollidekitError, match="class_weights has no meaning"):
        build_objective(TrainingConfig(objective=str(file)), weighted)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("batch.labels,", "batch.label,", r"fails on the first rows: AttributeError: .*mine\.py:\d+\)"),
        (").sum(dim=1) * weights).mean()", ").sum(dim=1) * weights)", r"must be a tensor of one number.*shape \(8,\)"),
        ("config.label_smoothing", "config.smoothing", r"cannot be made: AttributeError"),
        ("return objective", "return 7", r"Squares.build must return an Objective"),
        (
            "return outputs / 2",
            "return outputs\n\n    def decode(self, raw):\n        return {'mine': raw[:, 0]}",
            r"its head must decode the columns prob_left, prob_right, .*it gives mine",
        ),
        (
            "return outputs / 2",
            "return outputs\n\n    def decode(self, raw):\n        return raw.nothing",
            r"its head fails on the first rows: AttributeError",
        ),
        ("class Squares(Objective)", "class Squares", r"mine\.py: must define one objective.*: none"),
    ],
)
def test_mistakes_in_an_objective_are_found_first(
    tmp_path: Path, dataset: Dataset, old: str, new: str, said: str
) -> None:
    assert old in MINE
    file = tmp_path / "mine.py"
    file.write_text(MINE.replace(old, new))
    with pytest.raises(CollidekitError, match=said) as error:
        try_training(TrainingConfig(model_name="mlp", objective=str(file)), dataset.analysis, toys.all_rows(dataset))
    assert "\n" not in str(error.value)


def test_an_unknown_objective_lists_what_there_is(package: Package) -> None:
    package()
    with pytest.raises(
        ValueError, match=r"no objective 'their_square' \(did you mean 'their_squares'\?\); known are classif"
    ):
        TrainingConfig(objective="their_square")
    with pytest.raises(
        ValueError, match=r"no attack 'fsgm' \(did you mean 'fgsm'\?\); known are nominal, .*, backwards, or a"
    ):
        AttackSettings(attack="fsgm")


def test_foreign_and_changed_objectives_are_refused(
    tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    best = train(dataset, tmp_path / "training", model_name="mlp", objective=str(file), epochs=1)
    monkeypatch.setattr(trust, "_own", set())
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other"))
    with pytest.raises(CollidekitError, match=r"would run \S*mine.py as its objective.*--trust-code"):
        load_checkpoint(best)
    trust.own_code(str(file))
    load_checkpoint(best)
    file.write_text(MINE + "\n# changed\n")
    with pytest.raises(CollidekitError, match=r"its objective is code that has changed since"):
        load_checkpoint(best)


def test_classes_of_an_installed_package(package: Package, tmp_path: Path, dataset: Dataset) -> None:
    package()
    assert find_network("their_line").__module__ == "their_physics"
    assert issubclass(find_objective("their_squares"), Objective)
    assert known_names("network", {"mlp": None}) == ["mlp", "their_line"]
    best = train(dataset, tmp_path / "training", model_name="their_line", objective="their_squares")
    found = predict_dataset(load_checkpoint(best), dataset, allow_training_rows=True)
    assert (found.probabilities.argmax(axis=1) == found.labels).mean() == pytest.approx(0.933, abs=0.01)
    assert load_content(best)["code"]["network"] == {
        "package": "their-physics", "version": "1.2.0", "name": "their_line", "class": "their_physics:Line",
    }  # fmt: skip


def test_another_version_of_the_package_is_refused(
    package: Package, tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = package()
    best = train(dataset, tmp_path / "training", model_name="their_line", objective="their_squares", epochs=1)
    package("1.3.0")
    said = r"its network 'their_line' is from their-physics 1.3.0, and the model was trained with their-physics 1.2.0"
    with pytest.raises(CollidekitError, match=said):
        load_checkpoint(best)
    monkeypatch.setenv("COLLIDEKIT_TRUST_CODE", "1")
    load_checkpoint(best)
    (info / "entry_points.txt").unlink()
    with pytest.raises(
        CollidekitError, match=r"its \w+ 'their_\w+' is from the package their-physics 1.2.0, which is not inst"
    ):
        load_checkpoint(best)


def test_a_name_of_a_package_never_hides_a_built_in_one(package: Package, tmp_path: Path, dataset: Dataset) -> None:
    package(networks="mlp = their_physics:Line")
    assert find_network("mlp").__module__ == "collidekit.models.mlp"
    assert "network" not in load_content(train(dataset, tmp_path / "training", model_name="mlp", epochs=1))["code"]


@pytest.mark.parametrize(
    ("offered", "said"),
    [
        ("their_line = their_physics:Nothing", r"network 'their_line' of the package their-physics 1.2.0: cannot be imported: Attr"),
        ("their_line = their_physic:Line", r"cannot be imported: ModuleNotFoundError"),
        ("their_line = their_physics:Squares", r"their_physics:Squares is not a class that derives from collidekit.models.Net"),
    ],
)  # fmt: skip
def test_what_a_package_offers_wrongly(package: Package, offered: str, said: str) -> None:
    package(networks=offered)
    with pytest.raises(CollidekitError, match=said):
        find_network("their_line")


def test_two_packages_of_one_name(package: Package) -> None:
    package()
    package(name="others", networks="their_line = others:Line")
    with pytest.raises(
        CollidekitError, match=r"network 'their_line': is provided by .*their-physics 1.2.0.*; uninstall one"
    ):
        find_network("their_line")


def test_a_reader_of_a_package(package: Package, tmp_path: Path) -> None:
    package()
    np.save(tmp_path / "rows.npy", np.arange(5.0))
    text = "source: {format: npy}\nclasses: {a: x < 2, b: x >= 2}\ninputs: {point: {features: [x]}}\n"
    (tmp_path / "a.yaml").write_text(text)
    analysis = load_analysis(tmp_path / "a.yaml")
    with open_file(str(tmp_path / "rows.npy"), analysis.source) as reader:
        assert reader.read(["x"], 1, 4)["x"].tolist() == [1.0, 2.0, 3.0]
    before = analysis.fingerprint
    package("2.0")
    assert analysis.fingerprint != before  # another version may read other numbers


def test_an_attack_of_a_file_and_of_a_package(package: Package, tmp_path: Path, dataset: Dataset) -> None:
    package()
    file = tmp_path / "mine.py"
    file.write_text(ATTACK)
    config = {"model_name": "mlp", "epochs": 1, "seed": 3}
    weights = [
        load_content(train(dataset, tmp_path / f"training{i}", attack=attack, **config))["tagger"]
        for i, attack in enumerate(["nominal", "backwards", str(file)])
    ]
    first = next(name for name in weights[0] if name.startswith("network."))
    assert not torch.equal(weights[0][first], weights[1][first])
    assert torch.equal(weights[1][first], weights[2][first])
    before = AttackSettings(attack=str(file)).identity
    file.write_text(ATTACK.replace("-torch", "torch"))
    assert AttackSettings(attack=str(file)).identity != before


def test_a_changed_objective_is_another_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy.yaml").write_text(toys.GAUSSIANS)
    toys.write_table(tmp_path / "rows.parquet", toys.gaussians_table(300, 3.0))
    (tmp_path / "mine.py").write_text(MINE)

    def task(**settings: Any) -> TrainingTask:
        Register.clear_instance_cache()
        given = {"objective": "mine.py", "epochs": 1, "n_threads": 1, **settings}
        return TrainingTask(config="toy.yaml", filelist=("rows.parquet",), model_name="mlp", **given)

    before, plain = task().hash, task(objective="classification").hash
    run_with_requirements(task())
    assert task().complete()
    (tmp_path / "mine.py").write_text(MINE + "\n# changed\n")
    assert task().hash != before
    assert task(objective="classification").hash == plain
    (tmp_path / "mine.py").unlink()
    with pytest.raises(CollidekitError, match=r"mine\.py: there is no such file"):
        task().hash  # noqa: B018


def test_settings_of_an_analysis_file(tmp_path: Path) -> None:
    (tmp_path / "toy.yaml").write_text(toys.GAUSSIANS + "training: {objective: clasification}\n")
    with pytest.raises(
        CollidekitError, match=r"toy\.yaml:\d+: training\.objective: there is no objective 'clasification' \(did"
    ):
        training_config(load_plan(tmp_path / "toy.yaml"), {})


def test_the_examples_of_the_page(tmp_path: Path, dataset: Dataset) -> None:
    page = (Path(__file__).parent.parent / "docs" / "plugins.md").read_text()
    file = tmp_path / "mine.py"
    file.write_text("\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)))
    settings = {"model_name": "mlp", "objective": str(file), "attack": f"{file}:Step", "attack_magnitude": 0.1}
    settings |= {"learning_rate": 0.005}
    found = predict_dataset(
        load_checkpoint(train(dataset, tmp_path / "training", **settings)), dataset, allow_training_rows=True
    )
    assert (found.probabilities.argmax(axis=1) == found.labels).mean() == pytest.approx(0.933, abs=0.01)


@pytest.mark.parametrize("right", ["{}", "{'rows': batch.labels == 0, 'loss': batch.labels == 1}"])
def test_what_an_objective_calls_right_is_its_own(tmp_path: Path, dataset: Dataset, right: str) -> None:
    """It may say nothing, and its names do not meet those of the loop."""
    file = tmp_path / "mine.py"
    file.write_text(
        MINE.replace("    def loss(", f"    def right(self, outputs, batch):\n        return {right}\n\n    def loss(")
    )
    train(dataset, tmp_path / "training", model_name=str(file), objective=f"{file}:Squares", epochs=2)
    with (tmp_path / "training" / "history.csv").open() as table:
        rows = list(csv.DictReader(table))
    names = ["train_rows", "val_rows", "train_loss", "val_loss"] if "rows" in right else []
    assert "train_accuracy" not in rows[0]
    assert float(rows[0]["rows"]) > 100
    for name in [one for one in names if "rows" in one]:
        assert 0.4 < float(rows[1][name]) < 0.6
    assert float(rows[1]["train_loss"]) < 0.5
