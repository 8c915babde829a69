"""The functions that expressions may call.

A row holds numbers or lists. Elementwise functions take either; reductions turn a list per row into a number per row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np

from collidekit.errors import CollidekitError

CONSTANTS = {"pi": np.pi, "nan": np.nan, "inf": np.inf}


@dataclass(frozen=True)
class Function:
    """A function, its arguments as a user reads them, and how many they are."""

    call: Callable[..., Any]
    signature: str
    help: str
    least: int
    most: int


FUNCTIONS: dict[str, Function] = {}


def _add(name: str, call: Callable[..., Any], signature: str, help: str, least: int | None = None) -> None:
    count = signature.count(",") + 1
    FUNCTIONS[name] = Function(call, f"({signature})", help, count if least is None else least, count)


def _lists(value: Any) -> ak.Array:
    """The value as a list per row, or an error."""
    if not isinstance(value, ak.Array) or value.ndim < 2:
        raise CollidekitError("needs a list in each row, and this is one number in each row")
    return value


def _reduction(reduce: Callable[..., Any], empty: float | None = None) -> Callable[[Any], Any]:
    def call(value: Any) -> Any:
        result = reduce(_lists(value), axis=-1)
        return result if empty is None else ak.fill_none(result, empty)

    return call


def _maximum_or_reduce(elementwise: Any, reduce: Callable[..., Any]) -> Callable[..., Any]:
    reduction = _reduction(reduce, np.nan)
    return lambda *values: elementwise(*values) if len(values) == 2 else reduction(*values)


def _std(value: Any) -> Any:
    lists = _lists(value)
    mean = ak.mean(lists, axis=-1)
    return ak.fill_none(np.sqrt(ak.mean((lists - mean) ** 2, axis=-1)), np.nan)


def _at(value: Any, position: Any) -> Any:
    """The member of each row's list at a position; NaN where the list is too short or the position negative."""
    lists = _lists(value)
    counts = ak.num(lists, axis=1)
    position = ak.values_astype(position, np.int64) if isinstance(position, ak.Array) else int(position)
    if isinstance(position, ak.Array) and position.ndim > 1:
        return _pick_lists(lists, position)
    valid = (position >= 0) & (position < counts)
    starts = np.concatenate([[0], np.cumsum(ak.to_numpy(counts))[:-1]]).astype(np.int64)
    flat = ak.to_numpy(ak.flatten(lists, axis=1))
    index = np.where(ak.to_numpy(valid), starts + np.asarray(position), 0)
    picked = flat[index] if len(flat) else np.zeros(len(index))
    return ak.Array(np.where(ak.to_numpy(valid), picked, np.nan))


def _pick_lists(lists: ak.Array, positions: ak.Array) -> ak.Array:
    """``lists[positions]`` in each row; NaN for a position outside of the list."""
    counts = ak.num(lists, axis=1)
    valid = (positions >= 0) & (positions < counts)
    padded = ak.concatenate([ak.values_astype(lists, np.float64), ak.Array(np.full((len(lists), 1), np.nan))], axis=1)
    return padded[ak.where(valid, positions, counts)]


def _take(value: Any, number: int) -> ak.Array:
    return _lists(value)[:, : int(number)]


def _sort(value: Any, by: Any = None) -> ak.Array:
    lists = _lists(value)
    return lists[ak.argsort(lists if by is None else by, axis=1, ascending=False, stable=True)]


def _spread(value: Any, like: Any) -> Any:
    """A number per row as a list per row."""
    return ak.broadcast_arrays(value, _lists(like))[0]


def delta_phi(phi1: Any, phi2: Any) -> Any:
    """phi1 - phi2, brought to [-pi, pi)."""
    return np.mod(phi1 - phi2 + np.pi, 2 * np.pi) - np.pi


def eta(px: Any, py: Any, pz: Any) -> Any:
    """Pseudorapidity asinh(pz / pt)."""
    return np.arcsinh(pz / np.hypot(px, py))


def mass(px: Any, py: Any, pz: Any, energy: Any) -> Any:
    """Invariant mass in the unit of the momenta; 0 where rounding makes its square negative."""
    return np.sqrt(np.maximum(energy * energy - px * px - py * py - pz * pz, 0))


def energy(pt: Any, eta: Any, mass: Any) -> Any:
    """sqrt((pt cosh eta)^2 + m^2)."""
    return np.sqrt((pt * np.cosh(eta)) ** 2 + mass * mass)


for _name in (
    "abs sqrt exp log log10 log1p expm1 sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh "
    "sign floor ceil isfinite isnan"
).split():
    _add(_name, getattr(np, _name), "x", f"numpy.{_name}, for each number")
_add("hypot", np.hypot, "x, y", "sqrt(x^2 + y^2)")
_add("arctan2", np.arctan2, "y, x", "angle of (x, y)")
_add("clip", lambda x, low, high: np.minimum(np.maximum(x, low), high), "x, low, high", "x held within [low, high]")
_add("where", ak.where, "condition, a, b", "a where the condition holds, else b")

_add("sum", _reduction(ak.sum), "list", "sum over the list (of a condition: how many hold)")
_add("mean", _reduction(ak.mean, np.nan), "list", "mean over the list; NaN where it is empty")
_add("std", _std, "list", "standard deviation over the list; NaN where it is empty")
_add("count", lambda x: ak.num(_lists(x), axis=-1), "list", "length of the list")
_add("any", _reduction(ak.any), "list", "whether the condition holds for one member at least")
_add("all", _reduction(ak.all), "list", "whether the condition holds for every member")
_add("max", _maximum_or_reduce(np.maximum, ak.max), "list or x, y", "largest of the list (NaN if empty), or of two", 1)
_add("min", _maximum_or_reduce(np.minimum, ak.min), "list or x, y", "smallest of the list (NaN if empty), or of two", 1)
_add("argmax", _reduction(ak.argmax, -1), "list", "position of the largest; -1 where the list is empty")
_add("argmin", _reduction(ak.argmin, -1), "list", "position of the smallest; -1 where the list is empty")
_add("at", _at, "list, i", "member at position i (0 first), one or a list of them; NaN where there is none")
_add("pick", _at, "list, i", "the same as at: pick(trk_d0, argmax(trk_pt))")
_add("first", lambda x: _at(x, 0), "list", "first member; NaN where the list is empty")
_add("take", _take, "list, n", "the first n members")
_add("sort", _sort, "list, by", "the list in descending order (of another list)", 1)
_add("position", lambda x: ak.local_index(_lists(x), axis=1), "list", "0, 1, 2 ... along the list")
_add("spread", _spread, "x, list", "the row's number x, once for each member of the list")

_add("pt", np.hypot, "px, py", "transverse momentum")
_add("phi", lambda px, py: np.arctan2(py, px), "px, py", "azimuth")
_add("eta", eta, "px, py, pz", "pseudorapidity")
_add("rapidity", lambda pz, energy: np.arctanh(pz / energy), "pz, energy", "rapidity along the beam")
_add("mass", mass, "px, py, pz, energy", "invariant mass")
_add("px", lambda pt, phi: pt * np.cos(phi), "pt, phi", "momentum along x")
_add("py", lambda pt, phi: pt * np.sin(phi), "pt, phi", "momentum along y")
_add("pz", lambda pt, eta: pt * np.sinh(eta), "pt, eta", "momentum along the beam")
_add("energy", energy, "pt, eta, mass", "energy")
_add("delta_phi", delta_phi, "phi1, phi2", "phi1 - phi2 in [-pi, pi)")
_add("delta_eta", np.subtract, "eta1, eta2", "eta1 - eta2")
_add(
    "delta_r",
    lambda eta1, phi1, eta2, phi2: np.hypot(eta1 - eta2, delta_phi(phi1, phi2)),
    "eta1, phi1, eta2, phi2",
    "distance in eta and phi",
)
