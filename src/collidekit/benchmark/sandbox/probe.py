"""Tries a sandbox out with small hostile commands: each layer must hold."""

import os
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template

from attrs import evolve, frozen

from collidekit.benchmark.sandbox.job import Job, JobLimits, Mount, Outcome, Probe, Sandbox
from collidekit.benchmark.sandbox.remedies import remedy_of

LIMITS = JobLimits(memory=64 << 20, cpus=1, processes=16, walltime=20, output=4 << 20, log=64 << 10)
LOOKED_AT = (
    "read-only",
    "capabilities",
    "privileges",
    "system calls",
    "user",
    "processes",
    "network",
    "environment",
    "files",
)
"""Layers that one command looks at from inside."""
SECRET = "COLLIDEKIT_PROBE_SECRET"

_LOOK = Template("""\
read -r text < /data/features && [ "$$text" = features ] || echo 'read: the data cannot be read'
echo probe > /output/file || echo 'write: /output cannot be written'
for place in /probe /usr/probe /data/probe /data/features /submission/probe /etc/probe; do
  (echo probe > "$$place") 2>/dev/null && echo "read-only: $$place can be written"
done
while read -r name value rest; do
  case "$$name" in
    CapEff:|CapPrm:|CapBnd:) [ "$$value" = 0000000000000000 ] || echo "capabilities: $$name $$value" ;;
    NoNewPrivs:) [ "$$value" = 1 ] || echo 'privileges: a program may gain rights' ;;
    Seccomp:) [ "$$value" = 2 ] || echo 'system calls: no filter' ;;
    Uid:) [ "$$value" != 0 ] || echo 'user: the command is root' ;;
  esac
done < /proc/self/status
[ -d /proc/$process ] && read -r line < /proc/$process/status && [ "$$line" = $name ] && echo 'processes: those of the machine are seen'
while read -r name rest; do
  case "$$name" in Inter-*|face*|lo:*) ;; *) echo "network: there is the device $$name" ;; esac
done < /proc/net/dev
[ -z "$$$variable" ] || echo 'environment: variables of the machine are seen'
(unshare --user true) 2>/dev/null && echo 'system calls: a user namespace can be made'
[ -e $secret ] && echo 'files: those of the machine are seen'
:
""")


@frozen
class Attack:
    """A command that must be stopped by a limit."""

    layer: str
    command: str
    word: str
    """Word that the reason must contain."""
    limits: JobLimits = LIMITS


_TEXT = "x=0123456789abcdef; i=0; while [ $i -lt 10 ]; do x=$x$x; i=$((i+1)); done"
ATTACKS = (
    Attack("memory limit", "x=0123456789abcdef; while :; do x=$x$x; done", "memory"),
    Attack(
        "process limit",
        "i=0; while [ $i -lt 40 ]; do (while :; do read -r x || exit; done < /dev/zero) & i=$((i+1)); done; wait",
        "processes",
    ),
    Attack("output limit", f'{_TEXT}; while echo "$x"; do :; done > "$COLLIDEKIT_OUTPUT/file"', "/output"),
    Attack("log limit", f'{_TEXT}; while echo "$x"; do :; done', "log"),
    Attack(
        "walltime limit",
        "trap '' TERM INT HUP; while :; do :; done",
        "took longer",
        evolve(LIMITS, walltime=0.8, cpus=0.5),
    ),
)


def probe(engine: Sandbox, notes: tuple[str, ...] = (), skipped: tuple[str, ...] = ()) -> Probe:
    """Run small hostile commands in a sandbox; the first layer that fails is named, with what to do about it.

    ``notes``: what the engine cannot promise here. ``skipped``: layers that are not tried for that reason.
    """
    with tempfile.TemporaryDirectory(prefix="collidekit-probe-") as folder:
        run = _Runner(engine, Path(folder))
        held: list[str] = []
        for layer, message in _findings(run, skipped, held):
            layer, remedy = remedy_of(engine.name, layer, message)
            return Probe(False, engine.name, layer, message, remedy, tuple(held), notes)
        return Probe(True, engine.name, enforced=tuple(held), not_enforced=notes)


def _findings(run: "_Runner", skipped: tuple[str, ...], held: list[str]) -> Iterator[tuple[str, str]]:
    """Yield layer and message of what fails; ``held`` takes the layers that hold."""
    first = run("true", LIMITS)
    if not first.ok:
        yield str(first.details.get("layer", "start")), first.reason
    held.append("start")
    if not set(LOOKED_AT) <= set(skipped):  # it tries to write to places that exist on this machine
        outcome = run(_look(run.folder), LIMITS)
        for line in run.log.splitlines():
            layer, _, message = line.partition(": ")
            if layer not in skipped:
                yield layer, message
        if not outcome.ok:
            yield "start", outcome.reason
    held += [layer for layer in LOOKED_AT if layer not in skipped]
    for attack in ATTACKS:
        if attack.layer in skipped:
            continue
        outcome = run(attack.command, attack.limits)
        if outcome.ok or outcome.service_fault or attack.word not in outcome.reason:
            yield attack.layer, f"a command that exceeds it was not stopped by it: {outcome.reason or 'it went on'}"
        held.append(attack.layer)
    if "cpu limit" not in skipped:
        share = (outcome.cpu_seconds or 0.0) / max(outcome.wall_seconds, 0.1)
        if share > 0.85:
            yield "cpu limit", f"a command with half a CPU used {share:.2f}"
        held.append("cpu limit")


class _Runner:
    """Runs lines of shell in a sandbox, each with new folders."""

    def __init__(self, engine: Sandbox, folder: Path) -> None:
        self.engine, self.folder, self.log, self._number = engine, folder, "", 0
        folder.chmod(0o711)
        (folder / "submission").mkdir()
        (folder / "features").write_text("features\n", encoding="utf-8")
        (folder / "secret").write_text("secret\n", encoding="utf-8")

    def __call__(self, text: str, limits: JobLimits) -> Outcome:
        self._number += 1
        output, log = self.folder / f"output{self._number}", self.folder / f"log{self._number}"
        output.mkdir()
        mounts = (Mount(self.folder / "submission", "/submission"), Mount(self.folder / "features", "/data/features"))
        with _secret():
            outcome = self.engine.run(
                Job(("sh", "-c", text), output, log, limits, mounts, environment={"COLLIDEKIT_OUTPUT": "/output"})
            )
        self.log = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
        return outcome


@contextmanager
def _secret() -> Iterator[None]:
    """Set a variable in the environment of this process, which a command must not see."""
    os.environ[SECRET] = "secret"
    try:
        yield
    finally:
        os.environ.pop(SECRET, None)


def _look(folder: Path) -> str:
    name = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()[0]
    return _LOOK.substitute(
        process=os.getpid(), name=shlex.quote(name), variable=SECRET, secret=shlex.quote(str(folder / "secret"))
    )
