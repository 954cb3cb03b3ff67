"""What --compare REF is: a model, a folder or workspace of them, or an earlier result; and what is refused before anything is measured."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks.results import SCHEMA, LatencyResult, read_result
from benchmarks.tables import FOLDER
from edge_runtime.board import host_facts
from edge_runtime.errors import EdgeproofError, InputError
from edgeproof.commands.printing import show_measured
from edgeproof.console import Console
from edgeproof.stages.comparing import References, references_of
from tests.foreign import tflite_without_metadata

ROW = {"artifact": "a.tflite", "format": "tflite-int8", "sha256": "ab"}
RUNTIME = {"runtime": "tflite-runtime", "runtime_version": "2.14.0", "kernels": "default", "delegate": "none"}
NUMBERS = {"threads": 1, "bytes": 1, "load_ms": 1.0, "first_ms": 1.0, "peak_memory_bytes": 1, "blocks": [], "predict_ns": None, "invoke_ns": None}


def _result(path: Path, **changes: Any) -> Path:
    fields = {"schema": SCHEMA, "target": "local", "utc": "20260101T000000Z", "host": host_facts(), "threads": 1, "aa": None}
    path.write_text(json.dumps({**fields, "rows": [_row(), YARDSTICK], **changes}))
    return path


def _row(**changes: Any) -> dict[str, Any]:
    return {**ROW, **RUNTIME, **NUMBERS, "reason": "", **changes}


YARDSTICK = _row(artifact="b.tflite", format="tflite-float32")


def test_without_a_reference_there_is_nothing_to_compare() -> None:
    references = references_of(None, ["local", "sim-pi4"])
    assert (references.counted, references.timed, references.files) == ({}, {}, ())


def test_a_model_and_a_folder_of_models_are_measured_side_by_side(tiny_artifacts: dict[str, Path], tmp_path: Path) -> None:
    (one,) = references_of(tiny_artifacts["tflite-int8"], ["local"]).files
    assert (one.format, one.path, one.bytes) == ("tflite-int8", tiny_artifacts["tflite-int8"], tiny_artifacts["tflite-int8"].stat().st_size)
    for format in ("tflite-int8", "onnx-float32"):
        shutil.copy(tiny_artifacts[format], tmp_path)
    references = references_of(tmp_path, ["local"])
    assert [artifact.format for artifact in references.files] == ["onnx-float32", "tflite-int8"]
    assert references.timed == {}


def test_a_result_is_compared_as_it_stands(tmp_path: Path) -> None:
    references = references_of(_result(tmp_path / "local.json"), ["local"])
    assert (list(references.timed), references.files) == (["local"], ())
    assert list(references_of(tmp_path, ["local"]).timed) == ["local"], "the newest in a folder"


def test_counts_of_a_workspace_lie_in_its_latency(tmp_path: Path) -> None:
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts/manifest.json").write_text('{"artifacts": {}}')
    (tmp_path / "latency").mkdir()
    shutil.copy(FOLDER / "sim-pi4.json", tmp_path / "latency/sim-pi4-20260101T000000Z.json")
    assert references_of(tmp_path, ["sim-pi4"]).counted["sim-pi4"].target == "sim-pi4"


@pytest.mark.parametrize(
    ("changes", "conditions", "because"),
    [
        ({}, {"threads": (2,)}, "threads 2 with 1"),
        ({}, {"threads": (1, 2)}, "threads 1,2 with 1"),
        ({}, {"rate_hz": 5.0}, "rate 5 Hz with none"),
        ({}, {"runtimes": ("onnxruntime",)}, "The reference of local has no row on onnxruntime"),
        ({"rows": []}, {}, "holds no times"),
        ({"rows": [YARDSTICK]}, {}, r"holds only float32 rows, by which others are judged \(b.tflite\)"),
        ({"rows": [_row()]}, {}, "no tflite-float32 beside it"),
        ({"rows": [_row(runtime_version="2.13.0"), YARDSTICK]}, {}, "runtime_version 2.14.0 with 2.13.0"),
        ({}, {"most_percent": 1.0}, "--max-slowdown is at least 2, got 1: two loads of one file"),
        ({"host": {"cpu": "another", "machine": "x86_64", "cores": 2, "governor": ""}}, {}, "with another"),
        ({"target": "ssh://pi"}, {}, "target local with ssh://pi"),
        ({"schema": SCHEMA + 1}, {}, "upgrade it"),
        ({"rows": 7}, {}, "Cannot read latency result"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_it_is_measured(
    tmp_path: Path, changes: dict[str, Any], conditions: dict[str, Any], because: str
) -> None:
    with pytest.raises(InputError, match=because):
        references_of(_result(tmp_path / "local.json", **changes), ["local"], **conditions)


def test_other_references_that_are_none(tiny_artifacts: dict[str, Path], tmp_path: Path) -> None:
    bare = tmp_path / "bare.tflite"
    bare.write_bytes(tflite_without_metadata(tiny_artifacts["tflite-int8"]))
    (tmp_path / "empty").mkdir()
    for place, because in (
        (bare, "does not say what it takes"),
        (tmp_path / "empty", "holds neither a model nor a result of local"),
        (tmp_path / "none.tflite", "none.tflite"),
        (tmp_path / "none", "none: there is no such file or folder"),
    ):
        with pytest.raises(EdgeproofError, match=because):
            references_of(place, ["local"])
    with pytest.raises(InputError, match=r"with a result or a workspace, not with a model file: .*bare.tflite"):
        references_of(bare, ["sim-pi4"])
    with pytest.raises(InputError, match="--max-slowdown is a number of percent"):
        references_of(bare, ["local"], float("nan"))


def test_a_reference_that_turns_out_unlike_costs_nothing_that_was_measured(capfd: pytest.CaptureFixture[str]) -> None:
    measured = read_result(FOLDER / "local.json")
    elsewhere = LatencyResult({**measured.fields, "host": {**measured.fields["host"], "cpu": "another processor"}})
    for as_json in (False, True):
        console = Console(as_json=as_json)
        assert show_measured([measured], References({}, {"local": elsewhere}, (), None), console) == 2
        console._out.file.close()
        console._err.file.close()
        shown, said = capfd.readouterr()
        (line,) = said.splitlines()
        assert "Times compare only on one machine" in line
        if as_json:
            given = json.loads(shown)
            assert given["comparison"] == {"verdict": None, "passed": False, "lines": [line]}
            assert given["rows"] == measured.fields["rows"]
        else:
            assert "tflite-int8" in shown
