"""The filter of system calls for podman: its default one without what a tagger never needs.

The default allows containers within containers, so a command could make namespaces of its own and have rights there; and it allows sockets of
the family vsock, which reach the host of a virtual machine from any network namespace.
"""

import json
from pathlib import Path
from typing import Any

from collidekit.benchmark.sandbox.seccomp import NEW_NAMESPACES, REFUSED

_DEFAULTS = ("/etc/containers/seccomp.json", "/usr/share/containers/seccomp.json")
_FAMILIES = (1, 2, 10)
"""unix, IPv4 and IPv6."""
_CHANGED = {*REFUSED, "socket", "socketcall", "clone", "clone3"}


def podman_filter(folder: Path) -> Path | None:
    """Write the filter to a folder and return its path, or None where podman's default one is not found."""
    for name in _DEFAULTS:
        try:
            content = json.loads(Path(name).read_text(encoding="utf-8"))
            rules = [
                {**rule, "names": [call for call in rule["names"] if call not in _CHANGED]}
                for rule in content["syscalls"]
            ]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        rules = [rule for rule in rules if rule["names"]]
        rules += [_rule(["socket"], {"index": 0, "value": family, "op": "SCMP_CMP_EQ"}) for family in _FAMILIES]
        rules += [_rule(["clone"], {"index": 0, "value": NEW_NAMESPACES, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"})]
        rules += [{**_rule(sorted(REFUSED)), "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "errno": "EPERM"}]
        path = folder / "seccomp.json"
        path.write_text(json.dumps({**content, "syscalls": rules}), encoding="utf-8")
        return path
    return None


def _rule(names: list[str], *arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        "names": names,
        "action": "SCMP_ACT_ALLOW",
        "args": list(arguments),
        "comment": "",
        "includes": {},
        "excludes": {},
    }
