"""The methods by name."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from collidekit.errors import CollidekitError, did_you_mean
from collidekit.reconstruction.likelihood_method import LikelihoodFit
from collidekit.reconstruction.method import Method
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
    """Return a method by its name, with settings; raise CollidekitError for a name or a setting that does not exist."""
    if name not in METHODS:
        raise CollidekitError(
            f"no reconstruction method {name!r}{did_you_mean(name, list(METHODS))}; known are {', '.join(METHODS)}"
        )
    signature = inspect.signature(METHODS[name])
    for key in settings:
        if key not in signature.parameters:
            known = list(signature.parameters)
            raise CollidekitError(
                f"reconstruction method {name}: no setting {key!r}{did_you_mean(key, known)}; known are {', '.join(known)}"
            )
    missing = [
        key
        for key, parameter in signature.parameters.items()
        if parameter.default is inspect.Parameter.empty and key not in settings
    ]
    if missing:
        raise CollidekitError(f"reconstruction method {name}: needs {', '.join(missing)}")
    return METHODS[name](**settings)
