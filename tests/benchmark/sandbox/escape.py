"""Runs inside of a sandbox: tries what must be refused, and names what was not.

Arguments: process of the runner, file of the truth, port on loopback, abstract socket, and names of attempts where not all are wanted.
"""

import ctypes
import os
import platform
import signal
import socket
import sys
from pathlib import Path

RUNNER, TRUTH, PORT, ABSTRACT = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
libc = ctypes.CDLL(None, use_errno=True)
X86 = platform.machine() == "x86_64"


def call(x86: int, arm: int, *arguments: object) -> int:
    return libc.syscall(x86 if X86 else arm, *arguments)


def connect(family: int, address: object, kind: int = socket.SOCK_STREAM) -> bool:
    with socket.socket(family, kind) as opened:
        opened.settimeout(1)
        if kind == socket.SOCK_DGRAM:
            opened.sendto(b"x", address)
        else:
            opened.connect(address)
    return True


def write(path: str) -> bool:
    with open(path, "w") as file:
        file.write("x")
    return True


def seen_by_others() -> bool:
    for name in os.listdir("/proc"):
        if name.isdigit() and b"SECRET-OF-THE-RUNNER" in Path(f"/proc/{name}/environ").read_bytes():
            return True
    return False


def runner_is_seen() -> bool:
    return b"python" in Path(f"/proc/{RUNNER}/cmdline").read_bytes()


flags = 0x10000000  # CLONE_NEWUSER
TRIES = {
    "the truth by its path": lambda: bool(Path(TRUTH).read_text()),
    "the truth through the first process": lambda: bool(Path("/proc/1/root" + TRUTH).read_text()),
    "the truth through its parent": lambda: bool(Path(f"/proc/{os.getppid()}/root{TRUTH}").read_text()),
    "the truth through a link in the submission": lambda: bool(Path("/submission/link").read_text()),
    "the scores of another": lambda: bool(Path(str(Path(TRUTH).with_name("scores.json"))).read_text()),
    "passwords": lambda: bool(Path("/etc/shadow").read_text()),
    "users of the machine": lambda: "root" in Path("/etc/passwd").read_text(),
    "home folders": lambda: bool(os.listdir("/home")),
    "a server on loopback": lambda: connect(socket.AF_INET, ("127.0.0.1", PORT)),
    "a server on loopback, IPv6": lambda: connect(socket.AF_INET6, ("::1", PORT)),
    "the internet": lambda: connect(socket.AF_INET, ("192.0.2.1", 80)),
    "a name server": lambda: connect(socket.AF_INET, ("192.0.2.1", 53), socket.SOCK_DGRAM),
    "an abstract socket": lambda: connect(socket.AF_UNIX, "\0" + ABSTRACT),
    "a raw socket": lambda: bool(socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)),
    "a packet socket": lambda: bool(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)),
    "a socket to the host of a virtual machine": lambda: bool(socket.socket(40, socket.SOCK_STREAM)),
    "a socket of the kernel's cryptography": lambda: bool(socket.socket(38, socket.SOCK_SEQPACKET)),
    "the runner by signal": lambda: os.kill(RUNNER, signal.SIGKILL) is None,
    "the runner by its process": runner_is_seen,
    "the runner by ptrace": lambda: call(101, 117, 16, RUNNER, 0, 0) == 0,
    "the runner's memory": lambda: bool(os.open(f"/proc/{RUNNER}/mem", os.O_RDWR)),
    "secrets in environments": seen_by_others,
    "a user namespace by unshare": lambda: call(272, 97, flags) == 0,
    "a mount namespace by unshare": lambda: call(272, 97, 0x20000) == 0,
    "a user namespace by clone": lambda: call(56, 220, flags | 17, 0, 0, 0, 0) >= 0,
    "a mount": lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0,
    "a writable remount": lambda: libc.mount(b"none", b"/submission", None, 32 | 4096, None) == 0,
    "an unmount": lambda: libc.umount2(b"/submission", 2) == 0,
    "another root": lambda: os.chroot("/tmp") is None,
    "keys of the kernel": lambda: call(250, 219, 0, -3, 1) >= 0,
    "a new key": lambda: call(248, 217, b"user", b"name", b"x", 1, -3) >= 0,
    "bpf": lambda: call(321, 280, 0, 0, 0) >= 0 or ctypes.get_errno() not in (1, 38),
    "perf": lambda: call(298, 241, 0, 0, -1, -1, 0) >= 0 or ctypes.get_errno() not in (1, 38),
    "io_uring": lambda: call(425, 425, 1, b"\0" * 128) >= 0,
    "userfaultfd": lambda: call(323, 282, 0) >= 0,
    "a kernel module": lambda: call(313, 273, 0, b"", 0) == 0,
    "the clock": lambda: libc.settimeofday(b"\0" * 16, None) == 0,
    "the host name": lambda: libc.sethostname(b"evil", 4) == 0,
    "the user root": lambda: os.setuid(0) is None,
    "the group root": lambda: os.setgid(0) is None,
    "more processes": lambda: __import__("resource").setrlimit(6, (10**6, 10**6)) is None and False,
    "a device": lambda: os.mknod("/tmp/device", 0o20666, os.makedev(1, 1)) is None,
    "the disk": lambda: bool(os.open("/dev/vda", os.O_RDONLY)) or bool(os.open("/dev/sda", os.O_RDONLY)),
    "memory of the machine": lambda: bool(os.open("/dev/mem", os.O_RDONLY)),
    "kmsg": lambda: bool(os.open("/dev/kmsg", os.O_RDONLY)),
    "sysctl": lambda: write("/proc/sys/kernel/core_pattern"),
    "sysrq": lambda: write("/proc/sysrq-trigger"),
    "a control group": lambda: write("/sys/fs/cgroup/memory/cgroup.procs"),
    "a control group, version 2": lambda: write("/sys/fs/cgroup/cgroup.procs"),
    "devices of the machine in /sys": lambda: bool(os.listdir("/sys/class/block")),
    "a socket of an engine": lambda: any(
        Path(path).exists() for path in ("/run/podman/podman.sock", "/var/run/docker.sock", "/run/docker.sock")
    ),
}

chosen = sys.argv[5].split(",") if sys.argv[5:] else list(TRIES)
found = []
for name, attempt in TRIES.items():
    if name not in chosen:
        continue
    try:
        if attempt():
            found.append(name)
    except (OSError, ValueError):
        continue
for path in ("/usr/bin/su", "/usr/bin/mount", "/usr/bin/passwd", "/bin/su"):
    if os.path.exists(path) and os.stat(path).st_mode & 0o4000 and os.fork() == 0:
        os.execv("/bin/sh", ["sh", "-c", f"{path} --version > /dev/null 2>&1; exit 0"])
status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
if status["NoNewPrivs"] != "1" or int(status["CapBnd"], 16) or int(status["CapEff"], 16):
    found.append(f"rights: {status['NoNewPrivs']} {status['CapEff']} {status['CapBnd']}")
if status["Uid"].split()[0] == "0":
    found.append("the user is root")
if os.uname().nodename != "sandbox":
    found.append(f"the name of the machine: {os.uname().nodename}")
print("not refused:", found)
sys.exit(bool(found))
