"""Assignment targets: from the file to predictions, efficiencies and the report."""

from collections.abc import Callable
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import toys
from luigi.task_register import Register
from typer.testing import CliRunner

from collidekit.analysis.load import parse_analysis
from collidekit.bundle.publish import publish
from collidekit.cli import app
from collidekit.errors import CollidekitError
from collidekit.evaluation.assignment import EVENT, measure_assignment, right_rows
from collidekit.inference.predictions import Predictions
from collidekit.tasks.assignment import AssignmentTask
from collidekit.tasks.base import run_with_requirements
from collidekit.tasks.inference import InferenceTask
from collidekit.tasks.report import ReportTask

TEXT = """
inputs:
  jets: {limit: 4, order: jet_pt, features: [jet_pt, jet_tag, jet_side]}
  leptons: {limit: 2, features: [lep_side]}
targets:
  tops:
    collection: jets
    parents: {top: {b: top_b}, antitop: {b: antitop_b}}
    partners: {top: "leptons[0]", antitop: "leptons[1]"}
spectators: [njets]
event: [event]
training: {model_name: pfn, model_options: {phi: [16, 16], f: [16]}, epochs: 15, batch_size: 128, learning_rate: 0.01}
"""


def table(rows: int, seed: int) -> ak.Array:
    """Tagged jets on the side of their lepton are the b quarks; others have no tag, or the wrong side. Truths may be missing.

    Of ten events one has no known truth. Jets lie in the file in no order, and the softest of more than four is not kept.
    """
    generator = np.random.default_rng(seed)
    counts = generator.integers(0, 6, rows)
    total, first = counts.sum(), np.cumsum(counts) - counts
    side = generator.choice([-1.0, 1.0], (rows, 1)) * np.array([1.0, -1.0])
    jets = {
        "jet_pt": generator.exponential(30, total) + 20,
        "jet_tag": np.zeros(total),
        "jet_side": generator.choice([-1.0, 1.0], total),
    }
    index = np.full((rows, 2), -1.0)
    for row in range(rows):
        for lepton, place in enumerate(generator.permutation(counts[row])[:2]):
            if generator.random() < 0.8:
                index[row, lepton] = place
                jets["jet_tag"][first[row] + place] = 1.0
                jets["jet_side"][first[row] + place] = side[row, lepton]
    index[::10] = np.nan
    return ak.zip(
        {
            "event": np.arange(rows) + 1000 * seed,
            "njets": counts,
            "lep_side": ak.unflatten(side.reshape(-1), np.full(rows, 2)),
            "top_b": index[:, 0].copy(),
            "antitop_b": index[:, 1].copy(),
            **{name: ak.unflatten(values, counts) for name, values in jets.items()},
        },
        depth_limit=1,
    )


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, object]]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLLIDEKIT_OUTPUT", str(tmp_path / "results"))

    def make(text: str = TEXT, rows: int = 1500) -> dict[str, object]:
        Register.clear_instance_cache()  # the name of the file is the same in each test
        (tmp_path / "toy.yaml").write_text(text)
        toys.write_table(tmp_path / "train.parquet", table(rows, 1))
        toys.write_table(tmp_path / "test.parquet", table(600, 2))
        return {
            "config": "toy.yaml",
            "filelist": ("train.parquet",),
            "test_filelist": ("test.parquet",),
            "n_threads": 1,
        }

    return make


def test_from_the_file_to_the_report(files: Callable[..., dict[str, object]], tmp_path: Path) -> None:
    settings = files()
    report = ReportTask(**settings)
    run_with_requirements(report)
    predictions = Predictions.read(InferenceTask(**settings).folder / "predictions.parquet")
    given = table(600, 2)
    given = given[~np.isnan(given["top_b"])]  # without classes of rows, those of unknown truth are left out
    assert len(given) == 540
    for name in ("top_b", "antitop_b"):
        true = ak.to_numpy(given[name])
        assert predictions.true_positions[name].tolist() == true.tolist()
    found, counts = predictions.positions, ak.to_numpy(given["njets"])
    assert ((found["top_b"] != found["antitop_b"]) | (found["top_b"] < 0)).all()
    assert (((found["top_b"] >= 0) & (found["antitop_b"] >= 0)) == (counts >= 2)).all()
    assert (np.maximum(found["top_b"], found["antitop_b"]) < counts).all()
    whole = next(entry for entry in AssignmentTask(**settings).read() if entry.what == EVENT)
    assert whole.complete is not None
    complete = (ak.to_numpy(given["top_b"]) >= 0) & (ak.to_numpy(given["antitop_b"]) >= 0)
    assert (whole.every.total, whole.complete.total) == (540, complete.sum())
    assert whole.complete.value > 0.85  # 1/12 by chance; some b jets are beyond the limit, or alike another
    for parent in ("top", "antitop"):
        detected = predictions.parent_probabilities[f"{parent}_detection"]
        there = predictions.true_positions[f"{parent}_b"] >= 0
        assert detected[there].mean() > detected[~there].mean() + 0.3
        assert ((detected >= 0) & (detected <= 1)).all()
    for of_event, kind in (("tops", "assignment"), ("tops_complete", "detection")):
        product = np.prod(
            [predictions.parent_probabilities[f"{parent}_{kind}"] for parent in ("top", "antitop")], axis=0
        )
        np.testing.assert_allclose(predictions.parent_probabilities[of_event], product, rtol=1e-6)
        assert f"{of_event}_probability" in predictions.columns()
    whole_event = predictions.parent_probabilities["tops_complete"]
    assert whole_event[complete].mean() > whole_event[~complete].mean() + 0.3
    page = (report.folder / "report.html").read_text()
    assert "Assignment" in page
    assert "whole event" in page
    assert (tmp_path / AssignmentTask(**settings).folder / "assignment.csv").is_file()


def test_jets_in_another_order_are_the_same_jets(files: Callable[..., dict[str, object]], tmp_path: Path) -> None:
    settings = files()
    run_with_requirements(InferenceTask(**settings))
    trained = InferenceTask(**settings).requires()
    folder = next((tmp_path / "results" / "TrainingTask").rglob("best_model.pt")).parent
    assert trained
    data = table(600, 2)
    order = ak.argsort(data["jet_pt"], axis=1, ascending=True)
    lists = {name: data[name][order] for name in ("jet_pt", "jet_tag", "jet_side")}
    turned = ak.zip({name: lists.get(name, data[name]) for name in data.fields if "_b" not in name}, depth_limit=1)
    toys.write_table(tmp_path / "turned.parquet", turned)
    done = CliRunner().invoke(app, ["predict", str(folder), "turned.parquet", "-o", "out.parquet"])
    assert done.exit_code == 0, done.output
    assert "whole event" not in done.output, "the truth is not known"
    told = CliRunner().invoke(app, ["predict", str(folder), "test.parquet", "-o", "told.parquet"])
    assert "whole event" in told.output
    known = Predictions.read(InferenceTask(**settings).folder / "predictions.parquet")
    found = Predictions.read(tmp_path / "out.parquet")
    assert (found.true_positions["top_b"] == -2).all()
    rows = known.event["event"] - 2000
    assert len(rows) == 540
    for name in ("top_b", "antitop_b"):
        moved, there = found.positions[name][rows], known.positions[name] >= 0
        assert ((moved >= 0) == there).all()
        back = [int(order[row][position]) for row, position in zip(rows[there], moved[there], strict=True)]
        assert back == known.positions[name][there].tolist()


def test_an_ensemble_takes_the_most_probable(files: Callable[..., dict[str, object]]) -> None:
    settings = files(TEXT.replace("epochs: 15", "epochs: 2")) | {"seeds": (1, 2)}
    run_with_requirements(InferenceTask(**settings))
    together = Predictions.read(InferenceTask(**settings).folder / "predictions.parquet")
    probable = np.sum([np.log(together.parent_probabilities[f"{p}_assignment"]) for p in ("top", "antitop")], axis=0)
    each = []
    for seed in (1, 2):
        alone = InferenceTask(**{**settings, "seeds": (), "seed": seed})
        run_with_requirements(alone)
        each.append(Predictions.read(alone.folder / "predictions.parquet"))
    own = [
        np.sum([np.log(p.parent_probabilities[f"{n}_assignment"]) for n in ("top", "antitop")], axis=0) for p in each
    ]
    np.testing.assert_allclose(probable, np.maximum(*own), atol=1e-9)
    assert all(not member.positions for member in together.of_members().values()), (
        "those of the ensemble are not theirs"
    )


def test_a_published_model_has_its_efficiencies_on_its_card(files: Callable[..., dict[str, object]]) -> None:
    settings = files(TEXT.replace("epochs: 15", "epochs: 1"), rows=100)
    run_with_requirements(AssignmentTask(**settings))
    checkpoint = next(Path("results/TrainingTask").rglob("best_model.pt"))
    publish(checkpoint, Path("published"), ["test.parquet"])
    card = (Path("published") / "README.md").read_text()
    for entry in AssignmentTask(**settings).read():
        assert "| " + " | ".join(entry.cells()).replace("<", "&lt;") + " |" in card
    assert "It assigns jets to top, antitop." in card
    assert "\n\nEfficiency: fraction of the events with all decay products in which every slot is right" in card


def test_a_head_is_not_kept_for_other_partners(files: Callable[..., dict[str, object]]) -> None:
    settings = files(TEXT.replace("epochs: 15", "epochs: 1"), rows=100)
    run_with_requirements(InferenceTask(**settings))
    checkpoint = next(Path("results/TrainingTask").rglob("best_model.pt")).absolute()
    other = TEXT.replace("epochs: 15", "epochs: 1")
    other = other.replace('{top: "leptons[0]", antitop: "leptons[1]"}', '{top: "leptons[1]", antitop: "leptons[0]"}')
    assert other != TEXT.replace("epochs: 15", "epochs: 1")
    settings = files(other, rows=100) | {"from_checkpoint": str(checkpoint)}
    with pytest.raises(CollidekitError, match="its head is for the assignments tops "):
        run_with_requirements(InferenceTask(**settings, keep_head=True))
    run_with_requirements(InferenceTask(**settings))


def test_folds_put_the_assignments_of_all_members_in_order(files: Callable[..., dict[str, object]]) -> None:
    settings = files(TEXT.replace("epochs: 15", "epochs: 3"), rows=300) | {"test_filelist": (), "folds": 3}
    task = InferenceTask(**settings)
    run_with_requirements(task)
    found = Predictions.read(task.folder / "predictions.parquet")
    given = table(300, 1)
    given = given[~np.isnan(given["top_b"])]
    assert found.event["event"].tolist() == given["event"].to_list()
    for name in ("top_b", "antitop_b"):
        assert found.true_positions[name].tolist() == given[name].to_list()
        assert (found.positions[name] < ak.to_numpy(given["njets"])).all()
    for column in found.columns().values():
        assert len(column) == len(given)


PARTNERS = 'partners: {top: "leptons[0]", antitop: "leptons[1]"}'


def test_a_perceptron_assigns_with_leading_constituents(files: Callable[..., dict[str, object]]) -> None:
    text = TEXT.replace(
        "model_name: pfn, model_options: {phi: [16, 16], f: [16]}",
        "model_name: mlp, model_options: {leading: 3, hidden: [32]}",
    )
    assert text != TEXT
    task = InferenceTask(**files(text, rows=300))
    run_with_requirements(task)
    found = Predictions.read(task.folder / "predictions.parquet")
    true = np.stack([found.true_positions[name] for name in ("top_b", "antitop_b")])
    right = (np.stack([found.positions[name] for name in ("top_b", "antitop_b")]) == true).all(axis=0)
    assert right[(true >= 0).all(axis=0)].mean() > 0.5


@pytest.mark.parametrize(
    "change",
    [
        'partners: {top: "leptons[1]", antitop: "leptons[0]"}',
        "symmetries: [[top, antitop]]",
        f"{PARTNERS}\n    focal: 1",
        f"{PARTNERS}\n    exclusivity: 0.1",
    ],
)
def test_what_decides_how_it_is_learned_is_another_training(
    files: Callable[..., dict[str, object]], change: str
) -> None:
    settings = files(rows=50)
    before = InferenceTask(**settings)
    one = [training.hash for training in before.trainings().values()]
    dataset, predicted = before.dataset_task().hash, before.hash
    line = next(line for line in TEXT.splitlines() if "partners" in line)
    settings = files(TEXT.replace(line, "    " + change), rows=50)
    after = InferenceTask(**settings)
    assert [training.hash for training in after.trainings().values()] != one
    assert after.dataset_task().hash == dataset
    assert after.hash != predicted


def test_terms_of_the_loss_at_their_default_are_no_other_training(files: Callable[..., dict[str, object]]) -> None:
    hashes = []
    for added in ("", "\n    focal: 0\n    exclusivity: 0"):
        given = files(TEXT.replace(PARTNERS, PARTNERS + added), rows=50)
        hashes.append([training.hash for training in InferenceTask(**given).trainings().values()])
    assert hashes[0] == hashes[1]


def hadronic(positions: list[list[int]], true: list[list[int]]) -> Predictions:
    """Return predictions of events with two hadronic tops, each with b, q, q."""
    names = [f"{parent}_{slot}" for parent in ("t1", "t2") for slot in ("b", "q1", "q2")]
    columns = {name: np.array(values) for name, values in zip(names, np.transpose(positions), strict=True)}
    truths = {name: np.array(values) for name, values in zip(names, np.transpose(true), strict=True)}
    rows = len(positions)
    return Predictions(
        (), np.zeros((rows, 0)), np.full(rows, -1), np.ones(rows), positions=columns, true_positions=truths
    )


HADRONIC = """
inputs:
  jets: {limit: 8, features: [jet_pt]}
targets:
  tops:
    collection: jets
    parents: {t1: {b: t1_b, q1: t1_q1, q2: t1_q2}, t2: {b: t2_b, q1: t2_q1, q2: t2_q2}}
    symmetries: [[t1, t2], [t1.q1, t1.q2], [t2.q1, t2.q2]]
"""


def test_what_may_be_exchanged_is_right_in_either_order() -> None:
    target = parse_analysis(HADRONIC, "toy.yaml")[0].assignments["tops"]
    true = [0, 1, 2, 3, 4, 5]
    positions = [
        [0, 1, 2, 3, 4, 5],  # right
        [0, 2, 1, 3, 5, 4],  # right: light quarks exchanged
        [3, 4, 5, 0, 1, 2],  # right: tops exchanged
        [3, 5, 4, 0, 1, 6],  # the second top is right, the first has a wrong quark
        [1, 0, 2, 3, 4, 5],  # b and a light quark are exchanged: the second top is right
        [0, 1, 4, 3, 2, 5],  # none
    ]
    predictions = hadronic(positions, [true] * 6)
    rows = right_rows(predictions, target)
    assert rows.right[EVENT].tolist() == [True, True, True, False, False, False]
    assert rows.right["t1"].tolist() == [True, True, True, False, False, False]
    assert rows.right["t2"].tolist() == [True, True, True, True, True, False]
    whole, first, second = measure_assignment(predictions, "tops", target)
    assert (whole.every.value, first.every.value) == (0.5, 0.5)
    assert second.every.value == pytest.approx(5 / 6)


def test_a_top_that_is_not_complete_counts_for_all_events_alone() -> None:
    target = parse_analysis(HADRONIC, "toy.yaml")[0].assignments["tops"]
    true = [[0, 1, 2, 3, 4, -1], [0, 1, 2, 3, 4, 5], [-2, -2, -2, -2, -2, -2]]
    found = {
        entry.what: entry for entry in measure_assignment(hadronic([[0, 1, 2, 3, 4, 5]] * 3, true), "tops", target)
    }
    assert found[EVENT].complete is not None
    assert (found[EVENT].complete.total, found[EVENT].complete.value) == (1, 1.0)
    assert (found[EVENT].every.total, found[EVENT].every.value) == (2, 0.5)
    assert found["t1"].complete is not None
    assert found["t1"].complete.total == 2
    assert found["t2"].complete is not None
    assert found["t2"].complete.total == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("[t1, t2]", "[t1, t3]"), "symmetries: there is no parent 't3'"),
        (("[t1, t2]", "[t1, t2.b]"), "symmetries: t1, t2.b are not all parents, or all slots of one parent"),
        (("[t1.q1, t1.q2]", "[t1.q1, t2.q2]"), "are not all parents, or all slots of one parent"),
        (("[t1.q1, t1.q2]", "[t1.q1, t1.q2], [t1.q2, t1.b]"), "'t1.q2' is given twice"),
        (("t2: {b: t2_b, q1: t2_q1,", "t2: {b: t2_b, q3: t2_q1,"), "slot"),
        (("collection: jets", "collection: jetz"), "no collection 'jetz' among the inputs (did you mean 'jets'?)"),
        (("symmetries: [[t1, t2],", 'partners: {t1: "leptons[0]"}\n    symmetries: ['), "no collection 'leptons'"),
        (
            ("symmetries: [[t1, t2],", "partners: {t1: jets}\n    symmetries: ["),
            "must be a constituent, such as leptons[0]",
        ),
        (("parents: {t1:", "parents: {t1: {}, t0:"), "at least 1"),
        ((", [t2.q1, t2.q2]", ""), "other slots of the parents t1, t2 may be exchanged"),
        (("collection: jets", 'collection: jets\n    partners: {t1: "jets[0]"}'), "'t1' of t1, t2 has a partner"),
        (
            ("[t1, t2], [t1.q1, t1.q2],", "[t1.q1, t1.q2]]\n    partners: {t1: 'jets[8]'} #"),
            "'jets[8]' is never kept: the limit of jets is 8",
        ),
        (
            ("parents: {", "parents: {t1_q: {b: x}, t1__q: {b: x}, t1_: {q_b: y}, "),
            "two slots would be 't1__q_b'",
        ),
        (
            ("  tops:", "  first: {collection: jets, parents: {t1: {x: x}}}\n  tops:"),
            "target 'first' also has the column 't1_assignment_probability'",
        ),
    ],
)
def test_mistakes_in_the_file(change: tuple[str, str], said: str) -> None:
    with pytest.raises(CollidekitError) as caught:
        parse_analysis(HADRONIC.replace(*change), "toy.yaml")
    assert said in str(caught.value)
    assert str(caught.value).startswith("toy.yaml:")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"top_b": "5 + 0 * njets"}, "is beyond the last of the jets"),
        ({"top_b": "0.5 + 0 * njets"}, "which is not an integer"),
        ({"top_b": "njets > 0"}, "'njets > 0' is a condition; the position of a constituent is needed"),
        ({"antitop_b": "top_b"}, "top_b and antitop_b are the same constituent"),
        ({"pfn": "pcnn"}, "network PCNN has no embedding of the jets"),
        ({"top_b": "no_such_branch"}, "no branch or variable 'no_such_branch'"),
    ],
)
def test_mistakes_in_the_data(
    files: Callable[..., dict[str, object]], change: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = TEXT
    for old, new in change.items():
        text = text.replace(f"{{b: {old}}}", f"{{b: {new}}}").replace(f"model_name: {old}", f"model_name: {new}")
    text = text.replace(", model_options: {phi: [16, 16], f: [16]}", "") if "pfn" in change else text
    files(text, rows=100)
    done = CliRunner().invoke(
        app, ["run", "toy.yaml", "-f", "train.parquet", "-t", "test.parquet"], env={"COLUMNS": "400"}
    )
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())


def test_a_value_or_a_class_with_the_column_of_a_slot_is_a_mistake() -> None:
    more = "  other: {values: {index_t1_b: mass}}\n"
    with pytest.raises(CollidekitError, match="target 'tops' also has the column 'true_index_t1_b' of the predictions"):
        parse_analysis(HADRONIC + more, "toy.yaml")
    text = HADRONIC.replace("t1", "prob") + "classes: {assignment_probability: x == 0, other: x == 1}\n"
    with pytest.raises(
        CollidekitError, match="class 'assignment_probability' also has the column 'prob_assignment_prob"
    ):
        parse_analysis(text, "toy.yaml")


def test_more_orders_of_parents_than_can_be_compared_are_refused() -> None:
    names = [f"t{k}" for k in range(7)]
    parents = ", ".join(f"{name}: {{b: {name}_b}}" for name in names)
    text = f"inputs: {{jets: {{limit: 8, features: [jet_pt]}}}}\ntargets: {{tops: {{collection: jets, parents: {{{parents}}}"
    with pytest.raises(CollidekitError, match="the parents have more than 1000 orders"):
        parse_analysis(f"{text}, symmetries: [[{', '.join(names)}]]}}}}", "toy.yaml")
    analysis = parse_analysis(f"{text}, symmetries: [[{', '.join(names[:6])}]]}}}}", "toy.yaml")[0]
    assert len(analysis.assignments["tops"].exchanges()) == 720
