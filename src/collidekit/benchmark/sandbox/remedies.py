"""Layer of the machine that causes an error of an engine, and its remedy."""

import re
from pathlib import Path

from attrs import frozen

_USERNS = (
    "allow unprivileged user namespaces: sysctl kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu 23.10 and later), or an AppArmor "
    "profile for /usr/bin/bwrap with 'userns,' and flags=(unconfined); on other systems sysctl kernel.unprivileged_userns_clone=1 and "
    "user.max_user_namespaces above 0"
)
_SETTINGS = "in /etc/containers/containers.conf"


@frozen
class _Rule:
    engine: str
    pattern: str
    """Pattern of the message of the engine."""
    layer: str
    """The layer that it is about; empty keeps the one that was tried."""
    remedy: str


_RULES = (
    _Rule(
        "bubblewrap",
        "setting up uid map|No permissions to creat|[Cc]reating new namespace failed",
        "user namespaces",
        _USERNS,
    ),
    _Rule("bubblewrap", "RTM_NEWADDR|loopback", "network namespace", _USERNS),
    _Rule(
        "bubblewrap",
        "mount proc|newroot/proc",
        "mounts",
        "in a container, parts of /proc are hidden: run the worker outside of it, or start the container with "
        "--security-opt systempaths=unconfined (docker) or --security-opt unmask=ALL (podman)",
    ),
    _Rule(
        "bubblewrap",
        "slave|pivot_root|[Mm]ount.*(?:denied|not permitted)",
        "mounts",
        "mounting is denied: in a container, start it with --security-opt apparmor=unconfined --security-opt seccomp=unconfined, or run "
        "the worker outside of it",
    ),
    _Rule("bubblewrap", "[Uu]nknown option", "version", "install bubblewrap 0.8 or later"),
    _Rule(
        "podman",
        "hybrid mode",
        "runtime",
        f"crun runs with one version of cgroups only: install runc and write 'runtime = \"runc\"' below [engine] {_SETTINGS}",
    ),
    _Rule(
        "podman",
        "rlimit",
        "limits of processes",
        f"a limit is above that of this process: write 'default_ulimits = [\"nofile=1024:1024\"]' below [containers] {_SETTINGS}, or raise "
        "LimitNOFILE and LimitNPROC of the service",
    ),
    _Rule(
        "podman",
        "newuidmap|subuid|user namespace",
        "user namespaces",
        f"give the user ids: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER, then podman system migrate; {_USERNS}",
    ),
    _Rule(
        "podman",
        "systemd|dbus",
        "control groups",
        f"write 'cgroup_manager = \"cgroupfs\"' below [engine] {_SETTINGS}, or give the user a session (loginctl enable-linger USER)",
    ),
    _Rule(
        "podman",
        "overlay|storage driver|mount_program",
        "storage",
        "write 'driver = \"vfs\"' below [storage] in /etc/containers/storage.conf, or install fuse-overlayfs",
    ),
    _Rule(
        "podman",
        "exceeds it was not stopped",
        "",
        "cgroup version 1 ignores limits of containers that do not run as root: boot with systemd.unified_cgroup_hierarchy=1, or run the "
        "worker as root",
    ),
    _Rule("docker", "daemon", "daemon", "start the docker daemon, and let this user talk to it"),
)
_DELEGATE = "no control group limits it here: run the worker as root, or in a systemd service with Delegate=yes"
_BY_LAYER = {
    "installation": "install podman, docker, apptainer or bubblewrap",
    "image": "name an image that is on this machine, or allow that images are fetched",
    "memory limit": _DELEGATE,
    "process limit": _DELEGATE,
}


def remedy_of(engine: str, layer: str, message: str) -> tuple[str, str]:
    """Return the layer that a message is about, and what to do."""
    for rule in _RULES:
        if engine == rule.engine and re.search(rule.pattern, message):
            return rule.layer or layer, rule.remedy + _sysctl(rule.layer)
    return layer, _BY_LAYER.get(layer, "this layer must hold before code of strangers is run")


def _sysctl(layer: str) -> str:
    """Return what this machine says about user namespaces."""
    names = (
        "kernel/apparmor_restrict_unprivileged_userns",
        "kernel/unprivileged_userns_clone",
        "user/max_user_namespaces",
    )
    there = [
        Path("/proc/sys") / name for name in names if layer == "user namespaces" and (Path("/proc/sys") / name).exists()
    ]
    said = [f"{'.'.join(path.parts[3:])} = {path.read_text(encoding='ascii').strip()}" for path in there]
    return f" (here {', '.join(said)})" if said else ""
