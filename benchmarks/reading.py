"""Reading files that may be anyone's: what is wrong with one is named in a sentence, and the others are read all the same."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from edge_runtime.errors import InputError


class Session(Protocol):
    """What every kind of result is."""

    @property
    def fields(self) -> Mapping[str, Any]: ...


Result = TypeVar("Result", bound=Session)
Right = Callable[[Any], bool]  # whether a value can be what a field holds

# What reading half a file, another tool's, or none raises, in JSON's reader or when a field is looked at.
DAMAGE = (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, ArithmeticError, RecursionError, zlib.error)
_UTC = re.compile(r"\d{8}T\d{6}Z")
_MOST = 1e300  # false for infinity and NaN, too
_SHOWN = 40  # characters of a value in a message


def readable(paths: Iterable[Path], read: Callable[[Path], Result]) -> tuple[list[Result], list[str]]:
    """What `read` makes of each file, and a sentence for each that it refuses (with InputError)."""
    results, problems = [], []
    for path in paths:
        try:
            results.append(read(path))
        except InputError as error:
            problems.append(str(error))
    return results, problems


def unheard(problem: str) -> None:
    """For a caller who has nobody to tell."""


def read_all(paths: Iterable[Path], read: Callable[[Path], Result], say: Callable[[str], None]) -> list[Result]:
    """What `read` makes of each file that it can read; the others are said."""
    found, problems = readable(paths, read)
    for problem in problems:
        say(f"left out: {problem}")
    return found


def newest(paths: Iterable[Path], read: Callable[[Path], Result], say: Callable[[str], None]) -> Result | None:
    """The result that was made last, by what it says itself; those that cannot be read are said. None when none can be."""
    found = read_all(sorted(paths), read, say)
    return max(found, key=lambda result: str(result.fields["utc"]), default=None)


def check_fields(fields: Mapping[str, Any], right: Mapping[str, Right]) -> None:
    """ValueError for the first field that is missing, or holds what it cannot. A reader must not find out in the middle of a table."""
    for name, is_right in right.items():
        if name not in fields:
            raise ValueError(f"it lacks {name}")
        if not is_right(fields[name]):
            raise ValueError(f"its {name} cannot be {str(fields[name])[:_SHOWN]!r}")


def text(value: Any) -> bool:
    return isinstance(value, str)


def utc(value: Any) -> bool:
    """A time as results write it."""
    return isinstance(value, str) and bool(_UTC.fullmatch(value))


def count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def number(value: Any) -> bool:
    """Of seconds, instructions or bytes: finite, and not negative."""
    return finite(value) and value >= 0


def finite(value: Any) -> bool:
    """A number that may be negative, such as a difference."""
    return type(value) in (int, float) and abs(value) < _MOST


def some_fields(right: Mapping[str, Right]) -> Right:
    """An object with at least these fields."""
    return lambda value: isinstance(value, Mapping) and all(name in value and is_right(value[name]) for name, is_right in right.items())


def or_null(is_right: Right) -> Right:
    return lambda value: value is None or is_right(value)


def each(is_right: Right) -> Right:
    """A list of such values."""
    return lambda value: isinstance(value, list) and all(map(is_right, value))
