"""Names and texts of strangers, as the store keeps them."""

import unicodedata
from typing import Any

from collidekit.benchmark.store.look_alikes import check_look
from collidekit.errors import CollidekitError

LONGEST_NAME = 80
LONGEST_TEXT = 4000


def checked_name(name: str, what: str) -> str:
    """Return a name in its usual form (NFC); an error for one that is empty, too long, cannot be printed or misleads."""
    found = unicodedata.normalize("NFC", name).strip()
    if not found:
        raise CollidekitError(f"{what}: the name is empty")
    if len(found) > LONGEST_NAME:
        raise CollidekitError(f"{what} {found[:20]!r}...: the name has {len(found)} characters; at most {LONGEST_NAME}")
    if not found.isprintable():
        raise CollidekitError(f"{what} {found!a}: the name holds a character that cannot be printed")
    check_look(found, what)
    return found


def clean(value: Any) -> Any:
    """Return plain values whose texts any database takes, also inside of lists and mappings."""
    if isinstance(value, str):
        return stored_text(value)
    if isinstance(value, dict):
        return {stored_text(str(key), 200): clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    return value


def stored_text(text: str, longest: int = LONGEST_TEXT) -> str:
    """Return a text that any database takes: without NUL, control characters and lone surrogates, and not too long."""
    kept = "".join(
        letter for letter in text[: 2 * longest] if letter in "\n\t" or unicodedata.category(letter) not in ("Cc", "Cs")
    )
    return kept if len(kept) <= longest else kept[: longest - 4] + " ..."
