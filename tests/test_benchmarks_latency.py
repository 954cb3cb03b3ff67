from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.latency import Contestant, measure
from benchmarks.matrix import Artifact
from benchmarks.results import SCHEMA, LatencyResult, LatencyRow, read_result, to_result
from benchmarks.targets import find_target
from benchmarks.turns import PIPELINE_ROUNDS
from edge_runtime.errors import InputError
from edge_runtime.timing import MIN_BLOCK_RUNS, MIN_SAMPLES
from edge_runtime.timing import MIN_SAMPLES_P99 as MIN_P99
from edgeproof.workspace import file_sha256
from export.formats import usual_formats


@pytest.fixture(scope="module")
def contestants(tiny_artifacts: dict[str, Path], tiny_images: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> list[Contestant]:
    """One short session of the usual artifacts on all runtimes, and of a file that none can open."""
    cut = tmp_path_factory.mktemp("cut") / "cut.tflite"
    cut.write_bytes(tiny_artifacts["tflite-int8"].read_bytes()[:500])
    files = {**{format.name: tiny_artifacts[format.name] for format in usual_formats()}, "tflite-cut": cut}
    artifacts = [Artifact(path, format, "qat", file_sha256(path), (), path.stat().st_size) for format, path in files.items()]
    return measure(artifacts, tiny_images, find_target("local"), seconds=0.05)


@pytest.fixture
def result(contestants: list[Contestant], tmp_path: Path) -> LatencyResult:
    """The session, written and read again."""
    path = tmp_path / "local.json"
    path.write_text(json.dumps(to_result(contestants, "local", threads=1)))
    return read_result(path)


def test_every_contestant_has_its_samples_and_its_seconds(contestants: list[Contestant]) -> None:
    able = [contestant for contestant in contestants if not contestant.reason]
    assert sorted((contestant.artifact.format, contestant.runtime) for contestant in able) == [
        ("onnx-float32", "onnxruntime"),
        ("onnx-int8", "onnxruntime"),
        ("tflite-float32", "ai-edge-litert"),
        ("tflite-float32", "tflite-runtime"),
        ("tflite-int8", "ai-edge-litert"),
        ("tflite-int8", "tflite-runtime"),
    ]
    for contestant in able:
        assert contestant.samples >= MIN_SAMPLES
        assert contestant.seconds >= 0.05


def test_all_take_their_turn_in_every_round_and_no_block_is_short(contestants: list[Contestant]) -> None:
    able = [contestant for contestant in contestants if not contestant.reason]
    assert len({len(contestant.predict_ns) for contestant in able}) == 1
    for contestant in able:
        assert [len(block) for block in contestant.invoke_ns] == [len(block) for block in contestant.predict_ns]
        assert min(len(block) for block in contestant.predict_ns) >= MIN_BLOCK_RUNS


def test_no_run_of_the_interpreter_takes_longer_than_the_prediction_around_it(contestants: list[Contestant]) -> None:
    for contestant in contestants:
        for invoke, predict in zip(contestant.invoke_ns, contestant.predict_ns, strict=True):
            assert (np.array(invoke) <= np.array(predict)).all()
            assert min(invoke) > 0


def test_cold_start_and_facts_are_recorded_of_each(contestants: list[Contestant]) -> None:
    for contestant in contestants:
        if not contestant.reason:
            assert (contestant.facts["runtime"], contestant.facts["threads"]) == (contestant.runtime, 1)
            assert contestant.cold["load_ms"] > 0
            assert contestant.cold["first_ms"] > 0
            assert contestant.cold["peak_memory_bytes"] > 10e6


def test_a_file_that_cannot_be_opened_keeps_its_reason_and_is_not_in_the_way(contestants: list[Contestant], result: LatencyResult) -> None:
    unable = {contestant.runtime: contestant for contestant in contestants if contestant.artifact.format == "tflite-cut"}
    assert all("cut.tflite is cut short or damaged" in unable[runtime].reason for runtime in ("ai-edge-litert", "tflite-runtime"))
    assert all(contestant.samples == 0 for contestant in unable.values())
    assert [row["artifact"] for row in result.fields["rows"] if row["reason"]] == ["cut.tflite"] * 2
    assert result.find("cut.tflite", "ai-edge-litert") is None


def test_a_session_in_which_nothing_opens_ends_with_reasons(tiny_images: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "cut.tflite").write_bytes(b"\x1c\x00\x00\x00TFL3")
    artifact = Artifact(tmp_path / "cut.tflite", "tflite-int8", "qat", "", (), 8)
    (contestant,) = measure([artifact], tiny_images, find_target("local"), runtimes=["ai-edge-litert"], seconds=0.05)
    assert contestant.reason


def test_the_file_keeps_every_sample_in_order(contestants: list[Contestant], result: LatencyResult) -> None:
    for contestant in contestants:
        row = result.find(contestant.artifact.path.name, contestant.runtime)
        assert (row is None) == bool(contestant.reason)
        if row is not None:
            np.testing.assert_array_equal(row.samples["predict"], np.concatenate(contestant.predict_ns))
            np.testing.assert_array_equal(row.samples["invoke"], np.concatenate(contestant.invoke_ns))
            medians = [np.median(block) / 1000 for block in contestant.predict_ns]
            np.testing.assert_allclose(row.block_medians_us(), medians)
            assert row.fields["sha256"] == contestant.artifact.sha256


def test_percentiles_are_those_of_the_samples(result: LatencyResult) -> None:
    for row in result.rows:
        samples = row.samples["predict"]
        p50, p90, p99 = (row.percentile_us(percent) for percent in (50, 90, 99))
        assert p50 is not None
        assert p90 is not None
        assert (p99 is None) == row.crowded
        assert p50 <= p90 <= (p99 or p90)
        assert p50 == pytest.approx(np.median(samples) / 1000)
        invoke = row.percentile_us(50, "invoke")
        assert invoke is not None
        assert invoke <= p50


@pytest.mark.parametrize(("runs", "p50", "p99"), [(0, False, False), (1, True, False), (MIN_P99 - 1, True, False), (MIN_P99, True, True)])
def test_too_few_samples_give_no_percentile_rather_than_a_wrong_one(contestants: list[Contestant], runs: int, p50: bool, p99: bool) -> None:
    block = [1000 * run for run in range(runs)]
    few = Contestant(contestants[0].artifact, "onnxruntime", 0, invoke_ns=[block], predict_ns=[block])
    row = LatencyRow(to_result([few], "local", 1)["rows"][0])
    assert (row.percentile_us(50) is not None, row.percentile_us(99) is not None) == (p50, p99)


def test_the_ratio_of_a_row_with_itself_is_one_and_with_others_stays_on_its_runtime(result: LatencyResult) -> None:
    for row in result.rows:
        family = row.fields["format"].split("-")[0]
        ratio = result.ratio(row, f"{family}-float32")
        assert ratio is not None
        value, low, high = ratio
        assert 0 < low <= value <= high
        if row.fields["format"].endswith("float32"):
            assert ratio == (1.0, 1.0, 1.0)
        assert result.ratio(row, "tflite-float16") is None, "not measured"


def test_a_number_is_recorded_with_the_machine_it_was_measured_on(result: LatencyResult) -> None:
    host = result.fields["host"]
    assert host["cpu"]
    assert host["cores"] >= 1
    assert set(host) == {"cpu", "flags", "cores", "governor", "machine", "kernel", "python"}
    assert (result.target, result.fields["schema"], result.fields["threads"]) == ("local", SCHEMA, 1)


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        np.random.default_rng(0).bytes(500),
        b"[1, 2]",
        b'{"a": 1}',
        b'{"rows": []}',
        json.dumps({"schema": SCHEMA + 1, "rows": []}).encode(),
    ],
    ids=["missing", "empty", "random", "list", "other", "no schema", "newer"],
)
def test_a_file_that_is_no_result_is_one_line(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "latency.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_result(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_result_of_schema_1_is_read_as_one_of_schema_2(result: LatencyResult, tmp_path: Path) -> None:
    since = ("peer", "rate_hz", "achieved_hz", "missed", "interrupted", "tick_ns", "cold_runs", "pipeline_blocks", "pipeline_ns")
    rows = [{name: value for name, value in row.items() if name not in since} for row in result.fields["rows"]]
    former = {**{name: value for name, value in result.fields.items() if name not in ("aa", "validity")}, "schema": 1, "rows": rows}
    (tmp_path / "former.json").write_text(json.dumps(former))
    read = read_result(tmp_path / "former.json")
    assert (read.validity, read.aa) == ("", None)
    assert len(read.rows) == len(result.rows)
    for row, same in zip(read.rows, result.rows, strict=True):
        assert row.percentile_us(50) == same.percentile_us(50)
        assert row.percentile_us(99) is not None, "what nobody counted is not held against it"
        assert (row.rate_hz, row.fields["peer"], row.percentile_us(50, "pipeline")) == (None, None, None)
        assert read.find(*row.key) is not None


@pytest.mark.parametrize(
    ("field", "value"), [("blocks", [1, 2]), ("predict_ns", "AAAA"), ("threads", None), ("artifact", 7), ("pipeline_blocks", "x")]
)
def test_a_damaged_row_is_found_out_when_it_is_read(result: LatencyResult, tmp_path: Path, field: str, value: object) -> None:
    rows = [{**result.rows[0].fields, field: value}]
    (tmp_path / "damaged.json").write_text(json.dumps({**result.fields, "rows": rows}))
    with pytest.raises(InputError, match=r"^Cannot read latency result .*damaged.json"):
        read_result(tmp_path / "damaged.json")


def test_rows_of_unlike_numbers_of_rounds_are_no_session(result: LatencyResult, tmp_path: Path) -> None:
    one, other = result.rows[0].fields, result.rows[1].fields
    joined = {**other, "blocks": [sum(other["blocks"])]}
    (tmp_path / "joined.json").write_text(json.dumps({**result.fields, "rows": [one, joined]}))
    with pytest.raises(InputError, match="its rows have unlike numbers of rounds: blocks 1, "):
        read_result(tmp_path / "joined.json")


def test_a_model_too_slow_for_its_pace_takes_its_seconds_all_the_same(tiny_artifacts: dict[str, Path], tiny_images: np.ndarray) -> None:
    artifact = Artifact(tiny_artifacts["onnx-float32"], "onnx-float32", "qat", "", (), 8)
    (contestant,) = measure([artifact], tiny_images, find_target("local"), seconds=0.2, rate_hz=1e6)
    assert contestant.missed > contestant.samples / 2
    assert 0.2e9 <= contestant.span_ns < 0.4e9


@pytest.fixture(scope="module")
def session(tiny_artifacts: dict[str, Path], tiny_images: np.ndarray) -> list[Contestant]:
    """A short session in full: two numbers of threads, an A/A pair, encoded pictures."""
    files = {format: tiny_artifacts[format] for format in ("tflite-int8", "tflite-float32")}
    artifacts = [Artifact(path, format, "qat", file_sha256(path), (), path.stat().st_size) for format, path in files.items()]
    return measure(artifacts, tiny_images, find_target("local"), runtimes=["ai-edge-litert"], seconds=0.05, threads=(1, 2), full=True)


def test_every_number_of_threads_is_a_contestant_of_the_same_rounds(session: list[Contestant]) -> None:
    assert [(one.artifact.format, one.threads) for one in session] == [(f"tflite-{kind}", count) for kind in ("int8", "float32") for count in (1, 2)]
    assert [one.facts["threads"] for one in session] == [1, 2, 1, 2], "and is what its interpreter was told"
    assert len({len(one.predict_ns) for one in session}) == 1
    result = LatencyResult(to_result(session, "local"))
    for one in session:
        row = result.find(one.artifact.path.name, one.runtime, one.threads)
        assert row is not None
        np.testing.assert_array_equal(row.samples["predict"], np.concatenate(one.predict_ns))
        ratio = result.ratio(row, "tflite-float32")
        assert ratio is not None
        assert (ratio == (1.0, 1.0, 1.0)) == (one.artifact.format == "tflite-float32"), "with as many threads"


def test_one_artifact_runs_twice_and_the_second_is_no_row(session: list[Contestant]) -> None:
    (pair,) = [one for one in session if one.twin]
    assert (pair.artifact.format, pair.threads) == ("tflite-float32", 1)
    assert pair.twin is not None
    assert len(pair.twin.predict_ns) == len(pair.predict_ns)
    assert pair.twin.predict_ns != pair.predict_ns
    fields = to_result(session, "local")
    assert len(fields["rows"]) == 4
    assert list(fields["aa"]) == ["artifact", "runtime", "threads", "rounds", "ratio", "low", "high"]
    assert list(fields["aa"].values())[:4] == ["tiny-tflite-float32.tflite", "ai-edge-litert", 1, len(pair.predict_ns)]
    assert 0.5 < fields["aa"]["low"] <= fields["aa"]["ratio"] <= fields["aa"]["high"] < 2


def test_what_a_picture_costs_from_its_bytes_is_more_than_its_prediction(session: list[Contestant]) -> None:
    for row in LatencyResult(to_result(session, "local")).rows:
        pipeline, predict = row.percentile_us(50, "pipeline"), row.percentile_us(50)
        assert pipeline is not None
        assert predict is not None
        assert pipeline > predict
        assert len(row.block_medians_us("pipeline")) == PIPELINE_ROUNDS


def test_a_paced_session_has_few_samples_says_so_and_is_found_by_its_rate(tiny_artifacts: dict[str, Path], tiny_images: np.ndarray) -> None:
    artifact = Artifact(tiny_artifacts["onnx-float32"], "onnx-float32", "qat", "", (), 8)
    result = LatencyResult(to_result(measure([artifact], tiny_images, find_target("local"), seconds=0.2, rate_hz=100), "local"))
    (row,) = result.rows
    assert 24 <= len(row.samples["predict"]) < 64
    assert row.percentile_us(50) is not None
    assert row.percentile_us(90) is None
    assert 10 < row.fields["achieved_hz"] <= 100
    assert row.fields["missed"] <= len(row.samples["predict"])
    assert result.find(*row.key) is None, "not among times of one run after the other"
    assert result.find(*row.key, rate_hz=100) == row
    assert row.fields["pipeline_ns"] is None
