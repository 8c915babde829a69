"""What is sent holds no passwords and no folders of the user."""

from pathlib import Path

import pytest

from collidekit.tracking import Tracker, Tracking
from collidekit.tracking.private import public_settings, without_secrets


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no answer of https://me:secret@far.org:5000/api", "no answer of https://***@far.org:5000/api"),
        ("postgresql://me:p@ss@host/db", "postgresql://***@host/db"),
        ("postgresql://host/db?user=me&password=x y", "postgresql://host/db?user=me&password=*** y"),
        ("https://me:pass/w@rd@far.org/", "https://***@far.org/"),
        ("https://far.org/?api_key=12&run=3", "https://far.org/?api_key=***&run=3"),
        ("mail me@far.org about key values", "mail me@far.org about key values"),
    ],
)
def test_secrets_of_uris_become_stars(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


def test_paths_outside_the_results_lose_their_folders() -> None:
    results = Path("/home/me/results")
    settings = {
        "model_name": "/home/me/private/net.py:Net", "model_options": {"width": 8, "table": "/home/me/t.csv"},
        "from_checkpoint": "/home/me/results/TrainingTask/a/last.pt", "objective": "~/mine.py", "epochs": 3,
        "learning_rate_factors": {"network.*": 0.1}, "betas": [0.9, 0.99], "freeze": "",
    }  # fmt: skip
    assert public_settings(settings, results) == {
        "model_name": "net.py:Net", "model_options.width": 8, "model_options.table": "t.csv",
        "from_checkpoint": "TrainingTask/a/last.pt", "objective": "mine.py", "epochs": 3,
        "learning_rate_factors": '{"network.*": 0.1}', "betas": "[0.9, 0.99]", "freeze": "",
    }  # fmt: skip


def test_the_link_to_the_folder_begins_below_the_results() -> None:
    folder = Path("/home/me/results/TrainingTask/toy/v1")
    assert Tracker(Tracking(store=Path("/home/me/results")), "1").link(folder) == "TrainingTask/toy/v1"
    assert Tracker(Tracking(), "1").link(folder) == "v1"
    assert Tracker(Tracking(store=Path("/home/other")), "1").link(folder) == "v1"
