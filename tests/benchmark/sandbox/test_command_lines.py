"""Command lines of the engines; docker and apptainer are tested by these alone."""

from itertools import pairwise
from pathlib import Path

import pytest
from attrs import evolve
from sandboxes import make_job

from collidekit.benchmark.sandbox.apptainer import Apptainer, exec_words
from collidekit.benchmark.sandbox.containers import bind
from collidekit.benchmark.sandbox.docker import Docker, run_words
from collidekit.benchmark.sandbox.images import Image, ImageError, find_image
from collidekit.benchmark.sandbox.podman_arguments import create_options
from collidekit.benchmark.sandbox.system import this_system

IMAGE = Image("sha256:0123", "docker.io/library/python@sha256:4567", (), "/opt/bin:/bin")


def pairs(words: list[str]) -> set[tuple[str, str]]:
    return set(pairwise(words))


def test_docker(tmp_path: Path) -> None:
    job = make_job(tmp_path, "echo hi", environment={"COLLIDEKIT_SEED": "1"})
    words = run_words(job, job.mounts, IMAGE, tmp_path / "out", "collidekit-x", "1234:1234")
    assert words[:4] == ["docker", "run", "--name", "collidekit-x"]
    assert words[-4:] == ["sha256:0123", "sh", "-c", "echo hi"]
    assert {
        ("--network", "none"), ("--cap-drop", "ALL"), ("--security-opt", "no-new-privileges"), ("--user", "1234:1234"), ("--memory", str(64 << 20)),
        ("--memory-swap", str(64 << 20)), ("--cpus", "1"), ("--pids-limit", "32"), ("--pull", "never"), ("--log-driver", "none"),
        ("--ipc", "private"), ("--entrypoint", ""), ("--env", "COLLIDEKIT_SEED=1"), ("--env", "PATH=/opt/bin:/bin"), ("--workdir", "/submission"),
        ("--mount", f"type=bind,src={tmp_path}/submission,dst=/submission,readonly"), ("--mount", f"type=bind,src={tmp_path}/out,dst=/output"),
        ("--tmpfs", f"/tmp:rw,nosuid,nodev,size={16 << 20},mode=1777"), ("--ulimit", "core=0:0"),
    } <= pairs(words)  # fmt: skip
    assert "--read-only" in words
    assert "--no-healthcheck" in words
    assert not {"--privileged", "--rm", "-v", "--volume", "--device"} & set(words)


def test_podman(tmp_path: Path) -> None:
    job = make_job(tmp_path, "true")
    words = create_options(
        job, job.mounts, IMAGE, None, user=1234, owner="me", seccomp=tmp_path / "filter", parent="/group"
    )
    assert {
        ("--network", "none"), ("--image-volume", "ignore"), ("--label", "collidekit.owner=me"), ("--cgroup-parent", "/group"), ("--timeout", "40"),
        ("--security-opt", f"seccomp={tmp_path}/filter"), ("--tmpfs", f"/output:rw,nosuid,nodev,size={4 << 20},mode=1777,noexec,notmpcopyup"),
    } <= pairs(words)  # fmt: skip
    assert {"--read-only", "--read-only-tmpfs=false", "--no-hosts", "--http-proxy=false", "--env-host=false"} <= set(
        words
    )
    as_user = create_options(job, job.mounts, IMAGE, None, user=None, owner="me", seccomp=None, parent="")
    assert ("--userns", "keep-id") in pairs(as_user)
    assert "--cgroup-parent" not in as_user


def test_apptainer(tmp_path: Path) -> None:
    job = make_job(tmp_path, "echo hi")
    words = exec_words("/usr/bin/apptainer", job, job.mounts, "image.sif", tmp_path / "out")
    assert words[-4:] == ["image.sif", "sh", "-c", "echo hi"]
    assert {"exec", "--containall", "--cleanenv", "--no-home", "--no-privs", "--net"} <= set(words)
    assert {
        ("--network", "none"), ("--memory", str(64 << 20)), ("--pids-limit", "32"), ("--pwd", "/submission"),
        ("--mount", f"type=bind,src={tmp_path}/features.parquet,dst=/data/features.parquet,ro"),
    } <= pairs(words)  # fmt: skip


def test_a_comma_in_a_path_is_no_option(tmp_path: Path) -> None:
    assert bind(Path('/a,rw"b'), "/x", "ro") == 'type=bind,"src=/a,rw""b",dst=/x,ro'


@pytest.mark.parametrize(
    "name",
    [
        "--privileged",
        "docker-archive:/truth.tar",
        "dir:/etc",
        "oci:/x:y",
        "../x",
        "/etc/passwd",
        "a b",
        "a;b",
        "A",
        "",
        "x" * 300,
        "a@sha256:12",
        "a:$x",
    ],
)
def test_only_plain_names_of_images(name: str) -> None:
    with pytest.raises(ImageError, match="is not the name of a container image"):
        find_image("podman", name, pull=True)


def test_an_image_that_is_not_here_is_told(tmp_path: Path) -> None:
    fake = tmp_path / "docker"
    fake.write_text("#!/bin/sh\nexit 1\n")
    fake.chmod(0o755)
    for name in ("python", "docker.io/library/python:3.12-slim", "localhost:5000/me/tagger@sha256:" + "0" * 64):
        with pytest.raises(ImageError, match=r"is not on this machine; the organiser can fetch it with: .*docker pull"):
            find_image(str(fake), name, pull=False)
        with pytest.raises(ImageError, match="could not be fetched"):
            find_image(str(fake), name, pull=True)


def test_engines_without_an_image_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("docker", "apptainer"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    job = make_job(tmp_path, "true")
    assert "docker needs an image" in Docker("").run(job).reason
    assert "apptainer needs an image file" in Apptainer("").run(job).reason
    assert "runs the image of the organiser only" in Apptainer("").run(evolve(job, image="python:3.12")).reason
    outcome = Docker("").run(evolve(job, image="python:3.12"))
    assert "is not on this machine" in outcome.reason
    assert not outcome.service_fault


def test_the_system_hides_private_files(tmp_path: Path) -> None:
    system = this_system()
    assert {mount.target for mount in system.mounts} >= {"/usr"}
    assert not [mount for mount in system.mounts if mount.target in ("/etc", "/root", "/home", "/var", "/tmp", "/")]
    inside = Path(system.mounts[0].target) / "share"
    assert str(inside) in this_system((inside,)).hidden
    file = Path("/usr/bin/env")
    assert [mount.target for mount in this_system((file,)).mounts if mount.source == Path("/dev/null")] == [
        "/usr/bin/env"
    ]
    assert not this_system((tmp_path,)).hidden or str(tmp_path) not in this_system((tmp_path,)).hidden
