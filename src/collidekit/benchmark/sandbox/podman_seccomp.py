"""The filter of system calls for podman: its default one, with sockets of the families that stay in the network namespace only."""

import json
from pathlib import Path

_DEFAULTS = ("/etc/containers/seccomp.json", "/usr/share/containers/seccomp.json")
_FAMILIES = {1: "unix", 2: "IPv4", 10: "IPv6"}


def podman_filter(folder: Path) -> Path | None:
    """Write the filter to a folder and return its path, or None where podman's default one is not found.

    Sockets of the family vsock reach the host of a virtual machine from any network namespace; podman's default allows them.
    """
    for name in _DEFAULTS:
        try:
            content = json.loads(Path(name).read_text(encoding="utf-8"))
            rules = [
                {**rule, "names": [call for call in rule["names"] if call != "socket"]} for rule in content["syscalls"]
            ]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        rules = [rule for rule in rules if rule["names"]]
        rules += [_allow([{"index": 0, "value": family, "op": "SCMP_CMP_EQ"}]) for family in _FAMILIES]
        path = folder / "seccomp.json"
        path.write_text(json.dumps({**content, "syscalls": rules}), encoding="utf-8")
        return path
    return None


def _allow(arguments: list[dict[str, object]]) -> dict[str, object]:
    return {
        "names": ["socket"],
        "action": "SCMP_ACT_ALLOW",
        "args": arguments,
        "comment": "",
        "includes": {},
        "excludes": {},
    }
