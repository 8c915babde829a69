"""A service with one benchmark and a user of each role, and how its users reach it."""

import warnings
from pathlib import Path
from typing import Any

from attrs import frozen
from served_boards import make_benchmark

from collidekit.benchmark.server.app import create_app
from collidekit.benchmark.server.settings import Rate, ServerSettings
from collidekit.benchmark.store import Store, User

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it works with httpx, and would rather have httpx2
    from starlette.testclient import TestClient

ROLES = {"olga": "owner", "ada": "participant", "bob": "participant", "rita": "reader"}
MUCH = Rate(100_000, 100_000)


@frozen
class Served:
    """A service, and how its users reach it."""

    store: Store
    folder: Path
    tokens: dict[str, str]
    app: Any

    def user(self, name: str) -> User:
        return self.store.user_named(name)

    def api(self, name: str = "") -> TestClient:
        """Return a client of the API with the token of a user; without a name nobody's."""
        headers = {"Authorization": f"Bearer {self.tokens[name]}"} if name else {}
        return TestClient(self.app, "http://127.0.0.1", headers=headers, raise_server_exceptions=False)

    def browser(self, name: str = "") -> TestClient:
        """Return a client with the session of a user."""
        client = TestClient(self.app, "http://127.0.0.1", follow_redirects=False, raise_server_exceptions=False)
        if name:
            answer = client.post(
                "/login", data={"token": self.tokens[name], "form": form_of(client.get("/login").text)}
            )
            assert answer.status_code == 303, answer.text
        return client


def form_of(page: str) -> str:
    """Return the value that the forms of a page carry."""
    return page.partition('name="form" value="')[2].partition('"')[0]


def make_served(folder: Path, **settings: Any) -> Served:
    """Return a new service; nothing is limited in rate unless ``settings`` say so."""
    store = Store(str(folder / "board.db"), folder / "files")
    store.register(make_benchmark(folder / "top"), folder / "top")
    tokens = {name: store.add_user(name, role) for name, role in ROLES.items()}
    rates = dict.fromkeys(("uploads", "by_token", "by_address", "logins"), MUCH)
    store.folder.mkdir(exist_ok=True)
    return Served(store, folder, tokens, create_app(store, ServerSettings(store.folder, **{**rates, **settings})))
