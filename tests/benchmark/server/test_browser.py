"""The pages in a headless Chromium: on a phone, by keyboard, without JavaScript, in the dark, and no script of a stranger runs."""

from collections.abc import Iterator
from pathlib import Path

import chromium
import pytest
from live_server import running
from served import Served, make_served
from served_boards import ended, submitted, work

from collidekit.benchmark.states import Fault

if chromium.found() is None:
    pytest.skip("there is no Chromium here", allow_module_level=True)

BOARD = "/benchmarks/top_tagging/phases/public"
EVIL = "<script>document.title='evil'</script><img src=x onerror=\"document.title='evil'\">"
CONTRAST = """
(() => {
  const part = v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4 };
  const light = c => 0.2126 * part(c[0]) + 0.7152 * part(c[1]) + 0.0722 * part(c[2]);
  const colour = text => text.match(/[\\d.]+/g).map(Number);
  const bad = [];
  for (const one of document.querySelectorAll('body *')) {
    const own = [...one.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || one.closest('.skip, noscript') || !one.offsetParent) continue;
    let ground = one, back = [0, 0, 0, 0];
    while (ground && (back.length === 4 && back[3] === 0)) { back = colour(getComputedStyle(ground).backgroundColor); ground = ground.parentElement; }
    const a = light(colour(getComputedStyle(one).color)), b = light(back);
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.push(one.tagName + ' ' + one.textContent.trim().slice(0, 30) + ' ' + ratio.toFixed(2));
  }
  return bad;
})()
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, str]]:
    folder = tmp_path_factory.mktemp("site")
    served = make_served(folder)
    for place, quality in enumerate((1.3, 1.0, 0.997, 0.5)):
        submitted(
            served.store,
            served.user("ada"),
            folder / str(place),
            f"a long name of an entry, number {place} {EVIL if place == 3 else ''}"[:80],
        )
        work(served.store, [ended(quality, place)])
    submitted(served.store, served.user("ada"), folder / "bad", "bad")
    work(served.store, [ended(None, reason=EVIL, fault=Fault.PARTICIPANT)], log=f"{EVIL}\n{'x' * 500}\n")
    submitted(served.store, served.user("ada"), folder / "waits", "waits")
    with running(served.app) as address:
        yield served, address
    served.store.close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Chromium]:
    with chromium.Chromium(tmp_path_factory.mktemp("chromium")) as found:
        yield found


def log_in(browser: chromium.Chromium, address: str, token: str) -> None:
    browser.send("Network.clearBrowserCookies")
    browser.open(f"{address}/login")
    browser.run(f"document.getElementById('token').value = '{token}'")
    browser.submit("document.querySelector('main button').click()")
    assert browser.run("location.pathname") == "/"


def all_pages() -> list[str]:
    return ["/", "/benchmarks/top_tagging", BOARD, f"{BOARD}/submit", "/runs", *(f"/runs/{run}" for run in (1, 4, 5, 6)), "/organiser", "/organiser/runs",
            "/organiser/users", "/organiser/audit", "/api", "/nothing"]  # fmt: skip


def test_no_page_scrolls_sideways_and_every_text_can_be_read(
    site: tuple[Served, str], browser: chromium.Chromium
) -> None:
    served, address = site
    log_in(browser, address, served.tokens["olga"])
    for width in (320, 375, 1280):
        browser.width(width)
        for dark in (False, True):
            browser.dark(dark)
            for path in all_pages():
                browser.open(address + path)
                assert browser.run("document.documentElement.scrollWidth") <= width, (path, width)
                assert browser.run(CONTRAST) == [], (path, dark)
    assert browser.run("document.title") != "evil"


def test_nothing_is_blocked_and_no_script_of_a_stranger_runs(
    site: tuple[Served, str], browser: chromium.Chromium
) -> None:
    served, address = site
    log_in(browser, address, served.tokens["olga"])
    browser.width(1280)
    browser.problems.clear()
    for path in all_pages()[:-1]:
        browser.open(address + path)
        assert "evil" not in browser.run("document.title"), path
    assert browser.problems == []
    browser.open(f"{address}{BOARD}/roc.svg")
    assert browser.problems == []


def test_the_plot_is_drawn_for_both_widths(site: tuple[Served, str], browser: chromium.Chromium) -> None:
    _, address = site
    for width, narrow in ((375, True), (1280, False)):
        browser.width(width)
        browser.open(address + BOARD)
        assert ("narrow" in browser.run("document.querySelector('figure img').currentSrc")) is narrow
        assert browser.run("document.querySelector('figure img').naturalWidth") > 300
        assert browser.run("document.querySelector('figure img').clientWidth") <= width


def test_by_keyboard_from_the_link_to_the_content_to_a_run(
    site: tuple[Served, str], browser: chromium.Chromium
) -> None:
    _, address = site
    browser.width(1280)
    browser.open(address + BOARD)
    browser.press("Tab", 9)
    assert browser.run("document.activeElement.className") == "skip"
    assert browser.run("document.activeElement.getBoundingClientRect().left") >= 0, "it is seen once it has the focus"
    assert browser.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.press("Enter", 13)
    assert browser.run("document.activeElement.id") == "main"
    for _ in range(30):
        browser.press("Tab", 9)
        if "/runs/" in str(browser.run("document.activeElement.href || ''")):
            break
    assert browser.run("document.activeElement.getAttribute('aria-label')").startswith("Run 1 of a long name")
    assert browser.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser._events.clear()
    browser.press("Enter", 13)
    browser.wait_for("Page.loadEventFired")
    assert browser.run("location.pathname") == "/runs/1"


def test_touch_targets_are_large_enough(site: tuple[Served, str], browser: chromium.Chromium) -> None:
    served, address = site
    log_in(browser, address, served.tokens["olga"])
    browser.width(375)
    browser.open(f"{address}{BOARD}/submit")
    small = "[...document.querySelectorAll('main button, main input:not([type=hidden]):not([type=checkbox]), main select')].filter(e => e.offsetHeight < 44).length"
    assert browser.run(small) == 0


def test_a_screen_reader_hears_names_roles_and_table_headers(
    site: tuple[Served, str], browser: chromium.Chromium
) -> None:
    served, address = site
    log_in(browser, address, served.tokens["ada"])
    for width in (375, 1280):
        browser.width(width)
        browser.open(address + BOARD)
        nodes = browser.send("Accessibility.getFullAXTree")["nodes"]
        roles = [node["role"]["value"] for node in nodes if not node.get("ignored")]
        for role in ("main", "navigation", "banner", "contentinfo", "heading", "table"):
            assert role in roles, (role, width)
        assert roles.count("columnheader") >= 5
        assert roles.count("rowheader") >= 5
        images = [
            node["name"]["value"]
            for node in nodes
            if node.get("role", {}).get("value") == "image" and not node.get("ignored")
        ]
        assert any("ROC curves of 4 entries" in name for name in images)
    browser.open(f"{address}{BOARD}/submit")
    nodes = browser.send("Accessibility.getFullAXTree")["nodes"]
    kinds = ("textbox", "spinbutton", "combobox", "checkbox", "button")
    names = [
        node["name"]["value"]
        for node in nodes
        if node.get("role", {}).get("value") in kinds and not node.get("ignored")
    ]
    assert len(names) > 10
    assert all(names)


def test_everything_works_without_javascript(site: tuple[Served, str], browser: chromium.Chromium) -> None:
    served, address = site
    browser.scripts(False)
    try:
        browser.width(1280)
        browser.send("Network.clearBrowserCookies")
        browser.open(f"{address}/login")
        browser.run(f"document.getElementById('token').value = '{served.tokens['bob']}'")
        browser.submit("document.querySelector('main button').click()")
        browser.open(f"{address}{BOARD}/submit")
        for name, value in (
            ("env-name", "from the browser"),
            ("env-image", "python:3"),
            ("env-tagger", "python tag.py"),
            ("env-depth", "7"),
        ):
            browser.run(f"document.getElementById('{name}').value = '{value}'")
        browser.submit("document.querySelectorAll('form.fields')[1].querySelector('button').click()")
        assert browser.run("location.pathname").startswith("/runs/")
        text = browser.run("document.body.innerText")
        assert "The submission is in the queue." in text
        assert "in the queue, for" in text
        run = int(browser.run("location.pathname").rpartition("/")[2])
        assert served.store.run(run).parameters == {"depth": 7, "flip": False}
        browser.submit("document.querySelector('.actions button').click()")
        assert "The run is canceled" in browser.run("document.body.innerText")
    finally:
        browser.scripts(True)


def test_a_live_page_follows_its_run_to_the_end(
    site: tuple[Served, str], browser: chromium.Chromium, tmp_path: Path
) -> None:
    served, address = site
    log_in(browser, address, served.tokens["bob"])
    run = submitted(served.store, served.user("bob"), tmp_path / "live", "live")
    browser.open(f"{address}/runs/{run}")
    assert "in the queue" in browser.run("document.getElementById('live').innerText")
    browser.run("document.body.dataset.same = 'yes'")
    while served.store.claim("w") is None or served.store.run(run).worker != "w":
        pass
    claimed = served.store.run(run)
    log = served.store.run_folder(claimed) / "nominal" / "tagger.log"
    log.parent.mkdir(parents=True)
    log.write_text("first line\n")
    _until(browser, "document.getElementById('live').innerText.includes('first line')")
    assert browser.run("document.body.dataset.same") == "yes", "the page was not loaded again"
    browser._events.clear()
    assert served.store.finish(claimed, "w", ended(1.1))
    browser.wait_for("Page.loadEventFired")
    _until(browser, "document.body.innerText.includes('State: success')")
    assert "Scores" in browser.run("document.body.innerText")


def _until(browser: chromium.Chromium, script: str) -> None:
    import time

    until = time.monotonic() + 20
    while not browser.run(script):
        assert time.monotonic() < until, browser.run("document.body.innerText")
        time.sleep(0.1)
