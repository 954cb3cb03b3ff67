"""Edgeproof's files against what other tools make of the same baseline: one row a peer and runtime, as `peers/peers.json` holds it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.parity import FAIL, INCONCLUSIVE, PASS, UNSUPPORTED, Row
from benchmarks.reading import DAMAGE, check_fields, count, each, finite, number, or_null, some_fields, text, utc
from benchmarks.results import LatencyResult, LatencyRow
from benchmarks.statistics import ratio_interval
from edge_runtime.errors import InputError, first_line

SCHEMA = 1
OURS = "ours"  # what a latency row names as its peer where a file of ours runs on a runtime that only peers are made for
# Copies of one ONNX file in one process were up to 1.7 % apart in four sessions of a busy machine, and otherwise so in the next one; an A/A
# pair may be 2 % off before a session is INVALID. So less than that, found in one session, is no difference.
ALIKE = 0.02
MOST_IMAGES = 10**7  # more than anybody judges on; exact tests of damaged numbers would take for ever
_ANSWERS = {FAIL: "; it loses answers", INCONCLUSIVE: "; its answers are not proven"}


@dataclass(frozen=True)
class PeerRow:
    """One peer on one runtime. None where it could not be made or run, or where nothing of ours was measured beside it; `reason` says why.

    ratio: time of ours / time of the peer, scope predict, medians of paired blocks, with its 99 % interval: below 1 ours is faster.
    """

    peer: str
    title: str
    how: str
    runtime: str
    artifact: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    runtime_version: str | None = None
    accuracy: float | None = None
    drop_pp: float | None = None
    drop_lower_pp: float | None = None
    drop_upper_pp: float | None = None
    broken: int | None = None
    fixed: int | None = None
    verdict: str | None = None
    int8_macs_percent: float | None = None
    p50_us: float | None = None
    ours: str | None = None
    ours_sha256: str | None = None
    ours_runtime: str | None = None  # another one than `runtime` where ours does not run on that
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    reason: str = ""


# What fields can hold.
_JUDGED = {
    **{"accuracy": lambda value: number(value) and value <= 1, "verdict": lambda value: value in (PASS, FAIL, INCONCLUSIVE, UNSUPPORTED)},
    **dict.fromkeys(("broken", "fixed"), lambda value: count(value) and value <= MOST_IMAGES),
    **dict.fromkeys(("drop_pp", "drop_lower_pp", "drop_upper_pp"), finite),
}
_TIMED = {
    **dict.fromkeys(("ours", "ours_sha256", "ours_runtime"), text),
    **dict.fromkeys(("ratio", "ratio_low", "ratio_high"), lambda value: number(value) and value > 0),
}
_FILE = {**dict.fromkeys(("artifact", "sha256"), text), "bytes": count}
_RIGHT_ROW = {
    **dict.fromkeys(("peer", "title", "how", "runtime", "reason"), text),
    **{name: or_null(is_right) for name, is_right in {**_FILE, **_JUDGED, **_TIMED}.items()},
    **{"runtime_version": or_null(text), "int8_macs_percent": or_null(number), "p50_us": or_null(number)},
}
_RECORD = {
    **{**_FILE, "answers": text, "int8_macs_percent": or_null(number)},
    **{"refused": lambda value: isinstance(value, Mapping) and all(map(text, value.values())), "made_from": lambda value: isinstance(value, Mapping)},
}
_RIGHT = {
    **{"baseline_sha256": or_null(text), "target": text, "images": lambda value: count(value) and 0 < value <= MOST_IMAGES},
    **{"utc": utc, "rows": each(lambda row: isinstance(row, Mapping)), "made": lambda value: isinstance(value, Mapping)},
}


def read_peers(path: Path) -> dict[str, Any]:
    """The fields of `peers/peers.json`; InputError when the file is missing, damaged, foreign or from a newer edgeproof."""
    try:
        fields = json.loads(path.read_text())
        if not isinstance(fields, dict) or "schema" not in fields:
            raise ValueError("it holds no peers")
        if fields["schema"] != SCHEMA:
            raise InputError(f"{path} has schema {fields['schema']}, this edgeproof reads {SCHEMA}: upgrade it.")
        check_fields(fields, _RIGHT)
        for row in fields["rows"]:
            _check_row(row)
        for record in fields["made"].values():
            if not some_fields(_RECORD)(record):
                raise ValueError("what it says of a file that was made is damaged")
        return fields
    except DAMAGE as error:
        raise InputError(f"Cannot read peers {path} ({first_line(error)}).") from None


def _check_row(row: Mapping[str, Any]) -> None:
    """ValueError for a row with a field that is missing, or wrong by itself or beside the others."""
    check_fields(row, _RIGHT_ROW)
    if row["accuracy"] is not None:
        check_fields(row, {**_FILE, **_JUDGED})
    if row["ratio"] is not None:
        check_fields(row, {**_TIMED, "p50_us": number})


def judged(row: Row) -> dict[str, Any]:
    """What parity says of a peer, as fields of its PeerRow."""
    names = ("runtime_version", "accuracy", "drop_pp", "drop_lower_pp", "drop_upper_pp", "broken", "fixed", "verdict")
    return {name: getattr(row, name) for name in names}


def timed(result: LatencyResult, peer: str, runtime: str, ours: str) -> dict[str, Any]:
    """What one session says of a peer on a runtime, as fields of its PeerRow. ours: the format that it stands in for.

    Compared on the same runtime where ours was measured there, else with ours wherever it ran.
    """
    mine = _find(result, runtime, peer=peer)
    if mine is None:
        return {}
    facts: dict[str, Any] = {"p50_us": mine.percentile_us(50)}
    other = _find(result, runtime, format=ours) or _find(result, runtime, peer=OURS, format=ours) or _find(result, None, format=ours)
    if other is None:
        return facts
    ratio, low, high = ratio_interval(other.block_medians_us(), mine.block_medians_us())  # rounds in common: one session
    identity = {"ours": other.fields["artifact"], "ours_sha256": other.fields["sha256"], "ours_runtime": other.fields["runtime"]}
    return {**facts, **identity, "ratio": ratio, "ratio_low": low, "ratio_high": high}


def _find(result: LatencyResult, runtime: str | None, *, peer: str | None = None, format: str | None = None) -> LatencyRow | None:
    """The first row of that peer (None: of edgeproof) with the session's first number of threads."""
    threads = result.fields["threads"]
    for row in result.rows:
        same = (row.fields["peer"], row.threads) == (peer, threads) and runtime in (None, row.fields["runtime"])
        if same and format in (None, row.fields["format"]):
            return row
    return None


def in_words(row: PeerRow | Mapping[str, Any]) -> str:
    """What the row comes to, for somebody who wonders whether edgeproof was worth it."""
    fields = row if isinstance(row, Mapping) else vars(row)
    if fields["artifact"] is None:
        return "not made"
    if fields["accuracy"] is None:
        return "does not run"
    if fields["ratio"] is None:
        return "nothing of ours was measured beside it"
    where = "" if fields["ours_runtime"] == fields["runtime"] else f", ours on {fields['ours_runtime']}"
    return f"{_speed(fields['ratio'], fields['ratio_low'], fields['ratio_high'])}{where}{_ANSWERS.get(fields['verdict'], '')}"


def _speed(ratio: float, low: float, high: float) -> str:
    if low <= 1 + ALIKE and high >= 1 - ALIKE:
        return "as fast, within 2 %" if abs(ratio - 1) <= ALIKE else "no significant difference"
    if ratio < 0.5:
        return f"ours is {1 / ratio:.1f} times as fast"
    return f"ours takes {abs(100 * (1 - ratio)):.0f} % {'less' if ratio < 1 else 'more'} time"
