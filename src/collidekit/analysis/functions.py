"""The functions that expressions may call.

A row holds numbers or lists. Element-wise functions accept both; reductions turn a list per row into a number per row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np

from collidekit.analysis.pair_mass import pair_mass
from collidekit.analysis.row_lists import MOST, join, list_of_numbers
from collidekit.errors import CollidekitError


class RowError(CollidekitError):
    """An error in one row of a chunk; ``Scope.value`` adds the file and the number of the row."""

    def __init__(self, message: str, row: int) -> None:
        super().__init__(message)
        self.row = row


CONSTANTS = {"pi": np.pi, "nan": np.nan, "inf": np.inf}


@dataclass(frozen=True)
class Function:
    """A function, its arguments as users see them, and the smallest and largest number of arguments."""

    call: Callable[..., Any]
    signature: str
    help: str
    least: int
    most: int


FUNCTIONS: dict[str, Function] = {}


def _add(name: str, call: Callable[..., Any], signature: str, help: str, least: int | None = None) -> None:
    """Add a function; a signature that ends in ``...`` takes up to ``MOST`` arguments."""
    count = signature.count(",") + 1
    most = MOST if signature.endswith("...") else count
    FUNCTIONS[name] = Function(call, f"({signature})", help, count if least is None else least, most)


def as_number(value: Any) -> Any:
    """Return conditions as 0 and 1, and other values unchanged."""
    if isinstance(value, bool | np.bool_):
        return int(value)
    if isinstance(value, np.ndarray):
        return value.astype(np.int64) if value.dtype == bool else value
    if isinstance(value, ak.Array) and ak.type(value).__str__().endswith("bool"):
        return ak.values_astype(value, np.int64)
    return value


def signed(value: Any) -> Any:
    """Return a value for arithmetic, with conditions as 0 and 1 and unsigned integers as signed integers.

    Integers from 2^63 on do not fit into signed integers and become floating point, so that a difference never wraps.
    """
    value = as_number(value)
    if unsigned(value) is None:
        return value
    flat: Any = ak.flatten(value, axis=None) if isinstance(value, ak.Array) else np.asarray(value)
    large = bool(np.any(np.asarray(flat) >= np.uint64(1 << 63)))
    kind = np.float64 if large else np.int64
    return ak.values_astype(value, kind) if isinstance(value, ak.Array) else flat.astype(kind)


def unsigned(value: Any) -> Any:
    """Return the value if it is an array of unsigned integers, else None."""
    if isinstance(value, ak.Array):
        return value if "uint" in str(ak.type(value)) else None
    return value if isinstance(value, np.ndarray | np.generic) and value.dtype.kind == "u" else None


def same_sign(a: Any, b: Any) -> tuple[Any, Any]:
    """Return both values; a non-negative integer becomes unsigned if the other value is, so that results stay exact."""
    if unsigned(a) is not None and type(b) is int and b >= 0:
        return a, np.uint64(b)
    if unsigned(b) is not None and type(a) is int and a >= 0:
        return np.uint64(a), b
    return a, b


def choose(condition: Any, a: Any, b: Any) -> Any:
    """Return a where the condition holds, else b; the condition may be a single one for all rows."""
    a, b = same_sign(a, b)
    if isinstance(condition, ak.Array | np.ndarray) and condition.ndim:
        if any(isinstance(value, ak.Array) and value.ndim > 1 for value in (condition, a, b)):
            condition, a, b = ak.broadcast_arrays(condition, a, b)  # repeat a number of the row for each list member
        return ak.where(condition, a, b)
    return a if condition else b


def _lists(value: Any) -> ak.Array:
    """Return the value if it is a list per row; otherwise raise an error."""
    if not isinstance(value, ak.Array) or value.ndim < 2:
        raise CollidekitError("needs a list in each row, but this is one number per row")
    return value


def _or_nan(result: ak.Array) -> ak.Array:
    """Return the result of a reduction with NaN for empty lists; integers beyond 2^53 stay integers, because NaN needs floats."""
    if "int" in str(ak.type(result)) and ak.any(abs(result) > 2**53, axis=None):
        if len(missing := np.flatnonzero(ak.is_none(result))):
            raise RowError("an empty list beside integers above 2^53: no column holds both exactly", int(missing[0]))
        return ak.drop_none(result)
    return ak.fill_none(result, np.nan)


def _reduction(reduce: Callable[..., Any], nan_if_empty: bool = False) -> Callable[[Any], Any]:
    def call(value: Any) -> Any:
        result = reduce(_lists(value), axis=-1)
        return result if not nan_if_empty else _or_nan(result)

    return call


def _extreme(elementwise: Any, reduce: Callable[..., Any], nothing: float) -> Callable[..., Any]:
    """Return a function for the extreme of two numbers or of a list (awkward gives ``nothing`` if all are NaN)."""
    reduction = _reduction(reduce, nan_if_empty=True)

    def call(*values: Any) -> Any:
        if len(values) == 2:
            a, b = same_sign(*values)
            both = unsigned(a) is not None and unsigned(b) is not None
            return elementwise(a, b) if both else elementwise(signed(a), signed(b))
        result = reduction(*values)
        if not ak.any(result == nothing, axis=None):
            return result
        all_nan = ak.all(np.isnan(as_number(values[0])), axis=-1)
        return ak.where((result == nothing) & all_nan, np.nan, result)

    return call


def _arg_extreme(find: Callable[..., Any], worst: float) -> Callable[[Any], Any]:
    """Return a function for the position of the largest or smallest number, which skips NaN (-1 if there is none)."""

    def call(value: Any) -> Any:
        lists = as_number(_lists(value))
        nan = np.isnan(lists)
        if not ak.any(nan, axis=None):
            return ak.fill_none(find(lists, axis=-1), -1)
        found = find(ak.where(nan, worst, lists), axis=-1)
        return ak.where(ak.all(nan, axis=-1), -1, ak.fill_none(found, -1))

    return call


def _over_conditions(reduce: Callable[..., Any]) -> Callable[[Any], Any]:
    """Return a reduction over lists of conditions; numbers other than 0 and 1, such as NaN, are an error."""

    def call(value: Any) -> Any:
        lists = _lists(value)
        if not ak.type(lists).__str__().endswith("bool") and ak.any((lists != 0) & (lists != 1), axis=None):
            raise CollidekitError("needs conditions, but this is a list of numbers; compare them, such as x > 0")
        return reduce(lists, axis=-1)

    return call


def _sum(value: Any) -> Any:
    """Return the sum of the list; a sum of integers that does not fit into 64 bits becomes floating point."""
    lists = _lists(value)
    if "int" in str(ak.type(lists)):
        near = ak.sum(lists * 1.0, axis=-1)
        if ak.any(abs(near) >= 2.0**63, axis=None):
            return near
    return ak.sum(lists, axis=-1)


def _std(value: Any) -> Any:
    lists = _lists(value)
    mean = ak.mean(lists, axis=-1)
    return ak.fill_none(np.sqrt(ak.mean((lists - mean) ** 2, axis=-1)), np.nan)


def _at(value: Any, position: Any, inside: bool = False) -> ak.Array:
    """Return the members of each row's list at one position or a list of positions; NaN if there is no such member.

    With ``inside``, a position beyond the end is an error.
    """
    lists = _lists(value)
    if lists.ndim > 2:
        raise CollidekitError("needs a list of numbers in each row, but this is a list of lists")
    several = isinstance(position, ak.Array) and position.ndim > 1
    sizes = ak.to_numpy(ak.num(position, axis=1)) if several else np.ones(len(lists), dtype=np.int64)
    given = np.asarray(ak.flatten(position, axis=1) if several else position)
    numbers = given.astype(np.int64)
    if np.any(wrong := np.atleast_1d((numbers != given) & ~np.isnan(given.astype(np.float64)))):
        raise CollidekitError(f"a position must be a whole number, not {np.atleast_1d(given)[wrong][0]:g}")
    row = np.repeat(np.arange(len(lists)), sizes)
    numbers, counts = np.broadcast_to(numbers, row.shape), ak.to_numpy(ak.num(lists, axis=1))[row]
    if inside and len(beyond := np.flatnonzero(numbers >= counts)):
        k = beyond[0]
        raise RowError(f"index {numbers[k]} points beyond the end of a list of {counts[k]}", int(row[k]))
    within = (numbers >= 0) & (numbers < counts)
    starts, members = _starts_and_members(lists)
    found = members[starts[row[within]] + numbers[within]]
    if found.dtype.kind in "iu" and len(found) and (found.max() > 2**53 or found.min() < -(2**53)):
        if len(absent := np.flatnonzero(~within)):
            raise RowError(
                "a missing member beside integers above 2^53: no column holds both exactly", int(row[absent[0]])
            )
        return ak.unflatten(found, sizes) if several else ak.Array(found)
    picked = np.full(len(row), np.nan)
    picked[within] = found
    return ak.unflatten(picked, sizes) if several else ak.Array(picked)


def _starts_and_members(lists: ak.Array) -> tuple[Any, Any]:
    """Return the first index of each row's list, and the members of all lists; rows of one event share a list without copies."""
    layout = ak.to_layout(ak.from_regular(lists, axis=1))
    layout = layout.project() if layout.is_indexed else layout
    return np.asarray(layout.starts), ak.to_numpy(layout.content)


def _take(value: Any, number: Any) -> ak.Array:
    if not isinstance(number, int | float) or number < 0 or number != int(number):
        raise CollidekitError("the number of members must be a whole number, the same for all rows")
    return _lists(value)[:, : int(number)]


def _sort(value: Any, by: Any = None) -> ak.Array:
    """Return the list in descending order, with NaN last."""
    lists = _lists(value)
    keys = lists if by is None else _lists(by)
    if not np.array_equal(ak.num(lists, axis=1), ak.num(keys, axis=1)):
        raise CollidekitError("lists of different lengths cannot be combined: they belong to different collections")
    return lists[ak.argsort(ak.nan_to_num(keys, nan=-np.inf), axis=1, ascending=False, stable=True)]


def _spread(value: Any, like: Any) -> Any:
    """Return a number per row as a list per row."""
    return ak.broadcast_arrays(value, _lists(like))[0]


def delta_phi(phi1: Any, phi2: Any) -> Any:
    """Return phi1 - phi2 in [-pi, pi] (pi only occurs through rounding)."""
    return np.mod(phi1 - phi2 + np.pi, 2 * np.pi) - np.pi


def eta(px: Any, py: Any, pz: Any) -> Any:
    """Return the pseudorapidity asinh(pz / pt)."""
    return np.arcsinh(pz / np.hypot(px, py))


def mass(px: Any, py: Any, pz: Any, energy: Any) -> Any:
    """Return the invariant mass in the unit of the momenta; 0 if rounding makes its square negative."""
    return np.sqrt(np.maximum(energy * energy - px * px - py * py - pz * pz, 0))


def energy(pt: Any, eta: Any, mass: Any) -> Any:
    """Return the energy sqrt((pt cosh eta)^2 + m^2)."""
    return np.sqrt((pt * np.cosh(eta)) ** 2 + mass * mass)


def _of_numbers(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with its arguments converted to signed numbers in floating point."""
    return lambda *values: function(*(signed(value) * 1.0 for value in values))


def _elementwise(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: function(as_number(value))


for _name in (
    *("abs", "sqrt", "exp", "log", "log10", "log1p", "expm1", "sin", "cos", "tan", "arcsin", "arccos", "arctan"),
    *("sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "sign", "floor", "ceil", "isfinite", "isnan"),
):
    _add(_name, _elementwise(getattr(np, _name)), "x", f"numpy.{_name}, element-wise")
_add("hypot", _of_numbers(np.hypot), "x, y", "sqrt(x^2 + y^2)")
_add("arctan2", _of_numbers(np.arctan2), "y, x", "angle of (x, y)")
_add(
    "clip",
    lambda x, low, high: np.minimum(np.maximum(signed(x), signed(low)), signed(high)),
    "x, low, high",
    "x limited to [low, high]",
)
_add("where", choose, "condition, a, b", "a where the condition holds, else b")

_add("sum", _sum, "list", "sum of the list; for conditions, the number that are true")
_add("mean", _reduction(ak.mean, nan_if_empty=True), "list", "mean of the list; NaN if it is empty")
_add("std", _std, "list", "standard deviation of the list; NaN if it is empty")
_add("count", lambda x: ak.num(_lists(x), axis=-1), "list", "length of the list")
_add("any", _over_conditions(ak.any), "list", "true if the condition holds for at least one member")
_add("all", _over_conditions(ak.all), "list", "true if the condition holds for every member")
_add(
    "max",
    _extreme(np.maximum, ak.max, -np.inf),
    "list or x, y",
    "largest value of a list, skipping NaN (NaN if empty), or larger of two",
    1,
)
_add(
    "min",
    _extreme(np.minimum, ak.min, np.inf),
    "list or x, y",
    "smallest value of a list, skipping NaN (NaN if empty), or smaller of two",
    1,
)
_add(
    "argmax",
    _arg_extreme(ak.argmax, -np.inf),
    "list",
    "position of the largest value, skipping NaN; -1 if there is none",
)
_add(
    "argmin",
    _arg_extreme(ak.argmin, np.inf),
    "list",
    "position of the smallest value, skipping NaN; -1 if there is none",
)
_add("at", _at, "list, i", "member at position i (from 0); i is a number or a list; NaN if there is no such member")
_add(
    "pick",
    lambda x, i: _at(x, i, inside=True),
    "list, i",
    "member at index i; i is a number or a list; NaN for -1, an error beyond the end",
)
_add("first", lambda x: _at(x, 0), "list", "first member; NaN if the list is empty")
_add("take", _take, "list, n", "the first n members")
_add("sort", _sort, "list, by", "the list in descending order of its values, or of the list by", 1)
_add("position", lambda x: ak.local_index(_lists(x), axis=1), "list", "position of each member: 0, 1, 2 ...")
_add("spread", _spread, "x, list", "the number x of the row, repeated for each member of the list")
_add(
    "list",
    lambda *numbers: list_of_numbers(*map(signed, numbers)),
    "x, y, ...",
    "a list of these numbers of the row, in this order",
    1,
)
_add(
    "join",
    lambda *lists: join(*map(signed, lists)),
    "list1, list2, ...",
    "the members of the first list, then the members of the next",
    2,
)

_add("pt", _of_numbers(np.hypot), "px, py", "transverse momentum")
_add("phi", _of_numbers(lambda px, py: np.arctan2(py, px)), "px, py", "azimuth")
_add("eta", _of_numbers(eta), "px, py, pz", "pseudorapidity")
_add("rapidity", _of_numbers(lambda pz, energy: np.arctanh(pz / energy)), "pz, energy", "rapidity along the beam")
_add("mass", _of_numbers(mass), "px, py, pz, energy", "invariant mass")
_add("px", _of_numbers(lambda pt, phi: pt * np.cos(phi)), "pt, phi", "momentum along x")
_add("py", _of_numbers(lambda pt, phi: pt * np.sin(phi)), "pt, phi", "momentum along y")
_add("pz", _of_numbers(lambda pt, eta: pt * np.sinh(eta)), "pt, eta", "momentum along the beam")
_add("energy", _of_numbers(energy), "pt, eta, mass", "energy")
_add("delta_phi", _of_numbers(delta_phi), "phi1, phi2", "phi1 - phi2 in [-pi, pi)")
_add("delta_eta", _of_numbers(np.subtract), "eta1, eta2", "eta1 - eta2")
_add(
    "delta_r",
    _of_numbers(lambda eta1, phi1, eta2, phi2: np.hypot(eta1 - eta2, delta_phi(phi1, phi2))),
    "eta1, phi1, eta2, phi2",
    "distance in eta and phi",
)
_add(
    "pair_mass",
    _of_numbers(pair_mass),
    "pt1, eta1, phi1, energy1, pt2, eta2, phi2, energy2",
    "invariant mass of two particles",
)
