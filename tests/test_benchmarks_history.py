from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.counts import CountResult, read_counts
from benchmarks.history import SCHEMA, HistoryLine, PredictedTime, append_history, history_lines, host_fingerprint, read_history
from benchmarks.results import LatencyResult, read_result
from benchmarks.tables import FOLDER
from benchmarks.validity import INVALID
from edge_runtime.errors import InputError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LINE = HistoryLine(
    SCHEMA, "20260101T000000Z", COMMIT, False, "local", "ab12",
    "net.tflite", "tflite-int8", "cd" * 32, 28_500, "ai-edge-litert", "2.3.0", "default", 1,
    measured_predict_p50_us=15.5, predicted_invoke_ms=PredictedTime(0.3, 0.2, 0.4),
)  # fmt: skip


@pytest.fixture(scope="module")
def timed() -> LatencyResult:
    return read_result(FOLDER / "local.json")


@pytest.fixture(scope="module")
def counted() -> CountResult:
    return read_counts(FOLDER / "sim-pi4.json")


def test_times_are_recorded_as_measured_and_nothing_else(timed: LatencyResult, tmp_path: Path) -> None:
    append_history(tmp_path / "latency/history.jsonl", history_lines(timed, COMMIT, False))
    lines, problems = read_history(tmp_path / "latency/history.jsonl")
    assert problems == []
    assert {(line.artifact, line.runtime) for line in lines} == {row.key for row in timed.rows}
    for line in lines:
        row = timed.find(line.artifact, line.runtime)
        assert row is not None
        assert line.measured_predict_p50_us == pytest.approx(row.percentile_us(50, "predict"), abs=0.001)
        assert line.measured_invoke_p50_us == pytest.approx(row.percentile_us(50, "invoke"), abs=0.001)
        assert (line.commit, line.dirty, line.target, line.host) == (COMMIT, False, "local", host_fingerprint(timed.fields["host"]))
        assert (line.instructions_invoke, line.predicted_invoke_ms, line.predicted_predict_ms) == (None, None, None)


def test_counts_are_recorded_with_predicted_times_and_no_measured_one(counted: CountResult, tmp_path: Path) -> None:
    append_history(tmp_path / "history.jsonl", history_lines(counted, None, None))
    lines, _ = read_history(tmp_path / "history.jsonl")
    rows = {row.key[:2]: row for row in counted.rows}
    assert {(line.artifact, line.runtime) for line in lines} == set(rows)
    for line in lines:
        row, time_ = rows[line.artifact, line.runtime], line.predicted_invoke_ms
        predicted = row.predicted("invoke")
        assert predicted is not None
        assert time_ is not None
        assert line.instructions_invoke == row.per_inference("invoke")
        assert (time_.ms, time_.low_ms, time_.high_ms) == pytest.approx((predicted.milliseconds, predicted.low, predicted.high), rel=1e-3)
        assert (line.measured_predict_p50_us, line.measured_invoke_p50_us, line.host, line.commit) == (None, None, None, None)


def test_invalid_times_are_refused_with_the_reason(timed: LatencyResult) -> None:
    hot = LatencyResult({**timed.fields, "validity": {"verdict": INVALID, "reasons": ["throttled while it was timed"]}})
    with pytest.raises(InputError, match="INVALID: throttled while it was timed.*not recorded"):
        history_lines(hot, COMMIT, False)


@pytest.mark.parametrize("changes", [{"peer": "plain converter"}, {"rate_hz": 10.0}])
def test_what_is_no_state_of_ours_is_not_recorded(timed: LatencyResult, changes: dict[str, Any]) -> None:
    first, *others = timed.fields["rows"]
    lines = history_lines(LatencyResult({**timed.fields, "rows": [{**first, **changes}, *others]}), COMMIT, False)
    assert len(lines) == len(others)


def test_the_newest_of_a_clean_commit_holds_and_others_all_stay(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    later = replace(LINE, utc="20260102T000000Z", measured_predict_p50_us=9.0)
    append_history(path, [later])
    append_history(path, [LINE, replace(LINE, threads=2), replace(LINE, host="other"), replace(LINE, commit="f" * 40)])
    lines, _ = read_history(path)
    assert len(lines) == 4
    assert [line for line in lines if line.key == LINE.key] == [later], "the newest by its time, not by its place"
    assert lines == sorted(lines, key=lambda line: line.utc)
    for nameless in (replace(LINE, commit=None, dirty=None), replace(LINE, dirty=True)):
        path.unlink()
        append_history(path, [nameless, replace(nameless, utc="20260102T000000Z")])
        assert len(read_history(path)[0]) == 2, "nothing says that it was the same code"


def test_no_history_is_an_empty_one_and_an_unreadable_one_is_named(tmp_path: Path) -> None:
    assert read_history(tmp_path / "history.jsonl") == ([], [])
    lines, problems = read_history(tmp_path)
    assert (lines, len(problems)) == ([], 1)
    assert str(tmp_path) in problems[0]


def _text(**changes: Any) -> str:
    return json.dumps({**asdict(LINE), **changes})


DAMAGED = {
    "torn": (_text()[:90], "not JSON"),
    "noise": ("\x00\x7f{", "not JSON"),
    "bracket after bracket": ("[" * 100_000, "not JSON"),
    "a list": ("[1, 2]", "not written by edgeproof"),
    "of another tool": ('{"name": "bench", "value": 3}', "not written by edgeproof"),
    "of a schema in words": (_text(schema="two"), "not written by edgeproof"),
    "of a newer schema": (_text(schema=SCHEMA + 1), "upgrade"),
    "without a runtime": (json.dumps({name: value for name, value in asdict(LINE).items() if name != "runtime"}), "it lacks runtime"),
    "NaN": (_text(measured_predict_p50_us=float("nan")), "not JSON"),
    "beyond all numbers": (_text().replace("15.5", "1e999"), "measured_predict_p50_us cannot be"),
    "a time that is a word": (_text(measured_predict_p50_us="fast"), "measured_predict_p50_us cannot be"),
    "a negative count": (_text(instructions_invoke=-3), "instructions_invoke cannot be"),
    "an interval without an end": (_text(predicted_invoke_ms={"ms": 1, "low_ms": 0.5}), "predicted_invoke_ms cannot be"),
    "no time": (_text(utc="yesterday"), "utc cannot be"),
}


@pytest.mark.parametrize(("damaged", "reason"), DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_line_is_named_and_the_others_are_read(tmp_path: Path, damaged: str, reason: str) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(f"{_text()}\n{damaged}\n\n{_text(commit='f' * 40)}\n")
    lines, problems = read_history(path)
    assert len(lines) == 2
    assert len(problems) == 1
    assert reason in problems[0]
    assert problems[0].startswith(f"{path}: line 2 left out: ")


def test_many_damaged_lines_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").write_bytes(b"\xff\xfe\n" * 1000)
    assert read_history(tmp_path / "history.jsonl") == (
        [],
        [f"{tmp_path / 'history.jsonl'}: lines 1, 2, 3, 4, 5 and 995 more left out: not JSON, perhaps cut off"],
    )


@given(cut=st.integers(0, 400), noise=st.binary(max_size=40))
def test_whatever_is_in_the_file_reading_it_never_fails(tmp_path_factory: pytest.TempPathFactory, cut: int, noise: bytes) -> None:
    path = tmp_path_factory.mktemp("noise") / "history.jsonl"
    whole = _text().encode()
    path.write_bytes(whole[:cut] + noise + whole[cut:] + b"\n" + whole + b"\n")
    lines, problems = read_history(path)
    assert lines
    assert len(lines) + len(problems) <= 4


def test_what_is_appended_after_a_torn_line_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(_text()[:50])
    append_history(path, [LINE])
    lines, problems = read_history(path)
    assert lines == [LINE]
    assert "line 1 left out" in problems[0]


_WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from benchmarks.history import append_history
from tests.test_benchmarks_history import LINE
for run in range(40):
    append_history(Path(sys.argv[1]), [replace(LINE, commit=f"{sys.argv[2]}-{run}-{part}") for part in range(5)])
"""


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "latency/history.jsonl"
    root = Path(__file__).parent.parent
    writers = [subprocess.Popen([sys.executable, "-c", _WRITER, str(path), str(name)], cwd=root) for name in range(4)]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    lines, problems = read_history(path)
    assert problems == []
    assert {line.commit for line in lines} == {f"{name}-{run}-{part}" for name in range(4) for run in range(40) for part in range(5)}


def test_a_disk_that_is_full_leaves_it_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    append_history(path, [LINE])
    before = path.read_bytes()
    program = (
        "import resource, signal, sys; from pathlib import Path; from benchmarks.history import append_history;"
        "from tests.test_benchmarks_history import LINE; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) + 100},) * 2); append_history(Path(sys.argv[1]), [LINE])"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], cwd=Path(__file__).parent.parent, capture_output=True, text=True)
    assert "InputError: Cannot write" in done.stderr
    assert path.read_bytes() == before


def test_two_thousand_lines_are_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    append_history(path, [replace(LINE, commit=f"{number:040x}") for number in range(2000)])
    spent = []
    for _ in range(3):  # the best of three, in processor time: a busy machine must not fail it
        begin = time.process_time()
        lines, _ = read_history(path)
        spent.append(time.process_time() - begin)
    assert len(lines) == 2000
    assert min(spent) < 0.2
