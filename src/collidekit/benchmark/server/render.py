"""Templates, and how values are shown."""

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from collidekit.benchmark.parameters import show_number
from collidekit.benchmark.server.security.session import fingerprint
from collidekit.benchmark.server.settings import ServerSettings
from collidekit.benchmark.store import clock

HERE = Path(__file__).parent
STATIC = HERE / "static"


def make_templates(settings: ServerSettings) -> Environment:
    """Return the templates; all values are escaped, and a missing one is an error."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, auto_reload=False,
    )  # fmt: skip
    made.globals.update(static=_static_address, service=settings.title, version=_version(), user=None, here="", form="")
    made.filters.update(moment=moment, compact=_compact, number=show_number)
    return made


def moment(seconds: float | None) -> Markup | str:
    """Return a time of the store as HTML, in UTC."""
    if seconds is None:
        return ""
    machine = f"{clock.moment(seconds):%Y-%m-%dT%H:%M:%SZ}"
    return Markup('<time datetime="{}">{}</time>').format(
        machine, clock.show_moment(seconds).replace(" UTC", "\u00a0UTC")
    )


def size(count: float | None) -> str:
    """Return a number of bytes as text, such as ``1.2 GB``."""
    if count is None:
        return "not known"
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count:.0f} B"


def _compact(content: Any) -> str:
    return ", ".join(
        f"{name}: {value if isinstance(value, str) else json.dumps(value)}" for name, value in content.items()
    )


_addresses: dict[str, str] = {}


def _static_address(name: str) -> str:
    """Return the address of a file of this package, which changes with its content."""
    if name not in _addresses:
        _addresses[name] = f"/static/{name}?v={fingerprint((STATIC / name).read_text(encoding='utf-8'))[:8]}"
    return _addresses[name]


def _version() -> str:
    try:
        return version("collidekit")
    except PackageNotFoundError:
        return "unknown"
