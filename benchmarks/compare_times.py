"""Is it slower than it was? Times against earlier ones, in the two ways in which that can be told where times do not repeat.

side by side   The earlier files themselves, measured in the same session as the present ones, block by block: the ratio is of the two files and
               of nothing else. The strongest form; it needs the files, and says what changed in them, not in a runtime.
normalised     An earlier session's result. Its absolute times are those of another day, so each row is divided by its own session's float32 row
               on the same runtime and threads, and the quotients are compared. It tells what happened to a format relative to float32:
               what slows both alike goes unseen, and the float32 rows themselves are not judged.

Both give a ratio (now / earlier, scope `predict`) with a 99 % bootstrap interval. Two loads of one file lie at different addresses, and that alone
is worth up to about a percent, so that less than 2 % is called no significant change (`statistics.differs`). A row fails when its whole
interval is past what is allowed, and is INCONCLUSIVE when the limit lies inside; also when the session's A/A pair is off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.limits import Verdict, worst
from benchmarks.outputs import file_part
from benchmarks.reading import newest
from benchmarks.results import LatencyResult, LatencyRow, read_result
from benchmarks.statistics import differs, ratio_interval, ratio_of_ratios
from edge_runtime.errors import InputError

DEFAULT_SLOWDOWN_PERCENT = 5.0
_HOST = ("cpu", "machine", "cores", "governor")
_RUNTIME = ("runtime_version", "kernels")


@dataclass(frozen=True)
class TimeChange:
    """One artifact on one runtime, now against earlier."""

    row: LatencyRow
    ratio: float  # now / earlier: above 1 is slower
    low: float
    high: float
    most_percent: float

    @property
    def verdict(self) -> Verdict:
        limit = 1 + self.most_percent / 100
        if self.low > limit:
            return Verdict.FAIL
        return Verdict.INCONCLUSIVE if self.high > limit else Verdict.PASS

    def line(self, trusted: bool = True) -> str:
        """What to print of it."""
        told = f"{_subject(self.row)}: {self.ratio:.3f} times ({self.low:.3f} to {self.high:.3f}) what it took before"
        if not trusted:
            return f"INCONCLUSIVE: {told}, in a session whose A/A pair is off"
        if self.verdict is Verdict.FAIL:
            return f"SLOWER: {told}, more than the {self.most_percent:g} % allowed"
        if self.verdict is Verdict.INCONCLUSIVE:
            return f"INCONCLUSIVE: {told}: {self.most_percent:g} % more lies within the interval, --seconds makes it narrower"
        if not differs(self.ratio, self.low, self.high):
            return f"no significant change: {told}"
        return f"{'faster' if self.ratio < 1 else 'slower, as far as allowed'}: {told}"


@dataclass(frozen=True)
class TimeComparison:
    """All rows that could be compared, and those that could not."""

    changes: tuple[TimeChange, ...]
    lost: tuple[str, ...]  # measured then and not now, with the reason
    notes: tuple[str, ...]  # what was not compared, and why that is no fault
    trusted: bool  # whether the session's A/A pair allows to believe a ratio

    @property
    def verdict(self) -> Verdict:
        if not self.trusted:
            return Verdict.INCONCLUSIVE
        return worst([change.verdict for change in self.changes] + [Verdict.FAIL] * bool(self.lost))

    @property
    def lines(self) -> list[str]:
        return [change.line(self.trusted) for change in self.changes] + [f"LOST: {line}" for line in self.lost] + list(self.notes)

    def to_dict(self) -> dict[str, Any]:
        rows = [
            {
                "artifact": change.row.key[0],
                "runtime": change.row.key[1],
                "threads": change.row.threads,
                "ratio": change.ratio,
                "low": change.low,
                "high": change.high,
                "verdict": change.verdict.value,
            }
            for change in self.changes
        ]
        return {"verdict": self.verdict.value, "passed": self.verdict is Verdict.PASS, "rows": rows, "lines": self.lines}


def compare_side_by_side(now: LatencyResult, most_percent: float = DEFAULT_SLOWDOWN_PERCENT) -> TimeComparison:
    """The rows of a session with those of the files measured beside them. InputError when nothing pairs."""
    pairs = [(row, _same_file(row, now.rows, now.reference_rows)) for row in now.rows]
    changes = [
        TimeChange(row, *ratio_interval(row.block_medians_us(), other.block_medians_us()), most_percent) for row, other in pairs if other is not None
    ]
    met = [other.fields for _, other in pairs if other is not None]
    lost = [f"{_subject(row)}: {_why(row, now)}" for row in now.reference_rows if row.fields not in met]
    new = [f"new: {_subject(row)}, not in the reference" for row, other in pairs if other is None]
    failed = [f"not compared: {row['artifact']} on {row['runtime']}, then: {row['reason']}" for row in now.fields["reference_rows"] if row["reason"]]
    return _comparison(now, changes, lost, [*new, *failed])


def compare_normalised(now: LatencyResult, earlier: LatencyResult, most_percent: float = DEFAULT_SLOWDOWN_PERCENT) -> TimeComparison:
    """The rows of two sessions, each by its own session's float32 row. InputError for unlike sessions, and when nothing can be compared."""
    check_alike(now, earlier)
    changes, lost, notes = [], [], []
    for then in earlier.rows:
        row = now.find(*then.key, then.threads, then.rate_hz)
        if row is None:
            lost.append(f"{_subject(then)}: {_why(then, now)}")
            continue
        _check_runtime(row, then)
        by_now, by_then = _yardstick(row, now), _yardstick(then, earlier)
        if row.fields["format"] == _yardstick_format(row):
            continue
        if by_now is None or by_then is None:
            notes.append(f"not compared: {_subject(row)}: no {_yardstick_format(row)} beside it in both sessions")
            continue
        sides = [one.block_medians_us() / other.block_medians_us() for one, other in ((row, by_now), (then, by_then))]
        changes.append(TimeChange(row, *ratio_of_ratios(*sides), most_percent))
    notes += [f"new: {_subject(row)}, not in the reference" for row in now.rows if earlier.find(*row.key, row.threads, row.rate_hz) is None]
    return _comparison(now, changes, lost, notes)


def _comparison(now: LatencyResult, changes: Sequence[TimeChange], lost: Sequence[str], notes: Sequence[str]) -> TimeComparison:
    if not changes and not lost:
        raise InputError(f"The reference has nothing to compare with this: {'; '.join(notes) or 'it is empty'}.")
    return TimeComparison(tuple(changes), tuple(lost), tuple(notes), trusted(now))


def trusted(result: LatencyResult) -> bool:
    """Whether the session's A/A pair allows to believe its ratios."""
    return result.aa is None or not differs(result.aa["ratio"], result.aa["low"], result.aa["high"])


def check_alike(now: LatencyResult, earlier: LatencyResult) -> None:
    """InputError, naming what differs, for sessions of unlike targets, hosts, numbers of threads or paces."""
    mine, theirs = _circumstances(now), _circumstances(earlier)
    unlike = [f"{name} {mine[name]} with {theirs[name]}" for name in mine if mine[name] != theirs[name]]
    if unlike:
        raise InputError(f"Times compare only on one machine, with as many threads at the same pace, not {', '.join(unlike)}.")
    if not trusted(earlier):
        raise InputError(f"The reference is {earlier.validity}.")


def _circumstances(session: LatencyResult) -> dict[str, Any]:
    return {
        "target": session.target,
        **{name: session.fields["host"].get(name) for name in _HOST},
        "board": (session.fields.get("board") or {}).get("model"),
        "threads": ",".join(map(str, sorted({row.threads for row in session.rows}))),
        "rate": ",".join(sorted({"none" if row.rate_hz is None else f"{row.rate_hz:g} Hz" for row in session.rows})),
    }


def _check_runtime(now: LatencyRow, then: LatencyRow) -> None:
    unlike = [f"{name} {now.fields[name]} with {then.fields[name]}" for name in _RUNTIME if now.fields[name] != then.fields[name]]
    if unlike:
        remedy = "give the earlier files instead of their result, to measure both side by side"
        raise InputError(f"Times compare only on one runtime, not {now.key[1]} of {', '.join(unlike)}: {remedy}.")


def _same_file(row: LatencyRow, own: Sequence[LatencyRow], others: Sequence[LatencyRow]) -> LatencyRow | None:
    """What the row is compared with: of the same name under the same conditions, else the only one of the same format, if it is the only one here."""

    def alike(rows: Sequence[LatencyRow], field: str) -> list[LatencyRow]:
        return [one for one in rows if (one.key[1], one.threads, one.fields[field]) == (row.key[1], row.threads, row.fields[field])]

    same = alike(others, "artifact") or (alike(others, "format") if len(alike(own, "format")) == 1 else [])
    return same[0] if len(same) == 1 else None


def _yardstick_format(row: LatencyRow) -> str:
    return f"{row.fields['format'].split('-')[0]}-float32"


def _yardstick(row: LatencyRow, session: LatencyResult) -> LatencyRow | None:
    wanted = (_yardstick_format(row), row.key[1], row.threads)
    return next((other for other in session.rows if (other.fields["format"], other.key[1], other.threads) == wanted), None)


def _subject(row: LatencyRow) -> str:
    return f"{row.key[0]} on {row.key[1]}, {row.threads} thread(s)"


def _why(row: LatencyRow, now: LatencyResult) -> str:
    reasons = [one["reason"] for one in now.fields["rows"] if (one["artifact"], one["runtime"]) == row.key and one["reason"]]
    return reasons[0] if reasons else "in the reference, and not measured now"


def find_timed(place: Path, target: str, say: Callable[[str], None]) -> LatencyResult:
    """The result in a file, or the newest of a target in a folder, where others that cannot be read are named. InputError when there is none."""
    if not place.is_dir():
        return read_result(place)
    name = file_part(target)
    found = newest([*place.glob(f"{name}.json"), *place.glob(f"{name}-????????T??????Z.json")], read_result, say)
    if found is None:
        raise InputError(f"{place} holds neither a model nor a result of {target}: give an earlier workspace, or a file of its latency/.")
    return found
