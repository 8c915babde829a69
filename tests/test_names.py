"""Names that become folders are names and no paths."""

from pathlib import Path

import pytest

from collidekit.analysis.load import parse_analysis
from collidekit.errors import CollidekitError
from collidekit.names import name_problem

BAD = ["/abs", "../..", "..", ".", "a/b", "a\\b", "~", "~user", ".hidden", " ", "a ", "a\nb", "a\x00b", "x" * 200]


@pytest.mark.parametrize("name", BAD)
def test_paths_are_no_names(name: str) -> None:
    assert name_problem(name)


@pytest.mark.parametrize("name", ["v1", "top tagging", "2024-05", "größe", "a.b", "x" * 150])
def test_names(name: str) -> None:
    assert name_problem(name) == ""


@pytest.mark.parametrize("name", ["/abs", "../.."])
def test_the_name_of_an_analysis(name: str) -> None:
    text = f"name: {name}\nclasses: {{a: x > 0, b: x <= 0}}\ninputs: {{i: {{features: [x]}}}}\n"
    with pytest.raises(CollidekitError, match=r"mine.yaml:1: name: .*cannot be the name of a folder"):
        parse_analysis(text, "mine.yaml")


@pytest.mark.parametrize("version", ["dataset_version", "training_version", "test_dataset_version"])
def test_versions(version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from collidekit.tasks.inference import InferenceTask

    monkeypatch.setenv("COLLIDEKIT_OUTPUT", str(tmp_path / "results"))
    (tmp_path / "rows.root").write_bytes(b"root")
    (tmp_path / "mine.yaml").write_text("classes: {a: x > 0, b: x <= 0}\ninputs: {i: {features: [x]}}\n")
    files = (str(tmp_path / "rows.root"),)
    task = InferenceTask(
        config=str(tmp_path / "mine.yaml"), filelist=files, test_filelist=files, **{version: "../../.."}
    )
    with pytest.raises(CollidekitError, match=r"'../../..' begins with / or . or ~: it cannot be the name of a folder"):
        _ = task.folder
