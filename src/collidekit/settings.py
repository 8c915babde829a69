"""How a setting is declared: type and limits, default, and what it does; once, for Python, YAML, law and the command alike.

Settings stand beside what reads them; ``training.config.TrainingConfig`` is all of them together, under flat names.
"""

from typing import Annotated, Any

from pydantic import Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1)]
LARGEST = 2**31 - 1
"""Of epochs, rows in a step and other counts: more cannot be meant, and torch counts no further."""
Count = Annotated[int, Field(ge=0, le=LARGEST)]
AtLeastOne = Annotated[int, Field(ge=1, le=LARGEST)]


def setting(default: Any, description: str) -> Any:
    """A field with its default and its help, which the command, law and the docs show."""
    return Field(default, description=description)
