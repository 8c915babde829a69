"""Code that only a checkpoint names does not run, nor code that has changed since the training."""

from pathlib import Path

import pytest
import toys

from collidekit import trust
from collidekit.analysis.load import load_analysis
from collidekit.dataset.loader import Dataset
from collidekit.errors import CollidekitError
from collidekit.inference.predict_to_file import predict_to_file
from collidekit.shipped import load_plan
from collidekit.training.checkpoint import load_checkpoint, load_content
from collidekit.training.choice import training_config
from collidekit.training.config import TrainingConfig
from collidekit.training.loop import Training

NETWORK = """
from pathlib import Path
import torch
from collidekit.models import Network

Path(__file__).with_name("ran").touch()

class Mine(Network):
    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs)
        self.layer = torch.nn.Linear(2, outputs)

    def forward(self, rows):
        return self.layer(rows["point"])
"""
PROCESSOR = """
from pathlib import Path
from coffea.processor import ProcessorABC

Path(__file__).with_name("ran").touch()

class Rows(ProcessorABC):
    def process(self, events):
        return events

    def postprocess(self, accumulator):
        return accumulator
"""


def trained(folder: Path, text: str = toys.GAUSSIANS, model: str = "mlp") -> Path:
    dataset: Dataset = toys.make_dataset(folder, text, toys.gaussians_table(200, 2.0))
    config = TrainingConfig(model_name=model, epochs=1)
    return Training(config, dataset, folder / "training", accelerator="cpu").run()


@pytest.fixture
def network(tmp_path: Path) -> tuple[Path, Path]:
    """A checkpoint and the network of the user's own that it needs."""
    (tmp_path / "mine.py").write_text(NETWORK)
    best = trained(tmp_path, model=str(tmp_path / "mine.py"))
    (tmp_path / "ran").unlink()
    return best, tmp_path / "mine.py"


def test_own_code_runs(network: tuple[Path, Path]) -> None:
    best, file = network
    load_checkpoint(best)
    assert file.with_name("ran").exists()
    assert load_content(best)["code"]["network"]["source"] == NETWORK


def test_own_code_is_known_to_later_commands(network: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "_own", set())
    load_checkpoint(network[0])


def test_foreign_code_is_refused(tmp_path: Path, network: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    best, file = network
    monkeypatch.setattr(trust, "_own", set())
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other"))
    with pytest.raises(CollidekitError, match=r"would run \S*mine.py as its network.*--trust-code"):
        load_checkpoint(best)
    assert not file.with_name("ran").exists()
    plan = load_plan(tmp_path / "toy.yaml")
    with pytest.raises(CollidekitError, match=r"would run .* as its network"):
        training_config(plan, {"from_checkpoint": str(best)})
    monkeypatch.setenv("COLLIDEKIT_TRUST_CODE", "1")
    load_checkpoint(best)


def test_changed_code_is_refused(network: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    best, file = network
    file.write_text(NETWORK.replace('rows["point"]', '-rows["point"]'))
    trust.own_code(str(file))
    with pytest.raises(
        CollidekitError, match=r"its network is code that has changed since the training \(\S*mine.py\)"
    ):
        load_checkpoint(best)
    assert not file.with_name("ran").exists()
    monkeypatch.setenv("COLLIDEKIT_TRUST_CODE", "1")
    load_checkpoint(best)


def test_going_on_with_changed_code_is_refused(network: tuple[Path, Path], tmp_path: Path) -> None:
    best, file = network
    file.write_text(NETWORK + "\n# other\n")
    dataset = Dataset(tmp_path / "dataset", analysis=load_analysis(tmp_path / "toy.yaml"))
    training = Training(TrainingConfig(model_name=str(file), epochs=1), dataset, best.parent, accelerator="cpu")
    with pytest.raises(CollidekitError, match="has changed since"):
        training.resume(best.parent / "last.pt")


def test_the_processor_of_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rows.py").write_text(PROCESSOR)
    best = trained(tmp_path, "processor: rows.py:Rows\n" + toys.GAUSSIANS)
    rows, out = str(tmp_path / "rows.parquet"), tmp_path / "out.parquet"
    predict_to_file(best, [rows], out, allow_training_rows=True)
    (tmp_path / "ran").unlink(missing_ok=True)
    monkeypatch.setattr(trust, "_own", set())
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other"))
    with pytest.raises(CollidekitError, match=r"would run \S*rows.py as its processor"):
        predict_to_file(best, [rows], out, allow_training_rows=True)
    assert not (tmp_path / "ran").exists()
    predict_to_file(
        best, [rows], out, analysis=str(tmp_path / "toy.yaml"), allow_training_rows=True
    )  # which the user names
    (tmp_path / "rows.py").write_text(PROCESSOR.replace("return events", "return events[:]"))
    with pytest.raises(CollidekitError, match=r"its processor is code that has changed since"):
        predict_to_file(best, [rows], out, allow_training_rows=True)


def test_a_file_that_is_gone(network: tuple[Path, Path]) -> None:
    best, file = network
    file.unlink()
    with pytest.raises(CollidekitError, match=r"its network is code in \S*mine.py, and there is no such file"):
        load_checkpoint(best)


def test_a_changed_module_that_a_network_imports_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(NETWORK.replace("import torch\n", "import torch\nimport sizes_of_mine\n"))
    (tmp_path / "sizes_of_mine.py").write_text("SIZE = 2\n")
    best = trained(tmp_path, model=str(tmp_path / "mine.py"))
    load_checkpoint(best)
    (tmp_path / "sizes_of_mine.py").write_text("SIZE = 3\n")
    with pytest.raises(
        CollidekitError, match=r"its network is code that has changed since the training \(\S*mine.py\)"
    ):
        load_checkpoint(best)
