"""Where runs are kept: stores that are made by a typing error, options and environment variables."""

import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("sqlalchemy", reason="needs the extra 'server'")

from boards import make_benchmark, make_submission

from collidekit.benchmark.store import Store
from collidekit.cli import app


def call(*words: str, **environment: str) -> tuple[int, str]:
    answer = CliRunner().invoke(app, ["benchmark", *words], env=environment)
    said = answer.output if answer.exception is None or answer.exit_code != 1 else f"{answer.output}{answer.exception}"
    return answer.exit_code, " ".join(said.split())


@pytest.mark.parametrize(
    "words", [["status", "1"], ["logs", "1"], ["cancel", "1"], ["leaderboard", "toy"], ["worker", "--trust"]]
)
def test_only_serve_and_submit_make_a_store(words: list[str], tmp_path: Path) -> None:
    code, said = call(*words, "--store", str(tmp_path / "slip.db"))
    assert code != 0
    assert "there is no such file" in said
    empty = tmp_path / "empty.db"
    empty.touch()
    code, said = call(*words, "--store", str(empty))
    assert code != 0
    assert "holds no store" in said
    assert not (tmp_path / "slip.db").exists()


def test_submit_says_that_it_made_a_store_and_makes_no_folder(tmp_path: Path) -> None:
    from collidekit.benchmark.connection import LocalConnection
    from collidekit.errors import CollidekitError

    with pytest.raises(CollidekitError, match=r"there is no folder .*slip"):
        LocalConnection(str(tmp_path / "slip" / "board.db"), new=True)
    assert not (tmp_path / "slip").exists()


def test_submit_names_the_new_store_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from collidekit.benchmark.connection import LocalConnection

    for said in ("made the store", ""):
        LocalConnection(str(tmp_path / "board.db"), new=True).store.close()
        found = capsys.readouterr().err
        assert said in found
        assert bool(found) == bool(said)


def test_an_option_wins_over_an_environment_variable(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "board.db"))
    store.register(make_benchmark(tmp_path / "toy"), tmp_path / "toy")
    store.add_user("Ann", "owner")
    run = store.submit(store.user_named("Ann"), "toy", "public", make_submission(tmp_path / "s"), "mine")
    store.close()
    path, away = str(tmp_path / "board.db"), "http://127.0.0.1:9"
    code, said = call("status", str(run), "--store", path, COLLIDEKIT_BENCHMARK_SERVER=away)
    assert (code, "mine" in said) == (0, True), said
    code, said = call("status", str(run), "--server", away, COLLIDEKIT_BENCHMARK_STORE=path)
    assert "127.0.0.1:9: does not answer" in said
    code, said = call("status", str(run), COLLIDEKIT_BENCHMARK_STORE=path, COLLIDEKIT_BENCHMARK_SERVER=away)
    assert "COLLIDEKIT_BENCHMARK_STORE and COLLIDEKIT_BENCHMARK_SERVER" in said


def test_only_its_owner_reads_a_store(tmp_path: Path) -> None:
    path = tmp_path / "new" / "board.db"
    store = Store(str(path))
    store.add_user("Ann", "owner")
    (store.folder / "uploads").mkdir(mode=0o755)
    found = [path.parent, path, store.folder, *path.parent.glob("board.db-*")]
    assert {stat.S_IMODE(one.stat().st_mode) & 0o077 for one in found} == {0}
    store.close()
    path.chmod(0o644)
    store.folder.chmod(0o755)
    Store(str(path), new=False).close()
    for one in (path, store.folder, store.folder / "uploads"):
        assert stat.S_IMODE(one.stat().st_mode) & 0o077 == 0, one


def test_a_group_keeps_its_rights_in_a_folder_that_hands_them_on(tmp_path: Path) -> None:
    tmp_path.chmod(0o2770)
    path = tmp_path / "board.db"
    path.touch()
    path.chmod(0o664)
    Store(str(path)).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
