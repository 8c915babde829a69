"""State shared by all routes of a server: store, settings, boards and templates."""

import re
import socket
from typing import Any

from fastapi import HTTPException, Request
from jinja2 import Environment

from collidekit.benchmark.definition import Benchmark, Phase
from collidekit.benchmark.parts import NAME
from collidekit.benchmark.server.boards import Boards
from collidekit.benchmark.server.render import make_templates
from collidekit.benchmark.server.security.buckets import Buckets
from collidekit.benchmark.server.settings import ServerSettings
from collidekit.benchmark.store import Role, Store, StoreUnavailable, User, Version
from collidekit.errors import CollidekitError, did_you_mean


class Service:
    """A store with what serves it."""

    def __init__(self, store: Store, settings: ServerSettings) -> None:
        self.store, self.settings = store, settings
        self.templates: Environment = make_templates(settings)
        self.boards = Boards(store, self.templates)
        self.wrong_tokens = Buckets(settings.logins)
        self.uploads = Buckets(settings.uploads)
        self._definitions: dict[int, Benchmark] = {}

    def version(self, name: str) -> Version:
        """Return the current version of a benchmark; an error (404) where there is none."""
        try:
            if re.fullmatch(NAME, name):  # a database may refuse other texts
                return self.store.benchmark(name)
        except StoreUnavailable:
            raise
        except CollidekitError:
            pass
        known = [version.name for version in self.store.benchmarks()]
        raise HTTPException(404, f"there is no benchmark {name[:80]!r}{did_you_mean(name[:80], known)}")

    def definition(self, version_id: int) -> Benchmark:
        """Return the definition of a version, which never changes."""
        if version_id not in self._definitions:
            self._definitions[version_id] = self.store.version(version_id).definition
        return self._definitions[version_id]

    def phase(self, version: Version, name: str) -> Phase:
        """Return a phase of a benchmark; an error (404) where there is none."""
        phases = version.definition.phases
        if name not in phases:
            raise HTTPException(404, f"there is no phase {name[:80]!r}; phases are {', '.join(phases)}")
        return phases[name]

    def revoked(self, user: User) -> int:
        """Return how many tokens of a user were revoked: one more ends the sessions of the user."""
        return sum(token.revoked_at is not None for token in self.store.tokens(user))

    def without_images(self) -> str:
        """Return the engine of the server's own workers if it runs no container images.

        Empty if a worker on another machine is alive, which may run them.
        """
        engine, here = self.settings.without_images, socket.gethostname()
        elsewhere = bool(engine) and any(worker.alive and worker.host != here for worker in self.store.workers())
        return "" if elsewhere else engine

    def sees_board(self, user: User | None, phase: Phase) -> bool:
        """Return whether the leaderboard of a phase is shown: a hidden one only to organisers until its end."""
        organises = user is not None and user.role is Role.OWNER
        return phase.visible or organises or (phase.end is not None and phase.end.timestamp() <= self.store.now())


def service_of(request: Request) -> Service:
    """Return the service that a request belongs to."""
    service: Any = request.app.state.service
    assert isinstance(service, Service)
    return service
