"""Is it slower than it was? Times against earlier ones, in the two ways in which that can be told where times do not repeat.

side by side   The earlier files themselves, measured in the same session as the present ones, block by block: the ratio is of the two files and
               of nothing else. The strongest form; it needs the files, and says what changed in them, not in a runtime.
normalised     An earlier session's result. Its absolute times are those of another day, so each row is divided by its own session's float32 row
               on the same runtime and threads, and the quotients are compared. It tells what happened to a format relative to float32:
               what slows both alike goes unseen, and the float32 rows themselves are not judged.

Both give a ratio (now / earlier, scope `predict`) with a 99 % bootstrap interval. Two loads of one file lie at different addresses, and that alone
is worth up to about a percent, so that less than 2 % is called no significant change (`statistics.differs`), and no smaller limit is taken. Of two
sessions the interval is 2 % wider on either side: rounds of one session tell nothing of the addresses that another's models lie at.
A row fails when it differs and its whole interval is past what is allowed, and is INCONCLUSIVE when the limit lies inside; also when the session's
A/A pair is off. What other tools made is no part of a comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.limits import Verdict, worst
from benchmarks.outputs import file_part
from benchmarks.reading import newest, unheard
from benchmarks.results import LatencyResult, LatencyRow, read_result
from benchmarks.statistics import LEAST_DIFFERENCE, differs, ratio_interval, ratio_of_ratios
from benchmarks.steadiness import contradicts_itself
from edge_runtime.bench import in_threads
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
    narrower: str = "--seconds makes it narrower"  # what does so to the interval

    @property
    def verdict(self) -> Verdict:
        limit = 1 + self.most_percent / 100
        if self.low > limit and differs(self.ratio, self.low, self.high):
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
            return f"INCONCLUSIVE: {told}: {self.most_percent:g} % more lies within the interval, {self.narrower}"
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


def check_slowdown_of_times(most_percent: float) -> None:
    """InputError for a limit that times cannot tell."""
    if not most_percent >= 100 * LEAST_DIFFERENCE:  # false for NaN, too
        least = f"{100 * LEAST_DIFFERENCE:g}"
        raise InputError(f"Of times, --max-slowdown is at least {least}, got {most_percent:g}: two loads of one file can differ by {least} %.")


def compare_side_by_side(now: LatencyResult, most_percent: float = DEFAULT_SLOWDOWN_PERCENT) -> TimeComparison:
    """The rows of a session with those of the files measured beside them. InputError when nothing pairs, and for a limit that times cannot tell."""
    check_slowdown_of_times(most_percent)
    own = _own(now)
    pairs = [(row, _same_file(row, own, now.reference_rows)) for row in own]
    changes = [
        TimeChange(row, *ratio_interval(row.block_medians_us(), other.block_medians_us()), most_percent) for row, other in pairs if other is not None
    ]
    met = [other.fields for _, other in pairs if other is not None]
    lost = [f"{_subject(row)}: {_why(row, now)}" for row in now.reference_rows if row.fields not in met]
    new = [f"new: {_subject(row)}, not in the reference" for row, other in pairs if other is None]
    failed = [f"not compared: {row['artifact']} on {row['runtime']}, then: {row['reason']}" for row in now.fields["reference_rows"] if row["reason"]]
    return _comparison(now, changes, lost, [*new, *failed])


def compare_normalised(now: LatencyResult, earlier: LatencyResult, most_percent: float = DEFAULT_SLOWDOWN_PERCENT) -> TimeComparison:
    """The rows of two sessions, each by its own session's float32 row. InputError for unlike sessions, when nothing can be compared, and for a
    limit that times cannot tell."""
    check_slowdown_of_times(most_percent)
    check_alike(now, earlier)
    check_judged(earlier)
    changes, lost, notes = [], [], []
    for then in _own(earlier):
        row = now.find(*then.key, then.threads, then.rate_hz)
        if row is None:
            lost.append(f"{_subject(then)}: {_why(then, now)}")
            continue
        check_runtime(row.fields, then)
        by_now, by_then = _yardstick(row, now), _yardstick(then, earlier)
        if _is_yardstick(row):
            continue
        if by_now is None or by_then is None:
            notes.append(f"not compared: {_subject(row)}: no {_yardstick_format(row)} beside it in both sessions")
            continue
        sides = [one.block_medians_us() / other.block_medians_us() for one, other in ((row, by_now), (then, by_then))]
        changes.append(_between_sessions(row, ratio_of_ratios(*sides), most_percent))
    notes += [f"new: {_subject(row)}, not in the reference" for row in _own(now) if earlier.find(*row.key, row.threads, row.rate_hz) is None]
    return _comparison(now, changes, lost, notes)


def _between_sessions(row: LatencyRow, told: tuple[float, float, float], most_percent: float) -> TimeChange:
    """The interval as wide as the unlike addresses of two sessions make it."""
    ratio, low, high = told
    wider = 1 + LEAST_DIFFERENCE
    return TimeChange(row, ratio, low / wider, high * wider, most_percent, "the earlier files tell more than their result")


def _own(session: LatencyResult) -> list[LatencyRow]:
    """The rows of the workspace's files, without what other tools made."""
    return [row for row in session.rows if row.fields["peer"] is None]


def _comparison(now: LatencyResult, changes: Sequence[TimeChange], lost: Sequence[str], notes: Sequence[str]) -> TimeComparison:
    if not changes and not lost:
        raise InputError(f"The reference has nothing to compare with this: {'; '.join(notes) or 'it is empty'}.")
    return TimeComparison(tuple(changes), tuple(lost), tuple(notes), not contradicts_itself(now.aa))


def check_judged(earlier: LatencyResult) -> None:
    """InputError for a reference in which nothing can be judged: by its float32 rows, which are not judged themselves."""
    judged = [row for row in _own(earlier) if not _is_yardstick(row)]
    if not judged:
        held = ", ".join(dict.fromkeys(row.key[0] for row in _own(earlier))) or "none"
        raise InputError(f"The reference holds only float32 rows, by which others are judged ({held}): give the earlier files instead.")
    if not any(_yardstick(row, earlier) for row in judged):
        wanted = ", ".join(dict.fromkeys(map(_yardstick_format, judged)))
        raise InputError(f"The reference cannot judge {judged[0].key[0]}: no {wanted} beside it. Give the earlier files instead.")


def check_alike(now: LatencyResult, earlier: LatencyResult) -> None:
    """InputError, naming what differs, for sessions of unlike targets, hosts, numbers of threads or paces; and for a reference without times."""
    if not earlier.rows:
        raise InputError(f"The reference of {earlier.target} holds no times: none of its files could be measured.")
    mine, theirs = _circumstances(now), _circumstances(earlier)
    if not now.rows:  # then all is lost, and no pace is known
        mine |= {name: theirs[name] for name in ("threads", "rate")}
    unlike = [f"{name} {mine[name]} with {theirs[name]}" for name in mine if mine[name] != theirs[name]]
    if unlike:
        raise InputError(f"Times compare only on one machine, with as many threads at the same pace, not {', '.join(unlike)}.")
    if contradicts_itself(earlier.aa):
        raise InputError(f"The reference is {earlier.validity}.")


def _circumstances(session: LatencyResult) -> dict[str, Any]:
    return {
        "target": session.target,
        **{name: session.fields["host"].get(name) for name in _HOST},
        "board": (session.fields.get("board") or {}).get("model"),
        "threads": ",".join(map(str, sorted({row.threads for row in session.rows}))),
        "rate": ",".join(sorted({"none" if row.rate_hz is None else f"{row.rate_hz:g} Hz" for row in session.rows})),
    }


def check_runtime(now: Mapping[str, Any], then: LatencyRow) -> None:
    """InputError for another version of the runtime, or other kernels. now: of these, what is known."""
    unlike = [f"{name} {now[name]} with {then.fields[name]}" for name in _RUNTIME if name in now and now[name] != then.fields[name]]
    if unlike:
        remedy = "give the earlier files instead of their result, to measure both side by side"
        raise InputError(f"Times compare only on one runtime, not {then.key[1]} of {', '.join(unlike)}: {remedy}.")


def _same_file(row: LatencyRow, own: Sequence[LatencyRow], others: Sequence[LatencyRow]) -> LatencyRow | None:
    """What the row is compared with: of its format under the same conditions, the one of its name, or else the only one beside its only one."""

    def alike(rows: Sequence[LatencyRow]) -> list[LatencyRow]:
        return [one for one in rows if (one.fields["format"], one.key[1], one.threads) == (row.fields["format"], row.key[1], row.threads)]

    candidates = alike(others)
    named = [one for one in candidates if one.key[0] == row.key[0]]
    found = named or (candidates if len(alike(own)) == 1 else [])
    return found[0] if len(found) == 1 else None


def _yardstick_format(row: LatencyRow) -> str:
    return f"{row.fields['format'].split('-')[0]}-float32"


def _is_yardstick(row: LatencyRow) -> bool:
    return bool(row.fields["format"] == _yardstick_format(row))


def _yardstick(row: LatencyRow, session: LatencyResult) -> LatencyRow | None:
    wanted = (_yardstick_format(row), row.key[1], row.threads)
    return next((other for other in _own(session) if (other.fields["format"], other.key[1], other.threads) == wanted), None)


def _subject(row: LatencyRow) -> str:
    return f"{row.key[0]} on {row.key[1]}, {in_threads(row.threads)}"


def _why(row: LatencyRow, now: LatencyResult) -> str:
    reasons = [one["reason"] for one in now.fields["rows"] if (one["artifact"], one["runtime"]) == row.key and one["reason"]]
    return reasons[0] if reasons else "in the reference, and not measured now"


def find_timed(place: Path, target: str, say: Callable[[str], None] = unheard) -> LatencyResult:
    """The result in a file, or the newest of a target in a folder, where others that cannot be read are named. InputError when there is none."""
    if not place.is_dir():
        return read_result(place)
    name = file_part(target)
    found = newest([*place.glob(f"{name}.json"), *place.glob(f"{name}-????????T??????Z.json")], read_result, say)
    if found is None:
        raise InputError(f"{place} holds neither a model nor a result of {target}: give an earlier workspace, or a file of its latency/.")
    return found
