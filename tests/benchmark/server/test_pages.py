"""The pages: what they show, and that nothing of strangers becomes markup."""

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from attrs import evolve
from served import Served, form_of
from served_boards import ended, make_benchmark, submitted, work
from typer.main import get_command

from collidekit.benchmark.definition import load_benchmark
from collidekit.benchmark.server.board_page import board_html
from collidekit.benchmark.server.roc_svg import NARROW, WIDE, roc_svg
from collidekit.benchmark.server.runs import _end_of
from collidekit.benchmark.states import Fault, State
from collidekit.benchmark.store.text import LONGEST_NAME
from collidekit.cli import app

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{ 7*7 }}"
BOARD = "/benchmarks/top_tagging/phases/public"


class Outline(HTMLParser):
    """Tags of a page with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def of(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def check_page(text: str) -> None:
    """Assert what every page must have: one heading, landmarks, labels, scopes, and nothing that runs within the page."""
    page = Outline(text)
    for landmark in ("main", "header", "nav", "footer", "title", "h1"):
        assert len(page.of(landmark)) == 1, landmark
    assert page.of("html")[0]["lang"] == "en"
    ids = [attributes["id"] for _, attributes in page.tags if attributes.get("id")]
    assert len(ids) == len(set(ids)), "an id stands twice"
    labels = {attributes.get("for") for attributes in page.of("label")}
    for kind in ("input", "select", "textarea"):
        for field in page.of(kind):
            assert field.get("type") == "hidden" or field["id"] in labels, field
            for described in (field.get("aria-describedby") or "").split():
                assert described in ids, described
    assert all(cell.get("scope") for cell in page.of("th"))
    assert len(page.of("caption")) == len(page.of("table"))
    assert all("alt" in picture for picture in page.of("img"))
    assert all(script.get("src") for script in page.of("script"))
    for tag, attributes in page.tags:
        assert "style" not in attributes, tag
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
    assert "49" not in re.findall(r"\{\{ 7\*7 \}\}|49 ", text)


def filled(served: Served, tmp_path: Path) -> dict[str, int]:
    """Fill the store with every kind of run, all with evil texts; returns one run of each kind."""
    store = served.store
    evil = store.user_of(store.add_user(EVIL[:60], "participant"))
    assert evil is not None
    runs = {"good": submitted(store, evil, tmp_path / "1", EVIL[:70])}
    work(store, [ended(1.2)], log=f"{EVIL}\x1b[31m\n", worker=f"w{EVIL[:20]}")
    runs["bad"] = submitted(store, evil, tmp_path / "2", f"b{EVIL[:60]}")
    work(store, [ended(None, reason=f"tagger: {EVIL}")], log=EVIL)
    for fault in (Fault.ORGANISER, Fault.SERVICE):
        submitted(store, evil, tmp_path / fault, f"{fault}{EVIL[:60]}")
        work(store, [ended(None, reason=EVIL, fault=fault)] * (3 if fault is Fault.SERVICE else 1))
    runs["waits"] = submitted(store, evil, tmp_path / "3", f"c{EVIL[:60]}")
    return runs


def test_every_page_is_complete_and_safe(served: Served, tmp_path: Path) -> None:
    served.store.register(
        make_benchmark(tmp_path / "evil", "evil", f"'{EVIL.replace(chr(39), '')}'"), tmp_path / "evil"
    )
    runs = filled(served, tmp_path)
    addresses = ["/", "/benchmarks/top_tagging", "/benchmarks/evil", BOARD, "/benchmarks/evil/phases/public", f"{BOARD}/submit", "/runs", "/organiser", "/organiser/runs",
                 "/organiser/users", "/organiser/audit", "/api", "/nothing", *(f"/runs/{run}" for run in runs.values())]  # fmt: skip
    for name in ("olga", "rita", ""):
        browser = served.browser(name)
        for address in addresses:
            text = browser.get(address).text
            check_page(text)
            assert "<script>alert" not in text
            assert "<img src=x" not in text
            assert "\x1b" not in text
    assert "&lt;script&gt;alert(1)" in served.browser("olga").get(BOARD).text
    assert "&lt;script&gt;" in served.browser("olga").get("/organiser").text


def test_runs_that_are_left_out_stand_beside_the_scores(served: Served, tmp_path: Path) -> None:
    """On the page of the run, the leaderboard and in the answers of the API."""
    store = served.store
    run = submitted(store, served.user("ada"), tmp_path / "1", "ensemble")
    good = ended(1.2)
    assert good.scores is not None
    scores = dataclasses.replace(good.scores, runs=6, runs_left_out=(4,), notes=("too few rows",))
    work(store, [evolve(good, scores=scores)])
    page = served.browser("ada").get(f"/runs/{run}").text
    assert "5 of 6 runs count; the outlier rule leaves out 4 (from 0)." in page
    assert "Too few rows." in page
    assert "(5 of 6 runs)" in served.browser("ada").get(BOARD).text
    entries = served.api("ada").get("/api/v1/benchmarks/top_tagging/phases/public/leaderboard").json()["entries"]
    entry = next(entry for entry in entries if entry["run"] == run)
    assert (entry["ensemble_runs"], entry["runs_left_out"]) == (6, [4])
    assert served.api("ada").get(f"/api/v1/runs/{run}").json()["score_notes"][1] == "Too few rows."


def test_notes_of_a_run_stand_on_its_page(served: Served, tmp_path: Path) -> None:
    run = submitted(served.store, served.user("ada"), tmp_path / "x", "x")
    note = "nominal: predictions.npy has no column row: its rows are taken to be in the order of features.parquet"
    work(served.store, [evolve(ended(1.0), notes=(note,))])
    assert note in served.browser("ada").get(f"/runs/{run}").text
    assert f"{note}." in served.api("ada").get(f"/api/v1/runs/{run}").json()["score_notes"]


def test_the_plot_escapes_names(served: Served, tmp_path: Path) -> None:
    filled(served, tmp_path)
    for narrow in (False, True):
        answer = served.browser().get(f"{BOARD}/roc.svg", params={"narrow": narrow})
        assert answer.headers["content-type"] == "image/svg+xml"
        assert b"<script>" not in answer.content
        assert b"&lt;script&gt;" in answer.content
        assert b"Signal efficiency (top)" in answer.content


def test_a_board_without_curves_has_no_plot(served: Served) -> None:
    page = served.browser().get(BOARD).text
    assert "No entry is ranked yet" in page
    assert "ROC curves" not in page
    assert served.browser().get(f"{BOARD}/roc.svg").status_code == 404


def test_the_board_shows_ranks_ties_references_and_runs(served: Served, tmp_path: Path) -> None:
    for place, quality in enumerate((1.3, 1.0, 0.997)):
        submitted(served.store, served.user("ada"), tmp_path / str(place), f"entry {place}")
        work(served.store, [ended(quality, place)])
    page = served.browser().get(BOARD).text
    rows = re.findall(r"<tr role=\"row\".*?</tr>", page, re.DOTALL)[1:]
    texts = [" ".join(re.sub(r"<[^>]*>", " ", row).split()) for row in rows]
    assert texts[0] == "published ParticleNet (published: arXiv:1902.08570) 412 0.9858"
    assert texts[1] == "1 entry 0 by ada 390.0 ± 8.0 0.98300 ± 0.00020 1"
    assert texts[2].startswith("2 = entry 1 by ada 300.0 ± 8.0")
    assert texts[3].startswith("2 = entry 2 by ada")
    assert 'class="reference"' in rows[0]
    plot = re.search(r'img src="(.*?)"', page)
    assert plot is not None
    assert served.browser().get(plot[1]).headers["cache-control"].startswith("public")


def test_a_failed_run_says_why_to_its_participant(served: Served, tmp_path: Path) -> None:
    run = submitted(served.store, served.user("ada"), tmp_path / "x", "x")
    work(served.store, [ended(None, reason="tagger on nominal: needs more than 4 GB of memory")], log="Killed\n")
    page = served.browser("ada").get(f"/runs/{run}").text
    assert "Tagger on nominal: needs more than 4 GB of memory." in page
    assert "Killed" in page
    assert 'hx-get="' not in page


def test_a_waiting_run_shows_its_place_and_why(served: Served, tmp_path: Path) -> None:
    runs = [submitted(served.store, served.user("ada"), tmp_path / name, name) for name in "ab"]
    page = served.browser("ada").get(f"/runs/{runs[1]}").text
    assert "Place 2 in the queue" in page
    assert "no worker runs" in page
    assert f'hx-get="/runs/{runs[1]}/live"' in page
    assert 'http-equiv="refresh"' in page
    live = served.browser("ada").get(f"/runs/{runs[1]}/live")
    assert "Place 2" in live.text
    assert "hx-refresh" not in live.headers
    served.store.request_cancel(runs[1], served.user("ada"))
    assert served.browser("ada").get(f"/runs/{runs[1]}/live").headers["hx-refresh"] == "true"


def test_a_log_that_is_a_link_is_not_followed(served: Served, tmp_path: Path) -> None:
    run = submitted(served.store, served.user("ada"), tmp_path / "x", "x")
    work(served.store, [ended(1.0)])
    (tmp_path / "secret").write_text("the truth")
    place = served.store.run_folder(served.store.run(run)) / "nominal" / "evil.log"
    place.symlink_to(tmp_path / "secret")
    assert "the truth" not in served.browser("ada").get(f"/runs/{run}/log").text


def test_files_of_a_submission_are_no_logs(served: Served, tmp_path: Path) -> None:
    run = submitted(served.store, served.user("ada"), tmp_path / "x", "x")
    work(served.store, [ended(1.0)], log="epoch 1\n")
    folder = served.store.run_folder(served.store.run(run))
    (folder / ".submission" / "x.log").mkdir(parents=True)
    (folder / ".submission" / "tagger.log").write_text("planted")
    (folder / "nominal" / "y.log").mkdir()
    open_files = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        answer = served.browser("ada").get(f"/runs/{run}/log")
        assert answer.status_code == 200
        assert "epoch 1" in answer.text
        assert "planted" not in answer.text
    assert _end_of(folder / "nominal" / "y.log", 10) == ""
    assert len(list(Path("/proc/self/fd").iterdir())) <= open_files + 2, "each request left a file open"


def test_only_the_end_of_a_long_log_is_on_the_page(served: Served, tmp_path: Path) -> None:
    run = submitted(served.store, served.user("ada"), tmp_path / "x", "x")
    work(served.store, [ended(1.0)], log="first\n" + "line\n" * 20_000 + "last\n")
    page = served.browser("ada").get(f"/runs/{run}").text
    assert "last" in page
    assert "first" not in page
    assert len(page) < 60_000
    assert served.browser("ada").get(f"/runs/{run}/log").text.count("line") == 20_000


def test_the_page_of_a_run_reads_its_log_once(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = submitted(served.store, served.user("ada"), tmp_path / "x", "x")
    work(served.store, [ended(1.0)], log="epoch 1\n")
    read: list[Path] = []
    monkeypatch.setattr(
        "collidekit.benchmark.server.runs._end_of", lambda path, last: read.append(path) or _end_of(path, last)
    )
    assert "epoch 1" in served.browser("ada").get(f"/runs/{run}").text
    assert len(read) == len(set(read)) > 0


def test_the_form_of_a_new_user_takes_the_longest_name(served: Served) -> None:
    assert f'name="name" required maxlength="{LONGEST_NAME}"' in served.browser("olga").get("/organiser/users").text


def test_the_form_sends_an_environment_with_typed_parameters(served: Served) -> None:
    browser = served.browser("ada")
    data = {"form": form_of(browser.get(f"{BOARD}/submit").text), "kind": "environment", "name": "mine", "image": "python:3", "tagger": "true",
            "parameter.depth": "4", "parameter.rate": "1e-3", "parameter.flip": "true", "parameter.mode": "fast", "request": "r1"}  # fmt: skip
    first = browser.post(f"{BOARD}/submit", data=data)
    assert first.status_code == 303
    run = served.store.run(int(first.headers["location"].split("/")[-1].partition("?")[0]))
    assert run.parameters == {"depth": 4, "rate": 0.001, "flip": True, "mode": "fast"}
    again = browser.post(f"{BOARD}/submit", data=data)
    assert again.headers["location"] == first.headers["location"], "a form that is sent twice counts once"


@pytest.mark.parametrize(
    ("limits", "shown"), [("1, maximum: 2147483647", ("1", "2147483647")), ("1e-7, maximum: 0.1", ("1e-07", "0.1")), ("-1000001, maximum: 1e300", ("-1000001", "1e+300"))]
)  # fmt: skip
def test_limits_of_parameters_are_shown_with_all_digits(served: Served, limits: str, shown: tuple[str, str]) -> None:
    path = served.folder / "top" / "benchmark.yaml"
    path.write_text(path.read_text().replace("type: float", f"type: float, minimum: {limits}"))
    served.store.register(load_benchmark(path.parent), path.parent)
    page = served.browser("ada").get(f"{BOARD}/submit").text
    fields = [field for field in Outline(page).of("input") if field.get("name") == "parameter.rate"]
    assert {(field["min"], field["max"]) for field in fields} == {shown}
    assert page.count(f"At least {shown[0]}. At most {shown[1]}.") == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [({"parameter.depth": "x"}, "is not a whole number"), ({"parameter.depth": "99"}, "above its maximum"), ({"name": ""}, "name"),
     ({"image": "a b"}, "image"), ({"tagger": ""}, "tagger"), ({"kind": "zip"}, "choose the zip file")],
)  # fmt: skip
def test_a_wrong_form_comes_back_with_what_was_given(served: Served, change: dict[str, str], said: str) -> None:
    browser = served.browser("ada")
    form = form_of(browser.get(f"{BOARD}/submit").text)
    data = {
        "form": form,
        "kind": "environment",
        "name": "mine",
        "image": "python:3",
        "tagger": "run me",
        "parameter.depth": "2",
    }
    answer = browser.post(f"{BOARD}/submit", data={**data, **change})
    assert answer.status_code == 422
    assert said in answer.text
    check_page(answer.text)
    if "tagger" not in change:
        assert 'value="run me"' in answer.text
    assert not served.store.runs()


def test_a_new_token_is_shown_once_and_works(served: Served) -> None:
    browser = served.browser("olga")
    form = form_of(browser.get("/organiser/users").text)
    page = browser.post("/organiser/users", data={"form": form, "name": "zoe", "role": "participant"}).text
    token = re.search(r"ckb_[\w-]+", page)
    assert token is not None
    found = served.store.user_of(token[0])
    assert found is not None
    assert found.name == "zoe"
    assert "ckb_" not in browser.get("/organiser/users").text
    twice = browser.post("/organiser/users", data={"form": form, "name": "ZOE", "role": "participant"})
    assert twice.status_code == 422
    assert "already" in twice.text


def test_an_organiser_cannot_lock_itself_out(served: Served) -> None:
    browser = served.browser("olga")
    form = form_of(browser.get("/organiser/users").text)
    answer = browser.post(f"/organiser/users/{served.user('olga').id}/revoke", data={"form": form})
    assert answer.status_code == 409
    assert served.store.user_of(served.tokens["olga"]) is not None


def test_pages_of_lists_go_on_with_older_ones(served: Served, tmp_path: Path) -> None:
    upload = served.store.upload_folder(served.user("ada"), _folder(tmp_path)).sha256
    for _ in range(55):
        served.store.submit(served.user("ada"), "top_tagging", "public", upload, "x")
    browser = served.browser("ada")
    first = browser.get("/runs").text
    older = re.search(r"/runs\?before=\d+", first)
    assert older is not None
    second = browser.get(older[0]).text
    shown = [int(run) for text in (first, second) for run in re.findall(r">Run (\d+)<", text)]
    assert shown == list(range(55, 0, -1))


def _folder(tmp_path: Path) -> Path:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "submission.yaml").write_text("name: x\ntagger: 'true'\n")
    return tmp_path / "s"


def test_the_organiser_sees_the_next_runs_and_the_latest_of_each_fault(served: Served, tmp_path: Path) -> None:
    user = served.user("olga")  # without a limit per day
    upload = served.store.upload_folder(user, small_submission(tmp_path / "s")).sha256

    def submit(count: int) -> list[int]:
        return [served.store.submit(user, "top_tagging", "public", upload, "mine") for _ in range(count)]

    submit(124)
    work(served.store, [ended(None, reason="the scorer failed", fault=Fault.ORGANISER) for _ in range(22)])
    work(served.store, [ended(None, reason="the code failed") for _ in range(102)])
    waiting = submit(102)
    page = served.browser("olga").get("/organiser").text
    queue, failed = page.split("<h2>Queue</h2>")[1].split("<h2>Failed runs by fault</h2>")
    assert [int(run) for run in re.findall(r">Run (\d+)<", queue)] == waiting[:100]
    organiser = failed.partition("<h3>Organiser (latest 20)</h3>")[2].partition("<h3>")[0]
    assert [int(run) for run in re.findall(r">Run (\d+)<", organiser)] == list(range(22, 2, -1))
    assert "No run failed in this way." in failed.partition("<h3>Service (latest 20)</h3>")[2].partition("<h3>")[0]


def test_the_organiser_reads_a_command_that_exists(served: Served) -> None:
    page = served.browser("olga").get("/organiser").text
    command = page.partition("<code>collidekit benchmark ")[2].partition("</code>")[0].split()
    known = get_command(app).commands["benchmark"].commands[command[0]]  # type: ignore[attr-defined]
    arguments = [one for one in known.params if one.param_type_name == "argument"]
    assert len(command) == 3
    assert command[1] in {name for one in known.params for name in one.opts}
    assert not arguments


def test_the_organiser_runs_a_phase_again(served: Served, tmp_path: Path) -> None:
    run = submitted(served.store, served.user("ada"), tmp_path / "s", "mine")
    for _ in range(3):
        work(served.store, [ended(None, reason="the disk is full", fault=Fault.SERVICE)])
    assert served.store.run(run).fault is Fault.SERVICE
    browser = served.browser("olga")
    page = browser.get("/organiser").text
    address = "/organiser/benchmarks/top_tagging/phases/public/rerun"
    assert f'action="{address}"' in page
    answer = browser.post(address, data={"form": form_of(page)})
    assert "1 run is in the queue again." in browser.get(answer.headers["location"]).text
    assert [one.rerun_of for one in served.store.runs(state=State.PENDING)] == [run]
    again = served.api("olga").post("/api/v1/benchmarks/top_tagging/phases/public/rerun")
    assert again.json() == {"runs": []}
    for odd in ("tops/phases/public", "top_tagging/phases/publik"):
        assert served.api("olga").post(f"/api/v1/benchmarks/{odd}/rerun").status_code == 404


def small_submission(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "submission.yaml").write_text("name: tagger\ntagger: python tag.py\n", encoding="utf-8")
    return folder


def test_a_board_is_made_again_only_when_it_changed(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from collidekit.benchmark.server import boards

    made = []

    def counted(*arguments: object) -> str:
        made.append(1)
        return board_html(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(boards, "board_html", counted)
    monkeypatch.setattr(boards, "PATIENCE", 20)
    browser = served.browser()
    for _ in range(3):
        browser.get(BOARD)
    assert len(made) == 1
    run = submitted(served.store, served.user("ada"), tmp_path / "x", "x")
    browser.get(BOARD)
    assert len(made) == 1
    work(served.store, [ended(1.0)])
    assert "by ada" in browser.get(BOARD).text
    served.store.withdraw(run, served.user("ada"))
    assert "by ada" not in browser.get(BOARD).text
    assert len(made) == 3


def test_a_board_of_an_earlier_version_has_the_runs_of_that_version(served: Served, tmp_path: Path) -> None:
    submitted(served.store, served.user("ada"), tmp_path / "s", "mine")
    work(served.store, [ended(1.0)])
    version = served.store.benchmark("top_tagging")
    path = served.folder / "top" / "benchmark.yaml"
    path.write_text(path.read_text().replace("signal_efficiency: 0.5", "signal_efficiency: 0.4"))
    served.store.register(load_benchmark(path.parent), path.parent)
    shown = served.app.state.service.boards.get(version, "public")
    assert [row.name for row in shown.board.rows if not row.reference] == ["mine"], (
        "the request began before the change"
    )


def test_layouts_hold_their_legend() -> None:
    from served_boards import some_scores

    from collidekit.benchmark.scoring.board import Board, Row

    rows = tuple(Row(f"entry {place}", {}, curve=some_scores(1).curve) for place in range(15))
    for layout in (WIDE, NARROW):
        picture = roc_svg(Board("t", (), (), rows), layout)
        assert picture is not None
        heights = [float(y) for y in re.findall(rb'<text x="[\d.]+" y="([\d.]+)"', picture)]
        assert max(heights) < layout.height
        assert b"grey: 3 other entries" in picture
