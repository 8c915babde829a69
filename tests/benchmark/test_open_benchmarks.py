"""The bundled benchmarks: complete, and a bundle that takes part has the scores that collidekit itself computes."""

import shutil

import awkward as ak
import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot
from sklearn.metrics import roc_auc_score
from toy_benchmarks import PlainSandbox

from collidekit.analysis.load import read_analysis
from collidekit.benchmark.build import build_benchmark
from collidekit.benchmark.check import check_benchmark, check_metrics
from collidekit.benchmark.create import create_benchmark
from collidekit.benchmark.definition import load_benchmark
from collidekit.benchmark.init import write_submission
from collidekit.benchmark.run import run_submission
from collidekit.benchmark.states import State
from collidekit.benchmark.submission import load_submission
from collidekit.errors import CollidekitError
from collidekit.evaluation.classification.roc import roc_curve
from collidekit.runtime.bundle import Bundle
from collidekit.shipped import find_analysis, shipped_analyses, shipped_benchmarks

NAMES = list(shipped_benchmarks())
BUNDLED = [name for name in NAMES if name not in ("quark_gluon", "top_tagging_reference")]


@pytest.mark.parametrize("name", NAMES)
def test_each_is_valid_and_its_metrics_fit(name):
    found = load_benchmark(shipped_benchmarks()[name])
    check_metrics(found)
    assert found.name == name
    assert found.title
    assert found.description
    assert found.instructions
    assert found.build


def test_published_taggers_name_where_their_outputs_are():
    found = load_benchmark(shipped_benchmarks()["top_tagging_reference"]).references
    assert [reference.name for reference in found] == ["ParticleNet", "PFN", "TopoDNN"]
    assert all("github.com/fizisist/LorentzGroupNetwork" in reference.source for reference in found)


@pytest.mark.parametrize("name", BUNDLED)
def test_each_can_be_built_from_the_bundled_sample(name, tmp_path):
    create_benchmark(tmp_path / name, name)
    built = build_benchmark(tmp_path / name)
    benchmark = load_benchmark(tmp_path / name)
    check_benchmark(benchmark)
    assert sum(sample.rows for sample in built.samples) >= 3000
    files = shipped_files(benchmark.build.analysis)
    for phase in benchmark.phases.values():
        for sample in phase.samples.values():
            columns = set(pq.read_schema(benchmark.path(sample.features)).names)
            assert not columns & {"label", "jet_flavour", "event", "weight"}, columns
            assert not [column for column in columns if column.startswith(("truth", "weight"))]
            assert columns - {"row"} < set(uproot.open(f"{files}:tree").keys())


def shipped_files(analysis):
    path = shipped_analyses()[analysis]
    return path.parent / read_analysis(path)[0].files.test[0]


def test_the_robust_samples_hold_the_same_jets(tmp_path):
    create_benchmark(tmp_path / "b", "top_tagging_robustness")
    build_benchmark(tmp_path / "b")
    benchmark = load_benchmark(tmp_path / "b")
    samples = benchmark.phases["public"].samples
    truths = {benchmark.path(sample.truth).read_bytes() for sample in samples.values()}
    assert len(truths) == 1
    found = {name: ak.from_parquet(benchmark.path(sample.features)) for name, sample in samples.items()}
    nominal = found["nominal"]
    for name, factor in (("harder", 1.05), ("softer", 0.95)):
        assert np.allclose(found[name].jet_mass, factor * nominal.jet_mass, rtol=1e-5)
        assert np.allclose(ak.flatten(found[name].part_px), factor * ak.flatten(nominal.part_px), rtol=1e-5)
    soft = nominal.part_px**2 + nominal.part_py**2 <= 4
    assert ak.num(found["no_soft"].part_px).tolist() == ak.sum(~soft, axis=1).tolist()
    smear = ak.flatten(found["smeared"].part_energy / nominal.part_energy)
    assert np.mean(smear) == pytest.approx(1, abs=0.003)
    assert np.std(smear) == pytest.approx(0.15, abs=0.003)
    massless = found["smeared"].part_px ** 2 + found["smeared"].part_py ** 2 + found["smeared"].part_pz ** 2
    assert np.allclose(ak.flatten(np.sqrt(massless)), ak.flatten(found["smeared"].part_energy), rtol=1e-4)


def expected_auc(bundle, benchmark, phase):
    """AUC of a bundle on the rows of a phase, from the ROOT file itself: rows are found again by the energy of their jet."""
    path = shipped_files("top_tagging")
    predictions = Bundle(bundle).predict([str(path)])
    with uproot.open(f"{path}:tree") as tree:
        mass, label = tree["jet_mass"].array(library="np"), tree["label"].array(library="np")
    entries = predictions.event["row"]
    score = dict(zip(mass[entries].tolist(), predictions.probabilities[:, 1], strict=True))
    truth = dict(zip(mass.tolist(), label.tolist(), strict=True))
    chosen = pq.read_table(benchmark.path(benchmark.phases[phase].samples["nominal"].features))["jet_mass"].to_pylist()
    assert len(set(chosen)) == len(chosen) > 1000
    labels, scores = [np.array([known[value] for value in chosen]) for known in (truth, score)]
    return roc_auc_score(labels, scores), roc_curve(scores, labels).auc


@pytest.mark.parametrize("phase", ["public", "final"])
def test_a_bundle_has_the_auc_that_collidekit_evaluates(phase, top_bundle, top_benchmark, tmp_path):
    submission = load_submission(write_submission(tmp_path / "s", top_benchmark, top_bundle), top_benchmark)
    found = run_submission(top_benchmark, phase, submission, tmp_path / "work", PlainSandbox(tmp_path / "root"))
    assert found.state is State.SUCCESS, found.reason + (tmp_path / "work/nominal/tagger.log").read_text()
    by_sklearn, by_collidekit = expected_auc(top_bundle, top_benchmark, phase)
    assert by_sklearn == pytest.approx(by_collidekit, abs=1e-12)
    assert abs(by_sklearn - 0.5) > 0.05  # random weights, and yet no coin
    assert found.scores.metrics["auc"].value == pytest.approx(by_sklearn, abs=1e-9)


@pytest.mark.skipif(not shutil.which("bwrap"), reason="bubblewrap is not installed")
def test_a_bundle_predicts_in_bubblewrap_what_it_predicts_outside(top_bundle, top_benchmark, tmp_path):
    from collidekit.benchmark.sandbox.bubblewrap import Bubblewrap

    if not (probe := Bubblewrap().probe()).works:
        pytest.skip(f"bubblewrap does not work here: {probe.message}")
    submission = load_submission(write_submission(tmp_path / "s", top_benchmark, top_bundle), top_benchmark)
    truth = tuple(top_benchmark.path(phase.samples["nominal"].truth) for phase in top_benchmark.phases.values())
    found = run_submission(top_benchmark, "public", submission, tmp_path / "work", Bubblewrap(truth))
    assert found.state is State.SUCCESS, found.reason
    assert found.scores.metrics["auc"].value == pytest.approx(
        expected_auc(top_bundle, top_benchmark, "public")[0], abs=1e-9
    )


def test_create_refuses_what_it_cannot_do(tmp_path):
    with pytest.raises(
        CollidekitError, match=r"there is no bundled benchmark of this name \(did you mean 'top_tagging'"
    ):
        create_benchmark(tmp_path / "b", "top_taging")
    with pytest.raises(CollidekitError, match="--name My Tops: a name has small letters"):
        create_benchmark(tmp_path / "b", "top_tagging", "My Tops")
    assert create_benchmark(tmp_path / "b", "top_tagging", "my_tops").name == "my_tops"
    with pytest.raises(CollidekitError, match="is there already"):
        create_benchmark(tmp_path / "b", "top_tagging")


def test_quark_and_gluon_jets_of_the_user_make_a_benchmark(tmp_path):
    create_benchmark(tmp_path / "b", "quark_gluon")
    rng = np.random.default_rng(1)
    counts = rng.integers(1, 20, 400)
    columns = {name: ak.unflatten(rng.normal(size=counts.sum()), counts) for name in ("px", "py", "pz")}
    columns["E"] = np.sqrt(columns["px"] ** 2 + columns["py"] ** 2 + columns["pz"] ** 2)
    ak.to_parquet(
        ak.zip({**columns, "is_quark": rng.integers(0, 2, 400)}, depth_limit=1), tmp_path / "b" / "jets.parquet"
    )
    built = build_benchmark(tmp_path / "b")
    check_benchmark(load_benchmark(tmp_path / "b"))
    assert sum(sample.rows for sample in built.samples) == 400
    assert find_analysis(str(tmp_path / "b" / "quark_gluon.yaml"))


def test_the_reference_data_set_makes_a_benchmark(tmp_path, shared_data):
    reference = shared_data / "top_tagging" / "train.parquet"
    create_benchmark(tmp_path / "b", "top_tagging_reference")
    text = (tmp_path / "b" / "benchmark.yaml").read_text()
    assert "{files: test.h5}" in text
    (tmp_path / "b" / "benchmark.yaml").write_text(
        text.replace("{files: test.h5}", f"{{files: {reference}, rows: 2000}}")
    )
    (built,) = build_benchmark(tmp_path / "b").samples
    assert built.rows == 2000
    assert abs(built.classes["top"] - 1000) < 100
