"""Data classes of a guessed analysis: rows, classes, variables, inputs."""

from dataclasses import dataclass, field

from collidekit.starter.label import Label


@dataclass(frozen=True)
class GuessedFeature:
    """One feature of an input; with a reason in ``why_not`` it becomes a comment."""

    name: str
    expression: str = ""
    kind: str = "continuous"
    bounds: tuple[float, float] | None = None
    default: float | None = None
    note: str = ""
    """Explanation of the expression, as a comment in the file."""
    why_not: str = ""
    """Reason why this is not an input."""
    unit: str = ""
    made: bool = False
    """True if it is computed from several columns."""


@dataclass
class GuessedInput:
    """A collection, or a flat group if ``limit`` is 0."""

    name: str
    features: list[GuessedFeature] = field(default_factory=list)
    limit: int = 0
    order: str = ""
    where: str = ""
    momenta: tuple[str, ...] = ()
    coordinates: tuple[str, ...] = ()
    mean_count: float = 0.0
    """Mean number of members in a row."""
    more: bool = False
    """True if it has continuous features other than four-momenta."""


@dataclass
class Guess:
    """The content of a guessed analysis file."""

    rows: str = ""
    label: Label | None = None
    variables: dict[str, str] = field(default_factory=dict)
    inputs: list[GuessedInput] = field(default_factory=list)
    spectators: list[str] = field(default_factory=list)
    event: list[str] = field(default_factory=list)
    weights: list[str] = field(default_factory=list)
    kinematics: list[str] = field(default_factory=list)
    selection: list[str] = field(default_factory=list)
    """Conditions for usable rows, such as a known truth."""
    members: dict[str, str] = field(default_factory=dict)
    """Collections whose members have the index of their row, and the column of this index (``JetPFCands_jetIdx``)."""
    units: dict[str, str] = field(default_factory=dict)
    """Units of spectators."""
    notes: list[str] = field(default_factory=list)
    """Messages about changes of values, one sentence each."""
    doubts: list[str] = field(default_factory=list)
    """Messages about open questions, one sentence each."""
    left_out: list[str] = field(default_factory=list)
    """Collections of the event that belong to no row, and collections of truth or weights."""
    few_values: list[str] = field(default_factory=list)
    """Columns that may be the truth, if no label was found."""
    rows_in_files: int = 0
    test_on_training: bool = False
    """True if there are so few rows that the training files are also the test files."""
    split: float = 0.0
    """Fraction of the rows in the training set, if the default would leave a class without rows in one of the sets; else 0."""
