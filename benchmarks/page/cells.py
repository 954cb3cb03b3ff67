"""A table of the page: what its columns mean, and of each number how it came about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Column:
    """`about` says what its numbers are; a column that is no number and needs no words has none."""

    name: str
    about: str = ""
    number: bool = True
    sortable: bool = True


@dataclass(frozen=True)
class Cell:
    """Text as shown. `tip` is added to what the column says; `key` is sorted by instead of the text."""

    text: str
    tip: str = ""
    key: float | None = None
    verdict: str = ""  # PASS, FAIL, INCONCLUSIVE or UNSUPPORTED: its colour and sign


@dataclass(frozen=True)
class Line:
    """One row; where it was measured and what: the page's filters look at these."""

    cells: Sequence[Cell]
    target: str = ""
    format: str = ""
    runtime: str = ""
    mark: str = ""  # a class of the style sheet


@dataclass(frozen=True)
class Table:
    """Lines under columns; the first cell of each line is its name."""

    label: str
    columns: Sequence[Column]
    lines: Sequence[Line] = field(default_factory=list)


def missing(why: str = "not measured") -> Cell:
    return Cell("–", why)
