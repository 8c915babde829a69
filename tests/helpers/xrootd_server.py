"""A real XRootD server on this machine, and a wire to it that counts bytes and can be cut."""

import contextlib
import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

CONFIG = """
all.export /
oss.localroot {folder}/data
all.adminpath {folder}/admin
all.pidpath {folder}/admin
xrd.port {port}
xrd.allow host *
"""


def missing() -> str:
    """What these tests lack, if anything."""
    packages = [name for name in ("XRootD", "fsspec_xrootd") if not importlib.util.find_spec(name)]
    commands = [] if shutil.which("xrootd") else ["the command xrootd (Debian: xrootd-server)"]
    return ", ".join(packages + commands)


class Server:
    """Serves ``folder/data``, which clients may write to if it is ``writable``.

    The folder and those above it must be open to other users.
    """

    def __init__(self, folder: Path, writable: bool = False) -> None:
        self.data, self._folder, self._process = folder / "data", folder, None
        self._as = []
        for part in (folder, self.data, folder / "admin", folder / "log"):
            part.mkdir(exist_ok=True)
            part.chmod(0o755)
        if os.getuid() == 0:  # xrootd does not run as root
            user = next(name for name in ("xrootd", "nobody") if name in {entry.pw_name for entry in pwd.getpwall()})
            self._as = ["-R", user]
            for part in (folder, folder / "admin", folder / "log", *([self.data] if writable else [])):
                shutil.chown(part, user)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        (folder / "xrootd.cfg").write_text(CONFIG.format(folder=folder, port=self.port))

    def start(self) -> None:
        log = self._folder / "log" / "log"
        command = ["xrootd", *self._as, "-c", str(self._folder / "xrootd.cfg"), "-l", str(log)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(500):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError("xrootd does not start:\n" + "".join(path.read_text() for path in log.parent.rglob("log")))

    def kill(self) -> None:
        """At once, as a crash does."""
        self._process.kill()
        self._process.wait()

    def url(self, name: str) -> str:
        return f"root://127.0.0.1:{self.port}//{name}"


class Wire:
    """Passes everything on to a server."""

    def __init__(self, port: int) -> None:
        self.bytes = 0
        """That came from the server."""
        self.limit: float = float("inf")
        """After so many bytes the wire is cut, until the limit is raised."""
        self.pause = 0.0
        """Seconds for each 64 KiB."""
        self._server = port
        self._socket = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, name: str) -> str:
        return f"root://127.0.0.1:{self._socket.getsockname()[1]}//{name}"

    def close(self) -> None:
        self.limit = 0
        self._socket.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._server))
                except OSError:
                    client.close()
                    continue
                threading.Thread(target=self._pass, args=(client, server), daemon=True).start()
                threading.Thread(target=self._pass, args=(server, client, True), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, count: bool = False) -> None:
        with contextlib.suppress(OSError):
            while self.bytes < self.limit and (content := source.recv(1 << 16)):
                self.bytes += len(content) * count
                time.sleep(self.pause * count)
                target.sendall(content)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
