"""A hook of mkdocs: the version of the installed package stands in the header of the site."""

from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any


def on_config(config: Any) -> Any:
    """Add the version to the site's name; the site can be built without the package."""
    with suppress(PackageNotFoundError):
        config["site_name"] = f"{config['site_name']} {version('collidekit').split('+')[0]}"
    return config
