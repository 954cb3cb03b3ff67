from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.compare import Comparison, compare, find_reference, sentences, slowdown_percent
from benchmarks.counts import KIND, SCHEMA, CountResult, read_counts
from edge_runtime.errors import InputError


def _row(format: str = "tflite-int8", runtime: str = "ai-edge-litert", invoke: float = 1.0, **changes: Any) -> dict[str, Any]:
    """invoke: millions of instructions of one inference; predict takes 0.1 more."""
    counts = {"empty": 1000, "invoke": round(20e6 * invoke) + 1000, "predict": round(20e6 * (invoke + 0.1)) + 1000}
    identity = {"artifact": f"net-{format}.tflite", "format": format, "sha256": "ab" * 32, "bytes": 1, "runtime": runtime}
    return {
        **identity,
        "runtime_version": "2.3.0",
        "kernels": "default",
        "threads": 1,
        "delegate": "none",
        "reason": "",
        "instructions": counts,
        **changes,
    }


def _result(*rows: dict[str, Any], target: str = "sim-pi4", core: str = "cortex-a72", **changes: Any) -> CountResult:
    fields = {"schema": SCHEMA, "kind": KIND, "target": target, "utc": "20260101T000000Z", "board": "", "core": core, "runs": 20, "rows": list(rows)}
    return CountResult({**fields, **changes})


def test_instructions_are_per_inference_without_what_the_marks_cost() -> None:
    (row,) = _result(_row(invoke=0.75)).rows
    assert (row.per_inference("invoke"), row.per_inference("predict")) == (pytest.approx(750_000), pytest.approx(850_000))


@pytest.mark.parametrize(("now", "passed"), [(0.5, True), (1.0, True), (1.019, True), (1.021, False), (2.0, False)])
def test_more_instructions_than_allowed_fail(now: float, passed: bool) -> None:
    comparison = compare(_result(_row(invoke=now)), _result(_row(invoke=1.0)), 2.0)
    assert comparison.passed is passed
    assert comparison.changes[0].percent == pytest.approx(100 * (now - 1) if now > 1 else max(100 * (now - 1), 100 * ((now + 0.1) / 1.1 - 1)))


def test_what_is_slower_only_around_the_interpreter_fails_too() -> None:
    slower = _row()
    slower["instructions"] = {**slower["instructions"], "predict": int(1.5 * slower["instructions"]["predict"])}
    assert not compare(_result(slower), _result(_row())).passed


@pytest.mark.parametrize("other", [{"format": "tflite-float32"}, {"runtime": "tflite-runtime"}, {"kernels": "builtin"}])
def test_counts_of_unlike_rows_are_refused(other: dict[str, str]) -> None:
    (one,), (two,) = _result(_row()).rows, _result(_row(**other)).rows
    with pytest.raises(InputError, match=f"not .*{next(iter(other.values()))}"):
        slowdown_percent(one, two, "invoke")


def test_counts_of_unlike_boards_are_refused() -> None:
    for other in (_result(_row(), target="sim-pi5", core="cortex-a76"), _result(_row(), core="cortex-a53")):
        with pytest.raises(InputError, match="unlike boards"):
            compare(_result(_row()), other)
        with pytest.raises(InputError, match="only within one format"):
            slowdown_percent(_result(_row()).rows[0], CountResult({**other.fields, "core": "cortex-a53"}).rows[0], "invoke")


def test_a_renamed_file_of_another_format_is_refused_not_compared() -> None:
    renamed = _row(format="tflite-float32", artifact="net-tflite-int8.tflite")
    comparison = compare(_result(renamed), _result(_row()))
    with pytest.raises(InputError, match="only within one format"):
        _ = comparison.slower


def test_another_network_has_nothing_in_common() -> None:
    with pytest.raises(InputError, match=r"no row in common.*net-tflite-int8\.tflite"):
        compare(_result(_row(artifact="other-tflite-int8.tflite")), _result(_row()))


def test_what_can_no_longer_run_fails_and_what_is_new_does_not() -> None:
    lost = _row("tflite-float32", reason="it crashed", instructions={})
    comparison = compare(_result(_row(), lost, _row(runtime="tflite-runtime")), _result(_row(), _row("tflite-float32")))
    assert not comparison.passed
    assert not comparison.slower
    assert any("LOST" in line and "it crashed" in line for line in sentences(comparison))
    assert any(line.startswith("new: net-tflite-int8.tflite on tflite-runtime") for line in sentences(comparison))
    assert Comparison(comparison.changes, (), comparison.new, 2.0).passed


@pytest.mark.parametrize("gone", [_row("tflite-float32"), _row(runtime="tflite-runtime"), _row(artifact="net-renamed.tflite")])
def test_what_the_reference_counts_and_this_does_not_fails(gone: dict[str, Any]) -> None:
    comparison = compare(_result(_row()), _result(_row(), gone))
    assert not comparison.passed
    assert f"LOST: {gone['artifact']} on {gone['runtime']}: in the reference, and not counted now" in sentences(comparison)[1]


def test_rows_on_runtimes_that_were_not_asked_for_are_a_line() -> None:
    comparison = compare(_result(_row()), _result(_row(), _row(runtime="tflite-runtime")), runtimes=["ai-edge-litert"])
    assert comparison.passed
    assert sentences(comparison)[1:] == ["not compared: 1 of the reference's rows, on runtimes that --runtime leaves out"]
    assert not compare(_result(_row()), _result(_row(), _row("tflite-float32")), runtimes=["ai-edge-litert"]).passed


def test_a_change_of_the_runtimes_version_is_said() -> None:
    lines = sentences(compare(_result(_row(runtime_version="2.4.0", invoke=2.0)), _result(_row())))
    assert "SLOWER: net-tflite-int8.tflite on ai-edge-litert 2.3.0 -> 2.4.0" in lines[0]


@pytest.mark.parametrize("percent", [-1.0, float("nan"), float("inf")])
def test_a_slowdown_that_is_none_is_refused(percent: float) -> None:
    with pytest.raises(InputError, match="--max-slowdown"):
        compare(_result(_row()), _result(_row()), percent)


def test_the_newest_result_of_the_target_is_taken_from_a_folder(tmp_path: Path) -> None:
    for day in ("01", "03", "02"):
        (tmp_path / f"sim-pi4-202601{day}T000000Z.json").write_text(json.dumps(dict(_result(_row(), utc=f"202601{day}T000000Z").fields)))
    (tmp_path / "sim-pi5-20260109T000000Z.json").write_text(json.dumps(dict(_result(_row(), target="sim-pi5").fields)))
    (tmp_path / "sim-pi4.json").write_text(json.dumps(dict(_result(_row(), utc="20260104T000000Z").fields)))
    assert find_reference(tmp_path, "sim-pi4", print).fields["utc"] == "20260104T000000Z", "the newest by what it says, not by its name"
    (tmp_path / "sim-pi4.json").unlink()
    assert find_reference(tmp_path, "sim-pi4", print).fields["utc"] == "20260103T000000Z"
    assert find_reference(tmp_path / "sim-pi4-20260101T000000Z.json", "sim-pi4", print).fields["utc"] == "20260101T000000Z"
    with pytest.raises(InputError, match="holds no result of sim-pi3"):
        find_reference(tmp_path, "sim-pi3", print)


@pytest.mark.parametrize("target", ["sim-pi4", "sim-pi5"])
def test_the_reference_of_the_default_recipe_passes_against_itself(target: str) -> None:
    reference = find_reference(Path(__file__).parent.parent / "benchmarks/reference", target, print)
    assert (reference.target, reference.failed) == (target, {})
    assert {row.key[:2] for row in reference.rows} >= {
        (f"compact-tflite-{form}.tflite", runtime) for form in ("int8", "float32") for runtime in ("ai-edge-litert", "tflite-runtime")
    }
    assert compare(reference, reference, 0.0).passed


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "Cannot read"),
        ("[]", "no instruction counts"),
        ('{"schema": 1, "rows": []}', "no instruction counts"),
        (json.dumps({"schema": SCHEMA + 1, "kind": KIND}), "upgrade"),
        (json.dumps({"schema": SCHEMA, "kind": KIND, "core": "a", "runs": 20, "rows": [{"reason": ""}]}), "Cannot read"),
        (json.dumps({**_result(_row()).fields, "runs": 0}), "Cannot read"),
    ],
    ids=["empty", "list", "latency", "newer", "a row without counts", "no runs"],
)
def test_a_file_that_holds_no_counts_is_one_line(tmp_path: Path, content: str, complaint: str) -> None:
    (tmp_path / "counts.json").write_text(content)
    with pytest.raises(InputError, match=complaint) as caught:
        read_counts(tmp_path / "counts.json")
    assert "\n" not in str(caught.value)
