"""bubblewrap without rights of root: user namespaces do all."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from collidekit.benchmark.sandbox import bubblewrap

CODE = """
import sys
sys.path[:0] = {paths!r}
import json
from pathlib import Path
from attrs import asdict
from sandboxes import make_job
from collidekit.benchmark.sandbox.bubblewrap import Bubblewrap
folder = Path({folder!r})
(folder / "submission").mkdir()
(folder / "submission" / "escape.py").write_text({escape!r})
found = [asdict(Bubblewrap().probe())]
words = "python3 -S /submission/escape.py {runner} /etc/hostname 1 none"
for text in (words, "id -u; echo 1 > /output/predictions.csv; echo $COLLIDEKIT_SEED", "f() {{ f & f; }}; f"):
    job = make_job(folder, text, environment={{"COLLIDEKIT_SEED": "7"}})
    outcome = Bubblewrap().run(job)
    found.append([outcome.ok, outcome.reason, job.log.read_text()[-3000:], sorted(path.name for path in job.output.iterdir())])
print(json.dumps(found))
"""


def test_bubblewrap_as_a_user() -> None:
    python = "/usr/bin/python3"
    if shutil.which("bwrap") is None:
        pytest.skip("bwrap is not installed")
    if os.geteuid() or not Path(python).exists():
        pytest.skip("only root can become another user, which needs a Python that every user reads")
    with tempfile.TemporaryDirectory() as name:
        os.chown(name, 65534, 65534)
        escape = Path(__file__).with_name("escape.py").read_text()
        paths = [path for path in sys.path if path and "lib/python" not in path.replace("site-packages", "")] + [
            path for path in sys.path if "site-packages" in path
        ]
        code = CODE.format(paths=paths, folder=name, escape=escape, runner=os.getpid())
        done = subprocess.run(
            [python, "-c", code],
            user=65534,
            group=65534,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": "/usr/bin:/bin"},
        )
        if "ImportError" in done.stderr or "ModuleNotFoundError" in done.stderr:
            pytest.skip(f"another user's Python cannot import collidekit: {done.stderr.splitlines()[-1]}")
        assert done.returncode == 0, done.stderr
        probe, escape_run, run, bomb = json.loads(done.stdout)
    if not probe["works"] and probe["layer"] == "user namespaces":
        pytest.skip(f"{probe['message']}; {probe['remedy']}")
    assert probe["works"], probe
    assert "memory limit" in probe["enforced"]
    assert escape_run[0], escape_run
    assert "not refused: []" in escape_run[2]
    assert run == [True, "", f"{bubblewrap_user()}\n7\n", ["predictions.csv"]]
    assert not bomb[0]
    assert bomb[3] == ["predictions.csv"]  # of the run before


def bubblewrap_user() -> int:
    """The id of the user inside."""
    from collidekit.benchmark.sandbox.bubblewrap_arguments import USER

    assert bubblewrap.Bubblewrap
    return USER
