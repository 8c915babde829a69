"""Names and descriptions of others in a card: neither HTML nor Markdown of theirs is shown as such."""

import re

import pytest

from collidekit.bundle.card import escape_markdown, inline_code


@pytest.mark.parametrize(
    "text",
    [
        "<img src=x onerror=alert(1)>",
        "[click](javascript:alert(1))",
        "![x](http://host/x.png)",
        "a | b",
        "`<b>`",
        "**AUTHOR:**",
        "a\n# b",
    ],
)
def test_a_text_has_no_marks(text: str) -> None:
    escaped = escape_markdown(text)
    assert "\n" not in escaped
    assert not re.search(r"[<>]", escaped)
    assert not re.search(r"(?<!\\)[`*\[\]|!#]", escaped)


def test_plain_words_stay() -> None:
    text = "Top Quark Tagging Reference Dataset, jet_pt > 20 GeV (100 %), CC-BY-4.0"
    assert escape_markdown(text) == text.replace(">", "&gt;")


def test_code_within_a_line() -> None:
    assert inline_code("jet_pt > 20") == "`jet_pt > 20`"
    assert inline_code("`jet.pt` > 20") == "`` `jet.pt` > 20 ``"
    assert inline_code("a | b\n<img>") == "`a \\| b <img>`"
