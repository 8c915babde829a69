"""Read SPANet's event file (arXiv 2106.03898): inputs and their scaling, particles, decay products, symmetries."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collidekit.analysis.load import Lines, parse_yaml
from collidekit.errors import CollidekitError

OPTIONS = ("none", "log", "normalize", "log_normalize")
_KINDS = ("SEQUENTIAL", "GLOBAL")


@dataclass(frozen=True)
class EventInput:
    """An input, with one of OPTIONS for each feature; a sequential input is a padded list."""

    name: str
    sequential: bool
    features: dict[str, str]


@dataclass(frozen=True)
class Extra:
    """A regression or classification of the event (``place`` is ``()``), a particle ``(t1,)`` or a decay product ``(t1, b)``."""

    place: tuple[str, ...]
    name: str
    how: str = "gaussian"
    """Loss of a regression."""

    @property
    def column(self) -> str:
        """Name of its column, without REGRESSIONS or CLASSIFICATIONS."""
        inner = ("EVENT",) if not self.place else (*self.place, "PARTICLE") if len(self.place) == 1 else self.place
        return "_".join((*inner, self.name))

    @property
    def written(self) -> str:
        return "/".join((*(self.place or ("EVENT",)), self.name))


@dataclass
class EventFile:
    """The content of an event file."""

    path: str
    inputs: dict[str, EventInput] = field(default_factory=dict)
    products: dict[str, dict[str, str]] = field(default_factory=dict)
    """The decay products of each particle, and the input of each product; empty if the file names no input."""
    permutations: dict[str, list[Any]] = field(default_factory=dict)
    """Symmetries as written in the file: particles for EVENT, decay products for a particle."""
    regressions: list[Extra] = field(default_factory=list)
    classifications: list[Extra] = field(default_factory=list)
    not_translated: list[str] = field(default_factory=list)

    @property
    def sequential(self) -> list[str]:
        return [name for name, entry in self.inputs.items() if entry.sequential]


def read_event_file(path: Path) -> EventFile:
    """Read and check an event file. Raises CollidekitError with the line of an error."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CollidekitError(f"{path}: this event file does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CollidekitError(
            f"{path}: is not an event file of SPANet ({' '.join(str(error).split())[:160]})"
        ) from None
    content, lines = parse_yaml(text, str(path), "an event file of SPANet")
    if not isinstance(content, dict) or not isinstance(content.get("INPUTS"), dict) or "EVENT" not in content:
        raise CollidekitError(
            f"{path}: is not an event file of SPANet: it has no INPUTS and EVENT. Do not give an analysis file to init"
        )
    event = EventFile(str(path))
    event.not_translated += [
        f"{key}: unknown key"
        for key in content
        if key not in ("INPUTS", "EVENT", "PERMUTATIONS", "REGRESSIONS", "CLASSIFICATIONS")
    ]
    _read_inputs(event, content["INPUTS"], lines)
    _read_products(event, content["EVENT"], lines)
    permutations = _mapping(content.get("PERMUTATIONS"), lines, "PERMUTATIONS")
    for name, groups in permutations.items():
        if name != "EVENT" and name not in event.products:
            raise CollidekitError(f"{lines.at(('PERMUTATIONS', name))}: {name!r} is not a particle of EVENT")
        if groups is not None and not isinstance(groups, list):
            raise CollidekitError(f"{lines.at(('PERMUTATIONS', name))}: must be a list of lists, such as [[q1, q2]]")
        event.permutations[name] = groups or []
    event.regressions = list(_extras(event, content, "REGRESSIONS", lines))
    event.classifications = list(_extras(event, content, "CLASSIFICATIONS", lines))
    return event


def _mapping(value: Any, lines: Lines, *place: str) -> dict[str, Any]:
    """Return a mapping: an empty one for nothing, and the union of a list of mappings."""
    if isinstance(value, list) and all(isinstance(entry, dict) for entry in value):
        value = {key: inner for entry in value for key, inner in entry.items()}
    if value is not None and not isinstance(value, dict):
        raise CollidekitError(f"{lines.at(place)}: {place[-1]} must be a mapping: one name with its entries per line")
    return value or {}


def _read_inputs(event: EventFile, content: dict[str, Any], lines: Lines) -> None:
    for kind, entries in content.items():
        for name, features in _mapping(entries, lines, "INPUTS", kind).items():
            if kind.upper() not in _KINDS:
                event.not_translated.append(
                    f"INPUTS/{kind}/{name}: only SEQUENTIAL and GLOBAL inputs can be translated"
                )
                continue
            options = dict(_mapping(features, lines, "INPUTS", kind, name))
            for feature, option in list(options.items()):
                options[feature] = str(option).lower()
                if options[feature] not in OPTIONS:
                    place = lines.at(("INPUTS", kind, name, feature))
                    raise CollidekitError(f"{place}: {feature}: {option!r} is none of {', '.join(OPTIONS)}")
            if not options:
                raise CollidekitError(f"{lines.at(('INPUTS', kind, name))}: {name} has no features")
            if name in event.inputs:
                raise CollidekitError(f"{lines.at(('INPUTS', kind, name))}: there are two inputs {name!r}")
            event.inputs[name] = EventInput(name, kind.upper() == "SEQUENTIAL", options)
    if not event.sequential:
        raise CollidekitError(f"{lines.at(('INPUTS',))}: there is no SEQUENTIAL input")


def _read_products(event: EventFile, content: Any, lines: Lines) -> None:
    for particle, products in _mapping(content, lines, "EVENT").items():
        found: dict[str, str] = {}
        entries = products.items() if isinstance(products, dict) else products if isinstance(products, list) else ()
        for entry in entries:
            pair = entry if isinstance(entry, tuple) else next(iter(entry.items())) if isinstance(entry, dict) else None
            name, source = pair or (entry, "")
            if not isinstance(name, str) or name in found or (source and source not in event.sequential):
                raise CollidekitError(
                    f"{lines.at(('EVENT', particle))}: {particle}: {entry!r} must be another name, or a name with one of the "
                    f"SEQUENTIAL inputs: {', '.join(event.sequential)}"
                )
            found[name] = source or ""
        if not found:
            raise CollidekitError(f"{lines.at(('EVENT', particle))}: {particle}: must be a list of decay products")
        event.products[particle] = found


def _extras(event: EventFile, content: dict[str, Any], key: str, lines: Lines) -> Iterator[Extra]:
    for particle, inside in _mapping(content.get(key), lines, key).items():
        if particle != "EVENT" and particle not in event.products:
            raise CollidekitError(f"{lines.at((key, particle))}: {particle!r} is neither EVENT nor a particle of EVENT")
        places = {"": inside} if particle == "EVENT" else _mapping(inside, lines, key, particle)
        for product, names in places.items():
            if particle != "EVENT" and product != "PARTICLE" and product not in event.products[particle]:
                raise CollidekitError(
                    f"{lines.at((key, particle, product))}: {product!r} is not a decay product of {particle}"
                )
            place = () if particle == "EVENT" else (particle,) if product == "PARTICLE" else (particle, product)
            if names is not None and not isinstance(names, list):
                raise CollidekitError(
                    f"{lines.at((key, particle, product))}: {product or particle} must be a list of names"
                )
            for entry in names or []:
                name, how = entry if isinstance(entry, list) and len(entry) == 2 else (entry, "gaussian")
                if not isinstance(name, str) or how not in ("gaussian", "laplacian", "log_gaussian"):
                    raise CollidekitError(
                        f"{lines.at((key, particle, product))}: {entry!r} must be a name, or [name, gaussian | laplacian | log_gaussian]"
                    )
                yield Extra(place, name, how)
