"""Odd values and damaged files for the tests in ``tests/fuzz``: what a file or an option may hold, and must not hold."""

import json
import math
import os
import random
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, note, seed, settings
from hypothesis import strategies as st

from collidekit.errors import CollidekitError
from collidekit.sealed import seal

SEED = os.environ.get("COLLIDEKIT_FUZZ_SEED")
"""Of the random numbers; without it every run draws the same examples."""

NUMBERS = [-1, 0, 1, 2, 2**31, 2**63, 2**64, -(2**63), 1e20, 1e300, 1e-300, 5e-324, 0.5, math.nan, math.inf, -math.inf]
TEXTS = [
    "", " ", "[/b]", "[red]", "\x00", "\x1b[31m", "a" * 10_000, "../..", "/abs", "~", "$\\frac{$", "${x", "%s{}", "\u202e", "\ud800",
    "nan", "-1", "1e400", "None", "1,2,,", "name=value", "\n", "ä€𝛼", "*", "**", ".txt", ".py", "x.py:Y", "a::b://c",
]  # fmt: skip
OTHERS: list[Any] = [None, True, False, [], {}, [1], [[[1]]], {"a": 1}, ["[/b]"], {"": None}, [None], [-1, 2**70]]
VALUES = [*NUMBERS, *TEXTS, *OTHERS]


def fuzzed(examples: int, **strategies: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Run a test with so many examples: the same ones each time, or those of COLLIDEKIT_FUZZ_SEED."""
    health = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
    chosen = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=SEED is None,
        suppress_health_check=health,
        phases=[Phase.generate],
    )

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        drawn = chosen(given(**strategies)(test))
        return seed(int(SEED))(drawn) if SEED is not None else drawn

    return decorate


randoms = st.integers(0, 2**32 - 1).map(random.Random)
"""A source of random numbers, of which hypothesis draws only the seed: a small example is no aim here."""


def show(**facts: Any) -> None:
    """Print what an example was if it fails, and how to repeat it."""
    for name, value in facts.items():
        note(f"{name}: {str(value)[:500]!r}")
    if SEED is not None:
        note(f"repeat with COLLIDEKIT_FUZZ_SEED={SEED}")


def what_happened(error: BaseException) -> str:
    """The end of a traceback, without the 10,000 letters that some odd values have."""
    lines = "".join(traceback.format_exception(error)).splitlines()
    return "\n".join(line[:300] for line in lines[-60:])


def ends_well(call: Callable[[], Any]) -> str:
    """Call something: it must work or raise the product's own error with a message of one line, which is returned."""
    try:
        call()
    except CollidekitError as error:
        said = str(error)
        assert said.strip(), "an error without a message"
        assert len(said) < 5_000, f"a message of {len(said)} characters"
        assert "Traceback" not in said
        return said
    except Exception as error:  # noqa: BLE001 - all of them are what is looked for
        raise AssertionError(what_happened(error)) from None
    return ""


@contextmanager
def damaged(path: Path, content: bytes) -> Iterator[None]:
    """The file with other content within the block; its time of change moves, so that nothing kept of it is used."""
    before, times = path.read_bytes(), path.stat()
    try:
        path.write_bytes(content)
        yield
    finally:
        path.write_bytes(before)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def damage_bytes(content: bytes, chance: random.Random) -> bytes:
    """Cut, bits flipped, a part zeroed, something put in between, or another file altogether."""
    place = chance.randrange(len(content) + 1)
    match chance.randrange(8):
        case 0:
            return content[:place]
        case 1 | 2 | 3:
            changed = bytearray(content)
            for _ in range(chance.choice([1, 1, 1, 5])):
                changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
            return bytes(changed)
        case 4:
            return content[:place] + bytes(min(64, len(content) - place)) + content[place + 64 :]
        case 5:
            return (
                content[:place]
                + chance.choice([b"\x00", b"\xef\xbb\xbf", b"\xff\xfe", b"[/b]", b"9" * 400])
                + content[place:]
            )
        case 6:
            return b"\xef\xbb\xbf" + content
        case _:
            return chance.choice(
                [b"", b"\x00", b"null", b"[]", b"{}", b"[" * 100_000, b"\xff" * 100, b"PAR1", b"PK\x03\x04", b"1e999"]
            )


def damage_json(content: Any, chance: random.Random) -> Any:
    """One or two entries of nested dicts and lists replaced, removed, doubled or renamed."""
    changed = json.loads(json.dumps(content))
    for _ in range(chance.choice([1, 1, 2])):
        changed = _damage_entry(changed, chance)
    return changed


def _damage_entry(content: Any, chance: random.Random) -> Any:
    """Go down to an entry by chance; each level is the last one with a probability of a third."""
    if not isinstance(content, dict | list) or not content:
        return chance.choice(VALUES)
    key = chance.choice(list(content)) if isinstance(content, dict) else chance.randrange(len(content))
    if isinstance(content[key], dict | list) and content[key] and chance.random() < 2 / 3:
        content[key] = _damage_entry(content[key], chance)
        return content
    match chance.randrange(6):
        case 0:
            del content[key]
        case 1 if isinstance(content, dict):
            content[chance.choice(TEXTS)] = content.pop(key)
        case 1:
            content.insert(key, content[key])
        case 2 if isinstance(content[key], int | float):
            content[key] = content[key] * chance.choice([-1, 2, 10**9, 0.5]) + chance.choice([0, 1])
        case _:
            content[key] = chance.choice(VALUES)
    return content


def json_bytes(content: Any) -> bytes:
    """JSON that any reader must expect: also NaN and infinity, which Python writes and reads."""
    return json.dumps(content).encode("utf-8")


def damage(content: bytes, chance: random.Random) -> bytes:
    """Damage a file: its bytes, or where it is JSON mostly its entries."""
    if content[:1] in b"{[" and chance.random() < 0.8:
        try:
            before = json.loads(content)
            changed = damage_json(before, chance)
            if isinstance(changed, dict) and "checksum" in before and "checksum" in changed:
                match chance.randrange(4):  # else the checksum would find everything
                    case 0:
                        changed = seal(changed)
                    case 1 | 2:
                        del changed["checksum"]
            return json_bytes(changed)
        except ValueError:
            pass
    return damage_bytes(content, chance)
