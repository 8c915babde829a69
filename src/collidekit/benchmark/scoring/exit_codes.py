"""Exit codes of the process that scores, which tell its caller how it ended."""

FAILED = 81
"""The benchmark is at fault; the last line of the log says why."""
UNFIT = 82
"""The predictions are at fault; the last line of the log says why."""
MEMORY = 83
"""The scorer ran out of memory."""
LATE = 84
"""Killed at the time limit."""
SECONDS_TO_END = 10
"""A process whose caller is gone ends so many seconds after the time limit."""
