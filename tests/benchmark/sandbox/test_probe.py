"""An engine is tried out before it is used; what fails is named with its remedy."""

from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve
from sandboxes import podman_storage

from collidekit.benchmark.sandbox import bubblewrap, choose
from collidekit.benchmark.sandbox.bubblewrap import Bubblewrap
from collidekit.benchmark.sandbox.choose import choose_sandbox
from collidekit.benchmark.sandbox.job import Job, Outcome, Probe, Sandbox
from collidekit.benchmark.sandbox.podman import Podman
from collidekit.benchmark.sandbox.probe import ATTACKS, LOOKED_AT, probe
from collidekit.benchmark.sandbox.remedies import remedy_of
from collidekit.benchmark.sandbox.trusted import Trusted
from collidekit.errors import CollidekitError


def test_each_engine_passes_its_probe(engine: Sandbox) -> None:
    found = engine.probe()
    assert found.works, found
    assert {
        "network",
        "read-only",
        "capabilities",
        "memory limit",
        "process limit",
        "output limit",
        "log limit",
    } <= set(found.enforced)
    assert found.message == found.remedy == ""
    assert bool(found.not_enforced) == (not getattr(engine, "cgroups", True))
    assert ("cpu limit" in found.enforced) == getattr(engine, "cgroups", True)


class Leaky:
    """A sandbox that lets some things through."""

    name = "leaky"

    def __init__(self, log: str = "", spared: str = "") -> None:
        self.said, self.spared = log, spared
        self.private: tuple[Path, ...] = ()

    def probe(self) -> Probe:
        return probe(self)

    def run(self, job: Job, canceled: Callable[[], bool] = lambda: False) -> Outcome:
        job.log.write_text(self.said)
        attack = next((attack for attack in ATTACKS if attack.command == job.command[2]), None)
        good = Outcome(True, "", 0, 1.0, 0.1, 1)
        if attack is None or attack.layer == self.spared:
            return good
        share = 0.99 if self.spared == "cpu limit" else 0.5
        return evolve(good, ok=False, reason=f"too much {attack.word}", cpu_seconds=share)


@pytest.mark.parametrize("layer", [attack.layer for attack in ATTACKS])
def test_a_limit_that_does_not_hold_is_named(layer: str) -> None:
    found = Leaky(spared=layer).probe()
    assert not found.works
    assert found.layer == layer
    assert found.remedy
    assert layer not in found.enforced


def test_a_share_of_the_cpu_that_does_not_hold_is_named() -> None:
    assert Leaky(spared="cpu limit").probe().layer == "cpu limit"
    assert Leaky().probe().works


@pytest.mark.parametrize("layer", LOOKED_AT)
def test_a_wall_that_does_not_hold_is_named(layer: str) -> None:
    found = Leaky(log=f"{layer}: seen\n").probe()
    assert (found.works, found.layer, found.message) == (False, layer, "seen")


@pytest.mark.parametrize(
    ("engine", "message", "layer", "remedy"),
    [
        (
            "bubblewrap",
            "bwrap: setting up uid map: Permission denied",
            "user namespaces",
            "apparmor_restrict_unprivileged_userns=0",
        ),
        ("bubblewrap", "bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted", "network namespace", "userns"),
        (
            "bubblewrap",
            "bwrap: No permissions to create new namespace, likely because ...",
            "user namespaces",
            "unprivileged_userns_clone=1",
        ),
        ("bubblewrap", "bwrap: Can't mount proc on /newroot/proc: Operation not permitted", "mounts", "unmask=ALL"),
        ("bubblewrap", "bwrap: Failed to make / slave: Permission denied", "mounts", "apparmor=unconfined"),
        ("bubblewrap", "bwrap: Unknown option --size", "version", "0.8"),
        ("podman", "OCI runtime error: crun: cgroups in hybrid mode not supported, drop all", "runtime", "runc"),
        ("podman", "error setting rlimit type 7: operation not permitted", "limits of processes", "default_ulimits"),
        ("podman", "cannot find UID/GID for user x: no subuid ranges found", "user namespaces", "--add-subuids"),
        (
            "podman",
            "a command that exceeds it was not stopped by it: it went on",
            "memory limit",
            "cgroup version 1 ignores",
        ),
        ("podman", "kernel does not support overlay fs", "storage", "vfs"),
    ],
)
def test_remedies(engine: str, message: str, layer: str, remedy: str) -> None:
    found = remedy_of(engine, "memory limit", message)
    assert found[0] == layer
    assert remedy in found[1]


def test_an_engine_that_cannot_set_up_says_what_it_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(bubblewrap.shutil, "which", lambda name: str(fake))
    found = Bubblewrap(cgroups=False).probe()
    assert (found.works, found.layer) == (False, "user namespaces")
    assert "setting up uid map: Permission denied" in found.message


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, Probe]:
    """Engines by name, as the test says they are."""
    probes: dict[str, Probe] = {}
    monkeypatch.setattr(
        choose.shutil, "which", lambda name: name if name.replace("bwrap", "bubblewrap") in probes else None
    )

    class Fake(Leaky):
        def probe(self) -> Probe:
            return probes[self.name]

    def make(name: str, **settings: object) -> Sandbox:
        fake = Fake()
        fake.name = name
        return fake

    monkeypatch.setattr(choose, "make_sandbox", make)
    return probes


WORKS, FAILS = Probe(True, "x"), Probe(False, "podman", "memory limit", "it went on", "boot with version 2")


def test_the_first_engine_that_works(installed: dict[str, Probe], capsys: pytest.CaptureFixture[str]) -> None:
    installed |= {"bubblewrap": WORKS, "podman": WORKS, "docker": WORKS}
    assert choose_sandbox().name == "podman"
    installed["podman"] = FAILS
    assert choose_sandbox().name == "bubblewrap"
    said = capsys.readouterr().err
    assert (
        "podman: memory limit does not hold here (it went on); boot with version 2; bubblewrap is used instead" in said
    )
    assert choose_sandbox(image="python:3.12").name == "docker"


def test_a_named_engine_is_never_replaced(installed: dict[str, Probe]) -> None:
    installed |= {"bubblewrap": WORKS, "podman": FAILS}
    with pytest.raises(CollidekitError, match="no sandbox works here: podman: memory limit does not hold"):
        choose_sandbox("podman")
    with pytest.raises(CollidekitError, match="is none \\(did you mean 'podman'"):
        choose_sandbox("podmann")


def test_without_an_engine_only_trust(installed: dict[str, Probe]) -> None:
    with pytest.raises(CollidekitError, match="there is no sandbox here: install podman or bubblewrap"):
        choose_sandbox()
    assert isinstance(choose_sandbox(trust=True), Trusted)
    with pytest.raises(CollidekitError, match="leave one of them out"):
        choose_sandbox("podman", trust=True)


def test_a_missing_program_is_a_fault_of_the_service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for engine in (Podman(), Bubblewrap()):
        found = engine.probe()
        assert (found.works, found.layer) == (False, "installation")
        assert "install" in found.message


def test_podman_that_cannot_start_containers_names_the_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if choose.shutil.which("podman") is None:
        pytest.skip("podman is not installed")
    with podman_storage(tmp_path):
        (tmp_path / "containers.conf").write_text('[engine]\nruntime = "/no/such/runtime"\n')
        found = Podman().probe()
    assert not found.works
    assert found.layer in ("image", "start")
    assert "runtime" in found.message
