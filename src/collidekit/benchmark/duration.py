"""Time spans as text, on pages and in the terminal."""


def duration(seconds: float | None) -> str:
    """Return a time span as text, such as ``2 min 5 s``."""
    if seconds is None:
        return "not known"
    if float(short := f"{seconds:.3g}") < 60:
        return f"{short} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    shown = [(hours, "h"), (minutes, "min"), (0 if hours else rest, "s")]
    return " ".join(f"{number} {unit}" for number, unit in shown if number)
