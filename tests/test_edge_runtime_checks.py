"""What is checked of a file before any interpreter sees it."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.classifier import Classifier
from edge_runtime.errors import InputError
from edge_runtime.interpreter import open_model
from edge_runtime.metadata import ENTRY, SCHEMA, ModelMetadata, read_onnx_metadata
from edge_runtime.preprocess import Preprocessing
from edge_runtime.worker import run_in_subprocess
from edge_runtime.zip_entry import read_entry
from export.embed import embed_onnx, embed_tflite

METADATA = ModelMetadata("digits", "any", ("zero", "één"), Preprocessing(8, 8, 1))
# No interpreter can be imported in this process: whatever is said of the file was found without one.
WITHOUT_INTERPRETER = """
import sys
sys.modules.update(dict.fromkeys(["ai_edge_litert", "tflite_runtime", "onnxruntime"]))
from edge_runtime.errors import EdgeproofError
from edge_runtime.interpreter import open_model
try:
    open_model(sys.argv[1], sha256=sys.argv[2] or None)
except EdgeproofError as error:
    print(type(error).__name__, error)
"""


def said_without_interpreter(model: Path, sha256: str = "") -> str:
    done = subprocess.run([sys.executable, "-P", "-c", WITHOUT_INTERPRETER, str(model), sha256], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(params=["tflite-int8", "onnx-int8"])
def artifact(request: pytest.FixtureRequest, tiny_artifacts: dict[str, Path], tmp_path: Path) -> Path:
    copy = tmp_path / tiny_artifacts[request.param].name
    copy.write_bytes(tiny_artifacts[request.param].read_bytes())
    return copy


def with_text(artifact: Path, text: str) -> Path:
    """The artifact with `text` as its metadata."""
    content = artifact.read_bytes()
    if artifact.suffix == ".onnx":
        import onnx

        proto = onnx.load_from_string(content)
        onnx.helper.set_model_props(proto, {"edgeproof": text})
        artifact.write_bytes(proto.SerializeToString())
    else:
        archive = io.BytesIO(content[: content.index(b"PK\x03\x04")])
        with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as writer:
            writer.writestr(ENTRY, text)
        artifact.write_bytes(archive.getvalue())
    return artifact


def test_the_right_checksum_opens_and_another_is_refused_before_the_interpreter(artifact: Path) -> None:
    right = hashlib.sha256(artifact.read_bytes()).hexdigest()
    assert open_model(artifact, sha256=right.upper()).metadata == Classifier.load(artifact.read_bytes(), sha256=right).metadata
    said = said_without_interpreter(artifact, "ab" * 32)
    assert said.startswith(f"InputError {artifact} is not the file it should be (sha256 {right[:12]}…, expected abababababab…)")
    assert said_without_interpreter(artifact, right).startswith("RuntimeMissingError")


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"schema": 1})])
def test_damaged_metadata_is_refused_before_the_interpreter(artifact: Path, text: str) -> None:
    assert said_without_interpreter(with_text(artifact, text)).startswith("InputError The model's edgeproof metadata is damaged")


def test_a_newer_schema_is_refused_before_the_interpreter(artifact: Path) -> None:
    newer = json.dumps({**json.loads(METADATA.to_json()), "schema": SCHEMA + 1})
    assert f"schema {SCHEMA + 1}, this edge_runtime reads {SCHEMA}: upgrade it" in said_without_interpreter(with_text(artifact, newer))


def test_a_job_refuses_another_file_than_its_checksum_says(artifact: Path) -> None:
    runtime = "onnxruntime" if artifact.suffix == ".onnx" else "tflite-runtime"
    with pytest.raises(InputError, match="not the file it should be"):
        run_in_subprocess({"job": "doctor", "model": str(artifact), "sha256": "00"}, runtime)


@given(st.binary(max_size=200), st.binary(max_size=3000), st.booleans(), st.binary(max_size=20).filter(lambda comment: b"PK" not in comment))
def test_an_entry_is_what_the_standard_library_reads(front: bytes, data: bytes, deflated: bool, comment: bytes) -> None:
    archive = io.BytesIO()
    archive.write(front)
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED) as writer:
        writer.writestr("before.txt", "PK\x05\x06")
        writer.writestr("entry", data)
        writer.comment = comment
    assert read_entry(archive.getvalue(), "entry") == data
    with pytest.raises(ValueError, match="no entry none"):
        read_entry(archive.getvalue(), "none")


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_a_changed_byte_is_noticed_or_changes_nothing(position: int, change: int) -> None:
    text = METADATA.to_json().encode()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer:
        writer.writestr("entry", text)
    damaged = bytearray(archive.getvalue())
    damaged[position % len(damaged)] ^= change
    with contextlib.suppress(ValueError):
        assert read_entry(bytes(damaged), "entry") == text


def test_onnx_metadata_is_what_the_onnx_package_wrote(tiny_artifacts: dict[str, Path]) -> None:
    import onnx

    proto = onnx.load(tiny_artifacts["onnx-float32"])
    del proto.metadata_props[:]
    bare = proto.SerializeToString()
    assert read_onnx_metadata(bare) is None
    assert read_onnx_metadata(embed_onnx(bare, METADATA)) == METADATA
    onnx.helper.set_model_props(proto, {"author": "somebody", "edgeproof": METADATA.to_json(), "z": ""})
    assert read_onnx_metadata(proto.SerializeToString()) == METADATA


@given(st.binary(max_size=300))
def test_bytes_that_are_no_protobuf_hold_no_metadata(content: bytes) -> None:
    assert read_onnx_metadata(content) is None


def test_a_tflite_is_read_through_the_same_entry() -> None:
    flatbuffer = b"\x1c\x00\x00\x00TFL3" + bytes(300)
    assert ModelMetadata.from_json(read_entry(embed_tflite(flatbuffer, METADATA), ENTRY).decode()) == METADATA
