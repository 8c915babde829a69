"""Starts bubblewrap: all is set up, and the command waits until its limits are set."""

import json
import os
import secrets
import select
import signal
import subprocess
import time
from contextlib import ExitStack, suppress

from attrs import frozen

from collidekit.benchmark.sandbox.bubblewrap_arguments import arguments, command, passwd
from collidekit.benchmark.sandbox.job import Job
from collidekit.benchmark.sandbox.processes import Init
from collidekit.benchmark.sandbox.readable import readable
from collidekit.benchmark.sandbox.seccomp import filter_program
from collidekit.benchmark.sandbox.staging import staging_folder
from collidekit.benchmark.sandbox.system import System
from collidekit.benchmark.sandbox.tmpfs import tmp_size

LONGEST_START = 20.0
"""Seconds that the setting up may take."""


class StartError(Exception):
    """Message of bubblewrap when it could not set up the sandbox."""


@frozen
class Started:
    """A sandbox whose command waits for ``release``."""

    process: "subprocess.Popen[bytes]"
    init: Init
    output: int
    """The open folder /output; it stays readable after the end of the sandbox."""
    gate: int

    def release(self) -> None:
        """Let the command begin."""
        os.write(self.gate, b"1")


def start(program: str, job: Job, system: System, user: int | None, stack: ExitStack) -> Started:
    """Start bubblewrap for a job; at the end of the stack all its processes are ended."""
    mounts = job.mounts
    if user is not None:
        mounts = readable(mounts, stack.enter_context(staging_folder()))
    ready = f"/run/{secrets.token_hex(8)}"
    with ExitStack() as given:  # ends of the files that bubblewrap alone keeps
        info, info_write = os.pipe()
        stack.callback(os.close, info)
        given.callback(os.close, info_write)
        block, gate = os.pipe()
        stack.callback(os.close, gate)
        given.callback(os.close, block)
        files = {"passwd": _in_memory(passwd(user), given), "info": info_write, "block": block}
        if (filtering := filter_program()) is not None:
            files["seccomp"] = _in_memory(filtering, given)
        options = arguments(job, mounts, system, user=user, tmp=tmp_size(job.limits), ready=ready, files=files)
        options_file = _in_memory(b"\0".join(option.encode() for option in options), given)
        process = subprocess.Popen(
            [program, "--args", str(options_file), "--", *command(job, user)],
            env={"PATH": "/usr/bin:/bin"},  # the command could read what stands here
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[options_file, *files.values()],
            start_new_session=True,
        )
    stack.callback(_reap, process)
    init = stack.enter_context(_init(info, process))
    stack.callback(init.signal_all, signal.SIGKILL)
    return Started(process, init, _await(init.process, ready, process, stack), gate)


def _in_memory(content: bytes, stack: ExitStack) -> int:
    file = os.memfd_create("collidekit")
    stack.callback(os.close, file)
    os.write(file, content)
    os.lseek(file, 0, os.SEEK_SET)
    return file


def _init(info: int, process: "subprocess.Popen[bytes]") -> Init:
    """Return the first process of the new pid namespace, as bubblewrap names it."""
    content, until = b"", time.monotonic() + LONGEST_START
    while b"}" not in content:
        ready, _, _ = select.select([info], [], [], max(0.0, until - time.monotonic()))
        block = os.read(info, 4096) if ready else b""
        if not block:
            raise StartError(_said(process))
        content += block
    try:
        return Init(int(json.loads(content)["child-pid"]))
    except (ValueError, KeyError, ProcessLookupError):
        raise StartError(_said(process)) from None


def _await(child: int, ready: str, process: "subprocess.Popen[bytes]", stack: ExitStack) -> int:
    """Wait until the sandbox is set up and return its open output folder."""
    root, until = f"/proc/{child}/root", time.monotonic() + LONGEST_START
    while process.poll() is None and time.monotonic() < until:
        with suppress(OSError):
            if os.path.isdir(f"{root}{ready}"):
                output = os.open(f"{root}/output", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
                stack.callback(os.close, output)
                return output
        time.sleep(0.002)
    raise StartError(_said(process))


def _said(process: "subprocess.Popen[bytes]") -> str:
    """Return the message of bubblewrap, which is ended where it still runs."""
    with suppress(ProcessLookupError):
        process.kill()
    said = process.communicate()[0].decode(errors="replace")
    return " ".join(said.split())[:500] or "it said nothing and did not start in time"


def _reap(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
