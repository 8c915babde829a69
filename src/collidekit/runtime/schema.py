"""Schema of a bundle, in ``schema.json`` and in the metadata of each graph."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

FORMAT = 1
SCHEMA, GOLDEN, CALLS, REAL, CHECKSUMS = "schema.json", "golden.npz", "calls.npz", "rows.npz", "checksums.json"
METADATA = "collidekit"
"""Key of the schema in the metadata of a graph."""


class Part(BaseModel):
    """A part of a schema; unknown keys are errors, and values cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(Part):
    """A column of an input tensor in raw units; the graph replaces NaN and infinity with ``default`` and clips to ``bounds``."""

    name: str
    expression: str
    """Expression in the branches of a file, as in an analysis file."""
    unit: str = ""
    kind: str = "continuous"
    default: float | None = None
    """Replacement of missing values; None means 0."""
    bounds: tuple[float | str, float | str] | None = None
    """Lower and upper bound; one of them may be the text ``inf`` or ``-inf``."""
    quantiles: tuple[float, float, float] | None = None
    """The 1st, 50th and 99th percentile on the real rows of the export; None if there are too few rows."""


class TensorIn(Part):
    """An input tensor of a graph; free axes in ``shape`` have names: ``N`` for rows, ``L_<collection>`` for constituents."""

    name: str
    kind: Literal["collection", "mask", "group", "noise"]
    of: str
    """Name of the input in the analysis; for noise, name of the target."""
    shape: tuple[int | str, ...]
    dtype: Literal["float32", "float16"] = "float32"
    columns: tuple[Column, ...] = ()
    limit: int | None = None
    """Maximum number of constituents of a collection; the graph drops the others."""
    order: str | None = None
    """Constituents must be in descending order of this expression; None means the order of the file."""
    where: str | None = None
    """Condition on constituents; the others must be left out."""


class TensorOut(Part):
    """An output tensor of a graph."""

    name: str
    kind: Literal["probability", "discriminator", "value", "index", "constituent"]
    shape: tuple[int | str, ...]
    dtype: str = "float32"
    unit: str = ""
    meaning: str = ""


class Tensor(Part):
    """An input or output tensor of the graphs in the contract of the layout."""

    name: str
    shape: tuple[int | str, ...]
    dtype: str


class Graph(Part):
    """One ONNX file of a bundle."""

    file: str
    sha256: str
    bytes: int
    fold: int | None = None
    """Fold that the graph held out, and may be used for; None without folds."""
    learned_from: tuple[dict[str, Any], ...] = ()
    """Training rows, in the form of ``LearnedFrom.as_dict``; ``sketch`` names a file of the bundle."""
    trained_on: str = ""
    """Training rows, in words."""
    apply_to: str = ""
    """Rows that the graph may be used for, in words."""


class Schema(Part):
    """Description of a bundle."""

    format: int = FORMAT
    name: str
    layout: str
    made: str
    analysis: dict[str, Any]
    """Analysis, in the form of ``Analysis.model_dump(mode="json")``."""
    fingerprint: str
    """Hash of the analysis."""
    code: dict[str, dict[str, str]] = {}
    """User code for reading files, ``processor`` and ``reader``: file in the bundle and hash, or package and version."""
    inputs: tuple[TensorIn, ...]
    outputs: tuple[TensorOut, ...]
    graph_inputs: tuple[Tensor, ...] = ()
    """Input tensors in order; empty for the generic layout, which has ``inputs``."""
    graph_outputs: tuple[Tensor, ...] = ()
    columns: dict[str, tuple[str, int]] = {}
    """Output, and index in it, of each column of a row that the layout returns; empty for the generic layout."""
    operators: tuple[str, ...] = ()
    """Names of the ONNX operators in the graphs."""
    batched: bool = True
    """True if a call takes many rows; False if it takes one row."""
    scales: dict[str, float | list[float]] = {}
    """Scale of each output, or of each number of a row in it. Differences are relative to the larger of scale and value. For
    estimates, the scale is their spread; for other outputs it is 1."""
    invariant: tuple[str, ...] = ()
    """Collections whose constituents may have any order: it changes no column of a row, as measured on real rows."""
    graphs: tuple[Graph, ...] = ()
    """Graphs; absent in the metadata of a graph, which cannot hold its own checksum."""
    folds: int = 0
    """Number of folds; 0 without folds."""
    fold_rule: str = ""
    """Rule that gives the fold of a row from its event number, in words, for an implementation in another framework."""
    opset: int
    precision: str = "float32"
    network: dict[str, Any]
    """``name``, ``options``, ``parameters``."""
    objective: str
    temperature: dict[str, Any] | None = None
    """Temperature in the graph; None without calibration."""
    working_points: dict[str, Any] = {}
    """Working points of each discriminator, in the form of ``DiscriminatorPoints.as_dict``."""
    seed: int
    epoch: int
    settings: dict[str, Any]
    """Settings of the training."""
    versions: dict[str, str]
    git: dict[str, str] = {}
    noise_rule: str = ""
    """Rule that gives the noise of a row from its event number; empty if there is no noise."""
