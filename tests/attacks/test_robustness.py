"""Robustness: taggers under attack, by their own and by others' gradients, in numbers, pictures and a page."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import toys
from typer.testing import CliRunner

from collidekit.attacks.settings import AttackSettings
from collidekit.cli import app
from collidekit.dataset.loader import Dataset, Loader
from collidekit.errors import CollidekitError
from collidekit.evaluation.robustness.measure import (
    AttackedTagger,
    AttackPlan,
    Line,
    Point,
    carried,
    measure_robustness,
    over_seeds,
    passes,
    recovered,
)  # fmt: skip
from collidekit.tasks.robustness import attack_plan, kind_of
from collidekit.training.checkpoint import load_checkpoint
from collidekit.training.config import TrainingConfig
from collidekit.training.loop import Training


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two Gaussians, in a file and as a dataset."""
    folder = tmp_path_factory.mktemp("gaussians")
    toys.make_dataset(folder, toys.GAUSSIANS, toys.gaussians_table(4000, 2.0))
    return folder


@pytest.fixture(scope="module")
def dataset(folder: Path) -> Dataset:
    return Dataset(folder / "dataset")


@pytest.fixture(scope="module")
def trained(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A nominal and an adversarial training of two seeds each."""
    found = {}
    for seed in (1, 2):
        for attack in ("nominal", "fgsm"):
            out = tmp_path_factory.mktemp(f"{attack}{seed}")
            settings = {"attack": attack, "attack_magnitude": 0.3, "seed": seed}
            config = TrainingConfig(
                model_name="mlp",
                model_options={"hidden": [16]},
                epochs=3,
                batch_size=128,
                learning_rate=0.01,
                **settings,
            )  # type: ignore[arg-type]
            Training(config, dataset, out, accelerator="cpu").run()
            found[f"{attack} {seed}"] = out
    return found


@pytest.fixture(scope="module")
def points(dataset: Dataset, trained: dict[str, Path]) -> list[Point]:
    tested = []
    for path in trained.values():
        loaded = load_checkpoint(path)
        tested.append(AttackedTagger(kind_of(loaded.config), loaded.config.seed, loaded.tagger))
    tested.sort(key=lambda entry: entry.kind != "nominal")
    plan = attack_plan(["noise", "fgsm", "pgd"], [0.0, 0.2, 0.5], AttackSettings())
    return measure_robustness(tested, dataset.analysis, list(Loader(dataset, 512)), plan, None)


def test_every_tagger_is_attacked_by_its_own_gradient_and_by_another(points: list[Point]) -> None:
    found = {(p.attack, p.magnitude, p.gradient, p.kind, p.seed) for p in points}
    for kind, other in (("nominal", "fgsm 0.3"), ("fgsm 0.3", "nominal")):
        for seed in (1, 2):
            assert ("nominal", 0.0, "none", kind, seed) in found
            for magnitude in (0.2, 0.5):
                assert ("noise", magnitude, "none", kind, seed) in found
                for gradient in ("own", other):
                    assert ("fgsm", magnitude, gradient, kind, seed) in found
    assert len(found) == len(points) == 4 * (1 + 2 * (1 + 2 + 2))


def test_stronger_attacks_cost_more_and_noise_hardly_anything(points: list[Point]) -> None:
    def auc(attack: str, magnitude: float, gradient: str) -> float:
        return float(np.mean([p.auc for p in points if (p.attack, p.magnitude, p.gradient, p.kind)
                              == (attack, magnitude, gradient, "nominal")]))  # fmt: skip

    clean = auc("nominal", 0, "none")
    assert clean > auc("noise", 0.5, "none") > auc("fgsm", 0.2, "own") > auc("fgsm", 0.5, "own")
    assert clean - auc("noise", 0.2, "none") < 0.2 * (clean - auc("fgsm", 0.2, "own"))
    # two Gaussians two units apart, each moved by half a unit towards the other, are one unit apart
    assert clean - auc("fgsm", 0.5, "own") > 0.1


def test_lines_are_means_over_seeds_with_their_spread(points: list[Point]) -> None:
    line = next(
        line for line in over_seeds(points) if (line.attack, line.gradient, line.kind) == ("fgsm", "own", "nominal")
    )
    mine = [p.auc for p in points if (p.attack, p.magnitude, p.gradient, p.kind) == ("fgsm", 0.2, "own", "nominal")]
    assert line.seeds == 2
    assert line.auc == pytest.approx(np.mean(mine))
    assert line.auc_spread == pytest.approx(np.std(mine, ddof=1))
    assert line.shown_error == pytest.approx(np.hypot(line.auc_error, np.std(mine, ddof=1)))


def test_what_is_won_back() -> None:
    def line(attack: str, gradient: str, kind: str, auc: float) -> Line:
        return Line(attack, 0.1 * (attack != "nominal"), gradient, kind, "d", 1, auc, None, 0.01, 10.0, None, 1.0)

    lines = [
        line("nominal", "none", "base", 0.95), line("nominal", "none", "adv", 0.94), line("fgsm", "own", "base", 0.85),
        line("fgsm", "own", "adv", 0.92), line("fgsm", "base", "adv", 0.93), line("noise", "none", "base", 0.9495),
        line("noise", "none", "adv", 0.93),
    ]  # fmt: skip
    found = recovered(lines, "d", "base")
    assert [(entry.attack, entry.gradient) for entry, _, _ in found] == [("fgsm", "own"), ("fgsm", "base")]
    assert [share for _, _, share in found] == pytest.approx([0.7, 0.8])
    assert found[0][1] == pytest.approx(0.1)


def test_passes_are_counted(dataset: Dataset, trained: dict[str, Path]) -> None:
    tested = [AttackedTagger(name, 1, load_checkpoint(path).tagger) for name, path in trained.items()]
    plan = attack_plan(["noise", "fgsm"], [0.1], AttackSettings())
    told: list[int] = []
    batches = list(Loader(dataset, 1000))
    measure_robustness(tested, dataset.analysis, batches, plan, None, told.append)
    assert sum(told) == passes(tested, plan) * len(dataset)


def test_which_feature_carries_the_attack(dataset: Dataset, trained: dict[str, Path]) -> None:
    """Of the two features only the first tells the classes apart."""
    tagger = load_checkpoint(trained["nominal 1"]).tagger
    settings = AttackSettings(attack="fgsm", attack_magnitude=0.3)
    found = carried(tagger, dataset.analysis, list(Loader(dataset, 512)), settings)["RvsL"]
    assert len(found) == sum(len(entry.features) for entry in dataset.analysis.inputs.values())
    assert found[0].loss > 0.02
    assert found[0].feature == max(found, key=lambda entry: entry.loss).feature


def test_the_command(trained: dict[str, Path], folder: Path, tmp_path: Path) -> None:
    words = ["robustness", *map(str, trained.values()), "--files", str(folder / "rows.parquet"), "--magnitudes", "0.1,0.3",
             "--shown", "0.3", "--attacks", "noise,fgsm", "-o", str(tmp_path / "out"), "--rows", "1000"]  # fmt: skip
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 2
    assert "rows are rows that" in " ".join(refused.output.split())
    done = CliRunner().invoke(app, [*words, "--allow-training-rows"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "TRAINING ROWS: " in done.output
    assert "TRAINING ROWS: " in (tmp_path / "out" / "robustness.html").read_text()
    for text in ("noise 0.1", "fgsm 0.3", "nominal", "own", "recovered", "Means of 2 seeds", "robustness.html"):
        assert text in done.output
    content = json.loads((tmp_path / "out" / "robustness.json").read_text())
    assert content["rows"] == 1000
    assert content["attacks"]["fgsm"]["attack"] == "fgsm"
    pictures = {path.name for path in (tmp_path / "out").glob("*.png")}
    assert {"robustness_RvsL.png", "carried_RvsL.png", "shape_RvsL_nominal.png", "shape_RvsL_fgsm_0_3.png"} <= pictures
    assert any(name.startswith("input_") for name in pictures)
    page = (tmp_path / "out" / "robustness.html").read_text()
    assert len(re.findall("<img", page)) == len(pictures)
    for title in ("Which features carry the attack", "Inputs before and after", "Robustness of RvsL"):
        assert title in page


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--attacks", "fgms"], "--attacks: there is no attack 'fgms' (did you mean 'fgsm'"),
        (["--magnitudes", "0.1,-0.2"], "--magnitudes: -0.2 is not a magnitude"),
        (["--magnitudes", "a"], "--magnitudes: 'a': write numbers, such as 0.01,0.02"),
        (
            ["--set", "attack_sapce=momenta"],
            "there is no parameter 'attack_sapce' of an attack (did you mean 'attack_space'",
        ),
        (
            ["--set", "attack_iterations=0"],
            "--set attack_iterations: Input should be greater than or equal to 1, got '0'",
        ),
        (["--set", "attack_inputs=constituents"], "has no input for attack-inputs constituents"),
    ],
)
def test_bad_words(trained: dict[str, Path], folder: Path, tmp_path: Path, words: list[str], said: str) -> None:
    start = [
        "robustness",
        str(trained["nominal 1"]),
        "--files",
        str(folder / "rows.parquet"),
        "-o",
        str(tmp_path / "out"),
        "--allow-training-rows",
    ]
    done = CliRunner().invoke(app, [*start, *words])
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())


def test_steps_are_usual_where_the_settings_leave_them_open() -> None:
    found = attack_plan(["pgd", "fgsm", "optimizer"], [0.1], AttackSettings()).attacks
    assert (found["pgd"].attack_iterations, found["pgd"].attack_starts) == (20, 1)
    assert (found["fgsm"].attack_iterations, found["optimizer"].attack_iterations) == (1, 50)
    given = attack_plan(["pgd"], [0.1], AttackSettings(attack_starts=3)).attacks["pgd"]
    assert (given.attack_iterations, given.attack_starts) == (20, 3)
    given = attack_plan(["pgd"], [0.1], AttackSettings(attack_iterations=5)).attacks["pgd"]
    assert (given.attack_iterations, given.attack_starts) == (5, 1)


def test_a_plan_without_a_gradient_has_no_shapes(dataset: Dataset) -> None:
    with pytest.raises(CollidekitError, match="-1 is not a magnitude"):
        AttackPlan({}, [-1.0])
