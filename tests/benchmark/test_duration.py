"""Time spans as text: the same in the terminal as on the page of a run."""

import pytest
from rich.console import Console

from collidekit.cli.benchmark_status import status_table


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.1234, "0.123 s"),
        (59.94, "59.9 s"),
        (59.97, "1 min"),
        (125, "2 min 5 s"),
        (3599.7, "1 h"),
        (7260, "2 h 1 min"),
    ],
)
def test_status_shows_time_spans_in_full_units(seconds, shown):
    console = Console(width=100)
    with console.capture() as capture:
        console.print(status_table({"run": 1, "wall_seconds": seconds}))
    assert capture.get().split("wall-clock time")[1].strip() == shown
