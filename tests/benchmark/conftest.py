"""A bundle and built benchmarks, made once for all tests of this folder."""

from pathlib import Path

import pytest

from collidekit.benchmark.build import build_benchmark
from collidekit.benchmark.create import create_benchmark
from collidekit.benchmark.definition import Benchmark, load_benchmark
from collidekit.shipped import find_analysis


@pytest.fixture(scope="session")
def top_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the analysis ``top_tagging`` with random weights; do not change it."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from toy_bundles import make_bundle, make_model

    from collidekit.analysis.load import load_analysis

    model = make_model(load_analysis(find_analysis("top_tagging")))
    return make_bundle(tmp_path_factory.mktemp("bundles") / "top", [model])


@pytest.fixture(scope="session")
def top_benchmark(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    """The bundled benchmark of top tagging with its data; do not change it."""
    folder = tmp_path_factory.mktemp("benchmarks") / "top_tagging"
    create_benchmark(folder, "top_tagging")
    build_benchmark(folder)
    return load_benchmark(folder)
