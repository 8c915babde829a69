"""A real PostgreSQL server on this machine, for the tests."""

import os
import shutil
import socket
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4


def missing() -> str:
    """Return why there can be no server here; empty where there can."""
    if not _tools():
        return "PostgreSQL is not installed (no /usr/lib/postgresql/*/bin/initdb)"
    return ""


def _tools() -> Path | None:
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return programs[-1].parent if programs else None


@dataclass
class PostgresServer:
    """A server below a folder of its own; ``url`` is that of its first database."""

    user: str = "searcher"
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="pg", dir="/tmp")))
    """For another user, with a short path for the socket."""
    port: int = 0

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        return f"postgresql://{self.user}:geheim@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Make the files of the server and start it."""
        self.folder.chmod(0o777)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._run("initdb", "-D", self.folder / "data", "-U", self.user, "--auth=trust", "-E", "UTF8")
        self.resume()

    def resume(self) -> None:
        """Start the server on the files that are there."""
        options = f"-p {self.port} -k {self.folder} -c fsync=off"
        self._run("pg_ctl", "-D", self.folder / "data", "-w", "-l", self.folder / "log", "-o", options, "start")

    def interrupt(self) -> None:
        """Stop the server at once, as a crash does; its files stay."""
        self._run("pg_ctl", "-D", self.folder / "data", "-m", "immediate", "stop")

    def stop(self) -> None:
        """Stop the server and remove its files."""
        try:
            self.interrupt()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def make_database(self) -> str:
        """Return the URL of a new database."""
        import psycopg

        name = f"d{uuid4().hex[:12]}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        return self.url_of(name)

    def empty(self, url: str) -> None:
        """Remove the rows of all tables but those that name a revision, whatever triggers forbid it."""
        import psycopg

        with psycopg.connect(url) as connection:
            found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            names = ", ".join(name for (name,) in found if not name.endswith("revision"))
            connection.execute("SET session_replication_role = replica")
            connection.execute(f"TRUNCATE {names} RESTART IDENTITY")  # type: ignore[arg-type]

    def _run(self, program: str, *words: object) -> None:
        tools = _tools()
        assert tools is not None
        as_other = [] if os.getuid() else ["runuser", "-u", "postgres", "--"]
        command = [*as_other, str(tools / program), *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd="/tmp", check=False)
        assert done.returncode == 0, done.stderr
