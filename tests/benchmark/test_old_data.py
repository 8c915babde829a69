"""Pickled jets of the demo: converted once, and then a tagger of the template runs on them."""

import pickle
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from rob_demo import make_jets, write_demo, write_template
from sklearn.metrics import roc_auc_score
from toy_benchmarks import PlainSandbox

from collidekit.benchmark.definition import load_benchmark
from collidekit.benchmark.old_convert import convert_old
from collidekit.benchmark.old_data import read_old_jets
from collidekit.benchmark.run import run_submission
from collidekit.benchmark.states import State
from collidekit.benchmark.submission import load_submission
from collidekit.errors import CollidekitError


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return write_demo(tmp_path_factory.mktemp("rob") / "demo")


@pytest.fixture(scope="module")
def converted(demo, tmp_path_factory):
    folder = tmp_path_factory.mktemp("converted") / "new"
    made = convert_old(demo, folder, demo / "data" / "test_jets.pkl", demo / "data" / "evaluate" / "labels.pkl")
    assert made.jets == 300
    return load_benchmark(folder)


def masses(jets):
    return np.array([np.sqrt(jet[:, 0].sum() ** 2 - (jet[:, 1:].sum(axis=0) ** 2).sum()) for jet in jets])


def test_jets_and_labels_stay_together(converted):
    jets, labels = make_jets()
    features = pq.read_table(converted.folder / "data/features.parquet")
    truth = pq.read_table(converted.folder / "truth/truth.parquet")
    assert set(features.column_names) == {"row", "E", "PX", "PY", "PZ"}
    assert features["row"].to_pylist() == truth["row"].to_pylist() == list(range(300))
    known = {jet[0][0, 0]: label for jet, label in zip(jets, labels, strict=True)}
    assert [known[energies[0]] for energies in features["E"].to_pylist()] == truth["label"].to_pylist()
    assert truth["label"].to_pylist() != labels.tolist()  # in another order


def test_the_pickle_of_the_participants_has_no_labels_and_the_same_order(converted):
    with (converted.folder / "data/test_jets.pkl").open("rb") as file:
        found = pickle.load(file)
    energies = pq.read_table(converted.folder / "data/features.parquet")["E"].to_pylist()
    assert [jet[0][:, 0].tolist() for jet in found] == energies
    assert {jet[1] for jet in found} == {-1}


def test_only_labels_from_the_400000th_on_are_taken_and_they_must_agree(demo, tmp_path):
    jets, labels = demo / "data/test_jets.pkl", demo / "data/evaluate/labels.pkl"
    assert read_old_jets(jets, labels).labels.tolist() == read_old_jets(jets).labels.tolist() == make_jets()[1].tolist()
    whole = pickle.loads(labels.read_bytes())
    (tmp_path / "few.pkl").write_bytes(pickle.dumps(whole[1:]))
    with pytest.raises(CollidekitError, match="those from the 400,000th on are scored: 299, and there are 300 jets"):
        read_old_jets(jets, tmp_path / "few.pkl")
    whole[400_000] = 1 - whole[400_000]
    (tmp_path / "other.pkl").write_bytes(pickle.dumps(whole))
    with pytest.raises(CollidekitError, match="1 of 300 labels are others than those beside the jets"):
        read_old_jets(jets, tmp_path / "other.pkl")
    (tmp_path / "text.pkl").write_bytes(pickle.dumps(["a"]))
    with pytest.raises(CollidekitError, match="is no list of labels 0 and 1"):
        read_old_jets(jets, tmp_path / "text.pkl")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({}, "is no list"),
        ([], "is no list"),
        ([[np.zeros((2, 4))]], r"jet 0 is no \[constituents, label\]"),
        ([[np.zeros((2, 3)), 1]], "jet 0: its constituents are no finite numbers"),
        ([[np.full((2, 4), np.nan), 1]], "jet 0: its constituents are no finite numbers"),
        ([[np.zeros((2, 4)), 2]], "its label is 2"),
        ([["text", 1]], "jet 0: its constituents"),
    ],
)
def test_jets_of_another_form_are_named(content, said, tmp_path):
    (tmp_path / "jets.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(CollidekitError, match=said):
        read_old_jets(tmp_path / "jets.pkl")


TAGGER = "python /app/toptagger/mytagger.py -d {data} -w /mydata/my_data.txt -o /results/yProbBest.pkl"
COMMANDS = {
    "without pre-processing": f"name: mine\ntagger: {TAGGER.format(data='/data/test_jets.pkl')}\n",
    "with pre-processing": (
        "name: mine\npreprocess: python /app/toptagger/mypreproc.py -t /data/test_jets.pkl -o /results/preproc.pkl\n"
        f"tagger: {TAGGER.format(data='/results/preproc.pkl')}\n"
    ),
    "with actors and relative paths": (
        "name: mine\nparameters:\n"
        "  preproc: {environment: '', commands: [python code/toptagger/do_nothing.py]}\n"
        "  tagger: [container, {environment: '', commands: ['cd /submission',"
        " 'python toptagger/mytagger.py -d /data/test_jets.pkl -w mydata/my_data.txt -o /results/yProbBest.pkl']}]\n"
    ),
    "with relative paths": (
        "name: mine\ntagger: python code/toptagger/mytagger.py -d data/test_jets.pkl -w mydata/my_data.txt -o results/yProbBest.pkl\n"
    ),
}


def expected(benchmark):
    features = pq.read_table(benchmark.folder / "data/features.parquet").to_pydict()
    jets = [np.array(columns).T for columns in zip(*(features[name] for name in ("E", "PX", "PY", "PZ")), strict=True)]
    labels = pq.read_table(benchmark.folder / "truth/truth.parquet")["label"].to_numpy()
    return [roc_auc_score(labels, np.exp(-(((masses(jets) - 173 - run) / 30) ** 2))) for run in range(3)]


def check(found, benchmark):
    assert found.state is State.SUCCESS, found.reason + "".join(Path(path).read_text() for path in found.logs.values())
    aucs = expected(benchmark)
    assert found.scores.per_run["auc"] == pytest.approx(aucs, abs=1e-9)
    kept = [auc for run, auc in enumerate(aucs) if run not in found.scores.runs_left_out]
    assert found.scores.metrics["auc"].value == pytest.approx(np.median(kept), abs=1e-9)


@pytest.mark.parametrize("kind", COMMANDS)
def test_commands_of_the_template_run(kind, converted, tmp_path):
    submission = load_submission(write_template(tmp_path / "s", COMMANDS[kind]), converted)
    check(
        run_submission(converted, "public", submission, tmp_path / "work", PlainSandbox(tmp_path / "root")), converted
    )


@pytest.mark.parametrize("kind", ["with pre-processing", "with relative paths"])
@pytest.mark.skipif(not shutil.which("bwrap"), reason="bubblewrap is not installed")
def test_commands_of_the_template_run_in_bubblewrap(kind, converted, tmp_path):
    from collidekit.benchmark.sandbox.bubblewrap import Bubblewrap

    if not (probe := Bubblewrap().probe()).works:
        pytest.skip(f"bubblewrap does not work here: {probe.message}")
    text = COMMANDS[kind].replace("python ", "python3 ")
    submission = load_submission(write_template(tmp_path / "s", text), converted)
    check(run_submission(converted, "public", submission, tmp_path / "work", Bubblewrap()), converted)


def test_an_actor_and_a_command_for_the_same_step_are_refused(converted, tmp_path):
    text = "name: mine\ntagger: x\nparameters: {tagger: {environment: '', commands: [y]}}\n"
    with pytest.raises(CollidekitError, match="has 'tagger' and the actor 'tagger', which is the same"):
        load_submission(write_template(tmp_path / "s", text), converted)
    text = "name: mine\nparameters: {tagger: {environment: --privileged, commands: [y]}}\n"
    with pytest.raises(CollidekitError, match="'--privileged' is no name of a container image"):
        load_submission(write_template(tmp_path / "t", text), converted)
    text = "name: mine\nparameters: {tagger: {command: [1]}}\n"
    with pytest.raises(CollidekitError, match="an actor needs 'environment'"):
        load_submission(write_template(tmp_path / "u", text), converted)


def test_a_default_actor_never_runs_by_itself(converted, tmp_path):
    submission = load_submission(write_template(tmp_path / "s", "name: mine\ntagger: x\n"), converted)
    assert submission.steps() == [("tagger", "x", "")]
    assert submission.parameters == {"depth": 4}
    with pytest.raises(CollidekitError, match="'tagger' is required"):
        load_submission(write_template(tmp_path / "t", "name: mine\n"), converted)
