from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.errors import InputError
from edge_runtime.interpreter import open_model
from edge_runtime.metadata import ENTRY, SCHEMA, ModelMetadata, read_tflite_metadata
from edge_runtime.preprocess import Preprocessing
from edge_runtime.worker import run_in_subprocess
from export.embed import embed_onnx, embed_tflite

METADATA = ModelMetadata("digits", "tflite-int8", ("zero", "één", "二"), Preprocessing(8, 8, 1), lineage={"qat": "ab12", "dataset": "cd34"})
FLATBUFFER = b"\x1c\x00\x00\x00TFL3" + bytes(range(256))  # the reader of metadata never looks inside


def with_entry(text: bytes, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    archive = io.BytesIO()
    archive.write(FLATBUFFER)
    with zipfile.ZipFile(archive, "a", compression) as writer:
        writer.writestr(ENTRY, text)
    return archive.getvalue()


@given(
    st.text(),
    st.lists(st.text(), min_size=1, max_size=5).map(tuple),
    st.floats(-2, 2),
    st.sampled_from(["logits", "probabilities"]),
    st.dictionaries(st.text(), st.text(), max_size=3),
)
def test_json_and_back_is_the_same_metadata(name: str, classes: tuple[str, ...], offset: float, output: str, lineage: dict[str, str]) -> None:
    metadata = ModelMetadata(name, "onnx-int8", classes, Preprocessing(1, 2, 3, 0.5, offset), output, lineage)
    again = ModelMetadata.from_json(metadata.to_json())
    assert again == metadata
    assert again.to_json() == metadata.to_json()


def test_the_order_in_which_lineage_was_collected_does_not_change_the_bytes() -> None:
    reordered = ModelMetadata(**{**vars(METADATA), "lineage": {name: METADATA.lineage[name] for name in ("dataset", "qat")}})
    assert reordered.to_json() == METADATA.to_json()
    assert embed_tflite(FLATBUFFER, reordered) == embed_tflite(FLATBUFFER, METADATA)


def test_embedding_leaves_the_flatbuffer_in_front_untouched_and_reads_back() -> None:
    model = embed_tflite(FLATBUFFER, METADATA)
    assert model.startswith(FLATBUFFER)
    assert read_tflite_metadata(model) == METADATA


def test_a_newer_schema_is_refused_with_the_remedy() -> None:
    newer = json.dumps({**json.loads(METADATA.to_json()), "schema": SCHEMA + 1, "colour_space": "P3"})
    with pytest.raises(InputError, match=f"schema {SCHEMA + 1}.*upgrade"):
        ModelMetadata.from_json(newer)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", "{}", '{"schema": "1"}', '{"schema": 1}', METADATA.to_json().replace("height", "size")])
def test_text_that_is_not_this_metadata_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InputError, match="damaged") as caught:
        ModelMetadata.from_json(text)
    assert "\n" not in str(caught.value)


def test_a_tflite_without_an_entry_has_no_metadata() -> None:
    assert read_tflite_metadata(FLATBUFFER) is None
    with_labels = io.BytesIO(FLATBUFFER)
    with zipfile.ZipFile(with_labels, "a") as writer:
        writer.writestr("labels.txt", "cat\ndog\n")
    assert read_tflite_metadata(with_labels.getvalue()) is None


def test_a_damaged_entry_is_refused_rather_than_taken_for_none() -> None:
    whole = embed_tflite(FLATBUFFER, METADATA)
    cut = whole[:-10]  # the directory at the end
    flipped = bytearray(whole)
    flipped[len(FLATBUFFER) + 30 + len(ENTRY) + 20] ^= 0xFF  # inside the compressed text
    not_text = with_entry(b"\xff\xfe\xfd", zipfile.ZIP_STORED)
    for damaged in (cut, bytes(flipped), not_text, with_entry(b"no JSON")):
        with pytest.raises(InputError, match="damaged"):
            read_tflite_metadata(damaged)


def test_every_artifact_names_its_classes_and_contract(tiny_artifacts: dict[str, Path]) -> None:
    for format, path in tiny_artifacts.items():
        content = path.read_bytes()
        # ONNX Runtime may share this process with anything; a .tflite is read without an interpreter.
        metadata = read_tflite_metadata(content) if path.suffix == ".tflite" else open_model(content).metadata
        assert metadata == ModelMetadata("tiny", format, ("a", "b", "c"), Preprocessing(8, 8, 1))


def test_an_onnx_without_the_key_has_no_metadata_and_one_with_a_damaged_value_is_refused(tiny_artifacts: dict[str, Path]) -> None:
    import onnx

    proto = onnx.load(tiny_artifacts["onnx-float32"])
    del proto.metadata_props[:]
    bare = proto.SerializeToString()
    assert open_model(bare).metadata is None
    assert open_model(embed_onnx(bare, METADATA)).metadata == METADATA
    onnx.helper.set_model_props(proto, {"edgeproof": "{"})
    with pytest.raises(InputError, match="damaged"):
        open_model(proto.SerializeToString())


@pytest.mark.parametrize("runtime", ["ai-edge-litert", "tflite-runtime"])
def test_a_tflite_gives_the_same_answers_with_and_without_its_entry(
    tiny_artifacts: dict[str, Path], tiny_images: np.ndarray, tmp_path: Path, runtime: str
) -> None:
    np.save(tmp_path / "images.npy", tiny_images)
    whole = tiny_artifacts["tflite-int8"].read_bytes()
    (tmp_path / "bare.tflite").write_bytes(whole[: whole.index(b"PK\x03\x04")])
    answers = []
    for model in (tiny_artifacts["tflite-int8"], tmp_path / "bare.tflite"):
        job = {"job": "predict", "model": str(model), "images": str(tmp_path / "images.npy"), "outputs": str(tmp_path / "outputs.npy")}
        run_in_subprocess(job, runtime)
        answers.append(np.load(tmp_path / "outputs.npy"))
    np.testing.assert_array_equal(*answers)
