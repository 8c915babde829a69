"""Declaration of settings: type, limits, default and help, once for Python, YAML, law and the command.

Settings are declared beside the code that uses them. ``training.config.TrainingConfig`` combines them under flat names.
"""

from typing import Annotated, Any

from pydantic import Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1)]
LARGEST = 2**31 - 1
"""Largest number of epochs, rows of a step and other counts; torch has the same limit."""
Count = Annotated[int, Field(ge=0, le=LARGEST)]
AtLeastOne = Annotated[int, Field(ge=1, le=LARGEST)]


def setting(default: Any, description: str) -> Any:
    """Return a field with its default and its help, which the command, law and the docs show."""
    return Field(default, description=description)
