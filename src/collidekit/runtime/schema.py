"""Schema of a bundle: ``schema.json``, which also stands in the metadata of each of its graphs."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

FORMAT = 1
SCHEMA, GOLDEN, CALLS, REAL, CHECKSUMS = "schema.json", "golden.npz", "calls.npz", "rows.npz", "checksums.json"
METADATA = "collidekit"
"""The key of the schema among the metadata of a graph."""


class Part(BaseModel):
    """A part of a schema: unknown keys are errors, values are fixed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(Part):
    """A column of a tensor that goes in, in raw units: the graph replaces NaN and infinity by ``default`` and clips to ``bounds``."""

    name: str
    expression: str
    """As in an analysis file, from the branches of a file."""
    unit: str = ""
    kind: str = "continuous"
    default: float | None = None
    """None: 0 takes the place of what is missing."""
    bounds: tuple[float | str, float | str] | None = None
    """One of them may be ``inf`` or ``-inf``, as text."""
    quantiles: tuple[float, float, float] | None = None
    """The 1st, 50th and 99th percentile of the real rows that the bundle was made with; None where these are too few."""


class TensorIn(Part):
    """A tensor that goes into a graph; free axes are named in ``shape``: ``N`` the rows, ``L_<collection>`` the constituents."""

    name: str
    kind: Literal["collection", "mask", "group", "noise"]
    of: str
    """The input of the analysis, or for noise the target."""
    shape: tuple[int | str, ...]
    dtype: Literal["float32", "float16"] = "float32"
    columns: tuple[Column, ...] = ()
    limit: int | None = None
    """Limit of a collection: constituents beyond this number are left out, within the graph."""
    order: str | None = None
    """Constituents are given in descending order of this expression; None: in the order of the file."""
    where: str | None = None
    """Constituents for which this does not hold are not given."""


class TensorOut(Part):
    """A tensor that comes out of a graph."""

    name: str
    kind: Literal["probability", "discriminator", "value", "index", "constituent"]
    shape: tuple[int | str, ...]
    dtype: str = "float32"
    unit: str = ""
    meaning: str = ""


class Tensor(Part):
    """A tensor of the graphs as they are, in the contract of the layout."""

    name: str
    shape: tuple[int | str, ...]
    dtype: str


class Graph(Part):
    """One ONNX file of a bundle."""

    file: str
    sha256: str
    bytes: int
    fold: int | None = None
    """The fold that it held out, and so may be used on; None where there are no folds."""
    learned_from: tuple[dict[str, Any], ...] = ()
    """The rows that it was trained on, as ``LearnedFrom.as_dict`` says them; ``sketch`` names a file of the bundle."""
    trained_on: str = ""
    """The same in words."""
    apply_to: str = ""
    """The rows that it may be used on, in words."""


class Schema(Part):
    """All that is known of a bundle."""

    format: int = FORMAT
    name: str
    layout: str
    made: str
    analysis: dict[str, Any]
    """As ``Analysis.model_dump(mode="json")`` gives it."""
    fingerprint: str
    """Hash of the analysis."""
    code: dict[str, dict[str, str]] = {}
    """Code of a user's that reads files, ``processor`` and ``reader``: its file in the bundle and its hash, or its package and version."""
    inputs: tuple[TensorIn, ...]
    outputs: tuple[TensorOut, ...]
    graph_inputs: tuple[Tensor, ...] = ()
    """In order; those of the generic layout are ``inputs``."""
    graph_outputs: tuple[Tensor, ...] = ()
    columns: dict[str, tuple[str, int]] = {}
    """Output and place in it of each column of one row that is among the numbers that come out; for the generic layout itself."""
    operators: tuple[str, ...] = ()
    """The ONNX operators that the graphs use, by name."""
    batched: bool = True
    """True where a graph takes many rows at once; else it takes one row a call."""
    scales: dict[str, float | list[float]] = {}
    """Scale of each output of the graphs, or of each number of a row in it: differences are relative to it where the value is
    smaller. That of estimates is their spread; all others have 1."""
    invariant: tuple[str, ...] = ()
    """The collections whose constituents may come in any order: no column of a row changes, as was measured on real rows."""
    graphs: tuple[Graph, ...] = ()
    """Not in the metadata of a graph, which cannot hold its own checksum."""
    folds: int = 0
    """Number of folds; 0 where there are none."""
    fold_rule: str = ""
    """Rule by which the fold of a row follows from its event number, in words that a programmer of another framework can follow."""
    opset: int
    precision: str = "float32"
    network: dict[str, Any]
    """``name``, ``options``, ``parameters``."""
    objective: str
    temperature: dict[str, Any] | None = None
    """Temperature in the graph; None where probabilities are as the network gives them."""
    working_points: dict[str, Any] = {}
    """Working points of each discriminator, as ``DiscriminatorPoints.as_dict`` gives them."""
    seed: int
    epoch: int
    settings: dict[str, Any]
    """Settings of the training."""
    versions: dict[str, str]
    git: dict[str, str] = {}
    noise_rule: str = ""
    """Rule by which the noise of a row may be made from its event number; empty where no noise goes in."""
