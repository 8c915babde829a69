"""Real rows of the two samples and taggers with random weights, made once."""

from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import layout_rows as toys
import pytest

from collidekit.export.graph import TaggerGraph


@lru_cache(maxsize=4)
def _flavour(network: str) -> Any:
    analysis, rows = toys.sample_rows("jet_flavour", "jet_flavour", 40)
    tagger = toys.random_tagger(analysis, network, rows)
    graph = TaggerGraph(tagger, analysis).eval()
    odd = [*rows[:4], *toys.odd_rows(analysis, rows)]
    return SimpleNamespace(analysis=analysis, rows=odd, tagger=tagger, graph=graph, network=network)


@pytest.fixture(params=list(toys.NETWORKS))
def flavour(request: pytest.FixtureRequest) -> Any:
    """Jets with tracks, vertices and a flat group, of each network: analysis, rows, tagger, graph."""
    return _flavour(request.param)


@pytest.fixture
def jets() -> Any:
    """The same of the small network alone."""
    return _flavour("pfn")


@lru_cache(maxsize=4)
def _dilepton(targets: str) -> Any:
    analysis, rows = toys.sample_rows("ttbar_dilepton", "ttbar_dilepton", 40)
    kept = {name: target for name, target in analysis.targets.items() if targets == "all" or name != "tops"}
    analysis = analysis.model_copy(update={"targets": kept, "dilepton": None})
    tagger = toys.random_tagger(analysis, "transformer_small", rows)
    graph = TaggerGraph(tagger, analysis).eval()
    odd = [*rows[:6], *toys.odd_rows(analysis, rows)]
    return SimpleNamespace(analysis=analysis, rows=odd, tagger=tagger, graph=graph)


@pytest.fixture
def events() -> Any:
    """Dileptonic top pairs with jets, leptons and a flat group, whose targets are momenta and a mass."""
    return _dilepton("values")


@pytest.fixture
def assigned() -> Any:
    """The same with the jets of both tops."""
    return _dilepton("all")
