"""Text from untrusted files, made safe for the terminal."""

import unicodedata
from typing import Any

from rich.markup import escape


def without_controls(text: str) -> str:
    """Return the text without control characters, which could control the terminal; line breaks and tabs are kept."""
    return "".join(letter for letter in text if letter in "\n\t" or unicodedata.category(letter) not in ("Cc", "Cf"))


def literal(value: Any) -> str:
    """Return a name, path or message for a text with rich markup, with its square brackets escaped."""
    return escape(without_controls(str(value)))
