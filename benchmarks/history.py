"""What was measured, commit by commit: `latency/history.jsonl`, one JSON line an artifact × runtime × target × threads × commit.

Lines are only ever appended, whole or not at all, by one writer at a time. A measurement repeated at the same commit is another line, and readers
take the newest. docs/results.md says what each field means.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NoReturn

from benchmarks.counts import CountResult, CountRow
from benchmarks.predict import Prediction
from benchmarks.reading import check_fields, count, number, or_null, some_fields, text, utc
from benchmarks.results import LatencyResult, LatencyRow
from benchmarks.validity import INVALID
from edge_runtime.errors import InputError, first_line, some_of

SCHEMA = 1
FILE = "latency/history.jsonl"  # in a workspace
_HOST_FACTS = ("cpu", "flags", "cores", "machine")  # what makes times of one machine unlike another's; its kernel and Python are updated in place
_LINES_NAMED = 5


@dataclass(frozen=True)
class PredictedTime:
    """A predicted time with its interval, milliseconds: never a measured one."""

    ms: float
    low_ms: float
    high_ms: float


@dataclass(frozen=True)
class HistoryLine:
    """One artifact on one runtime and target, as it was at one commit. None is what does not apply, or was not known."""

    schema: int
    utc: str
    commit: str | None
    dirty: bool | None
    target: str
    host: str | None
    artifact: str
    format: str
    sha256: str
    bytes: int
    runtime: str
    runtime_version: str
    kernels: str
    threads: int
    measured_predict_p50_us: float | None = None
    measured_invoke_p50_us: float | None = None
    instructions_predict: float | None = None
    instructions_invoke: float | None = None
    predicted_predict_ms: PredictedTime | None = None
    predicted_invoke_ms: PredictedTime | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """Lines with the same one say the same thing, and the newest of them holds. Without a clean commit nothing says that code was the same."""
        when = self.commit if self.commit and not self.dirty else self.utc
        return self.artifact, self.runtime, self.kernels, self.target, self.host, self.threads, when


def history_lines(result: LatencyResult | CountResult, commit: str | None, dirty: bool | None) -> list[HistoryLine]:
    """The lines of one result: every row that ran, but not peers' and those run at a camera's pace. InputError for times that are INVALID."""
    if isinstance(result, CountResult):
        return [HistoryLine(**_common(result, row, commit, dirty, None), **_counted(row)) for row in result.rows]
    if result.validity.startswith(INVALID):
        raise InputError(f"Times of {result.target} are {result.validity}. They are kept, but not recorded in the history.")
    host = host_fingerprint(result.fields["host"])
    rows = [row for row in result.rows if not row.fields.get("peer") and not row.fields.get("rate_hz")]
    return [HistoryLine(**_common(result, row, commit, dirty, host), **_timed(row)) for row in rows]


def host_fingerprint(host: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits of what makes times of one machine unlike another's. host: of edge_runtime.board.host_facts."""
    facts = json.dumps({name: host.get(name) for name in _HOST_FACTS}, sort_keys=True)
    return hashlib.sha256(facts.encode()).hexdigest()[:12]


def _common(
    result: LatencyResult | CountResult, row: LatencyRow | CountRow, commit: str | None, dirty: bool | None, host: str | None
) -> dict[str, Any]:
    own = {name: row.fields[name] for name in ("artifact", "format", "sha256", "bytes", "runtime", "runtime_version", "kernels", "threads")}
    return {"schema": SCHEMA, "utc": result.fields["utc"], "commit": commit, "dirty": dirty, "target": result.target, "host": host, **own}


def _timed(row: LatencyRow) -> dict[str, Any]:
    medians = {scope: row.percentile_us(50, scope) for scope in ("predict", "invoke")}
    return {f"measured_{scope}_p50_us": None if median is None else round(median, 3) for scope, median in medians.items()}


def _counted(row: CountRow) -> dict[str, Any]:
    counts = {f"instructions_{scope}": row.per_inference(scope) for scope in ("predict", "invoke")}
    return {**counts, **{f"predicted_{scope}_ms": _predicted(row.predicted(scope)) for scope in ("predict", "invoke")}}


def _predicted(time: Prediction | None) -> PredictedTime | None:
    return PredictedTime(*(float(f"{value:.4g}") for value in (time.milliseconds, time.low, time.high))) if time else None


def check_appendable(path: Path) -> None:
    """InputError for a place that no history can be kept at: before anything is measured, not after."""
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is not a file: a history cannot be kept there.")


def append_history(path: Path, lines: Sequence[HistoryLine]) -> None:
    """Append whole lines, whoever else does so at the same time. After an error, Ctrl-C or a full disk, the file is as it was."""
    written = b"".join(json.dumps(asdict(line)).encode() + b"\n" for line in lines)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)  # given back when the file is closed, or its process dies
            _append(file, written)
        finally:
            os.close(file)
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror}.") from None


def _append(file: int, written: bytes) -> None:
    before = os.fstat(file).st_size
    if before and os.pread(file, 1, before - 1) != b"\n":  # a line torn when the machine went down must not take ours with it
        written = b"\n" + written
    try:
        while written:
            written = written[os.write(file, written) :]
        os.fsync(file)
    except BaseException:
        os.ftruncate(file, before)
        raise


def read_history(path: Path) -> tuple[list[HistoryLine], list[str]]:
    """(lines, problems): the newest line of each key, oldest first, and one sentence for each reason why others are left out.

    A file that is not there is an empty history.
    """
    try:
        texts = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return [], []
    except OSError as error:
        return [], [f"Cannot read {path} ({error.strerror})."]
    lines: list[HistoryLine] = []
    left_out: dict[str, list[str]] = {}
    for index, content in enumerate(texts, start=1):
        try:
            if content.strip():
                lines.append(_parse(content))
        except ValueError as error:
            left_out.setdefault(first_line(error), []).append(str(index))
    newest = {line.key: line for line in sorted(lines, key=lambda line: line.utc)}
    return sorted(newest.values(), key=lambda line: line.utc), [_problem(path, numbers, reason) for reason, numbers in left_out.items()]


def _problem(path: Path, numbers: Sequence[str], reason: str) -> str:
    return f"{path}: {'lines' if len(numbers) > 1 else 'line'} {some_of(numbers, _LINES_NAMED)} left out: {reason}"


def _parse(content: bytes) -> HistoryLine:
    """ValueError with the reason, for a line that was torn, damaged, or written by something else."""
    try:
        given = json.loads(content.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise ValueError("not JSON, perhaps cut off") from None
    if not isinstance(given, dict) or not isinstance(given.get("schema"), int):
        raise ValueError("not written by edgeproof")
    if given["schema"] > SCHEMA:
        raise ValueError(f"it has schema {given['schema']}, this edgeproof reads {SCHEMA}: upgrade it")
    check_fields(given, _RIGHT)
    known: dict[str, Any] = {name: given[name] for name in _NAMES}
    for name in _PREDICTED:
        known[name] = given[name] and PredictedTime(**{part: given[name][part] for part in _PARTS})
    return HistoryLine(**known)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


_NAMES = tuple(field.name for field in fields(HistoryLine))
_PARTS = tuple(field.name for field in fields(PredictedTime))
_PREDICTED = ("predicted_predict_ms", "predicted_invoke_ms")
_RIGHT = {
    **dict.fromkeys(("target", "artifact", "format", "sha256", "runtime", "runtime_version", "kernels"), text),
    **dict.fromkeys(("commit", "host"), or_null(text)),
    **dict.fromkeys(("schema", "bytes", "threads"), count),
    **dict.fromkeys([name for name in _NAMES if name.startswith(("measured", "instructions"))], or_null(number)),
    **dict.fromkeys(_PREDICTED, or_null(some_fields(dict.fromkeys(_PARTS, number)))),
    "utc": utc,
    "dirty": lambda value: value is None or isinstance(value, bool),
}
