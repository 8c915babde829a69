"""Optional packages: a missing one is an error that names the extra to install."""

import sys
from pathlib import Path

import pytest

from collidekit.errors import CollidekitError
from collidekit.extras import need


def test_a_missing_package_is_an_error() -> None:
    with pytest.raises(CollidekitError, match=r"this needs no_such_package .*pip install 'collidekit\[flow\]'"):
        need("no_such_package.part", "flow")


def test_a_folder_with_the_name_of_a_package_is_not_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the folder ``wandb`` with offline runs, in the folder in which the command runs."""
    (tmp_path / "folder_of_runs").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CollidekitError, match=r"this needs folder_of_runs .*is a folder without this package"):
        need("folder_of_runs", "wandb")
    sys.modules.pop("folder_of_runs", None)


def test_a_package_is_returned() -> None:
    assert need("json", "flow").loads("1") == 1
