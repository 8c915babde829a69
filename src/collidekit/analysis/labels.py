"""Labels of features, variables, classes, processes and discriminators in plots, tables and reports."""

import re
from typing import Annotated

from pydantic import AfterValidator

MOST_LETTERS = 100
LETTERS = (
    "alpha α, beta β, gamma γ, delta δ, epsilon ε, varepsilon ε, zeta ζ, eta η, theta θ, kappa κ, lambda λ, mu μ, nu ν, xi ξ, pi π, "
    "rho ρ, sigma σ, tau τ, phi φ, varphi φ, chi χ, psi ψ, omega ω, Gamma Γ, Delta Δ, Theta Θ, Lambda Λ, Sigma Σ, Phi Φ, Psi Ψ, "
    "Omega Ω, to →, rightarrow →, pm ±, times ×, cdot ·, ell ℓ, sqrt √, infty ∞, leq ≤, geq ≥, sim ~, langle ⟨, rangle ⟩, circ °"
)
SYMBOLS = dict(entry.split() for entry in LETTERS.split(", ")) | {"left": "", "right": ""}
SYMBOLS |= {name: f"{name} " for name in ("ln", "log", "sin", "cos", "exp", "min", "max")}
ACCENTS = {"bar": "\u0304", "overline": "\u0304", "hat": "\u0302", "tilde": "\u0303", "vec": "\u20d7"}
FONTS = ("mathrm", "mathit", "mathbf", "mathsf", "mathcal", "text", "rm", "it", "bf")
_PART = r"\{((?:[^{}]|\{[^{}]*\})*)\}"
"""A part of LaTeX in braces, which may hold other parts in braces."""
FRACTION = re.compile(rf"\\[dt]?frac\s*{_PART}\s*{_PART}")
RAISED = str.maketrans("0123456789+-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻")


def drawable(text: str) -> str:
    """Return the text if matplotlib can draw it; text between two $ must be LaTeX that it knows."""
    if text.count("$") < 2:
        return text
    from matplotlib.cbook import is_math_text
    from matplotlib.mathtext import MathTextParser

    try:
        if is_math_text(text):
            MathTextParser("path").parse(text)
    except (ValueError, RecursionError) as error:
        said = str(error).strip().splitlines()[-1][:100]
        raise ValueError(f"{text[:60]!r} is not LaTeX that can be drawn ({said})") from None
    return text


def _one_line(text: str) -> str:
    if not text.strip() or len(text) > MOST_LETTERS or not text.isprintable():
        raise ValueError(f"{text[:60]!r} is not a label: write one line of at most {MOST_LETTERS} characters")
    return drawable(text)


Label = Annotated[str, AfterValidator(_one_line)]


def without_latex(label: str) -> str:
    """Return a label as plain text for tables and pages: ``$p_\\mathrm{T}$ of the jet`` becomes ``pT of the jet``."""
    if label.count("$") < 2:
        return label
    parts = label.split("$")
    if len(parts) % 2 == 0:  # the last $ has no partner
        parts[-2:] = ["$".join(parts[-2:])]
    return "".join(_plain(part) if number % 2 else part for number, part in enumerate(parts))


def _quotient(found: re.Match[str]) -> str:
    """Return a fraction as ``a/b``, with brackets around sums and fractions."""
    return "/".join(f"({part})" if re.search(r"[+/-]|frac", part) else part for part in found.groups())


def _plain(math: str) -> str:
    """Return LaTeX as plain text."""
    for font in FONTS:
        math = re.sub(rf"\\{font}(?![A-Za-z])\s*", "", math)
    while (quotient := FRACTION.sub(_quotient, math)) != math:
        math = quotient
    math = re.sub(r"\\([A-Za-z]+)\s*", lambda found: SYMBOLS.get(found[1], found[0]), math)
    math = re.sub(r"\{\{(\w)\}\}", r"{\1}", math)
    for accent, mark in ACCENTS.items():
        math = re.sub(rf"\\{accent}(?![A-Za-z])\s*(?:\{{(\w)\}}|(\w))", rf"\1\2{mark}", math)
    math = re.sub(r"\\[,;:! ]|~", " ", math)
    math = re.sub(r"\^(?:\{([0-9+-]+)\}|([0-9+-]))", lambda found: (found[1] or found[2]).translate(RAISED), math)
    math = re.sub(r"[{}\\_]", "", math)
    return re.sub(r"\s*→\s*", " → ", re.sub(r"\s+([(,/)])", r"\1", math))
