"""Methods by name, with settings from Python or from a file."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from functools import partial
from typing import Any, Literal, get_args, get_origin, get_type_hints

from collidekit.errors import CollidekitError, did_you_mean
from collidekit.reconstruction.likelihood_method import LikelihoodFit
from collidekit.reconstruction.method import Jets, Method
from collidekit.reconstruction.neutrino_methods import Analytic, NeutrinoWeighting, SmearedEllipse
from collidekit.reconstruction.pairing_methods import DeltaR, GivenNeutrinos, LeptonJetMass, TopMassChiSquare

METHODS: dict[str, Callable[..., Method]] = {
    "delta_r": DeltaR,
    "delta_r_greedy": partial(DeltaR, greedy=True),
    "max_m_lb": LeptonJetMass,
    "sum_m_lb2": partial(LeptonJetMass, combine="sum"),
    "chi_square": TopMassChiSquare,
    "ellipse": Analytic,
    "sonnenschein": partial(Analytic, solver="sonnenschein"),
    "neutrino_weighting": NeutrinoWeighting,
    "smeared_ellipse": SmearedEllipse,
    "likelihood": LikelihoodFit,
    "given": GivenNeutrinos,
}
"""``chi_square`` needs ``neutrinos``, another method; ``given`` needs ``neutrinos``, an array."""


def build_method(name: str, **settings: Any) -> Method:
    """Return a method by its name, with settings; raise CollidekitError for an unknown name or setting."""
    if name not in METHODS:
        raise CollidekitError(
            f"unknown reconstruction method {name!r}{did_you_mean(name, list(METHODS))}; known are {', '.join(METHODS)}"
        )
    signature = inspect.signature(METHODS[name])
    _check_keys(f"reconstruction method {name}", settings, signature.parameters)
    missing = [
        key
        for key, parameter in signature.parameters.items()
        if parameter.default is inspect.Parameter.empty and key not in settings
    ]
    if missing:
        raise CollidekitError(f"reconstruction method {name}: needs {', '.join(missing)}")
    return METHODS[name](**settings)


METHOD = "method"
KEPT_FROM_FILES = ("density", "neutrinos", "proposal", "chunk")
"""Settings that only Python can set: arrays, other methods, and settings that change no result."""


def method_from_file(name: str, settings: Mapping[str, Any], neutrinos: Method) -> Method:
    """Return a method from the settings in a file, such as ``{choice: m_lb, jets: {rule: tagged, threshold: 4}}``.

    The key ``method`` names the type if ``name`` is not the name of a method. ``chi_square`` and the choice ``nearest`` use the result of
    ``neutrinos``. Raises CollidekitError that names the setting.
    """
    given = dict(settings)
    kind = given.pop(METHOD, name)
    known = [known for known in METHODS if known != "given"]
    if kind not in known:
        raise CollidekitError(
            f"unknown reconstruction method {kind!r}{did_you_mean(str(kind), known)}; name the type with 'method:', one of {', '.join(known)}"
        )
    maker = METHODS[kind]
    fixed = maker.keywords if isinstance(maker, partial) else {}
    found = _settings(
        f"reconstruction method {name}", maker.func if isinstance(maker, partial) else maker, given, fixed
    )
    if kind == "chi_square":
        found = {"neutrinos": neutrinos, "jets": Jets("two_tagged"), **found}
    elif found.get("choice") == "nearest":
        found["proposal"] = neutrinos
    return build_method(kind, **found)


def _settings(where: str, maker: Any, given: Mapping[str, Any], fixed: Mapping[str, Any] = {}) -> dict[str, Any]:
    """Return the settings of a class, converted to its types."""
    hints = get_type_hints(maker)
    _check_keys(where, given, [key for key in hints if key not in (*KEPT_FROM_FILES, *fixed)])
    return {key: _setting(f"{where}: {key}", hints[key], value) for key, value in given.items()}


def _setting(where: str, hint: Any, value: Any) -> Any:
    if is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise CollidekitError(
                f"{where}: must be settings, such as {{{next(iter(get_type_hints(hint)))}: ...}}, not {value!r}"
            )
        return hint(**_settings(where, hint, value))  # type: ignore[operator]
    choices = [choice for part in (hint, *get_args(hint)) if get_origin(part) is Literal for choice in get_args(part)]
    if choices:
        if value not in choices:
            raise CollidekitError(f"{where}: {value!r} is not one of {', '.join(map(str, choices))}")
        return value
    if hint is bool or isinstance(value, bool):
        if not (hint is bool and isinstance(value, bool)):
            raise CollidekitError(f"{where}: must be {'true or false' if hint is bool else 'a number'}, not {value!r}")
        return value
    if get_origin(hint) is tuple:
        if not (isinstance(value, list) and len(value) == len(get_args(hint))):
            raise CollidekitError(f"{where}: must be {len(get_args(hint))} numbers, not {value!r}")
        return tuple(_setting(where, part, one) for part, one in zip(get_args(hint), value, strict=True))
    if not isinstance(value, int if hint is int else int | float):
        raise CollidekitError(f"{where}: must be {'an integer' if hint is int else 'a number'}, not {value!r}")
    return value


def _check_keys(where: str, given: Mapping[str, Any], known: Any) -> None:
    for key in given:
        if key not in known:
            raise CollidekitError(
                f"{where}: unknown setting {key!r}{did_you_mean(str(key), list(known))}; known are {', '.join(known)}"
            )
