"""What can go wrong, as a user should hear it.

    EdgeproofError
    ├── InputError           a file, image, table or option of the user's that cannot be used
    ├── MissingInputError    a stage's input does not exist yet; names the command that makes it
    ├── ModelError           a model that cannot be folded, quantized or exported; names the layer and the remedy
    ├── TargetError          a place that should run jobs cannot be reached, was lost, or has no room; says nothing about a model
    └── RuntimeProblem
        ├── RuntimeMissingError      the interpreter is not installed, or broken, on this machine
        └── UnsupportedModelError    the interpreter works, but cannot run this file (an operator version, a custom operator)

Every message is one line that names the thing and the remedy: commands print it as it stands and exit with code 2.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class EdgeproofError(Exception):
    """Base of every error that is reported to the user without a traceback."""


class InputError(EdgeproofError):
    """A file, image, table or option given by the user cannot be used."""


class MissingInputError(EdgeproofError):
    """A stage needs a file that another command makes."""


class ModelError(EdgeproofError):
    """A model cannot be folded, quantized or exported."""


class TargetError(EdgeproofError):
    """A place that should run jobs cannot be reached, was lost, or has no room."""


class RuntimeProblem(EdgeproofError):
    """An interpreter cannot do what was asked of it."""


class RuntimeMissingError(RuntimeProblem):
    """The interpreter is not installed or does not work on this machine."""


class UnsupportedModelError(RuntimeProblem):
    """The interpreter cannot run this file."""


def first_line(error: Exception) -> str:
    """What a library's exception says, fit for the middle of a one-line message."""
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__).rstrip(".")[:200]


def operator_line(error: Exception) -> str:
    """The line of an interpreter's message that names the operator, without its trailing noise."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if "op" in line.lower() and ("version" in line or "resolve" in line or "custom" in line.lower())]
    return named[0].rstrip(".") if named else first_line(error)


def some_of(names: Sequence[str], shown: int, between: str = ", ") -> str:
    """The first `shown` names and the number of the others: "a, b and 3 more"."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"{between.join(names[:shown])}{more}"


def unknown_name(kind: str, name: str, known: Iterable[str]) -> InputError:
    """The error for a name that is in no registry, with the nearest one that is."""
    from difflib import get_close_matches  # who makes no mistake does not wait for it

    choices = sorted(known)
    nearest = get_close_matches(name, choices, n=1, cutoff=0.5)
    hint = f"Did you mean {nearest[0]!r}?" if nearest else f"Known: {', '.join(choices)}."
    return InputError(f"Unknown {kind} {name!r}. {hint}")
