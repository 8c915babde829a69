"""Choice of the engine that runs submissions. The engine must pass its probe; a weaker one is never used silently."""

import shutil
from pathlib import Path

from collidekit.benchmark.sandbox.apptainer import Apptainer
from collidekit.benchmark.sandbox.bubblewrap import Bubblewrap
from collidekit.benchmark.sandbox.docker import Docker
from collidekit.benchmark.sandbox.job import Probe, Sandbox
from collidekit.benchmark.sandbox.podman import Podman
from collidekit.benchmark.sandbox.trusted import Trusted
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.progress import notice

PROGRAMS = {"podman": "podman", "docker": "docker", "apptainer": "apptainer", "bubblewrap": "bwrap"}
"""Engines in the order in which they are tried, and their programs."""
WITHOUT_IMAGES = {"apptainer": "apptainer", "bubblewrap": "bubblewrap", "trusted": "no sandbox"}
"""Engines that run no container image of a participant, and their names in messages."""


def choose_sandbox(
    engine: str = "", *, image: str = "", pull: bool = False, trust: bool = False, private: tuple[Path, ...] = ()
) -> Sandbox:
    """Return an engine that works here: the named one, or the first that is installed and passes its probe.

    ``image``: for submissions that name none; docker and apptainer need one. ``pull``: images may be fetched. ``private``: files that no
    command may see, such as the truth. ``trust``: no sandbox at all. If an installed engine fails its probe, this is
    reported and the next one is tried.
    """
    if trust:
        if engine:
            raise CollidekitError(
                f"--trust: runs without a sandbox, so --engine {engine} would do nothing; leave one of them out"
            )
        return Trusted(private)
    if engine and engine not in PROGRAMS:
        raise CollidekitError(
            f"--engine {engine}: is none{did_you_mean(engine, list(PROGRAMS)) or '; there are ' + ', '.join(PROGRAMS)}"
        )
    failed: list[str] = []
    for name in (engine,) if engine else PROGRAMS:
        if not engine and (shutil.which(PROGRAMS[name]) is None or (name in ("docker", "apptainer") and not image)):
            continue
        if not engine and name == "apptainer" and not Path(image).exists():
            continue
        found = make_sandbox(name, image=image, pull=pull, private=private)
        result = found.probe()
        if result.works:
            for line in failed:
                notice(f"{line}; {name} is used instead")
            return found
        failed.append(describe_failure(result))
    if failed:
        raise CollidekitError(f"no sandbox works here: {'; '.join(failed)}")
    raise CollidekitError(
        "there is no sandbox here: install podman or bubblewrap (Debian and Ubuntu: apt install podman, or apt install bubblewrap); --trust runs "
        "without one, which gives the submission all that you may do"
    )


def make_sandbox(name: str, *, image: str = "", pull: bool = False, private: tuple[Path, ...] = ()) -> Sandbox:
    """Return an engine by its name, not tried out."""
    if name == "podman":
        return Podman(image, pull, private)
    if name == "docker":
        return Docker(image, pull, private)
    return Apptainer(image, private) if name == "apptainer" else Bubblewrap(private)


def describe_failure(result: Probe) -> str:
    """Return what failed and what to do, in one line."""
    return f"{result.engine}: {result.layer} does not hold here ({result.message}); {result.remedy}"
