"""Fine-tuning: what is taken from a checkpoint, what begins anew, what stays fixed, and that it helps."""

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import torch
import toys
from torch import Tensor

from collidekit.analysis.scope import Plan
from collidekit.dataset.loader import Dataset
from collidekit.errors import CollidekitError
from collidekit.models import Tagger, build_network
from collidekit.models.registry import NETWORKS
from collidekit.training.checkpoint import load_content
from collidekit.training.choice import training_config
from collidekit.training.config import TrainingConfig
from collidekit.training.fine_tuning import PretrainedWeights, freeze, in_head, rate_factors
from collidekit.training.loop import Training

NORMED = """
import torch
from collidekit.models import Network
from collidekit.models.layers import mlp

class Normed(Network):
    def __init__(self, inputs, outputs, width=6):
        super().__init__(inputs, outputs)
        self.first = torch.nn.Sequential(torch.nn.Linear(2, width), torch.nn.BatchNorm1d(width), torch.nn.ReLU())
        self.plain = torch.nn.BatchNorm1d(width, affine=False)
        self.second = torch.nn.Sequential(torch.nn.Linear(width, width), torch.nn.BatchNorm1d(width), torch.nn.ReLU())
        self.output = torch.nn.Linear(width, outputs)

    def forward(self, inputs):
        return self.output(self.second(self.plain(self.first(inputs["jet"]))))
"""

MOMENTA = """
variables:
  px: part_e * cos(part_x) / cosh(part_y)
  py: part_e * sin(part_x) / cosh(part_y)
  pz: part_e * tanh(part_y)
classes: {background: label == 0, signal: label == 1}
inputs:
  constituents: {limit: 16, momenta: [px, py, pz, part_e], coordinates: [part_x, part_y], features: [part_x, part_y, part_d0]}
  jet: {features: [jet_pt, jet_mass]}
event: [event]
"""


@pytest.fixture(scope="module")
def pretrained(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of three epochs on the toy."""
    folder = tmp_path_factory.mktemp("pretrained")
    config = TrainingConfig(model_options=toys.SMALL, epochs=3, batch_size=64, learning_rate=5e-3)
    Training(config, dataset, folder, accelerator="cpu").run()
    return folder


@pytest.fixture(scope="module")
def normed(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of a network with batch normalisation, from a file."""
    folder = tmp_path_factory.mktemp("normed")
    (folder / "normed.py").write_text(NORMED)
    config = TrainingConfig(model_name=str(folder / "normed.py"), epochs=2, batch_size=64, learning_rate=1e-2)
    Training(config, dataset, folder, accelerator="cpu").run()
    return folder


@pytest.fixture
def tune(training: Any, dataset: Dataset, pretrained: Path) -> Any:
    """A training that begins from the pretrained one."""

    def make(folder: str = "tuned", data: Dataset = dataset, **settings: Any) -> Training:
        return training(data, folder, **{"from_checkpoint": str(pretrained), **settings})  # type: ignore[no-any-return]

    return make


def weights(path: Path) -> dict[str, Tensor]:
    return load_content(path)["tagger"]  # type: ignore[no-any-return]


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> set[str]:
    return {name for name, value in a.items() if torch.equal(value, b[name])}


def three_classes(folder: Path, table: Any = None) -> Dataset:
    """The toy with a third class: its signal in two."""
    text = toys.TOY.replace(
        "  signal: label == 1", "  signal: label == 1 and jet_mass < 15\n  heavy: label == 1 and jet_mass >= 15"
    )
    return toys.make_dataset(folder, text, toys.toy_table(600, seed=8) if table is None else table)


def test_it_begins_with_the_weights_and_the_scaling_and_a_fresh_head(tune: Any, pretrained: Path) -> None:
    old, new = weights(pretrained / "best_model.pt"), tune().tagger.state_dict()
    head = {name for name in new if name.startswith("network.output.")}
    assert same(new, old) == new.keys() - head
    assert len(head) == 2
    assert any(name.startswith("scaling.") and value.abs().sum() > 0 for name, value in new.items())


def test_the_fresh_head_is_that_of_the_seed(tune: Any) -> None:
    first, again, other = (tune(f"t{i}", seed=seed).tagger.state_dict() for i, seed in enumerate((1, 1, 2)))
    assert torch.equal(first["network.output.0.weight"], again["network.output.0.weight"])
    assert not torch.equal(first["network.output.0.weight"], other["network.output.0.weight"])


def test_kept_head_gives_the_same_scores(tune: Any, pretrained: Path, dataset: Dataset) -> None:
    from collidekit.training.checkpoint import load_checkpoint

    batch = toys.all_rows(dataset)
    tuned = tune(keep_head=True).tagger.eval()
    with torch.no_grad():
        assert torch.equal(tuned(batch), load_checkpoint(pretrained).tagger(batch))


def test_scaling_stays_that_of_the_checkpoint_for_other_rows(tune: Any, pretrained: Path, tmp_path: Path) -> None:
    other = toys.make_dataset(tmp_path / "other", toys.TOY, toys.toy_table(300, seed=3))
    for precision in ("float32", "bfloat16"):
        new = tune(precision, data=other, training_precision=precision).tagger.state_dict()
        for name, value in weights(pretrained / "best_model.pt").items():
            if name.startswith("scaling."):
                assert torch.equal(new[name], value)


def test_other_classes(tune: Any, tmp_path: Path) -> None:
    done = tune(data=three_classes(tmp_path / "three"), epochs=1)
    done.run()
    assert done.tagger.state_dict()["network.output.0.weight"].shape[0] == 3
    with pytest.raises(
        CollidekitError,
        match=r"its head is for the classes background, signal, not background, signal, heavy; leave --keep-head out",
    ):
        tune("again", data=three_classes(tmp_path / "three again"), keep_head=True)


def test_frozen_parameters_stay_bit_for_bit(tune: Any, pretrained: Path) -> None:
    done = tune(freeze=("network.phi.*",), ema_decay=0.9, weight_decay=0.5, optimizer="AdamW")
    done.run()
    old = weights(pretrained / "best_model.pt")
    for path in ("last.pt", "best_model.pt"):
        new = weights(done.folder / path)
        assert {name for name in same(old, new) if name.startswith("network.")} == {
            name for name in old if name.startswith("network.phi.")
        }


def test_a_fresh_head_is_never_frozen(tune: Any, pretrained: Path) -> None:
    """Everything but the head: what a network has seen, judged anew."""
    done = tune(freeze=("network.*",))
    done.run()
    old, new = weights(pretrained / "best_model.pt"), done.tagger.state_dict()
    assert {name for name in new if name not in same(new, old)} == {"network.output.0.weight", "network.output.0.bias"}
    assert sum(len(group["params"]) for group in done.optimizer.param_groups) == 2


@pytest.mark.parametrize(
    ("patterns", "kept"),
    [
        (("network.first.*",), {"first.1"}),
        (("network.first.*.weight", "network.first.*.bias"), {"first.1"}),
        (("network.plain.*", "network.first.0.*"), {"plain"}),
    ],
)
def test_running_statistics_of_frozen_parts_stay(
    training: Any, dataset: Dataset, normed: Path, patterns: tuple[str, ...], kept: set[str]
) -> None:
    settings = {"from_checkpoint": str(normed), "model_name": str(normed / "normed.py"), "model_options": {}}
    if "network.plain.*" in patterns:  # it has no parameters, only buffers
        with pytest.raises(CollidekitError, match=r"'network.plain.\*' matches no parameter"):
            training(dataset, freeze=patterns, **settings)
        return
    done = training(dataset, freeze=patterns, ema_decay=0.9, **settings)
    done.run()
    old, new = weights(normed / "best_model.pt"), weights(done.folder / "last.pt")
    average = done.average.model.state_dict()
    for part in ("first.1", "plain", "second.1"):
        for buffer in ("running_mean", "running_var", "num_batches_tracked"):
            name = f"network.{part}.{buffer}"
            assert torch.equal(old[name], new[name]) == (part in kept), name
            same = part in kept or buffer == "num_batches_tracked"  # the others are averaged
            assert torch.equal(average[name], new[name]) == same, name


def test_rate_factors_are_multiplied_and_scale_the_steps(tune: Any, pretrained: Path) -> None:
    factors = {"network.*": 0.1, "network.output.*": 10.0, "network.phi.*.0.*": 0.5}
    tuned = tune(learning_rate_factors=factors, optimizer="SGD", betas=(0.0, 0.9), weight_decay=0.0, learning_rate=0.1)
    found = {name: rate_factors(tuned.tagger, factors)[p] for name, p in tuned.tagger.named_parameters()}
    assert found["network.f.0.weight"] == pytest.approx(0.1)
    assert found["network.output.0.bias"] == pytest.approx(1.0)
    assert found["network.phi.constituents.0.weight"] == pytest.approx(0.05)
    before = {name: p.detach().clone() for name, p in tuned.tagger.named_parameters()}
    tuned.model.train()
    tuned._set_learning_rate()
    tuned._train_step(next(iter(tuned.data.training)))
    for name, parameter in tuned.tagger.named_parameters():
        step = (before[name] - parameter.detach()) / (0.1 * found[name])
        torch.testing.assert_close(step, parameter.grad, rtol=1e-3, atol=1e-5)


def test_the_history_has_the_learning_rate_without_factors(tune: Any) -> None:
    done = tune(learning_rate_factors={"network.*": 0.1}, lr_scheduler="constant", epochs=1)
    done.run()
    assert done.history.epochs[0]["learning_rate"] == pytest.approx(1e-3)


def test_resumed_and_extended_like_any_other(tune: Any) -> None:
    settings: dict[str, Any] = {
        "freeze": ("network.phi.*",), "learning_rate_factors": {"network.f.*": 0.3}, "epochs": 3, "ema_decay": 0.9,
    }  # fmt: skip
    whole = tune("whole", **settings)
    whole.run()
    again = tune("whole", **settings)
    again.resume(whole.folder / "model_1.pt")
    again.run()
    assert again.history.losses == whole.history.losses
    more = tune("more", extend_training=1, **settings)
    more.extend(whole.folder / "last.pt")
    more.run()
    assert [row["epoch"] for row in more.history.epochs] == [1, 2, 3, 4]


def test_going_on_needs_the_same_beginning(
    tune: Any, training: Any, dataset: Dataset, pretrained: Path, tmp_path: Path
) -> None:
    done = tune("a", epochs=1)
    done.run()
    moved = tmp_path / "elsewhere.pt"
    moved.write_bytes((pretrained / "best_model.pt").read_bytes())
    tune("a", epochs=1, from_checkpoint=str(moved)).resume(done.folder / "last.pt")
    with pytest.raises(
        CollidekitError, match=r"last.pt: did not start from .*model_1.pt; this training cannot continue from it"
    ):
        tune("b", epochs=1, from_checkpoint=str(pretrained / "model_1.pt")).resume(done.folder / "last.pt")
    with pytest.raises(CollidekitError, match=r"last.pt: did not start from new weights"):
        training(dataset, "c", epochs=1).resume(done.folder / "last.pt")


def test_the_checksum_is_that_of_the_weights(pretrained: Path, tmp_path: Path) -> None:
    """Not of the file, in which a temperature or a name may change."""
    content = load_content(pretrained / "best_model.pt")
    torch.save({**content, "temperature": None}, tmp_path / "other.pt")
    assert PretrainedWeights.of(str(tmp_path / "other.pt")).checksum == PretrainedWeights.of(str(pretrained)).checksum
    content["tagger"]["network.f.0.bias"][0] += 1e-6
    torch.save(content, tmp_path / "other.pt")
    assert PretrainedWeights.of(str(tmp_path / "other.pt")).checksum != PretrainedWeights.of(str(pretrained)).checksum


def test_the_network_and_its_options_are_those_of_the_checkpoint(pretrained: Path, dataset: Dataset) -> None:
    plan = Plan(dataset.analysis)
    name = str(pretrained)
    assert training_config(plan, {"from_checkpoint": name}).model_options == toys.SMALL
    given = training_config(plan, {"from_checkpoint": name, "model_options": {"dropout": 0.3}})
    assert given.model_options == {**toys.SMALL, "dropout": 0.3}
    assert training_config(plan, {"from_checkpoint": name, "model_name": "mlp"}).model_options == {}
    recommends = dataset.analysis.model_copy(update={"training": {"model_name": "mlp", "epochs": 7}})
    config = training_config(Plan(recommends), {"from_checkpoint": name})
    assert (config.model_name, config.epochs) == ("pfn", 7)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"freeze": ("network.fi.*",)}, r"--freeze: 'network.fi.\*' matches no parameter \(did you mean 'network\.\w+\.\*'.*; the parts of the network are network.phi.\*, network.f.\*, network.output.\*"),
        ({"freeze": ("network.output.*",)}, r"--freeze: 'network.output.\*' matches only the head, which is new"),
        ({"freeze": ("*",), "keep_head": True}, r"--freeze: all \d+ parameters are frozen, so there is nothing to train"),
        ({"learning_rate_factors": {"phi": 0.1}}, r"--learning-rate-factors: 'phi' matches no parameter"),
        ({"model_options": {"phi": [8, 9], "f": [16]}}, r"best_model.pt: its weights do not fit the selected network \(network.phi.constituents.2.weight is 8x8 in the checkpoint and 9x8 here\); they belong to network 'pfn' with options"),
        ({"model_options": {"phi": [8, 8], "f": [16, 16]}}, r"do not fit .*\(the checkpoint has no network.f.2.weight\)"),
        ({"model_options": {"phi": [8], "f": [16]}}, r"do not fit .*\(the checkpoint also has network.phi.constituents.2.weight\)"),
        ({"model_name": "mlp", "model_options": {}}, r"do not fit .* leave --model-name and --model-options out to use these"),
        ({"from_checkpoint": "nothing.pt"}, r"nothing.pt: there is no such checkpoint"),
        ({"from_checkpoint": "top-tagging/nothing"}, r"there is no model 'top-tagging/nothing'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said(tune: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(CollidekitError, match=message):
        tune(**settings)


def test_other_features_and_other_inputs(tune: Any, tmp_path: Path) -> None:
    other = toys.TOY.replace("      - part_y\n", "      - part_r\n")
    with pytest.raises(CollidekitError, match=r"feature 2 of input 'constituents' is 'part_y', but analysis"):
        tune(data=toys.make_dataset(tmp_path / "a", other, toys.toy_table(200)))
    more = toys.TOY.replace("weight: weight", "  more: {features: [jet_mass]}\nweight: weight")
    with pytest.raises(CollidekitError, match=r"best_model.pt: was trained without input 'more' of analysis"):
        tune(data=toys.make_dataset(tmp_path / "b", more, toys.toy_table(200)))


def test_a_network_without_an_output_says_how_to_name_its_head(training: Any, dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(NORMED.replace("self.output", "self.last"))
    settings = {"model_name": str(path), "model_options": {}, "epochs": 1}
    done = training(dataset, "first", **settings)
    done.run()
    with pytest.raises(
        CollidekitError,
        match=r"Normed: has no part 'output' to initialise; name its last layer in the attribute 'head'",
    ):
        training(dataset, "second", from_checkpoint=str(done.folder), **settings)
    training(dataset, "kept", from_checkpoint=str(done.folder), keep_head=True, **settings)
    path.write_text(path.read_text().replace("(Network):\n", "(Network):\n    head = ('last',)\n\n"))
    tuned = training(dataset, "third", from_checkpoint=str(done.folder), **settings)
    old, new = weights(done.folder / "best_model.pt"), tuned.tagger.state_dict()
    assert new.keys() - same(new, old) == {"network.last.weight", "network.last.bias"}


@pytest.mark.parametrize("setting", [{"freeze": "network.phi.*"}, {"keep_head": True}])
def test_settings_that_need_a_checkpoint(setting: dict[str, Any], dataset: Dataset) -> None:
    with pytest.raises(
        CollidekitError, match=r"--\w+-?\w*: is for a training that starts from a checkpoint: give one with"
    ):
        training_config(Plan(dataset.analysis), setting)


def test_patterns_with_commas_or_as_a_list() -> None:
    for given in ("network.f.*, network.phi.*", ["network.phi.*", "network.f.*"]):
        assert TrainingConfig(from_checkpoint="a.pt", freeze=given).freeze == ("network.f.*", "network.phi.*")  # type: ignore[arg-type]


def test_freezing_says_which_modules_are_to_stay_as_they_are(tune: Any) -> None:
    tagger = tune().tagger
    fixed = freeze(tagger, ("network.f.*",))
    assert fixed == [tagger.network.f, tagger.network.f[0]]
    assert {name for name, p in tagger.named_parameters() if not p.requires_grad} == {
        "network.f.0.weight",
        "network.f.0.bias",
    }


def checkerboard(folder: Path, rows: int, seed: int) -> Dataset:
    """Points of a plane whose class is the colour of their square."""
    table = toys.gaussians_table(rows, 0.0, seed)
    label = (ak.to_numpy(np.sin(2 * table.x) * np.sin(2 * table.y)) > 0).astype(np.int32)
    return toys.make_dataset(folder, toys.GAUSSIANS, ak.with_field(table, label, "label"))


def test_it_learns_from_few_rows_what_takes_many_from_scratch(training: Any, tmp_path: Path) -> None:
    """A network that has seen 8,500 rows is better after one epoch on 500 others than one that has seen only these."""
    many, few = checkerboard(tmp_path / "many", 10_000, 1), checkerboard(tmp_path / "few", 1000, 2)
    network = {"model_name": "mlp", "model_options": {"hidden": [64, 64]}}
    settings = {**network, "learning_rate": 3e-3, "lr_scheduler": "constant"}
    base = training(many, "base", epochs=6, batch_size=32, **settings)
    base.run()
    for seed in (1, 2, 3):
        right = []
        for name, more in ((f"fresh{seed}", {}), (f"tuned{seed}", {"from_checkpoint": str(base.folder)})):
            done = training(few, name, epochs=1, batch_size=8, seed=seed, train_val_split=0.5, **settings, **more)
            done.run()
            right.append(done.history.epochs[0]["val_accuracy"])
        assert right[1] > right[0] + 0.04, right


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_has_a_head_and_a_body_that_can_be_frozen(
    name: str, training: Any, momenta: Dataset, tmp_path: Path
) -> None:
    """All that depends on the classes is in the head; all else stays bit for bit, running statistics too."""
    network = build_network(name, momenta.analysis.inputs, 2, {})
    ready = training(momenta, "first", model_name=name, model_options={}, epochs=1)
    ready.save("model_0.pt")
    tagger, more = ready.tagger, Tagger(momenta.analysis, build_network(name, momenta.analysis.inputs, 3, {}))
    of_classes = {key for key, value in more.state_dict().items() if value.shape != tagger.state_dict()[key].shape}
    assert of_classes
    assert all(in_head(tagger, key) for key in of_classes)
    if not any(True for _ in network.buffers()) and name != "pfn":
        return
    tuned = training(
        momenta, "second", model_name=name, model_options={}, epochs=1, batch_size=32, freeze=("network.*",),
        from_checkpoint=str(ready.folder / "model_0.pt"), ema_decay=0.9,
    )  # fmt: skip
    tuned._train_epoch()
    old, new = tagger.state_dict(), tuned.tagger.state_dict()
    changed = {key for key in new if key.startswith("network.") and not torch.equal(old[key], new[key])}
    assert changed == {key for key in new if in_head(tuned.tagger, key)}


@pytest.fixture(scope="module")
def momenta(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Jets with momenta and coordinates, for every network."""
    return toys.make_dataset(tmp_path_factory.mktemp("momenta"), MOMENTA, toys.toy_table(60, seed=4))
