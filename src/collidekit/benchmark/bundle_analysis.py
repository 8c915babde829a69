"""The analysis with which a bundle reads the features of a benchmark."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from collidekit.analysis.load import read_analysis
from collidekit.analysis.same_inputs import check_same_constituents, check_same_inputs
from collidekit.analysis.schema import Analysis
from collidekit.analysis.scope import Plan
from collidekit.benchmark.definition import Benchmark
from collidekit.errors import CollidekitError
from collidekit.runtime.folder import read_generic
from collidekit.shipped import find_analysis

ONLY_OF_FILES: dict[str, Any] = {"selection": None, "event": [], "spectators": [], "kinematics": None}
"""Parts of an analysis that features do not have, or that are applied to them already."""


def analysis_for(bundle: Path, benchmark: Benchmark) -> Analysis | None:
    """Return the analysis that reads the features of a benchmark for a bundle; None where it is the bundle's own.

    It is that of the section ``build`` of the benchmark, where its inputs are those of the bundle. Features that are not built yet are
    taken to fit. Raises CollidekitError where neither analysis reads them.
    """
    own = Analysis.model_validate_json(json.dumps(read_generic(bundle).analysis)).model_copy(update=ONLY_OF_FILES)
    features = [
        benchmark.path(sample.features) for phase in benchmark.phases.values() for sample in phase.samples.values()
    ]
    built = next((path for path in features if path.is_file()), None)
    if built is None:
        return None
    columns = pq.read_schema(built).names
    try:
        Plan(own).columns(columns, with_truth=False, path=str(built))
        return None
    except CollidekitError as error:
        missing = error
    if benchmark.build is None:
        raise CollidekitError(f"{bundle}: its analysis does not read the features of the benchmark: {missing}")
    beside = benchmark.folder / benchmark.build.analysis
    given = read_analysis(beside if beside.is_file() else find_analysis(benchmark.build.analysis))[0]
    check_same_inputs(bundle, own, given)
    check_same_constituents(bundle, own, given)
    given = given.model_copy(update=ONLY_OF_FILES)
    Plan(given).columns(columns, with_truth=False, path=str(built))
    return given
