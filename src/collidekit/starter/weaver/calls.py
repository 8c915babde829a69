"""Functions of numpy, math and awkward in weaver's expressions, and their counterparts."""

SAME = {
    *(
        "abs",
        "sqrt",
        "exp",
        "log",
        "log10",
        "log1p",
        "expm1",
        "sin",
        "cos",
        "tan",
        "arcsin",
        "arccos",
        "arctan",
        "sinh",
    ),
    *(
        "cosh",
        "tanh",
        "arcsinh",
        "arccosh",
        "arctanh",
        "sign",
        "floor",
        "ceil",
        "isfinite",
        "isnan",
        "hypot",
        "arctan2",
    ),
}
"""Functions of one or two numbers with the same name."""
RENAMED = {
    "absolute": "abs", "fabs": "abs", "asin": "arcsin", "acos": "arccos", "atan": "arctan", "atan2": "arctan2", "asinh": "arcsinh",
    "acosh": "arccosh", "atanh": "arctanh", "maximum": "max", "minimum": "min", "clip": "clip", "_clip": "clip",
}  # fmt: skip
"""Functions of numbers with another name."""
REDUCTIONS = {
    "sum": "sum", "mean": "mean", "std": "std", "max": "max", "min": "min", "any": "any", "all": "all", "argmax": "argmax", "argmin": "argmin",
    "count": "count", "num": "count",
}  # fmt: skip
"""awkward's reductions of the list of a row, which need ``axis=1`` or ``axis=-1``, except ``num``."""
LIKE = {"ones_like": 1, "zeros_like": 0}
"""Functions that return a constant for each member of a list."""
UNCHANGED = {"to_numpy", "asarray"}
"""Functions that change only the type of an array, not its values."""
LOGICAL = {"logical_and": "and", "logical_or": "or", "logical_not": "not"}
MODULES = ("np", "numpy", "math", "ak", "awkward", "awkward.JaggedArray")
OF_AWKWARD = ("ak", "awkward")
CONSTANTS = {"pi": "pi", "nan": "nan", "inf": "inf"}
