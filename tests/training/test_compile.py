"""Compiled parts learn what plain ones learn, whatever the sizes of a batch, and leave no trace in a checkpoint."""

import copy
import os
import shutil
import sys
from functools import partial
from typing import Any

import pytest
import torch
import toys
from torch import nn
from torch._dynamo.utils import counters

from collidekit.dataset.batch import Batch
from collidekit.dataset.loader import Dataset
from collidekit.errors import CollidekitError
from collidekit.models import Tagger, build_network
from collidekit.models.registry import NETWORKS
from collidekit.training.checkpoint import load_checkpoint
from collidekit.training.compiled import GRAPHS, compile_dense, dense_parts

CPU = torch.device("cpu")
MOMENTA = toys.TOY.replace(
    "    coordinates:", "    momenta: [part_x, part_y, part_d0, part_energy]\n    coordinates:"
).replace("variables:\n", "variables:\n  part_energy: sqrt(part_x**2 + part_y**2 + part_d0**2 + 0.02)\n")


WITHOUT_PARTS = {"deepjet", "deepjet_hlt"}
"""Their layers are convolutions that look at the sizes, and an LSTM."""


@pytest.fixture(autouse=True)
def _fresh() -> None:
    torch._dynamo.reset()
    counters.clear()


@pytest.fixture(scope="module")
def jets(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """200 rows with momenta; the first three have 0, 1 and 40 constituents."""
    return toys.make_dataset(tmp_path_factory.mktemp("jets"), MOMENTA, toys.toy_table(200))


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The graphs of torch.compile, run by torch as they are: needs no C++ compiler."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    monkeypatch.setenv("CXX", sys.executable)


def make_tagger(name: str, dataset: Dataset) -> Tagger:
    torch.manual_seed(3)
    return Tagger(dataset.analysis, build_network(name, dataset.analysis.inputs, 2, {})).train()


def gradients(tagger: Tagger, batch: Batch) -> list[torch.Tensor]:
    """Of the cross entropy, and the loss itself at the end."""
    torch.manual_seed(4)  # of the dropout
    loss = nn.functional.cross_entropy(tagger(batch), batch.labels)
    given = [parameter for parameter in tagger.parameters() if parameter.requires_grad]
    return [*torch.autograd.grad(loss, given, materialize_grads=True), loss]


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("name", sorted(NETWORKS.keys() - WITHOUT_PARTS))
def test_every_network_learns_the_same_from_batches_of_any_size(name: str, jets: Dataset) -> None:
    rows = toys.all_rows(jets)
    plain, compiled = make_tagger(name, jets), make_tagger(name, jets)
    parts = compile_dense(compiled.network, CPU)
    assert parts > 0
    for start, stop in ((0, 90), (90, 160), (3, 200), (0, 1), (1, 2), (0, 3), (50, 70)):
        batch = rows.slice(start, stop)
        torch.testing.assert_close(gradients(compiled, batch), gradients(plain, batch), rtol=1e-5, atol=1e-6)
    graphs = counters["stats"]["unique_graphs"]
    for start, stop in ((0, 110), (100, 200), (7, 190), (30, 31), (1, 3), (20, 40)):
        compiled(rows.slice(start, stop))
    assert 0 < counters["stats"]["unique_graphs"] == graphs <= GRAPHS * parts  # none is made anew for another size
    assert not counters["graph_break"]


def test_parts_that_are_taken(jets: Dataset) -> None:
    def kinds(name: str) -> list[str]:
        return [type(part).__name__ for part in dense_parts(make_tagger(name, jets).network)]

    assert kinds("mlp") == ["Sequential"] * 2
    assert kinds("pfn") == ["Sequential"] * 3
    assert kinds("pair_transformer") == ["Sequential", "Block", "Block", "Block", "Sequential"]
    assert kinds("deepjet") == kinds("deepjet_hlt") == []
    assert kinds("transformer_small") == ["Sequential", "FeedForward", "FeedForward", "Sequential"]

    class Counting(nn.Module):
        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return values * len(values.tolist())

    assert list(dense_parts(nn.ModuleList([nn.Sequential(nn.Linear(2, 2), Counting())]))) == []


@pytest.mark.usefixtures("uncompiled")
def test_a_copy_has_weights_of_its_own(jets: Dataset) -> None:
    tagger, batch = make_tagger("pfn", jets), toys.all_rows(jets)
    compile_dense(tagger.network, CPU)
    before = tagger(batch)
    copied = copy.deepcopy(tagger)
    with torch.no_grad():
        for parameter in tagger.parameters():
            parameter.mul_(2)
    torch.testing.assert_close(copied(batch), before)
    assert not torch.allclose(tagger(batch), before)


@pytest.mark.skipif(
    not shutil.which(os.environ.get("CXX", "g++")), reason="torch.compile needs a C++ compiler, and there is none here"
)
def test_a_compiled_training_learns_the_same_and_its_checkpoint_is_like_any_other(train: Any, dataset: Dataset) -> None:
    settings = {"batch_size": 300, "epochs": 1, "model_options": {"phi": [4], "f": [4]}}
    compiled, plain = train(dataset, "a", use_torch_compile=True, **settings), train(dataset, "b", **settings)
    assert counters["stats"]["unique_graphs"] > 0
    assert len(plain.history.losses) == 2
    assert compiled.history.losses == pytest.approx(plain.history.losses, rel=1e-5)
    assert compiled.history.epochs[0]["val_loss"] == pytest.approx(plain.history.epochs[0]["val_loss"], rel=1e-5)
    loaded = load_checkpoint(compiled.folder / "best_model.pt").tagger.state_dict()
    assert list(loaded) == list(plain.tagger.state_dict())
    torch.testing.assert_close(loaded, dict(plain.tagger.state_dict()), rtol=1e-4, atol=1e-6)


def test_without_a_compiler(training: Any, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(CollidekitError, match=r"there is no C\+\+ compiler no-such-compiler; install one"):
        training(dataset, use_torch_compile=True)


def test_a_compiler_that_fails(train: Any, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("Python.h: No such file\nand much more")

    monkeypatch.setenv("CXX", sys.executable)
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=broken))
    with pytest.raises(
        CollidekitError, match=r"compiler failed \(Python.h: No such file\); repair it, or train without"
    ):
        train(dataset, use_torch_compile=True)
