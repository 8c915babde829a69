"""The states of a run."""

from enum import StrEnum


class State(StrEnum):
    """State of a run. Only a run that succeeded and has finite scores is ranked."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    ERROR = "error"
    CANCELED = "canceled"

    @property
    def final(self) -> bool:
        return self in (State.SUCCESS, State.ERROR, State.CANCELED)


class Fault(StrEnum):
    """Who has to act after an error."""

    PARTICIPANT = "participant"
    ORGANISER = "organiser"
    """The benchmark or its scorer failed; the submission counts as not judged and can be run again."""
    SERVICE = "service"
    """The machine, the sandbox or the store failed."""
