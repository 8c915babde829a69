"""The files for people who deploy: their commands have only options that exist."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from collidekit.cli import app

FOLDER = Path(__file__).parents[3] / "deploy"


def commands() -> list[list[str]]:
    """Return the words after ``collidekit`` of each command in the files and on the page."""
    texts = [path.read_text() for path in (*sorted(FOLDER.glob("*.service")), FOLDER / "compose.yaml")]
    texts.append((FOLDER.parent / "docs" / "benchmark-operate.md").read_text())
    found = re.findall(r"collidekit (benchmark (?:serve|worker|user)[^\n'`]*(?:\n      --[^\n']*)*)", "\n".join(texts))
    listed = [
        word.strip('"') for word in re.findall(r'"[^"]*"', (FOLDER / "Containerfile").read_text().partition("CMD")[2])
    ]
    return [*(shlex.split(text.replace("\n", " ").rstrip("\\").replace('"', "")) for text in found), listed[1:]]


def test_options_of_all_commands_exist() -> None:
    group = get_command(app).commands["benchmark"]  # type: ignore[attr-defined]
    assert len(commands()) > 8
    for words in commands():
        command = group.commands[words[1]]
        if words[1] == "user":
            command = command.commands[words[2]]
        known = {name for parameter in command.params for name in parameter.opts}
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known, words


def test_the_compose_file_keeps_the_database_and_the_server_to_themselves() -> None:
    content = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    services = content["services"]
    assert services["server"]["cap_drop"] == ["ALL"]
    assert services["server"]["user"].startswith("${COLLIDEKIT_UID:?"), "it writes into the folder of the workers"
    assert "ports" not in services["server"], "only the proxy is reached from outside"
    assert services["database"]["ports"] == ["127.0.0.1:5432:5432"]
    assert set(content["volumes"]) == {"database", "certificates"}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")
@pytest.mark.parametrize("name", ["collidekit-benchmark.service", "collidekit-benchmark-worker@.service"])
def test_systemd_reads_the_units(name: str, tmp_path: Path) -> None:
    text = (FOLDER / name).read_text().replace("/opt/collidekit/bin/collidekit", "/bin/true")
    path = tmp_path / name.replace("@.", "@1.")
    path.write_text(text)
    answer = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(path)], capture_output=True, text=True, check=False
    )
    problems = [line for line in answer.stderr.splitlines() if name.partition("@")[0] in line and "Unknown" in line]
    assert not problems, answer.stderr
