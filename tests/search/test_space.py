"""Space files: ranges and lists, their distributions and grids, and one clear error for each mistake."""

from pathlib import Path

import optuna
import pytest

from collidekit.errors import CollidekitError
from collidekit.search.names import changes_loss, check_name, number_type, with_keys
from collidekit.search.space import Space

GOOD = """
learning_rate: {low: 0.001, high: 0.1, log: true, points: 3}
batch_size: {low: 32, high: 128, step: 32}
model_options.f: [[8], [8, 8]]
ema_decay: {low: 0, high: 0.5, points: 2}
"""
CONTENT = {"inputs": {"jet": {"limit": 4, "features": [{"name": "pt", "scaling": "robust"}]}}, "selection": "x > 0"}


def kind_of(name: str, where: str) -> type | None:
    check_name(name, where, CONTENT)
    return number_type(name, CONTENT, "pfn")


def read(folder: Path, text: str) -> Space:
    path = folder / "space.yaml"
    path.write_text(text)
    return Space.read(path, kind_of)


def test_a_space_has_the_distributions_of_its_settings(tmp_path: Path) -> None:
    space = read(tmp_path, GOOD)
    found = space.distributions()
    assert found["learning_rate"] == optuna.distributions.FloatDistribution(0.001, 0.1, log=True)
    assert found["batch_size"] == optuna.distributions.IntDistribution(32, 128, step=32)
    assert found["model_options.f"] == optuna.distributions.CategoricalDistribution(["[8]", "[8, 8]"])
    assert found["ema_decay"] == optuna.distributions.FloatDistribution(0.0, 0.5)  # written with 0, yet no whole number
    drawn = {"learning_rate": 0.01, "batch_size": 64, "model_options.f": "[8, 8]", "ema_decay": 0.1}
    assert space.values(drawn)["model_options.f"] == [8, 8]


def test_a_grid_has_all_combinations(tmp_path: Path) -> None:
    space = read(tmp_path, GOOD)
    points = space.grid()
    assert len(points) == space.grid_size() == 3 * 4 * 2 * 2
    assert sorted({point["batch_size"] for point in points}) == [32, 64, 96, 128]
    rates = sorted({point["learning_rate"] for point in points})
    assert rates == [0.001, pytest.approx(0.01), 0.1]
    for point in points:  # optuna takes no value beyond its range
        for name, distribution in space.distributions().items():
            assert distribution._contains(distribution.to_internal_repr(point[name]))


def test_the_hash_is_that_of_the_values_and_not_of_their_order(tmp_path: Path) -> None:
    lines = GOOD.strip().splitlines()
    one, other = read(tmp_path, GOOD), read(tmp_path, "\n".join(reversed(lines)))
    assert one.hash == other.hash
    assert read(tmp_path, GOOD.replace("0.1,", "0.2,")).hash != one.hash


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("learning_rat: [1, 2]", r"space.yaml:1: there is no setting 'learning_rat' \(did you mean 'learning_rate'"),
        ("epochs: [1, 2]\nbatch_size: {low: 8, hi: 9}", r"space.yaml:2: batch_size: unknown key 'hi'.*a range has low, high"),
        ("batch_size: {low: 8}", "batch_size: high is required"),
        ("learning_rate: {low: 0, high: 1, log: true}", "a log range needs low above 0, got 0"),
        ("learning_rate: {low: -1, high: 1, log: true}", "a log range needs low above 0"),
        ("batch_size: {low: 9, high: 9}", "the range from low 9 to high 9 is empty"),
        ("batch_size: {low: 9, high: 2}", "is empty; give low < high"),
        ("batch_size: {low: 9, high: 20.5}", "batch_size: is an integer setting"),
        ("batch_size: {low: 8, high: 20, step: 5}", "high 20 is not reached in steps of 5; write high: 18"),
        ("batch_size: {low: 8, high: 20, step: -1}", "step must be above 0"),
        ("batch_size: {low: 8, high: 20, step: 50}", "step 50 is longer than the range"),
        ("batch_size: {low: 8, high: 32, step: 8, log: true}", "step and log cannot be combined"),
        ("learning_rate: {low: 1e-3, high: 0.1}", r"YAML reads 1e-3 as text"),
        ("learning_rate: {low: .nan, high: 0.1}", "learning_rate: low: "),
        ("learning_rate: {low: true, high: 2}", "learning_rate: low: "),
        ("batch_size: []", "the list is empty"),
        ("batch_size: [8]", "has only one value"),
        ("batch_size: [8, 8]", "the value 8 stands twice"),
        ("batch_size: 8", "must be a list such as"),
        ("batch_size: {values: 8}", "values must be a list"),
        ("batch_size: {values: [8, 9], low: 3}", "'low' cannot be combined with values"),
        ("batch_size: [8, 9]\nbatch_size: [8, 9]", "space.yaml:2: 'batch_size' is given twice"),
        ("- batch_size", "space.yaml:1: a space file names settings"),
        ("", "space.yaml:1: a space file names settings"),
        ("batch_size: [8, 9", "not valid YAML"),
        ("seed: [1, 2]", "seed: cannot be searched: give --seeds"),
        ("train_val_split: [0.5, 0.6]", "different validation rows"),
        ("model_options: [1, 2]", "name an option"),
        ("network.width: [1, 2]", "names with a dot are options of the network"),
        ("analysis.selection: [a, b]", "cannot be searched: .*different validation rows"),
        ("analysis.training.epochs: [1, 2]", "write epochs"),
        ("analysis.inputs.tracks.limit: [1, 2]", "the analysis file has no inputs.tracks"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_that_names_the_file(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(CollidekitError, match=said) as error:
        read(tmp_path, text)
    assert "space.yaml" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_space_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CollidekitError, match="there is no such space file"):
        Space.read(tmp_path / "none.yaml", kind_of)


def test_a_range_without_step_has_no_grid(tmp_path: Path) -> None:
    with pytest.raises(CollidekitError, match="learning_rate: a grid needs values"):
        read(tmp_path, "learning_rate: {low: 0.1, high: 0.2}").grid()


def test_keys_of_the_analysis_are_changed_in_a_copy() -> None:
    found = with_keys(CONTENT, {"analysis.inputs.jet.limit": 8, "analysis.inputs.jet.features.0.scaling": "none"})
    assert found["inputs"]["jet"] == {"limit": 8, "features": [{"name": "pt", "scaling": "none"}]}
    assert CONTENT["inputs"]["jet"]["limit"] == 4  # type: ignore[index]


def test_settings_that_change_the_loss_are_known() -> None:
    assert changes_loss(["learning_rate", "focal_gamma"]) == "focal_gamma"
    assert changes_loss(["analysis.targets.top.weight"]) == "analysis.targets.top.weight"
    assert changes_loss(["learning_rate", "analysis.inputs.jet.limit"]) == ""
