"""A finished workspace is whole; whatever is changed in it, the walk names that very link first."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_runtime.errors import MissingInputError
from edge_runtime.metadata import read_tflite_metadata
from edgeproof.console import Console
from edgeproof.stages.lineage import Link, check_workspace, walk
from edgeproof.workspace import Workspace
from export.embed import embed_tflite
from tests.pipelines import Run
from train.datasets import load_dataset

NewConsole = Callable[..., Console]

INT8 = "compact-tflite-int8.tflite"
MANIFEST = "artifacts/manifest.json"
WITHOUT_SKLEARN = """
import sys
sys.modules["sklearn.model_selection"] = None
from edgeproof.stages.lineage import walk
from edgeproof.workspace import Workspace
for link in walk(Workspace(sys.argv[1])):
    print(link.holds, link.subject, "|", link.detail)
assert "tensorflow" not in sys.modules
"""


@pytest.fixture
def place(digits_run: Run, tmp_path: Path) -> Workspace:
    """A private copy of the finished workspace."""
    return Workspace(shutil.copytree(digits_run.workspace, tmp_path / "w"))


def edit(place: Workspace, name: str, change: Callable[[dict[str, Any]], object]) -> None:
    fields = place.read_json(name)
    change(fields)
    place.write_json(name, fields)


def edit_arrays(place: Workspace, name: str, array: str, index: object) -> None:
    """Another number in one place of an array."""
    arrays = place.read_arrays(name)
    arrays[array][index] = 1 - arrays[array][index]
    place.write_arrays(name, arrays)


def append(place: Workspace, name: str) -> None:
    path = place / name
    path.write_bytes(path.read_bytes() + b"!")


def forge(place: Workspace, name: str, content: bytes) -> None:
    """Another file, with the manifest's blessing and no report that knows better."""
    place.write_bytes(f"artifacts/{name}", content)
    edit(place, MANIFEST, lambda fields: fields["artifacts"][name].update(sha256=place.sha256(f"artifacts/{name}")))
    (place / "parity.json").unlink()


def first_break(place: Workspace) -> Link:
    return next(link for link in walk(place) if link.holds is False)


def change_a_pixel(place: Workspace) -> None:
    digits = load_dataset("digits")
    images = digits.images.copy()
    images[7, 0, 0, 0] ^= 1
    np.savez(place / "mine.npz", images=images, labels=digits.labels)
    edit(place, "dataset.json", lambda fields: fields.update(source=str(place / "mine.npz")))


def claim(place: Workspace, **changes: Any) -> None:
    """The int8 file with other metadata inside."""
    content = (place / f"artifacts/{INT8}").read_bytes()
    metadata = read_tflite_metadata(content)
    assert metadata is not None
    with zipfile.ZipFile(place / f"artifacts/{INT8}") as archive:
        flatbuffer = content[: archive.infolist()[0].header_offset]
    forge(place, INT8, embed_tflite(flatbuffer, replace(metadata, **changes)))


def one_more_broken(fields: dict[str, Any]) -> None:
    fields["rows"][1]["broken"] += 1


TAMPERED: list[tuple[str, str, Callable[[Workspace], object]]] = [
    ("data", "not what the baseline was judged on", change_a_pixel),
    ("data", "the classes at digits", lambda w: edit(w, "dataset.json", lambda f: f["class_names"].reverse())),
    ("data → split", "seed 1 gives another fit part", lambda w: edit(w, "dataset.json", lambda f: f.update(seed=1))),
    ("data → split", "another validation part", lambda w: edit(w, "dataset.json", lambda f: f["split"]["validation"].update(sha256="0"))),
    ("split → validation images", "the labels of validation.npz", lambda w: edit_arrays(w, "validation.npz", "labels", 3)),
    ("split → validation images", "the images of validation.npz", lambda w: edit_arrays(w, "validation.npz", "images", (3, 0, 0))),
    ("data → baseline", "baseline.keras is not the file", lambda w: append(w, "baseline.keras")),
    ("data → baseline", "other data", lambda w: edit(w, "training.json", lambda f: f.update(dataset_sha256="0"))),
    ("data → baseline", "baseline_probabilities give", lambda w: edit_arrays(w, "validation.npz", "baseline_probabilities", slice(0, 500))),
    ("baseline → folded", "folded.keras is not the file", lambda w: append(w, "folded.keras")),
    ("baseline → folded", "another baseline model", lambda w: edit(w, "folded.json", lambda f: f.update(baseline_sha256="0"))),
    ("baseline → folded", "folded.json does not exist", lambda w: (w / "folded.json").unlink()),
    ("folded → QAT", "qat.h5 is gone", lambda w: (w / "qat.h5").unlink()),
    ("folded → QAT", "another folded model", lambda w: edit(w, "qat.json", lambda f: f.update(folded_sha256="0"))),
    ("folded → QAT", "qat.json does not exist", lambda w: (w / "qat.json").unlink()),
    ("models → manifest", "over another qat", lambda w: edit(w, MANIFEST, lambda f: f["inputs"].update(qat_sha256="0"))),
    ("models → manifest", "Cannot read", lambda w: w.write_text(MANIFEST, "{")),
    ("split → calibration", "not the split's", lambda w: edit(w, MANIFEST, lambda f: f["calibration"]["indices"].pop())),
    ("split → calibration", "other pixels", lambda w: edit(w, MANIFEST, lambda f: f["calibration"].update(sha256="0"))),
    ("split → calibration", "records cannot be read", lambda w: edit(w, MANIFEST, lambda f: f.pop("calibration"))),
    ("QAT → artifact", f"{INT8} is not the file that was exported", lambda w: append(w, f"artifacts/{INT8}")),
    ("QAT → artifact", f"{INT8} was made from another qat", lambda w: edit(w, MANIFEST, lambda f: f["artifacts"][INT8].update(source_sha256="0"))),
    ("QAT → artifact", "states another lineage", lambda w: claim(w, lineage={"dataset": "0"})),
    ("QAT → artifact", "states another class_names", lambda w: claim(w, class_names=tuple("9876543210"))),
    ("folded → artifact", "compact-onnx-float32.onnx is gone", lambda w: (w / "artifacts/compact-onnx-float32.onnx").unlink()),
    ("artifacts → golden vectors", "golden.npz is not the file", lambda w: append(w, "artifacts/compact.golden.npz")),
    ("artifacts → report", "another baseline", lambda w: edit(w, "parity.json", lambda f: f["baseline"].update(sha256="0"))),
    ("artifacts → report", "judges another compact", lambda w: edit(w, "parity.json", lambda f: f["rows"][0].update(sha256="0"))),
    ("answers → report", "broken", lambda w: edit(w, "parity.json", one_more_broken)),
    ("answers → report", "another verdict", lambda w: edit(w, "parity.json", lambda f: f.update(verdict="MAYBE"))),
    ("report → its other forms", "parity.md was not written from this parity.json", lambda w: append(w, "parity.md")),
    ("report → its other forms", "`edgeproof parity --rejudge -w ", lambda w: append(w, "parity.junit.xml")),
    ("answers → report", "is gone", lambda w: next((w / "outputs").iterdir()).unlink()),
]


@pytest.mark.parametrize(("subject", "said", "tamper"), TAMPERED, ids=[f"{subject}: {said}" for subject, said, _ in TAMPERED])
def test_the_first_break_is_the_link_that_was_tampered_with(place: Workspace, subject: str, said: str, tamper: Callable[[Workspace], object]) -> None:
    tamper(place)
    link = first_break(place)
    assert link.subject == subject
    assert said in link.detail


def test_a_finished_workspace_is_whole(digits_run: Run, capfd: pytest.CaptureFixture[str], new_console: NewConsole) -> None:
    assert check_workspace(Workspace(digits_run.workspace), new_console()) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[-1] == "Whole: 16 links from data to report."
    assert [line[:7] for line in lines[:-1]] == ["ok     "] * 16
    assert sum("QAT → artifact" in line for line in lines) == 2


def test_a_strangers_workspace_is_whole_as_well(twin_run: Run) -> None:
    links = list(walk(Workspace(twin_run.workspace)))
    assert [link for link in links if not link.holds] == []
    assert len(links) == 16


def test_a_break_is_told_in_one_sentence_with_the_remedy_and_exits_1(
    place: Workspace, capfd: pytest.CaptureFixture[str], new_console: NewConsole
) -> None:
    append(place, f"artifacts/{INT8}")
    (place / "parity.json").unlink()
    assert check_workspace(place, new_console()) == 1
    expected = f"Broken at QAT → artifact: {INT8} is not the file that was exported: run `edgeproof export all -w {place.path}` again."
    assert capfd.readouterr().out.splitlines()[-1] == expected
    assert check_workspace(place, new_console(as_json=True)) == 1
    told = json.loads(capfd.readouterr().out)
    assert (told["whole"], told["broken_at"], told["sentence"]) == (False, "QAT → artifact", expected)


@pytest.mark.parametrize(
    ("gone", "closing"),
    [
        (["parity.json"], "Whole: 13 links from data to artifacts. Not there yet: report."),
        (["parity.json", "artifacts", "qat.json"], "Whole: 5 links from data to folded model. Not there yet: QAT model, artifacts, report."),
    ],
)
def test_a_workspace_on_its_way_is_whole_as_far_as_it_goes(
    place: Workspace, gone: list[str], closing: str, capfd: pytest.CaptureFixture[str], new_console: NewConsole
) -> None:
    for name in gone:
        shutil.rmtree(place / name) if name == "artifacts" else (place / name).unlink()
    assert check_workspace(place, new_console()) == 0
    assert capfd.readouterr().out.splitlines()[-1] == closing


def test_an_empty_folder_is_told_what_to_run(tmp_path: Path, new_console: NewConsole) -> None:
    with pytest.raises(MissingInputError, match="run `edgeproof train"):
        check_workspace(Workspace(tmp_path), new_console())


def test_data_that_has_moved_is_unseen_not_broken(place: Workspace, capfd: pytest.CaptureFixture[str], new_console: NewConsole) -> None:
    edit(place, "dataset.json", lambda fields: fields.update(source="/nowhere/pictures"))
    assert check_workspace(place, new_console()) == 0
    *lines, closing = capfd.readouterr().out.splitlines()
    assert lines[0] == "unseen data: the data is no longer at /nowhere/pictures"
    assert sum(line.startswith("unseen") for line in lines) == 4
    assert closing == "Whole as far as can be seen here: 12 of 16 links from data to report hold, none is broken."


def test_without_scikit_learn_the_split_is_unseen_and_the_rest_is_looked_at(digits_run: Run) -> None:
    done = subprocess.run([sys.executable, "-P", "-c", WITHOUT_SKLEARN, digits_run.workspace], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[1].startswith("None data → split | needs sklearn")
    assert [line.split(" |")[0] for line in lines if line.startswith("None")] == [
        "None data → split",
        "None split → validation images",
        "None split → calibration",
    ]
    assert len([line for line in lines if line.startswith("True")]) == 13


def test_without_onnx_runtime_the_files_are_looked_into_all_the_same(digits_run: Run) -> None:
    program = WITHOUT_SKLEARN.replace("sklearn.model_selection", "onnxruntime")
    done = subprocess.run([sys.executable, "-P", "-c", program, digits_run.workspace], capture_output=True, text=True, check=True)
    assert [line for line in done.stdout.splitlines() if not line.startswith("True")] == []


def test_a_report_without_its_other_forms_is_whole(place: Workspace) -> None:
    for name in ("parity.md", "parity.junit.xml"):
        (place / name).unlink()
    links = list(walk(place))
    assert [link for link in links if not link.holds] == []
    assert links[-1].subject == "answers → report"


def test_exports_that_were_made_elsewhere_need_no_models_of_ours(place: Workspace) -> None:
    for name in ("folded.json", "folded.keras", "qat.json", "qat.h5", "parity.json"):
        (place / name).unlink()

    def adopt(fields: dict[str, Any]) -> None:
        fields["artifacts"] = {name: {**facts, "source": "baseline"} for name, facts in fields["artifacts"].items()}
        for facts in fields["artifacts"].values():
            del facts["source_sha256"]
        for name in ("folded_sha256", "qat_sha256"):
            del fields["inputs"][name]
        del fields["calibration"], fields["golden"]

    edit(place, MANIFEST, adopt)
    edit(place, "training.json", lambda fields: fields.pop("recipe"))
    links = list(walk(place))
    assert [link for link in links if not link.holds] == []
    assert len([link for link in links if link.subject == "baseline → artifact"]) == 4
    append(place, f"artifacts/{INT8}")
    assert first_break(place).subject == "baseline → artifact"


def test_converting_twice_finds_the_file_that_its_models_do_not_give(
    place: Workspace, capfd: pytest.CaptureFixture[str], new_console: NewConsole
) -> None:
    forged, sound, lost = "compact-tflite-float32.tflite", "compact-onnx-float32.onnx", "compact-onnx-int8.onnx"
    content = bytearray((place / f"artifacts/{forged}").read_bytes())
    content[len(content) // 2] ^= 1
    edit(place, MANIFEST, lambda fields: fields.update(artifacts={name: fields["artifacts"][name] for name in (forged, sound, lost)}))
    edit(place, "qat.json", lambda fields: fields["activation_ranges"].update(elsewhere=[0.0, 1.0]))
    forge(place, forged, bytes(content))
    assert check_workspace(place, new_console()) == 0
    assert check_workspace(place, new_console(as_json=True), reproducible=True) == 1
    told = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert told["broken_at"] == "converted twice"
    assert f"two conversions of {forged} agree, but the kept file is another" in told["sentence"]
    twice = [link for link in told["links"] if link["subject"] == "converted twice"]
    assert [link["holds"] for link in twice] == [False, True, False]
    assert f"{lost} cannot be converted any more: Layer 'elsewhere' is not in the converted ONNX graph" in twice[2]["detail"]
