"""Text from files of others, as it may be shown in a terminal."""

import unicodedata
from typing import Any

from rich.markup import escape


def without_controls(text: str) -> str:
    """The text without control characters, which could steer a terminal; line breaks and tabs stay."""
    return "".join(letter for letter in text if letter in "\n\t" or unicodedata.category(letter) not in ("Cc", "Cf"))


def literal(value: Any) -> str:
    """A name, path or message as it goes into a text with rich's markup: its square brackets are no markup."""
    return escape(without_controls(str(value)))
