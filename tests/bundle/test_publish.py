"""Publishing a model: figures are measured or marked, nothing is invented, nothing half-written."""

import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import toys
import yaml
from rich.console import Console

from collidekit import shipped
from collidekit.analysis.load import parse_analysis
from collidekit.analysis.scope import Plan
from collidekit.bundle.card import MARK, repeat_command
from collidekit.bundle.publish import card_name, publish
from collidekit.bundle.shelf import show_card, show_models
from collidekit.dataset.loader import Dataset, Loader
from collidekit.errors import CollidekitError
from collidekit.evaluation.classification.roc_result import measure_discriminator
from collidekit.evaluation.numbers import with_error
from collidekit.inference.predict import predict_files
from collidekit.tasks.to_report import parse_settings, report_task
from collidekit.training.checkpoint import load_checkpoint
from collidekit.training.config import TrainingConfig
from collidekit.training.loop import Training


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return toys.make_dataset(tmp_path_factory.mktemp("training"), toys.TOY, toys.toy_table(500))


@pytest.fixture(scope="module")
def trained(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    config = TrainingConfig(model_options=toys.SMALL, epochs=2, betas=(0.8, 0.9), mixed_precision=False, seed=7)
    return Training(config, dataset, folder, accelerator="cpu").run()


@pytest.fixture(scope="module")
def test_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(toys.write_table(tmp_path_factory.mktemp("test") / "test.root", toys.toy_table(300, seed=5)))


def card(folder: Path) -> str:
    return (folder / "README.md").read_text()


def test_the_scores_of_the_card_are_those_of_the_weights(trained: Path, test_file: str, tmp_path: Path) -> None:
    made = publish(trained, tmp_path / "toy", [test_file], data="a toy", licence="CC0-1.0")
    loaded = load_checkpoint(tmp_path / "toy")
    predictions = predict_files(loaded, Plan(loaded.analysis), test_file)[0]
    expected = measure_discriminator(predictions, "SvsB")
    (score,) = json.loads((tmp_path / "toy" / "model.json").read_text())["scores"]
    assert (score["auc"], score["auc_error"]) == (expected.auc, expected.auc_error)
    assert made.results[0].auc == expected.auc
    text = card(tmp_path / "toy")
    assert with_error(expected.auc, expected.auc_error) in text
    for rejection in expected.rejections:
        assert f"{rejection} ({rejection.surviving:,} left)" in text
    assert f"{expected.signal_rows:,}, {expected.background_rows:,}" in text
    assert "on 300 rows of `test.root`" in text
    assert "a toy" in text
    assert "CC0-1.0" in text


def test_what_is_known_of_the_training_is_filled_in(trained: Path, tmp_path: Path) -> None:
    publish(trained, tmp_path / "toy")
    description = json.loads((tmp_path / "toy" / "model.json").read_text())
    parameters = sum(p.numel() for p in load_checkpoint(trained).tagger.parameters())
    assert description["network"] == {"name": "pfn", "parameters": parameters}
    assert description["training"]["epochs"] == 2
    assert description["provenance"]["seed"] == "7"
    text = card(tmp_path / "toy")
    assert f"{parameters:,} parameters" in text
    assert "Trained for 2 epochs" in text
    assert "| `betas` | 0.8,0.9 |" in text
    assert "part_x, part_y, part_loge, part_d0" in text


def test_no_folder_of_this_machine_is_published(trained: Path, dataset: Dataset, tmp_path: Path) -> None:
    config = TrainingConfig(model_options=toys.SMALL, epochs=1, mixed_precision=False, from_checkpoint=str(trained))
    publish(Training(config, dataset, tmp_path / "tuned", accelerator="cpu").run(), tmp_path / "toy")
    description = (tmp_path / "toy" / "model.json").read_text()
    assert json.loads(description)["config"]["from_checkpoint"] == trained.name
    assert str(tmp_path.parent) not in description
    assert load_checkpoint(tmp_path / "toy").config.from_checkpoint == trained.name


def test_what_is_not_known_is_marked_and_no_figure_stands_for_it(trained: Path, test_file: str, tmp_path: Path) -> None:
    bare = publish(trained, tmp_path / "bare")
    text = card(tmp_path / "bare")
    assert bare.open_marks == text.count(MARK) == 6
    scores = text.split("## Scores")[1].split("## Limits")[0]
    assert MARK in scores
    assert not any(letter.isdigit() for letter in scores)
    full = publish(trained, tmp_path / "full", [test_file], data="a toy", licence="CC0-1.0")
    assert full.open_marks == 4, "use, limits, processor, spread over seeds"
    assert publish(trained, tmp_path / "some", data="a toy").open_marks == 5


def test_without_its_history_a_checkpoint_can_still_be_published(trained: Path, tmp_path: Path) -> None:
    alone = shutil.copy(trained, tmp_path / "alone.pt")
    publish(alone, tmp_path / "toy")
    assert "Trained for" not in card(tmp_path / "toy")
    assert "minutes of wall time" not in card(tmp_path / "toy")


def test_the_command_of_the_card_trains_the_same(trained: Path, tmp_path: Path) -> None:
    publish(trained, tmp_path / "toy")
    block = card(tmp_path / "toy").split("## How to repeat")[1]
    words = shlex.split(block.split("```bash\n")[1].split("\n```")[0])
    assert words[:3] == ["collidekit", "run", "analysis.yaml"]
    (tmp_path / "analysis.yaml").write_text(block.split("```yaml\n")[1].split("```")[0])
    loaded = load_checkpoint(trained)
    again = parse_analysis((tmp_path / "analysis.yaml").read_text(), "analysis.yaml")[0]
    assert again.fingerprint == loaded.analysis.fingerprint
    settings = parse_settings([words[i + 1] for i, word in enumerate(words) if word == "--set"])
    task = report_task(str(tmp_path / "analysis.yaml"), ["rows.parquet"], settings=settings)
    assert task.training_config() == loaded.config


def test_the_command_of_a_bundled_analysis_names_it() -> None:
    analysis = shipped.load_plan("top_tagging").analysis
    recommended = TrainingConfig.model_validate(analysis.training)
    command = repeat_command(analysis, recommended.model_copy(update={"epochs": 3}), ["a b.root"])
    assert command == "collidekit run top_tagging --files 'a b.root' --set epochs=3 --set seed=123456"
    narrower = analysis.model_copy(update={"selection": "jet_pt > 600"})
    assert "analysis.yaml" in repeat_command(narrower, recommended, [])


def test_rows_and_files_of_a_task_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from luigi.task_register import Register

    from collidekit.tasks.base import run_with_requirements
    from collidekit.tasks.training import TrainingTask

    toys.write_table(tmp_path / "train.root", toys.toy_table(300))
    (tmp_path / "toy.yaml").write_text(toys.TOY + "training: {model_options: {phi: [8], f: [8]}, epochs: 1}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLLIDEKIT_OUTPUT", str(tmp_path / "results"))
    Register.clear_instance_cache()  # the same parameters are other tasks in another folder
    task = TrainingTask(config="toy.yaml", filelist=("train.root",))
    run_with_requirements(task)
    publish(task.folder, tmp_path / "published")
    description = json.loads((tmp_path / "published" / "model.json").read_text())
    assert description["training"]["files"] == {"train.root": 300}
    assert sum(description["training"]["class_counts"].values()) == description["training"]["rows"] == 300
    assert description["provenance"]["trained with torch"]
    assert "`train.root` (300 rows)" in card(tmp_path / "published")
    assert str(tmp_path) not in card(tmp_path / "published"), "paths of the author's machine are nobody's business"


def test_a_model_is_not_replaced_unasked(trained: Path, tmp_path: Path) -> None:
    publish(trained, tmp_path / "toy")
    (tmp_path / "toy" / "README.md").write_text("Words of mine.")
    with pytest.raises(CollidekitError, match=r"toy: has model.safetensors and .*README.md already; .*--force"):
        publish(trained, tmp_path / "toy")
    assert card(tmp_path / "toy") == "Words of mine."
    publish(trained, tmp_path / "toy", force=True)
    assert MARK in card(tmp_path / "toy")


@pytest.mark.parametrize("bad", ["missing", "no truth"])
def test_nothing_is_left_where_the_scores_cannot_be_measured(trained: Path, tmp_path: Path, bad: str) -> None:
    file = tmp_path / "rows.root"
    if bad == "no truth":
        table = toys.toy_table(50)
        toys.write_table(file, table[table.label == 1])
    with pytest.raises(CollidekitError, match="no discriminator of analysis" if bad == "no truth" else "rows.root"):
        publish(trained, tmp_path / "toy", [str(file)])
    assert not [path for path in tmp_path.iterdir() if path != file]


def test_an_earlier_model_stays_where_a_new_one_fails(trained: Path, tmp_path: Path) -> None:
    publish(trained, tmp_path / "toy")
    before = {path.name: path.read_bytes() for path in (tmp_path / "toy").iterdir()}
    with pytest.raises(CollidekitError):
        publish(trained, tmp_path / "toy", [str(tmp_path / "none.root")], force=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "toy").iterdir()} == before


def test_a_published_model_is_not_published_again(trained: Path, tmp_path: Path) -> None:
    publish(trained, tmp_path / "toy")
    with pytest.raises(CollidekitError, match=r"is published already; copy its folder"):
        publish(tmp_path / "toy", tmp_path / "again")


def test_a_network_of_ones_own_cannot_be_published(dataset: Dataset, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("from collidekit.models.mlp import MLP\nclass Mine(MLP):\n    pass\n")
    config = TrainingConfig(model_name=str(file), epochs=1)
    best = Training(config, dataset, tmp_path / "trained", accelerator="cpu").run()
    with pytest.raises(CollidekitError, match=r"its network is user code .*mine.py.*use best_model.pt"):
        publish(best, tmp_path / "toy")
    assert not (tmp_path / "toy").exists()


def test_the_name_of_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert card_name(tmp_path / "weights" / "top-tagging" / "pfn") == "top-tagging/pfn"
    assert card_name(tmp_path / "my_tagger") == "my_tagger"
    monkeypatch.chdir(tmp_path)
    assert card_name(Path(".")) == tmp_path.name


# bundled models


def shown(function: object, *words: str) -> str:
    console = Console(width=120, record=True, quiet=False, file=open("/dev/null", "w"))  # noqa: SIM115
    function(*words, console)  # type: ignore[operator]
    return console.export_text()


def test_the_table_of_bundled_models(
    trained: Path, test_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = tmp_path / "weights"
    publish(trained, shelf / "toys" / "pfn", [test_file], data="a toy")
    publish(trained, shelf / "toys" / "unknown")
    real = shipped._folders
    monkeypatch.setattr(shipped, "_folders", lambda part: [shelf] if part == "weights" else real(part))
    score = json.loads((shelf / "toys" / "pfn" / "model.json").read_text())["scores"][0]
    text = shown(show_models)
    lines = {words[0]: line for line in text.splitlines() if (words := line.split()) and words[0].startswith("toys/")}
    assert set(lines) == {"toys/pfn", "toys/unknown"}
    assert f"{with_error(score['auc'], score['auc_error'])}" in lines["toys/pfn"]
    assert "a toy" in lines["toys/pfn"]
    assert "not described" in lines["toys/unknown"]
    assert "not measured" in lines["toys/unknown"]
    assert "collidekit predict toys/pfn FILES" in text
    assert "a toy" in shown(show_card, "toys/pfn")
    (shelf / "toys" / "pfn" / "README.md").unlink()
    with pytest.raises(CollidekitError, match=r"README.md: there is no card"):
        show_card("toys/pfn", Console(quiet=True))


def test_the_table_shows_the_efficiency_of_assignments() -> None:
    assert re.search(r"^ttbar-dilepton/pair_transformer .* tops 0\.7652 ± 0\.0050", shown(show_models), re.MULTILINE)


def test_without_models_the_table_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "_folders", lambda part: [])
    assert "This version has no bundled models" in shown(show_models)


@pytest.mark.parametrize("name", sorted(shipped.shipped_models()))
def test_each_bundled_model_is_complete_and_its_card_finished(name: str) -> None:
    folder = shipped.shipped_models()[name]
    loaded = load_checkpoint(name)
    description = json.loads((folder / "model.json").read_text())
    text = card(folder)
    assert MARK not in text
    assert description["data"]["description"]
    assert description["data"]["licence"]
    judged = any(description.get(key) for key in ("scores", "residuals", "assignments"))
    assert judged or "No jet was left to measure these weights by." in text
    assert description["network"]["parameters"] == sum(p.numel() for p in loaded.tagger.parameters())
    assert all(np.isfinite(value.numpy()).all() for value in loaded.tagger.state_dict().values())
    assert yaml.safe_dump(description["data"])
    assert f"collidekit predict {name} " in text


def test_a_card_holds_no_html_of_others(trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "<img src=x>`|"
    publish(trained, folder, data="<script>alert(1)</script> | ```", licence="[x](http://host)")
    text = card(folder)
    outside = re.sub(r"(?ms)^(`{3,})\w+\n.*?^\1$", "", text)  # blocks of code
    outside = re.sub(r"(`+) ?[^\n]*? ?\1", "", outside)  # code within a line
    assert "<" not in outside
    assert not re.search(r"(?<!\\)\]\(", outside)
    assert "&lt;script&gt;alert(1)&lt;/script&gt; \\| \\`\\`\\`" in text


def test_the_card_says_which_rows_were_learned_from(trained: Path, dataset: Dataset, tmp_path: Path) -> None:
    """Scores on training rows are marked; the published model still knows its rows."""
    count = sum(len(batch) for batch in Loader(dataset, 500, TrainingConfig().split))
    with pytest.raises(CollidekitError, match=f"{count} of 500 rows are rows that the model was trained on"):
        publish(trained, tmp_path / "toy", dataset.manifest.files)
    assert not (tmp_path / "toy").exists()
    made = publish(trained, tmp_path / "toy", dataset.manifest.files, allow_training_rows=True)
    assert made.warning.startswith(f"TRAINING ROWS: {count} of 500 rows")
    assert f"**{made.warning}**" in card(tmp_path / "toy")
    assert load_checkpoint(tmp_path / "toy").learned_from == load_checkpoint(trained).learned_from
    assert "| fold |" not in card(tmp_path / "toy")


def test_the_card_names_the_fold(dataset: Dataset, test_file: str, tmp_path: Path) -> None:
    config = TrainingConfig(model_options=toys.SMALL, epochs=1, folds=5, fold=2)
    path = Training(config, dataset, tmp_path / "fold", accelerator="cpu").run()
    made = publish(path, tmp_path / "toy", [test_file])
    assert made.warning == ""
    assert "| fold | fold 2 of 5: the training set is 3 of 5 parts of the rows" in card(tmp_path / "toy")
    assert "--set folds=5 --set fold=2" in card(tmp_path / "toy")


def test_the_card_of_one_of_two_folds(dataset: Dataset, tmp_path: Path) -> None:
    """With two folds, training and validation set are from the other part: it is not 0 of 2 parts."""
    config = TrainingConfig(model_options=toys.SMALL, epochs=1, folds=2, fold=0)
    path = Training(config, dataset, tmp_path / "fold", accelerator="cpu").run()
    publish(path, tmp_path / "toy")
    text = card(tmp_path / "toy")
    assert "| fold | fold 0 of 2: the training and validation set are from the other part of the rows" in text
    assert "0 of 2 parts" not in text
