"""Which store takes which outputs."""

from pathlib import Path

import pytest

from collidekit.errors import CollidekitError
from collidekit.stores.settings import store_of


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "stores.yaml"
    monkeypatch.setenv("COLLIDEKIT_STORE", str(path))
    return path


def test_without_a_store_outputs_stay_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLLIDEKIT_STORE", raising=False)
    assert store_of("TrainingTask") == ""


def test_one_store_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLLIDEKIT_STORE", "s3://bucket/path/")
    assert store_of("TrainingTask") == store_of("ReportTask") == "s3://bucket/path"


def test_a_store_for_each_task(named: Path) -> None:
    named.write_text("stores:\n  default: root://host//a\n  TrainingTask: s3://bucket\n  ReportTask: here\n")
    assert [store_of(task) for task in ("DatasetConstructorTask", "TrainingTask", "ReportTask")] == [
        "root://host//a",
        "s3://bucket",
        "",
    ]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "http://host/path",
            "http://host/path: is not a store; write root://host//path, s3://bucket/path or file:///path",
        ),
        ("rot://host//path", "is not a store (did you mean 'root' or"),
        ("root://host/relative", "write a host and an absolute path, as in root://host//path"),
        ("root://", "write a host and an absolute path"),
        ("s3://", "names no bucket"),
        ("file://host/path", "write an absolute path, as in file:///path"),
        ("no_such_file.yaml", "--store no_such_file.yaml: is neither a URL nor a readable file"),
    ],
)
def test_a_wrong_url_is_one_error(url: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLLIDEKIT_STORE", url)
    with pytest.raises(CollidekitError) as error:
        store_of("TrainingTask")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "stores:\n  default: here\n  TraningTask: s3://a",
            "stores.yaml:3: there is no task 'TraningTask' (did you mean 'TrainingTask'",
        ),
        ("stores:\n  default: ftp://a", "stores.yaml:2: ftp://a: is not a store"),
        ("stores:\n  default: 3", "stores.yaml:2: 3 is not a URL; write a URL or here"),
        ("stores: s3://a", "stores.yaml:1: must hold only one table"),
        ("stores: {}\nkeys: {}", "stores.yaml:1: must hold only one table"),
        ("", "stores.yaml:1: must hold only one table"),
        ("stores: [", "stores.yaml:1: not valid YAML"),
        ("stores:\n  default: here\n  default: s3://a", "stores.yaml:3: 'default' is given twice"),
    ],
)
def test_a_wrong_file_is_one_error(named: Path, text: str, message: str) -> None:
    named.write_text(text)
    with pytest.raises(CollidekitError) as error:
        store_of("TrainingTask")
    assert message in str(error.value)
