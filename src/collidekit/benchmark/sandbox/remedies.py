"""Which layer of this machine an error of an engine is about, and what to do."""

import re
from pathlib import Path

_USERNS = (
    "allow unprivileged user namespaces: sysctl kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu 23.10 and later), or an AppArmor profile "
    "for bwrap with 'userns,' and flags=(unconfined); on other systems sysctl kernel.unprivileged_userns_clone=1 and user.max_user_namespaces above 0"
)
_CGROUP_V1 = (
    "cgroup version 1 ignores limits of containers that do not run as root: boot with systemd.unified_cgroup_hierarchy=1, or run the worker as root"
)
_RULES: tuple[tuple[str, str, str, str], ...] = (
    # engine, pattern of the message, layer, remedy
    ("bubblewrap", r"setting up uid map|No permissions to creat\w* new namespace|Creating new namespace failed", "user namespaces", _USERNS),
    ("bubblewrap", r"RTM_NEWADDR|loopback", "network namespace", _USERNS),
    ("bubblewrap", r"Can't mount proc|proc on /newroot/proc", "mounts", "in a container, /proc has hidden parts: run the worker outside of the "
     "container, or start that with --security-opt systempaths=unconfined (docker) or unmask=ALL (podman)"),
    ("bubblewrap", r"Failed to make / slave|pivot_root|[Mm]ount.*(?:denied|not permitted)", "mounts", "mounting is denied: in a container, start "
     "that with --security-opt apparmor=unconfined --security-opt seccomp=unconfined, or run the worker outside of it"),
    ("bubblewrap", r"Unknown option", "version", "bubblewrap 0.8 or later is needed"),
    ("podman", r"hybrid mode", "runtime", "crun runs with one version of cgroups only: install runc and write 'runtime = \"runc\"' below [engine] in "
     "/etc/containers/containers.conf"),
    ("podman", r"rlimit", "limits of processes", "a limit in containers.conf is above that of this process: write default_ulimits = "
     "[\"nofile=1024:1024\"] below [containers] in /etc/containers/containers.conf, or raise LimitNOFILE of the service"),
    ("podman", r"newuidmap|subuid|user namespace", "user namespaces", "give the user ids of its own: usermod --add-subuids 100000-165535 "
     "--add-subgids 100000-165535 USER, then podman system migrate; " + _USERNS),
    ("podman", r"systemd|dbus", "control groups", "write 'cgroup_manager = \"cgroupfs\"' below [engine] in /etc/containers/containers.conf, "
     "or log in with a systemd user session (loginctl enable-linger USER)"),
    ("podman", r"overlay|storage driver|mount_program", "storage", "write 'driver = \"vfs\"' below [storage] in /etc/containers/storage.conf, or "
     "install fuse-overlayfs"),
    ("podman", r"netavark|cni|netns", "network namespace", "podman cannot make a network namespace here; see its message"),
    ("podman", r"exceeds it was not stopped", "", _CGROUP_V1),
    ("docker", r"daemon", "daemon", "start the docker daemon, and let this user talk to it"),
)  # fmt: skip
_BY_LAYER = {
    "installation": "install podman, docker or bubblewrap",
    "image": "name an image that is on this machine, or let images be fetched",
    "memory limit": "no control group limits the memory here; run the worker as root, or in a systemd service with Delegate=yes",
    "process limit": "no control group limits the processes here; run the worker as root, or in a systemd service with Delegate=yes",
}


def remedy_of(engine: str, layer: str, message: str) -> tuple[str, str]:
    """Return the layer that a message is about, and what to do."""
    for name, pattern, found, remedy in _RULES:
        if engine == name and re.search(pattern, message):
            return found or layer, remedy + _sysctl(found)
    return layer, _BY_LAYER.get(layer, "see the message; the layer must hold before submissions of strangers are run")


def _sysctl(layer: str) -> str:
    """Return what this machine says about user namespaces."""
    said = []
    for name in ("kernel/apparmor_restrict_unprivileged_userns", "kernel/unprivileged_userns_clone", "user/max_user_namespaces"):
        path = Path("/proc/sys") / name
        if layer == "user namespaces" and path.exists():
            said.append(f"{name.replace('/', '.')} = {path.read_text(encoding='ascii').strip()}")
    return f" (here {', '.join(said)})" if said else ""
