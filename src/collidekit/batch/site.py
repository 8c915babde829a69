"""The site file: batch system, resources of each kind of job, environment, limits. Profiles of sites are bundled."""

from importlib.resources import files
from os.path import isfile
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from collidekit.analysis.load import Lines, parse_yaml
from collidekit.batch.units import Memory, Time
from collidekit.errors import CollidekitError, did_you_mean

KINDS = ("construction", "training", "inference", "attacks", "evaluation", "simulation", "benchmark")
SYSTEMS = ("slurm", "htcondor")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Resources(_Part):
    """Resources of a job."""

    cores: int = Field(1, ge=1, le=4096)
    gpus: int = Field(0, ge=0, le=64)
    memory: Memory = "4 GB"  # type: ignore[assignment]
    disk: Memory | None = None
    """Local scratch disk; None: not requested."""
    walltime: Time = "2h"  # type: ignore[assignment]


class Limits(_Part):
    """Upper limits of retries."""

    memory: Memory = "64 GB"  # type: ignore[assignment]
    walltime: Time = "2d"  # type: ignore[assignment]
    attempts: int = Field(default=10, ge=1, le=1000)
    """Maximum number of jobs for one output, with all retries."""


class Slurm(_Part):
    partition: str = ""
    account: str = ""
    qos: str = ""
    constraint: str = ""
    options: list[str] = []
    """Further options of sbatch, such as --reservation=school."""


class HTCondor(_Part):
    walltime_attribute: str = ""
    """Attribute for the walltime in seconds, such as MaxRuntime."""
    requirements: str = ""
    lines: dict[str, str] = {}
    """Further lines of the submit description."""


class Environment(_Part):
    """Python environment of a job."""

    kind: Literal["this", "venv", "conda", "lcg", "container"] = "this"
    path: str = ""
    """Folder of the venv, name or prefix of the conda environment, LCG view, or container image."""
    setup: list[str] = []
    """Shell lines that run first."""


class Credentials(_Part):
    kerberos: bool = False
    voms: bool = False


class Site(_Part):
    """A batch system and its settings."""

    profile: str = ""
    system: Literal["slurm", "htcondor"]
    resources: dict[str, dict[str, Any]] = {}
    limits: Limits = Limits()
    slurm: Slurm = Slurm()
    htcondor: HTCondor = HTCondor()
    environment: Environment = Environment()
    credentials: Credentials = Credentials()
    stop_before_end: Time = "2min"  # type: ignore[assignment]
    """Time before the end of the walltime, in seconds, at which a job saves its state."""
    poll: Time = "30s"  # type: ignore[assignment]
    path: str = ""
    """File or profile of this site."""

    def resources_of(self, kind: str) -> Resources:
        """Return the resources of a kind of job; by default those of ``default``."""
        return Resources.model_validate({**self.resources.get("default", {}), **self.resources.get(kind, {})})


def profiles() -> dict[str, str]:
    """Return the text of each bundled profile by name."""
    folder = files("collidekit.batch") / "profiles"
    return {Path(entry.name).stem: entry.read_text(encoding="utf-8") for entry in folder.iterdir()}


def load_site(name: str, system: str = "") -> Site:
    """Return the site of a file or bundled profile; without a name, the generic profile of the batch system."""
    if system and system not in SYSTEMS:
        raise CollidekitError(
            f"--on {system}: is not a batch system{did_you_mean(system, SYSTEMS) or '; write slurm or htcondor'}"
        )
    name, known = name or system, profiles()
    if isfile(name):
        site = _read(Path(name), known)
    elif name in known:
        site = _validated(_parsed(known[name], f"profile {name}"), {})
    else:
        close = did_you_mean(name, list(known)) or f"; bundled profiles are {', '.join(sorted(known))}"
        raise CollidekitError(f"--site {name}: there is no such site file or profile{close}")
    if system and site.system != system:
        raise CollidekitError(
            f"--on {system}: {site.path} is a site with {site.system}; leave --on out or name another site"
        )
    return site


def _read(path: Path, known: dict[str, str]) -> Site:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CollidekitError(f"{path}: cannot be read as a text file ({error})") from None
    content, lines = _parsed(text, str(path))
    base: dict[str, Any] = {}
    if profile := content.get("profile", ""):
        if str(profile) not in known:
            close = did_you_mean(str(profile), list(known)) or f"; there are {', '.join(sorted(known))}"
            raise CollidekitError(f"{lines.at(('profile',))}: there is no profile {profile!r}{close}")
        base = _parsed(known[profile], f"profile {profile}")[0]
    return _validated((content, lines), base)


def _parsed(text: str, path: str) -> tuple[dict[str, Any], Lines]:
    content, lines = parse_yaml(text, path, "a site file")
    if not isinstance(content, dict):
        raise CollidekitError(
            f"{path}:1: a site file has lines 'key: value', such as 'profile: slurm'; see docs/cluster.md"
        )
    return content, lines


def _merged(base: Any, own: Any) -> Any:
    if isinstance(base, dict) and isinstance(own, dict):
        return {**base, **{key: _merged(base.get(key), value) for key, value in own.items()}}
    return own


def _validated(read: tuple[dict[str, Any], Lines], base: dict[str, Any]) -> Site:
    content, lines = read
    if "path" in content:
        raise CollidekitError(f"{lines.at(('path',))}: unknown key 'path'")
    try:
        site = Site.model_validate({**_merged(base, content), "path": lines.path})
    except ValidationError as error:
        raise _problem(error, lines, ()) from None
    for kind in site.resources:
        if kind not in ("default", *KINDS):
            close = did_you_mean(kind, list(KINDS)) or f"; kinds are default, {', '.join(KINDS)}"
            raise CollidekitError(
                f"{lines.at(('resources', kind))}: resources: there is no kind of job {kind!r}{close}"
            )
    for kind in ("default", *KINDS):
        try:
            found = site.resources_of(kind)
        except ValidationError as error:
            raise _problem(error, lines, ("resources", kind)) from None
        place = lines.at(("resources", kind if kind in site.resources else "default", "walltime"))
        if found.walltime < 2 * site.stop_before_end:
            raise CollidekitError(
                f"{place}: walltime of {kind}: is shorter than twice stop_before_end ({site.stop_before_end} s), so a job "
                "would be stopped almost at once; request a longer walltime"
            )
        for name in ("memory", "walltime"):
            if getattr(found, name) > getattr(site.limits, name):
                raise CollidekitError(
                    f"{lines.at(('resources', kind, name))}: {name} of {kind}: is above limits.{name}; change one of them"
                )
    if site.environment.kind != "this" and not site.environment.path:
        raise CollidekitError(f"{lines.at(('environment',))}: environment: {site.environment.kind} needs a path")
    return site


def _problem(error: ValidationError, lines: Lines, above: tuple[str, ...]) -> CollidekitError:
    first = error.errors()[0]
    location = (*above, *first["loc"])
    name = ".".join(str(part) for part in location)
    if first["type"] == "extra_forbidden":
        parts: dict[str, type[BaseModel]] = {"": Site, "slurm": Slurm, "htcondor": HTCondor, "limits": Limits, "environment": Environment,
                 "credentials": Credentials, "resources": Resources}  # fmt: skip
        known = list(parts[str(location[0]) if len(location) > 1 else ""].model_fields)
        close = did_you_mean(str(location[-1]), known) or f"; known are {', '.join(known)}"
        return CollidekitError(f"{lines.at(location)}: unknown key {name!r}{close}")
    said = first["msg"].removeprefix("Value error, ")
    if first["type"] in ("model_type", "dict_type"):
        said = "it needs lines 'key: value' below it; see docs/cluster.md"
    return CollidekitError(f"{lines.at(location)}: {name}: {said[:1].lower() + said[1:]}")
