"""Logins of the pages, and forms that other sites cannot send."""

import pytest
from served import Served, form_of

from collidekit.benchmark.server.security.session import COOKIE, sign, signed_content

KEY = b"k" * 32


def test_a_signed_content_comes_back_and_nothing_else_does() -> None:
    text = sign(KEY, "session", {"user": "ada"}, 60)
    assert signed_content(KEY, "session", text) == {"user": "ada"}
    assert signed_content(KEY, "other", text) is None
    assert signed_content(b"l" * 32, "session", text) is None
    assert signed_content(KEY, "session", sign(KEY, "session", {"user": "ada"}, -1)) is None
    for odd in ("", ".", "a.b", text[:-1], "x" + text, text + "x", text.replace(".", ""), "\xff.\xff", text.upper()):
        assert signed_content(KEY, "session", odd) is None, odd


def test_log_in_and_out(served: Served) -> None:
    browser = served.browser("ada")
    assert "ada (participant)" in browser.get("/").text
    answer = browser.post("/logout", data={"form": form_of(browser.get("/").text)})
    assert answer.status_code == 303
    assert "Log in" in browser.get("/").text


def test_the_cookie_is_not_readable_by_scripts_nor_sent_from_other_sites(served: Served) -> None:
    browser = served.browser()
    form = form_of(browser.get("/login").text)
    cookies = browser.post("/login", data={"token": served.tokens["ada"], "form": form}).headers["set-cookie"]
    assert f"{COOKIE}=" in cookies
    assert "HttpOnly" in cookies
    assert "samesite=lax" in cookies.lower()
    assert served.tokens["ada"] not in cookies


def test_a_wrong_token_says_so(served: Served) -> None:
    browser = served.browser()
    answer = browser.post("/login", data={"token": "ckb_wrong", "form": form_of(browser.get("/login").text)})
    assert answer.status_code == 401
    assert "not valid" in answer.text
    assert COOKIE not in browser.cookies


def test_a_login_that_another_site_sends_is_refused(served: Served) -> None:
    browser = served.browser()
    assert browser.post("/login", data={"token": served.tokens["ada"], "form": "guess"}).status_code == 403
    page = browser.get("/login").text
    data = {"token": served.tokens["ada"], "form": form_of(page)}
    assert browser.post("/login", data=data, headers={"origin": "https://evil.org"}).status_code == 403
    assert browser.post("/login", data=data, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert browser.post("/login", data=data, headers={"origin": "null"}).status_code == 403
    assert browser.post("/login", data=data, headers={"origin": "http://127.0.0.1"}).status_code == 303


@pytest.mark.parametrize(
    "address",
    ["https://evil.org", "//evil.org", "/\\evil.org", "\\\\evil.org", "javascript:alert(1)", "/\tx", "", "evil"],
)
def test_a_login_leads_to_this_server_only(served: Served, address: str) -> None:
    browser = served.browser()
    data = {"token": served.tokens["ada"], "form": form_of(browser.get("/login").text), "next": address}
    assert browser.post("/login", data=data).headers["location"] == "/"
    assert served.browser("ada").get("/login", params={"next": address}).headers["location"] == "/"


def test_a_revoked_token_ends_the_session(served: Served) -> None:
    browser = served.browser("ada")
    served.store.revoke_tokens(served.user("ada"))
    assert "Log in" in browser.get("/").text
    assert browser.get("/runs").status_code == 401


def test_a_disabled_user_has_no_session(served: Served) -> None:
    browser = served.browser("ada")
    served.store.set_disabled(served.user("ada"), True)
    assert browser.get("/runs").status_code == 401


def test_a_role_that_is_taken_away_counts_at_once(served: Served) -> None:
    browser = served.browser("olga")
    served.store.set_role(served.user("olga"), "reader")
    assert browser.get("/organiser").status_code == 403


@pytest.mark.parametrize("path", ["/organiser/users", "/runs/1/cancel", "/runs/1/withdraw", "/runs/1/rerun", "/logout",
                                  "/organiser/users/2/revoke", "/organiser/users/2/token", "/benchmarks/top_tagging/phases/public/submit"])  # fmt: skip
def test_forms_of_other_sites_do_nothing(served: Served, path: str) -> None:
    browser = served.browser("olga")
    others = served.browser("ada")
    before = len(served.store.audit())
    good = form_of(browser.get("/").text)
    for data in ({}, {"form": ""}, {"form": "x"}, {"form": form_of(others.get("/").text)}):
        assert browser.post(path, data={**data, "name": "x"}).status_code == 403
    for headers in ({"origin": "https://evil.org"}, {"sec-fetch-site": "same-site"}):
        assert browser.post(path, data={"form": good, "name": "x"}, headers=headers).status_code == 403
    assert len(served.store.audit()) == before


def test_a_token_in_a_header_is_no_login_of_pages_and_a_cookie_none_of_the_api(served: Served) -> None:
    assert served.api("olga").get("/organiser").status_code == 401
    assert served.browser("olga").get("/api/v1/me").status_code == 401
