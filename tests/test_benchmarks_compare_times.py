"""Times against earlier ones: side by side in a session, and between sessions by their ratio to float32."""

from __future__ import annotations

import base64
import json
import shutil
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.compare_times import compare_normalised, compare_side_by_side, find_timed
from benchmarks.limits import Verdict
from benchmarks.results import SCHEMA, LatencyResult
from edge_runtime.errors import InputError
from tests.pipelines import Run, run

ROUNDS, RUNS = 50, 20
HOST = {"cpu": "EPYC", "machine": "x86_64", "cores": 2, "governor": "", "kernel": "6", "python": "3.11"}
PACES = np.random.default_rng(9).uniform(1, 2, ROUNDS)  # what the machine did meanwhile, to all alike
NAME = "net-tflite-int8.tflite"


def _row(us: float, format: str = "tflite-int8", seed: int = 0, noise: float = 0.005, paces: Any = PACES, **changes: Any) -> dict[str, Any]:
    samples = 1000 * us * np.random.default_rng(seed).normal(1, noise, (ROUNDS, RUNS)) * paces[:, np.newaxis]
    packed = base64.b64encode(zlib.compress(samples.ravel().astype("<i8").tobytes())).decode()
    identity = {"artifact": f"net-{format}.tflite", "format": format, "sha256": "ab", "bytes": 1, "runtime": "tflite-runtime", "peer": None}
    facts = {"runtime_version": "2.14.0", "kernels": "default", "threads": 1, "delegate": "none", "rate_hz": None, "reason": ""}
    cold = {"load_ms": 1.0, "first_ms": 1.0, "peak_memory_bytes": 1, "pipeline_blocks": [], "pipeline_ns": None}
    return {**identity, **facts, **cold, "blocks": [RUNS] * ROUNDS, "predict_ns": packed, "invoke_ns": packed, **changes}


def _session(*rows: dict[str, Any], beside: Any = (), **changes: Any) -> LatencyResult:
    fields = {"schema": SCHEMA, "target": "local", "utc": "20260101T000000Z", "host": HOST, "threads": 1, "aa": None}
    return LatencyResult({**fields, "rows": list(rows), "reference_rows": list(beside), **changes})


@pytest.mark.parametrize(
    ("factor", "verdict", "said"),
    [
        (0.8, Verdict.PASS, "faster: "),
        (1.0, Verdict.PASS, "no significant change: "),
        (1.01, Verdict.PASS, "no significant change: "),
        (1.03, Verdict.PASS, "slower, as far as allowed: "),
        (1.2, Verdict.FAIL, "SLOWER: "),
    ],
)
def test_files_side_by_side_are_judged_by_their_paired_ratio(factor: float, verdict: Verdict, said: str) -> None:
    comparison = compare_side_by_side(_session(_row(50 * factor, seed=1), beside=[_row(50)]))
    (change,) = comparison.changes
    assert change.ratio == pytest.approx(factor, rel=0.005), "whatever the machine's pace did"
    assert (comparison.verdict, comparison.lines[0].startswith(said)) == (verdict, True)


def test_what_times_cannot_tell_is_no_limit() -> None:
    session = _session(_row(50 * 1.01, seed=1), beside=[_row(50)])
    assert compare_side_by_side(session, 2).verdict is Verdict.PASS
    for too_little in (0, 1.9, float("nan")):
        with pytest.raises(InputError, match="--max-slowdown is at least 2"):
            compare_side_by_side(session, too_little)


def test_what_other_tools_made_is_not_compared() -> None:
    peer = _row(70, "their-int8", peer="plain converter")
    beside = compare_side_by_side(_session(_row(50), peer, beside=[_row(50)]))
    yardstick = _row(80, "tflite-float32")
    earlier = compare_normalised(_session(_row(50), yardstick, peer), _session(_row(50), yardstick, {**peer, "artifact": "gone.tflite"}))
    for comparison in (beside, earlier):
        assert (len(comparison.changes), comparison.lost, comparison.notes) == (1, (), ())


def test_between_sessions_the_interval_is_as_wide_as_their_addresses_make_it() -> None:
    yardstick = _row(80, "tflite-float32")
    (change,) = compare_normalised(_session(_row(52.5), yardstick), _session(_row(50), yardstick)).changes
    assert change.low < 1.05 / 1.019 < 1.05 * 1.019 < change.high
    assert change.verdict is Verdict.INCONCLUSIVE
    assert "earlier files" in change.line()


def test_a_limit_within_the_interval_decides_nothing() -> None:
    comparison = compare_side_by_side(_session(_row(52.5, seed=1, noise=0.1), beside=[_row(50, noise=0.1)]))
    (change,) = comparison.changes
    assert change.low < 1.05 < change.high
    assert comparison.verdict is Verdict.INCONCLUSIVE
    assert comparison.lines[0].startswith("INCONCLUSIVE: ")


def test_a_session_that_contradicts_itself_decides_nothing() -> None:
    aa = {"artifact": NAME, "runtime": "tflite-runtime", "threads": 1, "rounds": 50, "ratio": 1.1, "low": 1.05, "high": 1.15}
    comparison = compare_side_by_side(_session(_row(100, seed=1), beside=[_row(50)], aa=aa))
    assert comparison.verdict is Verdict.INCONCLUSIVE
    assert "A/A pair is off" in comparison.lines[0]
    with pytest.raises(InputError, match=r"^The reference is INVALID: off"):
        compare_normalised(_session(_row(1)), _session(_row(1), aa=aa, validity={"verdict": "INVALID", "reasons": ["off"]}))


def test_a_renamed_file_is_found_by_its_format_and_what_is_gone_is_lost() -> None:
    comparison = compare_side_by_side(_session(_row(50), beside=[_row(50, artifact="old.tflite"), _row(50, "tflite-dynamic")]))
    assert len(comparison.changes) == 1
    assert comparison.lost == ("net-tflite-dynamic.tflite on tflite-runtime, 1 thread: in the reference, and not measured now",)
    assert comparison.verdict is Verdict.FAIL


def test_a_session_on_a_slower_day_is_not_slower() -> None:
    then = _session(_row(50), _row(80, "tflite-float32"))
    now = _session(_row(75, seed=1, paces=PACES[::-1]), _row(120, "tflite-float32", seed=2, paces=PACES[::-1]))
    comparison = compare_normalised(now, then)
    (change,) = comparison.changes
    assert change.ratio == pytest.approx(1, abs=0.01)
    assert comparison.verdict is Verdict.PASS
    assert "float32" not in " ".join(comparison.lines), "the yardstick is not judged"


def test_a_format_that_became_slower_against_float32_fails() -> None:
    yardstick = _row(80, "tflite-float32")
    now, then = _session(_row(60), yardstick), _session(_row(50), yardstick)
    comparison = compare_normalised(now, then)
    assert comparison.changes[0].ratio == pytest.approx(1.2, rel=0.01)
    assert comparison.verdict is Verdict.FAIL
    assert comparison.to_dict()["rows"][0]["verdict"] == "FAIL"
    assert (
        compare_normalised(_session(_row(60), _row(80, "tflite-float32")), _session(_row(50), _row(80, "tflite-float32")), 30).verdict is Verdict.PASS
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"target": "ssh://pi"}, "target local with ssh://pi"),
        ({"host": {**HOST, "cpu": "Xeon"}}, "cpu EPYC with Xeon"),
        ({"host": {**HOST, "cores": 4}}, "cores 2 with 4"),
        ({"board": {"model": "Raspberry Pi 5"}}, "board None with Raspberry Pi 5"),
        ({"rows": [_row(50, threads=4), _row(80, "tflite-float32", threads=4)]}, "threads 1 with 4"),
        ({"rows": [_row(50, rate_hz=10.0), _row(80, "tflite-float32", rate_hz=10.0)]}, "rate none with 10 Hz"),
    ],
)
def test_unlike_sessions_are_refused(changes: dict[str, Any], said: str) -> None:
    rows = _row(50), _row(80, "tflite-float32")
    with pytest.raises(InputError, match=f"Times compare only on one machine.*{said}"):
        compare_normalised(_session(*rows), _session(*rows, **changes))


def test_another_version_of_the_runtime_is_refused_with_the_remedy() -> None:
    yardstick = _row(80, "tflite-float32")
    with pytest.raises(InputError, match=r"runtime_version 2.14.0 with 2.13.0: give the earlier files"):
        compare_normalised(_session(_row(50), yardstick), _session(_row(50, runtime_version="2.13.0"), yardstick))


def test_without_float32_beside_it_nothing_can_be_said() -> None:
    with pytest.raises(InputError, match="no tflite-float32 beside it"):
        compare_normalised(_session(_row(50)), _session(_row(50)))


def test_the_newest_result_of_a_folder_is_the_reference(tmp_path: Path) -> None:
    for utc in ("20260101T000000Z", "20260301T000000Z", "20260201T000000Z"):
        (tmp_path / f"local-{utc}.json").write_text(json.dumps({**_session(_row(50)).fields, "utc": utc}))
    (tmp_path / "local-layers-20260401T000000Z.json").write_text("{}")
    assert find_timed(tmp_path, "local").fields["utc"] == "20260301T000000Z"
    with pytest.raises(InputError, match=r"holds neither a model nor a result of ssh://pi"):
        find_timed(tmp_path, "ssh://pi")


def _with_a_faster_float32(workspace: Path, place: Path) -> Path:
    """A workspace in which another file goes by the name and format of the float32 one."""
    shutil.copytree(workspace, place)
    manifest = json.loads((place / "artifacts/manifest.json").read_text())
    listed = manifest["artifacts"]
    shutil.copy(place / "artifacts/compact-tflite-int8.tflite", place / "artifacts/compact-tflite-float32.tflite")
    facts = {name: listed["compact-tflite-int8.tflite"][name] for name in ("sha256", "bytes")}
    listed["compact-tflite-float32.tflite"] |= facts
    (place / "artifacts/manifest.json").write_text(json.dumps(manifest))
    return place


def _compared(*options: Any, cwd: Path) -> Run:
    """`bench --compare` that is decided: where others have the processor, a short session is not (3), and a longer one follows."""
    for seconds in (0.2, 0.5, 2):
        done = run("bench", "-w", "w", "--runtime", "ai-edge-litert", "--seconds", seconds, "--compare", *options, cwd=cwd)
        if done.code != 3:
            break
    return done


def test_bench_compares_an_earlier_workspace_a_file_and_an_earlier_result(digits_run: Run, tmp_path: Path) -> None:
    shutil.copytree(digits_run.workspace, tmp_path / "w")
    same = _compared(digits_run.workspace, "--max-slowdown", "30", "--json", cwd=tmp_path)
    assert same.code == 0, same.stderr
    fields = json.loads(same.stdout)
    assert [0.9 < row["ratio"] < 1.1 for row in fields["comparison"]["rows"]] == [True, True]
    assert [row["artifact"] for row in fields["reference_rows"]] == [row["artifact"] for row in fields["rows"]]

    worse = _compared(_with_a_faster_float32(digits_run.workspace, tmp_path / "faster"), cwd=tmp_path)
    assert (worse.code, worse.stdout.count("SLOWER: ")) == (1, 1), worse.stdout
    one = _compared(tmp_path / "w/artifacts/compact-tflite-int8.tflite", "--max-slowdown", "30", cwd=tmp_path)
    assert one.code == 0, one.stderr
    assert "new: compact-tflite-float32.tflite on ai-edge-litert, 1 thread, not in the reference" in one.stdout

    earlier = sorted((tmp_path / "w/latency").glob("local-*.json"))[-1]
    again = _compared(earlier, "--max-slowdown", "30", cwd=tmp_path)
    assert again.code == 0, again.stderr
    assert "compact-tflite-int8.tflite on ai-edge-litert, 1 thread: " in again.stdout
    refused = _compared(earlier, "--threads", "2", cwd=tmp_path)
    assert (refused.code, "threads 2 with 1" in refused.stderr) == (2, True)
