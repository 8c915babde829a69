"""A filter of system calls for bubblewrap, like the default one of container engines.

What a tagger never needs is refused: mounts, namespaces, tracing, keys, kernel modules, sockets to the host of a virtual machine.
"""

import platform
import struct

REFUSED = {
    # name: (x86_64, aarch64); None where the architecture lacks the call
    "ptrace": (101, 117), "syslog": (103, 116), "pivot_root": (155, 41), "acct": (163, 89), "settimeofday": (164, 170),
    "mount": (165, 40), "umount2": (166, 39), "swapon": (167, 224), "swapoff": (168, 225), "reboot": (169, 142),
    "sethostname": (170, 161), "setdomainname": (171, 162), "init_module": (175, 105), "delete_module": (176, 106),
    "quotactl": (179, 60), "lookup_dcookie": (212, 18), "clock_settime": (227, 112), "mbind": (237, 235),
    "set_mempolicy": (238, 237), "kexec_load": (246, 104), "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "migrate_pages": (256, 238), "unshare": (272, 97), "move_pages": (279, 239), "perf_event_open": (298, 241),
    "fanotify_init": (300, 262), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "clock_adjtime": (305, 266),
    "setns": (308, 268), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "finit_module": (313, 273), "kexec_file_load": (320, 294), "bpf": (321, 280), "userfaultfd": (323, 282),
    "iopl": (172, None), "ioperm": (173, None), "adjtimex": (159, 171),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "open_tree": (428, 428),
    "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "pidfd_getfd": (438, 438), "mount_setattr": (442, 442), "quotactl_fd": (443, 443),
}  # fmt: skip
_MACHINES = {"x86_64": (0, 0xC000003E, 56, 41), "aarch64": (1, 0xC00000B7, 220, 198)}
"""Column above, number of the architecture, of clone and of socket."""
NEW_NAMESPACES = 0x7E020000
"""The flags of clone that make a namespace: mount, cgroup, uts, ipc, user, pid, net."""
_FAMILIES = (1, 2, 10, 16)
"""unix, IPv4, IPv6 and netlink; sockets of other families, such as vsock, may lead out of the network namespace."""
_CLONE3, _X32 = 435, 0x40000000
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_ALLOW, _KILL, _PERMISSION, _NO_CALL, _NO_FAMILY = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026, 0x00050061


def filter_program() -> bytes | None:
    """Return the filter for this machine as the kernel takes it, or None for an architecture without one."""
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return None
    column, architecture, clone, socket = machine
    numbers = [found[column] for found in REFUSED.values()]
    refused = sorted({number for number in numbers if number is not None})
    code = [_load(_ARCHITECTURE), _equal(architecture, 1, 0), _return(_KILL), _load(_NUMBER)]
    if column == 0:
        code += [_instruction(0x35, _X32, 0, 1), _return(_KILL)]
    code += [_equal(_CLONE3, 0, 1), _return(_NO_CALL)]  # its flags lie in memory; libraries then use clone
    for number in refused:
        code += [_equal(number, 0, 1), _return(_PERMISSION)]
    code += [
        _equal(clone, 0, 4),
        _load(_FIRST_ARGUMENT),
        _instruction(0x45, NEW_NAMESPACES, 0, 1),
        _return(_PERMISSION),
        _return(_ALLOW),
    ]
    code += [_equal(socket, 0, len(_FAMILIES) + 2), _load(_FIRST_ARGUMENT)]
    code += [_equal(family, len(_FAMILIES) - place, 0) for place, family in enumerate(_FAMILIES)]
    code += [_return(_NO_FAMILY), _return(_ALLOW)]
    return b"".join(code)


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _load(offset: int) -> bytes:
    return _instruction(0x20, offset)


def _equal(value: int, if_true: int, if_false: int) -> bytes:
    return _instruction(0x15, value, if_true, if_false)


def _return(value: int) -> bytes:
    return _instruction(0x06, value)
