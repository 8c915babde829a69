"""Text from files of others, as it may be shown in a terminal."""

import unicodedata


def without_controls(text: str) -> str:
    """The text without control characters, which could steer a terminal; line breaks and tabs stay."""
    return "".join(letter for letter in text if letter in "\n\t" or unicodedata.category(letter) not in ("Cc", "Cf"))
