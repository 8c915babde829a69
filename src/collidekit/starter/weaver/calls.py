"""Functions of numpy, math and awkward that an expression of weaver may call, and their counterparts."""

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
"""Functions of one or two numbers under the same name."""
RENAMED = {
    "absolute": "abs", "fabs": "abs", "asin": "arcsin", "acos": "arccos", "atan": "arctan", "atan2": "arctan2", "asinh": "arcsinh",
    "acosh": "arccosh", "atanh": "arctanh", "maximum": "max", "minimum": "min", "clip": "clip", "_clip": "clip",
}  # fmt: skip
"""Functions of numbers under another name."""
REDUCTIONS = {
    "sum": "sum", "mean": "mean", "std": "std", "max": "max", "min": "min", "any": "any", "all": "all", "argmax": "argmax", "argmin": "argmin",
    "count": "count", "num": "count",
}  # fmt: skip
"""awkward's functions over the list of a row, which need ``axis=1`` or ``axis=-1``; ``num`` does without."""
LIKE = {"ones_like": 1, "zeros_like": 0}
"""Functions that give a number for each member of a list."""
UNCHANGED = {"to_numpy", "asarray"}
"""Functions that change the type of the array and none of its values."""
LOGICAL = {"logical_and": "and", "logical_or": "or", "logical_not": "not"}
MODULES = ("np", "numpy", "math", "ak", "awkward", "awkward.JaggedArray")
OF_AWKWARD = ("ak", "awkward")
CONSTANTS = {"pi": "pi", "nan": "nan", "inf": "inf"}
