"""How long work tells how far it is, without knowing who listens: a terminal, a log, a test."""

from __future__ import annotations

from collections.abc import Callable

# (done, total, note): `note` is a few words that change as the work goes on, such as the accuracy so far.
Progress = Callable[[int, int, str], None]


def silent(done: int, total: int, note: str) -> None:
    """Tells nobody."""
