"""Images of participants in real podman: pinned, and what they ask for themselves is not given."""

import io
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest
from attrs import evolve
from sandboxes import make_job

from collidekit.benchmark.sandbox.job import Sandbox

pytestmark = pytest.mark.parametrize("engine", ["podman"], indirect=True)

NAME = "localhost/participant/tagger:1"
WISHES = (
    "ENV SECRET=mine", "ENV PATH=/usr/bin:/bin", "USER 0", "VOLUME /keep", "WORKDIR /keep", 'ENTRYPOINT ["/no/such/program"]',
    'CMD ["id"]', "EXPOSE 80",
)  # fmt: skip


def make_image(*programs: str, links: dict[str, str] | None = None) -> None:
    """An image with wishes of its own, from scratch: some programs of this machine and the libraries that they need."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        libraries: set[str] = set()
        for program in programs:
            real = os.path.realpath(shutil.which(program) or program)
            needed = subprocess.run(["ldd", real], capture_output=True, text=True, check=True).stdout
            libraries |= set(re.findall(r"(/\S+) \(0x", needed))
            archive.add(real, f"/bin/{program}")
        for name, place in (links or {}).items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, place
            archive.addfile(link)
        for path in sorted(libraries):
            archive.add(os.path.realpath(path), path)
    changes = [word for wish in WISHES for word in ("--change", wish)]
    subprocess.run(
        ["podman", "import", "--quiet", *changes, "-", NAME], input=content.getvalue(), capture_output=True, check=True
    )


def test_an_image_is_pinned_and_its_wishes_are_not_granted(engine: Sandbox, tmp_path: Path) -> None:
    make_image("sh", "id")
    job = evolve(
        make_job(
            tmp_path,
            "id -u; pwd; echo $SECRET; (echo x > /keep/x) 2>/dev/null && echo 'the volume can be written'; echo 1 > /output/predictions.csv",
        ),
        image=NAME,
    )
    outcome = engine.run(job)
    assert outcome.ok, (outcome, job.log.read_text())
    user, folder, secret, *more = job.log.read_text().splitlines()
    assert int(user) > 0
    assert (folder, secret, more) == ("/submission", "mine", [])
    shown = subprocess.run(
        ["podman", "image", "inspect", "--format", "{{.Digest}}", NAME], capture_output=True, text=True, check=True
    )
    assert outcome.image_digest.endswith(shown.stdout.strip())
    assert "sha256:" in outcome.image_digest


def test_an_image_without_a_shell(engine: Sandbox, tmp_path: Path) -> None:
    make_image("id")
    outcome = engine.run(evolve(make_job(tmp_path, "true"), image=NAME))
    assert outcome.reason == "the command 'sh' is not in the image or cannot be started"
    assert not outcome.service_fault


@pytest.mark.parametrize("name", ["localhost/no/such:1", "--privileged", "docker-archive:/tmp/x"])
def test_an_image_that_is_not_here(engine: Sandbox, tmp_path: Path, name: str) -> None:
    outcome = engine.run(evolve(make_job(tmp_path, "true"), image=name))
    assert not outcome.ok
    assert not outcome.service_fault
    assert "is not on this machine" in outcome.reason or "is not the name of a container image" in outcome.reason


@pytest.mark.parametrize("name", ["tmp", "output", "submission", "data"])
def test_links_in_an_image_lead_nowhere(
    engine: Sandbox, tmp_path: Path, name: str, request: pytest.FixtureRequest
) -> None:
    """The engine and collidekit set these folders up from outside, as root: an image may not turn that on the machine."""
    victim = Path(tempfile.mkdtemp(dir="/var/tmp"))  # not below /tmp, which would make a link at /tmp lead to itself
    request.addfinalizer(lambda: shutil.rmtree(victim))
    victim.chmod(0o755)
    (victim / "predictions.csv").write_text("of another")
    make_image("sh", "id", links={name: str(victim)})
    job = evolve(make_job(tmp_path, "echo mine > /output/predictions.csv; echo x > /tmp/x"), image=NAME)
    outcome = engine.run(job)
    assert victim.stat().st_mode & 0o7777 == 0o755
    assert [path.name for path in victim.iterdir()] == ["predictions.csv"]
    assert (victim / "predictions.csv").read_text() == "of another"
    assert [path.read_text() for path in job.output.iterdir()] in ([], ["mine\n"])
    if name == "output":
        assert outcome.reason == "the image has something else than a folder at /output"
