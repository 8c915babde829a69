"""What a guess at an analysis holds: rows, classes, variables, inputs."""

from dataclasses import dataclass, field

from collidekit.starter.label import Label


@dataclass(frozen=True)
class GuessedFeature:
    """A line of a feature list; with a reason why not, it becomes a comment."""

    name: str
    expression: str = ""
    kind: str = "continuous"
    bounds: tuple[float, float] | None = None
    default: float | None = None
    note: str = ""
    """Why it is written as it is."""
    why_not: str = ""
    unit: str = ""
    made: bool = False
    """Whether it is made from several columns."""


@dataclass
class GuessedInput:
    """A collection, or a flat group where there is no limit."""

    name: str
    features: list[GuessedFeature] = field(default_factory=list)
    limit: int = 0
    order: str = ""
    where: str = ""
    momenta: tuple[str, ...] = ()
    coordinates: tuple[str, ...] = ()
    mean_count: float = 0.0
    """Members in a row."""
    more: bool = False
    """Whether it knows continuous quantities beside four-momenta."""


@dataclass
class Guess:
    """Everything that goes into the file."""

    rows: str = ""
    label: Label | None = None
    variables: dict[str, str] = field(default_factory=dict)
    inputs: list[GuessedInput] = field(default_factory=list)
    spectators: list[str] = field(default_factory=list)
    event: list[str] = field(default_factory=list)
    weights: list[str] = field(default_factory=list)
    kinematics: list[str] = field(default_factory=list)
    selection: list[str] = field(default_factory=list)
    """Conditions for the rows that can be used, such as those with known truth."""
    members: dict[str, str] = field(default_factory=dict)
    """Collections that say by an index to which row they belong (``JetPFCands_jetIdx``), and this index."""
    units: dict[str, str] = field(default_factory=dict)
    """Units of spectators."""
    notes: list[str] = field(default_factory=list)
    """What was done with the values, in a sentence each."""
    doubts: list[str] = field(default_factory=list)
    """What could not be decided, in a sentence each."""
    left_out: list[str] = field(default_factory=list)
    """Collections that are not of the row but of its event."""
    few_values: list[str] = field(default_factory=list)
    """Columns that may be the truth, where none was found."""
    rows_in_files: int = 0
    test_on_training: bool = False
    """Whether there are so few rows that the test file can only be the training file."""
    split: float = 0.0
    """The share of the rows for training, where the usual one leaves a class without rows in a part."""
