"""Logins of the pages: a signed cookie, and a value in each form that other sites cannot know."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

COOKIE = "collidekit_session"
FORM = "collidekit_form"
"""Cookie of the login page, before anybody is logged in."""


def sign(key: bytes, purpose: str, content: dict[str, Any], seconds: float) -> str:
    """Return a text with a content and its signature, valid for so many seconds and for this purpose."""
    body = json.dumps({**content, "until": int(time.time() + seconds)}, separators=(",", ":")).encode()
    return f"{_text(body)}.{_text(_signature(key, purpose, body))}"


def signed_content(key: bytes, purpose: str, text: str) -> dict[str, Any] | None:
    """Return the content of a signed text; None where it is not ours, for another purpose, or too old."""
    body_text, _, signature = text.partition(".")
    try:
        body, given = _bytes(body_text), _bytes(signature)
    except ValueError:
        return None
    if not hmac.compare_digest(given, _signature(key, purpose, body)):
        return None
    content: dict[str, Any] = json.loads(body)
    return content if content.pop("until") > time.time() else None


def form_value(key: bytes, session: str) -> str:
    """Return the value that forms of a session carry."""
    return _text(_signature(key, "form", session.encode()))


def form_value_matches(key: bytes, session: str, given: str) -> bool:
    """Return whether a form was made for this session."""
    return hmac.compare_digest(form_value(key, session).encode(), given.encode())


def fingerprint(text: str) -> str:
    """Return a short hash of a text that is secret itself."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _signature(key: bytes, purpose: str, body: bytes) -> bytes:
    return hmac.new(key, purpose.encode() + b"\0" + body, hashlib.sha256).digest()


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
