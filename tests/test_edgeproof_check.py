"""`edgeproof check FILE`: strangers' exports are told for what they are, without TensorFlow and without running them."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from edge_runtime.errors import some_of
from edgeproof.stages.checking import FileCheck, check_file
from export.claims import claimed, percent
from export.requirements import REQUIREMENTS
from tests.foreign import onnx_without_metadata
from tests.pipelines import Run, run
from tests.test_export_audit import onnx_layer, without_inputs
from tests.test_export_support import declaring

ROOT = Path(__file__).parent.parent
REPRESENTATIVE = "remedy: convert it with a representative dataset"


@pytest.fixture(scope="session")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of tests/strangers.py, made by a process of their own."""
    folder = tmp_path_factory.mktemp("strangers")
    done = subprocess.run([sys.executable, "-m", "tests.strangers", folder], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shutil.copy(folder / "dynamic-range-renamed.tflite", folder / "digits-int8.tflite")
    return folder


def check(*arguments: str | Path, cwd: Path) -> Run:
    return run("check", *arguments, cwd=cwd)


def checked(folder: Path, name: str, *requirements: str) -> FileCheck:
    return check_file(folder / f"{name}.tflite", requirements)


@pytest.mark.parametrize(
    ("name", "islands", "said"),
    [
        ("dense-bn-int8", ["FULLY_CONNECTED net/wide"], "47 % of MACs float, 1 of 7 operators float (FULLY_CONNECTED net/wide/MatMul)"),
        ("transpose-bn-int8", ["TRANSPOSE_CONV net/up", "MUL net/batch_norm", "ADD net/re_lu"], "72 % of MACs float, 3 of 8 operators float"),
        ("swish-int8", ["CONV_2D net/swished", "LOGISTIC net/swished", "MUL net/swished"], "75 % of MACs float, 3 of 7 operators float"),
        ("sin-int8", ["SIN Sin"], "1 of 8 operators float (SIN Sin), int8 in, int8 out"),
    ],
)
def test_float_islands_of_files_named_int8_are_named_by_layer(strangers: Path, name: str, islands: list[str], said: str) -> None:
    found = checked(strangers, name, "int8", "int8-io", "tflite-runtime")
    assert len(found.audit.float_islands) == len(islands)
    assert all(found.startswith(island) for found, island in zip(found.audit.float_islands, islands, strict=True))
    assert found.audit.precision == "mixed"
    assert found.verdict.startswith(f"Named int8, but is mixed (part int8, part float): {said}")
    assert REPRESENTATIVE in found.verdict
    assert list(found.unmet) == ["int8"], "int8 at its ends and loads everywhere: what is wrong is inside"
    assert islands[0] in found.unmet["int8"]


def test_a_dynamic_range_file_renamed_int8_is_caught_with_the_runtime_that_lacks_it(strangers: Path) -> None:
    found = checked(strangers, "digits-int8", "int8", "tflite-runtime", "ai-edge-litert", "bookworm", "bookworm-32")
    assert found.audit.precision == "dynamic-range"
    assert not found.audit.is_int8
    assert (found.audit.int8_macs_share, round(found.audit.int8_weights_share or 0, 2)) == (0.0, 0.92)
    assert found.verdict.startswith("Named int8, but is dynamic-range (int8 weights, float activations): 100 % of MACs float")
    assert "will not load on tflite-runtime 2.14: FULLY_CONNECTED v12 (it has up to v10); remedy: export full int8" in found.verdict
    assert "loads on ai-edge-litert 2.3 (Raspberry Pi OS Bookworm 64-bit, Trixie 64-bit)" in found.verdict
    assert list(found.unmet) == ["int8", "tflite-runtime", "bookworm-32"]
    assert found.audit.min_runtime_version == "2.17.0"
    honest = checked(strangers, "dynamic-range-renamed")
    assert honest.verdict.startswith("Named dynamic-range and is dynamic-range: 100 % of MACs float, float32 in")


def test_int8_with_float_ends_is_a_state_of_its_own(strangers: Path) -> None:
    found = checked(strangers, "float-ends-int8", "int8", "int8-io", "per-channel")
    assert (found.audit.is_int8_inside, found.audit.is_int8) == (True, False)
    assert found.audit.float_islands == []
    assert found.audit.int8_macs_share == found.audit.int8_weights_share == 1.0
    assert found.verdict.startswith("Named int8, but is int8 inside with float ends: 100 % of MACs int8, float32 in, float32 out; remedy: set the")
    assert found.unmet == {"int8": "it is int8 inside, float ends", "int8-io": "it takes float32 and gives float32"}


def test_wider_numbers_are_not_int8_either(strangers: Path) -> None:
    wide, half = checked(strangers, "int16x8", "int8"), checked(strangers, "half")
    assert (wide.audit.precision, wide.audit.is_int8, wide.audit.float_islands) == ("int16x8", False, [])
    assert (wide.audit.int8_macs_share, wide.audit.int8_weights_share) == (0.0, 1.0)
    assert list(wide.unmet) == ["int8"]
    assert (half.audit.precision, half.audit.int8_weights_share) == ("float16", 0.0)
    assert half.verdict.startswith("This is float16: 100 % of MACs float")


def test_the_head_tells_logits_from_probabilities(strangers: Path) -> None:
    assert checked(strangers, "probabilities-int8").audit.answers == "probabilities"
    assert checked(strangers, "float-ends-int8").audit.answers == "logits"
    unsigned = checked(strangers, "probabilities-uint8").audit
    assert (unsigned.answers, unsigned.output_dtype, unsigned.rescales) == ("probabilities", "uint8", 0), (
        "what only changes the type computes nothing"
    )


def test_weights_and_ends_are_described(strangers: Path) -> None:
    audit = checked(strangers, "dense-bn-int8").audit
    assert [operator.kind for operator in audit.per_channel] == ["CONV_2D"]
    assert [operator.name for operator in audit.per_tensor] == ["net/logits/MatMul"]
    assert (audit.inputs[0].shape, audit.inputs[0].zero_point) == ((1, 8, 8, 1), -128)
    assert audit.inputs[0].scale == pytest.approx(1 / 255, rel=1e-3)


@pytest.mark.parametrize("name", ["dense-bn-int8", "sin-int8", "digits-int8", "float-ends-int8", "half", "probabilities-int8"])
def test_what_it_foretells_is_what_the_runtimes_do(strangers: Path, name: str) -> None:
    path = strangers / f"{name}.tflite"
    foretold, tried = check_file(path), check_file(path, try_it=True)
    assert {runtime: answer.loads for runtime, answer in foretold.support.items()} == {
        runtime: outcome == "opened and ran" for runtime, outcome in tried.tried.items()
    }


def test_what_opens_but_is_no_classifier_of_pictures_loads_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "planes.onnx").write_bytes(onnx_layer("Conv", [1, 4, 8, 8], [6, 4, 3, 3]))
    found = check_file(tmp_path / "planes.onnx", ["onnxruntime"], try_it=True)
    assert found.tried["onnxruntime"].startswith("opened, not run: Expected an image classifier")
    assert found.unmet == {}


def test_a_file_that_fails_when_tried_does_not_meet_the_requirement(tmp_path: Path) -> None:
    (tmp_path / "empty.tflite").write_bytes(declaring("CUSTOM", 1, "Mfcc"))
    assert check_file(tmp_path / "empty.tflite", ["ai-edge-litert"]).unmet == {}, "the operator is registered"
    tried = check_file(tmp_path / "empty.tflite", ["ai-edge-litert"], try_it=True)
    assert tried.unmet["ai-edge-litert"].startswith("tried here, failed: "), "but nothing that it can run was asked of it"


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        ("digits-tflite-int8.tflite", "int8"),
        ("model_full_integer_quant.tflite", "int8"),
        ("net-int16x8.tflite", "int16x8"),
        ("net_dynamic_range_quant.tflite", "dynamic-range"),
        ("NET-FP16.onnx", "float16"),
        ("compact-tflite-mixed.tflite", "mixed"),
        ("print8.tflite", None),
        ("halfway.tflite", None),
        ("left-half.tflite", None),
        ("my-hybrid-net-int8.tflite", "int8"),
    ],
)
def test_a_name_promises_what_its_words_say(name: str, precision: str | None) -> None:
    assert claimed(name) == precision


def test_shares_are_not_rounded_to_all_or_nothing() -> None:
    assert [percent(share) for share in (0.0, 0.001, 0.5, 0.9999, 1.0)] == ["0 %", "1 %", "50 %", "99 %", "100 %"]


def test_the_command_prints_facts_and_a_verdict(strangers: Path, tmp_path: Path) -> None:
    done = check(strangers / "swish-int8.tflite", cwd=tmp_path)
    assert done.code == 0, "it reports facts; a gate is asked for with --require"
    lines = done.stdout.strip().splitlines()
    assert lines[0] == f"swish-int8.tflite: TensorFlow Lite, {(strangers / 'swish-int8.tflite').stat().st_size / 1000:,.1f} KB"
    assert lines[-1].startswith("Named int8, but is mixed")
    text = "\n".join(lines)
    for fact in (
        "LOGISTIC net/swished/Sigmoid",
        "per tensor in 1 (FULLY_CONNECTED)",
        "25 % of 1,728 MACs",
        "tflite-runtime 2.14  yes",
        "zero point -128",
    ):
        assert fact in text


def test_a_requirement_that_does_not_hold_is_exit_code_1_and_named(strangers: Path, tmp_path: Path) -> None:
    path = strangers / "digits-int8.tflite"
    refused = check(path, "--require", "int8,tflite-runtime", cwd=tmp_path)
    assert refused.code == 1
    assert "Required int8 does not hold: it is dynamic-range" in refused.stdout
    assert "Required tflite-runtime does not hold: FULLY_CONNECTED v12" in refused.stdout
    assert check(path, "--require", "ai-edge-litert", "--require", "trixie", cwd=tmp_path).code == 0


def test_json_is_one_object_and_nothing_else(strangers: Path, tiny_artifacts: dict[str, Path], tmp_path: Path) -> None:
    paths = [strangers / "digits-int8.tflite", tiny_artifacts["onnx-int8"], strangers / "none.tflite"]
    done = check("--json", *paths, "--require", "int8", cwd=tmp_path)
    assert done.code == 2, "the worst of the files"
    files = json.loads(done.stdout)["files"]
    assert [Path(entry["file"]).name for entry in files] == [path.name for path in paths]
    assert files[0]["audit"]["operators"] == {"CONV_2D v1": 1, "RESHAPE v1": 1, "FULLY_CONNECTED v12": 2}
    assert files[0]["support"]["tflite-runtime"]["loads"] is False
    assert files[0]["systems"]["bookworm-32"] == []
    assert list(files[0]["unmet"]) == ["int8"]
    assert files[1]["unmet"] == {}
    assert files[1]["audit"]["file_operators"]["QuantizeLinear"] > files[1]["audit"]["operators"]["QuantizeLinear v17"] == 1
    assert "none.tflite" in files[2]["error"]
    assert done.stderr.startswith("error:")


def test_trying_runs_the_file_on_each_runtime(tiny_artifacts: dict[str, Path], tmp_path: Path) -> None:
    done = check("--try", tiny_artifacts["tflite-int8"], tiny_artifacts["onnx-int8"], cwd=tmp_path)
    assert (done.code, done.stdout.count("(tried: opened and ran)")) == (0, 3)


def test_trying_runs_files_with_channels_first(tiny_artifacts: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "planes.onnx").write_bytes(onnx_without_metadata(tiny_artifacts["onnx-float32"], channels_first=True))
    assert check_file(tmp_path / "planes.onnx", try_it=True).tried == {"onnxruntime": "opened and ran"}


def test_a_list_that_is_cut_says_how_much_is_missing() -> None:
    assert [some_of("abc", shown) for shown in (2, 3)] == ["a, b and 1 more", "a, b, c"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.tflite"], "Cannot read model none.tflite"),
        (["notes.txt"], "notes.txt is neither a TFLite nor an ONNX model"),
        (["cut.tflite"], "cut.tflite: A damaged .tflite file"),
        (["cut.onnx"], "cut.onnx: "),
        (["whole.tflite", "--require", "int9"], "Unknown requirement 'int9'. Did you mean 'int8'?"),
        (["whole.tflite", "--require", ""], "--require '' leaves a requirement empty"),
        (["whole.tflite", "--require", "int8,"], "--require 'int8,' leaves a requirement empty"),
        (["mute.tflite"], "mute.tflite: This .tflite file has no inputs"),
        (["whole.tflite", "--reproducible"], "--reproducible is for a workspace folder"),
        (["folder", "whole.tflite"], "folder is checked alone"),
        (["model.h5", "--require", "int8"], "model.h5 is checked alone"),
    ],
)
def test_mistakes_are_one_line(arguments: Sequence[str], said: str, tiny_artifacts: dict[str, Path], tmp_path: Path) -> None:
    whole, onnx = tiny_artifacts["tflite-int8"].read_bytes(), tiny_artifacts["onnx-int8"].read_bytes()
    (tmp_path / "folder").mkdir()
    files = {"whole.tflite": whole, "cut.tflite": whole[:400], "cut.onnx": onnx[: len(onnx) // 2], "notes.txt": b"notes" * 30, "model.h5": b""}
    files["mute.tflite"] = without_inputs(whole)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    done = check(*arguments, cwd=tmp_path)
    assert (done.code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("error: ")
    assert said in done.stderr


def test_known_requirements_are_the_documented_ones() -> None:
    runtimes, places = ["ai-edge-litert", "tflite-runtime", "onnxruntime"], ["bookworm", "bookworm-32", "trixie"]
    assert list(REQUIREMENTS) == ["int8", "int8-io", "per-channel", *runtimes, *places]


_WITHOUT_TOOLKIT = """
import sys
for name in ("tensorflow", "tf_keras", "keras", "tensorflow_model_optimization", "tf2onnx", "onnx", "pandas", "sklearn", "matplotlib"):
    sys.modules[name] = None
from edgeproof.cli import main
code = main(sys.argv[1:])
loaded = {name for name in ("altair", "onnxruntime", "scipy", "tflite_runtime") if name in sys.modules}
print("code", code, *sorted(loaded))
"""


@pytest.mark.parametrize("format", ["tflite-int8", "onnx-int8"])
def test_it_needs_none_of_the_toolkit(tiny_artifacts: dict[str, Path], format: str) -> None:
    command = [sys.executable, "-c", _WITHOUT_TOOLKIT, "check", tiny_artifacts[format], "--require", "int8"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert "Named int8 and is int8: 100 % of MACs int8" in done.stdout, done.stderr
    used = [] if format.startswith("tflite") else ["onnxruntime"]
    assert done.stdout.splitlines()[-1].split() == ["code", "0", *used], "a .tflite is read without any interpreter"


@pytest.mark.parametrize("format", ["tflite-int8", "onnx-int8"])
def test_it_answers_within_a_second(tiny_artifacts: dict[str, Path], format: str) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-P", "-m", "edgeproof", "check", tiny_artifacts[format]], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1, "processor time: others may be busy here too"
