"""Names in the settings of metrics: classes of the benchmark, and columns of its output."""

from collections.abc import Iterator, Mapping
from typing import Any

from collidekit.benchmark.definition import Benchmark
from collidekit.errors import CollidekitError, did_you_mean


def check_names(benchmark: Benchmark, metric: str, settings: Mapping[str, Any]) -> None:
    """Raise CollidekitError for a setting that names a class or a column that is not there, or the same one twice."""
    classes, columns = list(benchmark.classes), list(benchmark.output.columns)
    for setting, name in _classes(settings):
        if name not in classes:
            close = did_you_mean(name, classes) or f"; classes are {', '.join(classes) or 'not given'}"
            raise CollidekitError(f"metric {metric}: {setting}: there is no class {name!r}{close}")
    for setting, name in _columns(settings):
        if name not in columns:
            close = did_you_mean(name, columns) or f"; columns are {', '.join(columns)}"
            raise CollidekitError(f"metric {metric}: {setting}: the output has no column {name!r}{close}")
    if both := set(_names(settings.get("signal"))) & set(_names(settings.get("background"))):
        raise CollidekitError(f"metric {metric}: {', '.join(sorted(both))} is both signal and background")
    if settings.get("low") and settings["low"] == settings["high"]:
        raise CollidekitError(f"metric {metric}: low and high are both {settings['low']!r}")


def _classes(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for setting in ("signal", "background", "class"):
        yield from ((setting, name) for name in _names(settings.get(setting)))


def _columns(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for setting in ("slot", "low", "high"):
        yield from ((setting, name) for name in _names(settings.get(setting)))
    yield from (("alike", name) for group in settings.get("alike", ()) for name in group)
    yield from (("exchange", name) for groups in settings.get("exchange", ()) for group in groups for name in group)


def _names(value: Any) -> list[str]:
    return [value] if isinstance(value, str) and value else list(value or ())
