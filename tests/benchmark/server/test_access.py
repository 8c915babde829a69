"""Who may do what: every route with every role, and without a login."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from served import Served, form_of
from served_boards import ended, submitted, work, zipped

from collidekit.benchmark.definition import load_benchmark
from collidekit.benchmark.server.pages import api_page, login, organiser, public, runs, submit

ROLES = ("", "rita", "bob", "ada", "olga")
"""Nobody, a reader, another participant, the participant whose run it is, the organiser."""
PAGE = "/benchmarks/top_tagging/phases/public"
API = {
    "GET /service": (200, 200, 200, 200, 200),
    "GET /me": (401, 200, 200, 200, 200),
    "GET /benchmarks": (200, 200, 200, 200, 200),
    "GET /benchmarks/{benchmark}": (200, 200, 200, 200, 200),
    "GET /benchmarks/{benchmark}/phases/{phase}/leaderboard": (200, 200, 200, 200, 200),
    "POST /benchmarks/{benchmark}/phases/{phase}/runs": (401, 403, 201, 201, 201),
    "POST /benchmarks/{benchmark}/phases/{phase}/uploads": (401, 403, 201, 201, 201),
    "GET /runs": (401, 403, 200, 200, 200),
    "GET /runs/{run}": (403, 403, 403, 200, 200),
    "GET /runs/{run}/log": (401, 403, 403, 200, 200),
    "POST /runs/{run}/cancel": (401, 403, 403, 200, 200),
    "POST /runs/{run}/withdraw": (401, 403, 403, 200, 200),
    "POST /runs/{run}/members": (401, 403, 403, 200, 200),
    "POST /runs/{run}/rerun": (401, 403, 403, 403, 201),
    "GET /users": (401, 403, 403, 403, 200),
    "POST /users": (401, 403, 403, 403, 201),
    "POST /users/{user}/token": (401, 403, 403, 403, 201),
    "POST /users/{user}/revoke": (401, 403, 403, 403, 200),
    "POST /benchmarks/{benchmark}/phases/{phase}/rerun": (401, 403, 403, 403, 201),
    "GET /workers": (401, 403, 403, 403, 200),
    "GET /audit": (401, 403, 403, 403, 200),
}
PAGES = {
    "GET /": (200, 200, 200, 200, 200),
    "GET /benchmarks/{benchmark}": (200, 200, 200, 200, 200),
    "GET /benchmarks/{benchmark}/phases/{phase}": (200, 200, 200, 200, 200),
    "GET /benchmarks/{benchmark}/phases/{phase}/roc.svg": (200, 200, 200, 200, 200),
    "GET /benchmarks/{benchmark}/phases/{phase}/submit": (401, 403, 200, 200, 200),
    "POST /benchmarks/{benchmark}/phases/{phase}/submit": (401, 403, 303, 303, 303),
    "GET /login": (200, 303, 303, 303, 303),
    "POST /login": (403, 403, 403, 403, 403),  # without the cookie of the page
    "POST /logout": (401, 303, 303, 303, 303),
    "GET /runs": (401, 200, 200, 200, 200),
    "GET /runs/{run}": (403, 403, 403, 200, 200),
    "GET /runs/{run}/live": (403, 403, 403, 200, 200),
    "GET /runs/{run}/log": (401, 403, 403, 200, 200),
    "POST /runs/{run}/cancel": (401, 403, 403, 303, 303),
    "POST /runs/{run}/withdraw": (401, 403, 403, 303, 303),
    "POST /runs/{run}/rerun": (401, 403, 403, 403, 303),
    "GET /organiser": (401, 403, 403, 403, 200),
    "GET /organiser/runs": (401, 403, 403, 403, 200),
    "GET /organiser/audit": (401, 403, 403, 403, 200),
    "POST /organiser/benchmarks/{benchmark}/phases/{phase}/rerun": (401, 403, 403, 403, 303),
    "GET /organiser/users": (401, 403, 403, 403, 200),
    "POST /organiser/users": (401, 403, 403, 403, 200),
    "POST /organiser/users/{user}/token": (401, 403, 403, 403, 200),
    "POST /organiser/users/{user}/revoke": (401, 403, 403, 403, 303),
    "GET /api": (200, 200, 200, 200, 200),
    "GET /static/{name}": (200, 200, 200, 200, 200),
}


def test_the_tables_name_every_route(served: Served) -> None:
    paths = served.app.openapi()["paths"]
    described = {f"{method.upper()} {path.removeprefix('/api/v1')}" for path, one in paths.items() for method in one}
    assert described == set(API)
    routes = [route for module in (public, login, submit, runs, organiser, api_page) for route in module.routes.routes]
    assert {f"{method} {route.path}" for route in routes for method in route.methods} == set(PAGES)


def waiting(served: Served, tmp_path: Path) -> dict[str, str]:
    """Return the values of the paths: a run of ada that waits."""
    run = submitted(served.store, served.user("ada"), tmp_path / "first", "first")
    work(served.store, [ended(1.0)])
    run = submitted(served.store, served.user("ada"), tmp_path / "mine", "mine")
    served.store.add_user("victim", "participant")
    victim = served.user("victim")
    return {"benchmark": "top_tagging", "phase": "public", "run": str(run), "user": str(victim.id), "name": "style.css"}


@pytest.mark.parametrize("route", API)
def test_api(served: Served, tmp_path: Path, route: str) -> None:
    values = waiting(served, tmp_path)
    method, _, path = route.partition(" ")
    for place, name in enumerate(ROLES):
        body: dict[str, object] = {}
        address = f"/api/v1{path.format(**values)}"
        if path.endswith("/runs") and method == "POST":
            body = {"json": {"name": f"new{place}", "image": "python:3", "tagger": "true"}}
        elif path.endswith("/uploads"):
            content = zipped()
            headers = {"Content-Type": "application/zip", "X-Checksum-SHA256": hashlib.sha256(content).hexdigest()}
            address, body = f"{address}?name=up{place}", {"content": content, "headers": headers}
        elif path == "/users" and method == "POST":
            body = {"json": {"name": f"new{place}"}}
        elif path.endswith("/members"):
            body = {"json": {"user": "victim"}}
        elif path.endswith(("cancel", "withdraw")) and name == "olga":  # ada has done it to hers
            address = f"/api/v1{path.format(**{**values, 'run': str(submitted(served.store, served.user('ada'), tmp_path / 'x', 'x'))})}"
        answer = served.api(name).request(method, address, **body)  # type: ignore[arg-type]
        assert answer.status_code == API[route][place], f"{route} as {name or 'nobody'}: {answer.text}"
        if answer.status_code >= 400:
            assert list(answer.json()) == ["error"]
            assert "\n" not in answer.json()["error"]


@pytest.mark.parametrize("route", PAGES)
def test_pages(served: Served, tmp_path: Path, route: str) -> None:
    values = waiting(served, tmp_path)
    method, _, path = route.partition(" ")
    for place, name in enumerate(ROLES):
        browser = served.browser(name)
        address = path.format(**values)
        if path.endswith(("cancel", "withdraw")) and name == "olga":
            address = path.format(run=submitted(served.store, served.user("ada"), tmp_path / "x", "x"))
        data = {"form": form_of(browser.get("/").text)} if name else {"form": "x"}
        if path.endswith("submit"):
            data |= {"kind": "environment", "name": f"new{place}", "image": "python:3", "tagger": "true"}
        elif path == "/organiser/users":
            data |= {"name": f"new{place}", "role": "reader"}
        elif path == "/login":
            browser.cookies.delete("collidekit_form") if "collidekit_form" in browser.cookies else None
            data |= {"token": served.tokens["ada"]}
        answer = browser.request(method, address, **({"data": data} if method == "POST" else {}))  # type: ignore[arg-type]
        assert answer.status_code == PAGES[route][place], f"{route} as {name or 'nobody'}: {answer.text[:2000]}"


def test_a_run_on_the_board_shows_its_provenance_to_all_but_no_log(served: Served, tmp_path: Path) -> None:
    run = submitted(served.store, served.user("ada"), tmp_path / "s", "mine")
    work(served.store, [ended(1.0)], log="secret line\n")
    page = served.browser().get(f"/runs/{run}").text
    assert "c0dec0de" in page
    assert "secret line" not in page
    assert "Withdraw" not in page
    shown = served.api().get(f"/api/v1/runs/{run}").json()
    assert shown["code_hash"].startswith("c0de")
    assert shown["parameters"] == {}
    assert served.api().get(f"/api/v1/runs/{run}/log").status_code == 401
    assert "secret line" in served.browser("ada").get(f"/runs/{run}").text


def test_a_hidden_board_is_shown_to_organisers_only(served: Served) -> None:
    for path in ("/benchmarks/top_tagging/phases/final", "/benchmarks/top_tagging/phases/final/roc.svg"):
        assert served.browser("ada").get(path).status_code == 403
    assert served.browser("olga").get("/benchmarks/top_tagging/phases/final").status_code == 200
    api = "/api/v1/benchmarks/top_tagging/phases/final/leaderboard"
    for query in ("", "?curves=true"):
        assert served.api("ada").get(api + query).status_code == 403
        assert served.api("olga").get(api + query).status_code == 200


@pytest.mark.parametrize(
    ("name", "end", "shown"), [("public", 2200, True), ("final", 2020, True), ("final", 2200, False)]
)
def test_a_hidden_board_is_shown_when_its_phase_has_ended(served: Served, name: str, end: int, shown: bool) -> None:
    phase = served.store.benchmark("top_tagging").definition.phases[name]
    phase = phase.model_copy(update={"end": datetime(end, 1, 1, tzinfo=UTC)})
    assert served.app.state.service.sees_board(served.user("ada"), phase) is shown


def test_scores_of_a_hidden_phase_are_hidden_from_their_participant_too(served: Served, tmp_path: Path) -> None:
    run = submitted(served.store, served.user("ada"), tmp_path / "s", "mine", phase="final")
    work(served.store, [ended(1.3)])
    for path in (f"/api/v1/runs/{run}", "/api/v1/runs"):
        assert "390.0" not in served.api("ada").get(path).text, path
        assert "390.0" in served.api("olga").get(path).text, path
    assert "390.0" not in served.api("ada").post(f"/api/v1/runs/{run}/withdraw").text
    page = served.browser("ada").get(f"/runs/{run}").text
    assert "Its scores are shown when the phase ends." in page
    assert "390.0" not in page
    assert "390.0 ± 8.0" in served.browser("olga").get(f"/runs/{run}").text


@pytest.mark.parametrize("change", ["renamed", "removed", "visible in a version with other data"])
def test_scores_of_a_hidden_phase_stay_hidden_when_the_phase_changes(
    change: str, served: Served, tmp_path: Path
) -> None:
    run = submitted(served.store, served.user("ada"), tmp_path / "s", "mine", phase="final")
    work(served.store, [ended(1.3)])
    path = served.folder / "top" / "benchmark.yaml"
    text = path.read_text()
    if change == "renamed":
        text = text.replace("  final:", "  hidden:")
    elif change == "removed":
        text = text.partition("  final:")[0] + "parameters:" + text.partition("parameters:")[2]
    else:
        text = text.replace("    visible: false\n    end: 2100-01-01T00:00:00+00:00\n", "").replace(
            "signal_efficiency: 0.5", "signal_efficiency: 0.4"
        )
    path.write_text(text)
    served.store.register(load_benchmark(path.parent), path.parent)
    assert served.store.benchmark("top_tagging").number == 2
    for address in (f"/api/v1/runs/{run}", "/api/v1/runs"):
        assert "390.0" not in served.api("ada").get(address).text, address
        assert "390.0" in served.api("olga").get(address).text, address
    assert "390.0" not in served.browser("ada").get(f"/runs/{run}").text
    for name in ("bob", ""):
        assert served.api(name).get(f"/api/v1/runs/{run}").status_code == 403


def test_an_organiser_shows_the_scores_of_a_phase_before_its_end(served: Served, tmp_path: Path) -> None:
    run = submitted(served.store, served.user("ada"), tmp_path / "s", "mine", phase="final")
    work(served.store, [ended(1.3)])
    path = served.folder / "top" / "benchmark.yaml"
    path.write_text(path.read_text().replace("    visible: false\n", ""))
    served.store.register(load_benchmark(path.parent), path.parent)
    assert "390.0" in served.api("ada").get(f"/api/v1/runs/{run}").text


def test_a_service_that_is_not_public_asks_for_a_token_everywhere(tmp_path: Path) -> None:
    from served import make_served

    closed = make_served(tmp_path, public=False)
    for path in (
        "/",
        "/benchmarks/top_tagging",
        PAGE,
        f"{PAGE}/roc.svg",
        "/api",
        "/api/v1/benchmarks",
        "/api/v1/service",
        "/api/v1/benchmarks/top_tagging",
    ):
        assert closed.browser().get(path).status_code == 401, path
    assert closed.browser("rita").get(PAGE).status_code == 200
    assert closed.api("rita").get("/api/v1/benchmarks").status_code == 200


def test_a_participant_lists_own_runs_only(served: Served, tmp_path: Path) -> None:
    submitted(served.store, served.user("ada"), tmp_path / "a", "a")
    submitted(served.store, served.user("bob"), tmp_path / "b", "b")
    assert [run["user"] for run in served.api("bob").get("/api/v1/runs").json()] == ["bob"]
    assert len(served.api("olga").get("/api/v1/runs").json()) == 2


def test_a_list_of_runs_looks_each_benchmark_up_once(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        submitted(served.store, served.user("bob"), tmp_path / name, name)
    work(served.store, [ended(1.0)] * 3)
    asked, benchmark = [], served.store.benchmark
    monkeypatch.setattr(served.store, "benchmark", lambda name: asked.append(name) or benchmark(name))
    monkeypatch.setattr(served.store, "benchmarks", lambda: pytest.fail("all benchmarks are read"))
    assert len(served.api("bob").get("/api/v1/runs").json()) == 3
    assert asked == ["top_tagging"]


def test_nothing_of_the_truth_or_of_paths_is_shown(served: Served) -> None:
    text = json.dumps(served.api("ada").get("/api/v1/benchmarks").json())
    assert "truth" not in text
    assert str(served.folder) not in text
