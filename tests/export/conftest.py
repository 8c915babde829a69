"""Bundles of small networks, written once for all tests."""

from pathlib import Path

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="session")
def pfn_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A particle-flow network on the bundled sample; do not change it."""
    from bundles import write

    return write("top-tagging/pfn", tmp_path_factory.mktemp("bundles") / "pfn").folder
