"""Verbs of open benchmarks: printed and written output."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rob_demo import write_demo
from toy_benchmarks import FakeSandbox, PlainSandbox, write_benchmark, write_submission
from typer.testing import CliRunner

from collidekit.benchmark.checksums import write_checksums
from collidekit.benchmark.definition import load_benchmark
from collidekit.cli import app


def run(*words: object, code: int = 0) -> str:
    found = CliRunner().invoke(app, ["benchmark", *map(str, words)], env={"COLUMNS": "200", "TERM": "dumb"})
    text = found.output
    assert found.exit_code == code, text + str(found.exception)
    assert "Traceback" not in text
    return text


@pytest.fixture
def sandbox(monkeypatch):
    """Replace the sandbox of ``run``; real sandboxes have their own tests."""
    fake = FakeSandbox()
    asked: list[dict[str, object]] = []

    def choose(engine="", **settings):
        asked.append({"engine": engine, **settings})
        return fake

    monkeypatch.setattr("collidekit.benchmark.sandbox.choose.choose_sandbox", choose)
    fake.asked = asked
    return fake


def test_from_nothing_to_scores(tmp_path, monkeypatch):
    folder, tagger = tmp_path / "jets", tmp_path / "tagger"
    assert "top_tagging_robustness" in run("list")
    assert "collidekit benchmark build" in run("create", folder, "--like", "jet_flavour", "--name", "my_jets")
    built = run("build", folder)
    assert "light 1,000, c 1,000, b 1,000" in built
    assert "with checksums of 3 files" in built
    assert "no problems" in run("check", folder)
    assert "write your tagger into" in run("init", tagger, "--benchmark", folder)
    monkeypatch.setattr(
        "collidekit.benchmark.sandbox.choose.choose_sandbox", lambda *given, **settings: PlainSandbox(tmp_path / "root")
    )
    shown = run("run", folder, tagger, "-o", tmp_path / "out")
    assert "AUC b/light" in shown
    assert "3,000 rows" in shown
    assert "boosted trees" in shown
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["state"] == "success"
    assert abs(result["scores"]["metrics"]["b_vs_light"]["value"] - 0.5) < 0.06
    assert load_benchmark(folder).name == "my_jets"


def test_a_run_that_fails_says_who_has_to_act_and_where_the_logs_are(tmp_path, sandbox):
    write_benchmark(tmp_path / "b")
    write_submission(tmp_path / "s")
    sandbox.outcome |= {"ok": False, "reason": "ended with exit code 3"}
    said = run("run", tmp_path / "b", tmp_path / "s", "-o", tmp_path / "out", code=2)
    assert "error: tagger on nominal: ended with exit code 3 (the participant must fix this)" in " ".join(said.split())
    assert json.loads((tmp_path / "out" / "result.json").read_text())["fault"] == "participant"


def test_options_reach_the_sandbox_and_the_submission(tmp_path, sandbox):
    benchmark = write_benchmark(
        tmp_path / "b", parameters=[{"name": "depth", "type": "int"}, {"name": "cuts", "type": "list"}]
    )
    write_submission(tmp_path / "s")
    words = [
        "--set",
        "depth=3",
        "--set",
        "cuts=[1, 2.5]",
        "--seed",
        "9",
        "--engine",
        "podman",
        "--image",
        "me/x",
        "--pull",
    ]
    run("run", tmp_path / "b", tmp_path / "s", "-o", tmp_path / "out", *words)
    (asked,) = sandbox.asked
    truth = benchmark.path(benchmark.phases["public"].samples["nominal"].truth)
    assert asked == {"engine": "podman", "image": "me/x", "pull": True, "trust": False, "private": (truth,)}
    (job,) = sandbox.jobs
    assert job.environment["COLLIDEKIT_SEED"] == "9"
    parameters = {mount.target: mount.source for mount in job.mounts}["/data/parameters.json"]
    assert json.loads(Path(parameters).read_text()) == {"depth": 3, "cuts": [1, 2.5]}
    assert "write it as NAME=VALUE" in run("run", tmp_path / "b", tmp_path / "s", "--set", "depth", code=2)
    for value in ("2026-13-45", "[" * 5000, "'", "{a: 1, a: 2}"):
        said = run("run", tmp_path / "b", tmp_path / "s", "--set", f"depth={value}", code=2)
        assert "is not valid YAML" in " ".join(said.split())
    assert "there is no phase 'pubic' (did you mean 'public'?)" in " ".join(
        run("run", tmp_path / "b", tmp_path / "s", "--phase", "pubic", code=2).split()
    )


def test_a_bundled_benchmark_without_data_says_how_to_make_it(tmp_path, monkeypatch, sandbox):
    monkeypatch.chdir(tmp_path)
    write_submission(tmp_path / "s")
    said = " ".join(run("run", "top_tagging", "s", code=2).split())
    assert (
        "collidekit benchmark create top_tagging --like top_tagging && collidekit benchmark build top_tagging" in said
    )
    assert "there is no folder of this name" in run("run", "nothing", "s", code=2)


def test_a_changed_benchmark_is_a_new_version_and_says_whose_board_is_empty(tmp_path):
    pytest.importorskip("sqlalchemy")
    from collidekit.benchmark.store.store import Store
    from collidekit.benchmark.worker import Worker

    folder, store = tmp_path / "b", ["--store", tmp_path / "board.db"]
    write_benchmark(folder)
    write_submission(tmp_path / "s", files={"tagger.py": "x"})
    assert "version" not in run("submit", folder, tmp_path / "s", *store)
    Worker(Store(str(tmp_path / "board.db")), FakeSandbox()).run_one()
    file = folder / "benchmark.yaml"
    file.write_text(file.read_text().replace("title: Toy", "title: Another"))
    said = " ".join(run("submit", folder, tmp_path / "s", *store).split())
    assert "version 2 is registered; the leaderboard of public stays as it is" in said
    truth = folder / "truth/truth.parquet"
    pq.write_table(pq.read_table(truth), truth, compression="none")
    refused = " ".join(run("submit", folder, tmp_path / "s", *store, code=2).split())
    assert (
        f"collidekit benchmark build {folder}, and then start the server again, or submit with that folder" in refused
    )
    write_checksums(load_benchmark(folder))
    said = " ".join(run("submit", folder, tmp_path / "s", *store).split())
    assert "version 3 is registered; the leaderboard of public begins empty" in said


def test_submit_follow_rank_and_withdraw(tmp_path):
    pytest.importorskip("sqlalchemy")
    from collidekit.benchmark.store.store import Store
    from collidekit.benchmark.worker import Worker

    write_benchmark(
        tmp_path / "b", references=[{"name": "Published", "scores": {"auc": 0.99}, "source": "arXiv 0000.00000"}]
    )
    write_submission(tmp_path / "s", files={"tagger.py": "x"})
    store = ["--store", tmp_path / "board.db"]
    assert "run 1 is queued" in run("submit", tmp_path / "b", tmp_path / "s", *store)
    waiting = run("status", 1, *store)
    assert "pending" in waiting
    assert "place in the queue" in waiting
    assert "no submission has a score yet" not in run("leaderboard", "toy", *store)  # the published one stands there
    Worker(Store(str(tmp_path / "board.db")), FakeSandbox()).run_one()
    done = run("status", 1, *store)
    assert "success" in done
    assert "AUC" in done
    assert "ran" in run("logs", 1, *store)
    board = run("leaderboard", tmp_path / "b", *store)
    assert "Published (arXiv 0000.00000)" in board
    assert board.index("Published") < board.index("mine")
    assert "run 1 has ended already: success; remove it" in run("cancel", 1, *store)
    opened = Store(str(tmp_path / "board.db"))
    opened.rerun(opened.rerun(1, opened.users()[0]), opened.users()[0])
    said = "run 1 is withdrawn; it was run again as runs 2 and 3, which stay\n"
    assert run("cancel", 1, "--withdraw", *store).endswith(said)
    assert run("cancel", 1, *store).endswith("run 1 has ended already: success, withdrawn\n")
    assert run("cancel", 2, "--withdraw", *store).endswith(
        "run 2 is withdrawn; it was run again as run 3, which stays\n"
    )
    assert run("cancel", 2, *store).endswith("run 2 has ended already: canceled, withdrawn\n")
    assert run("cancel", 3, "--withdraw", *store).endswith("run 3 is withdrawn\n")
    assert "mine" not in run("leaderboard", "toy", *store)
    run("submit", "toy", tmp_path / "s", "--name", "again", *store)
    assert "run 4 is canceled" in run("cancel", 4, *store)
    assert run("cancel", 4, *store).endswith("run 4 has ended already: canceled\n")
    assert "there is no such run" in run("status", 77, *store, code=2)


def test_a_store_or_a_server_is_needed_and_not_both(tmp_path):
    said = "name a store with --store"
    assert said in run("status", 1, code=2)
    assert said in run("status", 1, "--store", tmp_path / "a.db", "--server", "http://localhost:1", code=2)
    assert "--server: needs --token" in run("cancel", 1, "--server", "http://localhost:1", code=2)


def test_a_benchmark_with_a_fault_is_not_registered(tmp_path):
    pytest.importorskip("sqlalchemy")
    write_benchmark(tmp_path / "b")
    (tmp_path / "b" / "features.parquet").write_bytes(b"PAR1")
    write_submission(tmp_path / "s")
    said = run("submit", tmp_path / "b", tmp_path / "s", "--store", tmp_path / "board.db", code=2)
    assert "was changed or is damaged" in " ".join(said.split())


def test_a_benchmark_of_rob_is_converted(tmp_path):
    demo = write_demo(tmp_path / "demo", rows=50)
    assert "name a new folder for the converted benchmark with --into" in run("build", demo, code=2)
    words = ["--pickled-jets", demo / "data/test_jets.pkl", "--pickled-labels", demo / "data/evaluate/labels.pkl"]
    said = run("build", demo, "--into", tmp_path / "new", *words)
    assert "'dtype' stands twice" in said
    assert "converted, with 50 jets" in said
    assert "no problems" in run("check", tmp_path / "new")
    assert "--into: works only with a benchmark of ROB" in run(
        "build", tmp_path / "new", "--into", tmp_path / "x", code=2
    )
    assert "converted without data" in run("build", demo, "--into", tmp_path / "other")


WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("sqlalchemy", "fastapi", "alembic", "uvicorn", "psycopg", "torch"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from collidekit.cli import app
from typer.testing import CliRunner
for words in (["--help"], ["benchmark", "--help"], ["benchmark", "run", "--help"], ["benchmark", "list"], ["benchmark", "run", *sys.argv[1:], "--trust"]):
    found = CliRunner().invoke(app, words)
    assert found.exit_code == 0, (words, found.output)
found = CliRunner().invoke(app, ["benchmark", "status", "1", "--store", "board.db"])
assert found.exit_code == 2, found.output
assert "collidekit[server]" in found.output, found.output
"""


def test_packages_of_the_server_are_not_needed_to_run(tmp_path):
    write_benchmark(tmp_path / "b")
    tagger = "import shutil, pyarrow.parquet as pq, pyarrow as pa, os\nt = pq.read_table(os.environ['COLLIDEKIT_FEATURES'])\n"
    tagger += "pq.write_table(pa.table({'row': t['row'], 'top': [0.5] * len(t)}), os.environ['COLLIDEKIT_OUTPUT'] + '/predictions.parquet')\n"
    write_submission(tmp_path / "s", tagger=f"{sys.executable} tagger.py", files={"tagger.py": tagger})
    source = str(Path(__file__).parents[2] / "src")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, tmp_path / "b", tmp_path / "s"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PYTHONPATH": source, "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
