from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.errors import InputError, MissingInputError
from edgeproof.workspace import DEFAULT, Workspace, file_sha256

# Every file name a stage makes, by stage.
MADE = {
    "train": ["dataset.json", "validation.npz", "baseline.keras", "training.json", "history.csv", "figures/curves.png"],
    "fold": ["folded.keras", "folded.json", "layers.npz"],
    "qat": ["qat.h5", "qat.json"],
    "export": ["artifacts/m-tflite-int8.tflite", "artifacts/manifest.json"],
    "parity": ["outputs/m.npz", "parity.json", "parity.md", "parity.junit.xml"],
    "bench": ["latency/local-20260101T000000Z.json"],
}
# The kernel refuses to let this process write more than 1000 bytes into any file, as a full disk would.
ON_A_FULL_DISK = """
import resource
from edgeproof.workspace import Workspace
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
Workspace("w").write_bytes("qat.json", b"x" * 5000)
"""


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def filled(folder: Path) -> Workspace:
    workspace = Workspace(folder)
    for names in MADE.values():
        for name in names:
            workspace.write_text(name, name)
    return workspace


def manifest_of(workspace: Workspace, name: str) -> None:
    facts = {"format": "tflite-int8", "source": "qat", "sha256": workspace.sha256(f"artifacts/{name}"), "runtimes": ["ai-edge-litert"], "bytes": 5}
    workspace.write_json("artifacts/manifest.json", {"artifacts": {name: facts}})


def test_what_is_written_is_read_back_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "deep" / "er")
    arrays = {"images": np.arange(6, dtype=np.uint8).reshape(1, 2, 3), "labels": np.array([1]), "baseline_probabilities": np.eye(1)}
    workspace.write_json("dataset.json", {"names": ["één", "二"]})
    workspace.write_arrays("validation.npz", arrays)
    workspace.write_text("artifacts/x.txt", "two")
    assert workspace.read_json("dataset.json") == {"names": ["één", "二"]}
    again = workspace.read_arrays("validation.npz")
    assert list(again) == list(arrays)
    np.testing.assert_array_equal(again["images"], arrays["images"])
    assert files(workspace.path) == ["artifacts/x.txt", "dataset.json", "validation.npz"]
    assert (workspace / "dataset.json").stat().st_mode & 0o777 == 0o644


def test_a_write_that_fails_leaves_the_old_file_and_no_debris(tmp_path: Path) -> None:
    Workspace(tmp_path / "w").write_text("qat.json", "the old one")
    done = subprocess.run([sys.executable, "-P", "-c", ON_A_FULL_DISK], cwd=tmp_path, capture_output=True, text=True)
    assert "InputError: Cannot write w/qat.json: File too large." in done.stderr.splitlines()[-1]
    assert files(tmp_path) == ["w/qat.json"]
    assert (tmp_path / "w" / "qat.json").read_text() == "the old one"


def test_a_file_that_cannot_be_replaced_is_one_line_and_leaves_no_debris(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    (tmp_path / "parity.json" / "inside").mkdir(parents=True)
    with pytest.raises(InputError, match="Cannot write .*parity.json: Is a directory"):
        workspace.write_json("parity.json", {})
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("baseline.keras", "edgeproof train"),
        ("figures/curves.png", "edgeproof train"),
        ("qat.h5", "edgeproof qat"),
        ("artifacts/manifest.json", "edgeproof export all"),
        ("parity.json", "edgeproof parity"),
    ],
)
def test_what_is_missing_is_named_with_the_command_that_makes_it_there(tmp_path: Path, name: str, command: str) -> None:
    workspace = Workspace(tmp_path / "w")
    with pytest.raises(MissingInputError) as caught:
        workspace.require(name)
    assert str(caught.value) == f"{tmp_path}/w/{name} does not exist yet: run `{command} -w {tmp_path}/w` first."


def test_a_workspace_of_strangers_exports_does_not_send_for_what_nothing_makes_there(tmp_path: Path) -> None:
    (tmp_path / "training.json").write_text('{"adopted": true}')
    for name in ("baseline.keras", "qat.h5"):
        with pytest.raises(InputError, match=f"judged by a stranger's baseline, and no {name}: `edgeproof run --model"):
            Workspace(tmp_path).require(name)
    with pytest.raises(MissingInputError, match="run `edgeproof parity --baseline"):
        Workspace(tmp_path).require("validation.npz")


def test_commands_name_a_folder_so_that_a_shell_takes_it() -> None:
    assert Workspace("runs/größe netz").option == " -w 'runs/größe netz'"


def test_in_the_default_workspace_the_command_needs_no_w(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingInputError, match="run `edgeproof qat` first"):
        Workspace(DEFAULT).require("qat.h5")


def test_a_workspace_below_a_regular_file_is_refused_by_the_files_name(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for path in (tmp_path / "notes.txt", tmp_path / "notes.txt" / "runs" / "w"):
        with pytest.raises(InputError, match="notes.txt is a file. Choose another with -w"):
            Workspace(path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[1, 2]", b"3", b"null", b'[["a", 1]]'])
def test_json_that_cannot_be_used_is_one_line_with_the_remedy(tmp_path: Path, content: bytes) -> None:
    workspace = Workspace(tmp_path)
    workspace.write_bytes("qat.json", content)
    with pytest.raises(InputError, match=r"run `edgeproof qat -w .*` again") as caught:
        workspace.read_json("qat.json")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["empty", "random", "cut", "flipped", "npy"])
def test_arrays_that_cannot_be_used_are_one_line_with_the_remedy(tmp_path: Path, damage: str) -> None:
    workspace = Workspace(tmp_path)
    whole = workspace.write_arrays("validation.npz", {"images": np.random.default_rng(0).integers(0, 256, (9, 8, 8, 1), np.uint8)}).read_bytes()
    middle = len(whole) // 2
    np.save(tmp_path / "one.npy", np.zeros(3))
    content = {
        "empty": b"",
        "random": np.random.default_rng(0).bytes(500),
        "cut": whole[:middle],
        "flipped": whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1 :],
        "npy": (tmp_path / "one.npy").read_bytes(),
    }[damage]
    workspace.write_bytes("validation.npz", content)
    with pytest.raises(InputError, match=r"run `edgeproof train -w .*` again") as caught:
        workspace.read_arrays("validation.npz")
    assert "\n" not in str(caught.value)


RECORDS = {"train": "training.json", "fold": "folded.json", "qat": "qat.json", "export": "artifacts/manifest.json", "parity": "parity.json"}


@pytest.mark.parametrize(
    ("stage", "replaced"),
    [
        ("train", ("train", "fold", "qat", "export", "parity")),
        ("fold", ("fold", "qat", "export", "parity")),
        ("qat", ("qat", "export", "parity")),
        ("export", ("parity",)),
        ("parity", ("parity",)),
    ],
)
def test_a_stage_that_runs_again_replaces_its_files_and_what_later_stages_made(tmp_path: Path, stage: str, replaced: tuple[str, ...]) -> None:
    workspace = filled(tmp_path)
    with workspace.stage(stage) as staged:
        staged.write_text(RECORDS[stage], "{}")
        staged.write_text("new.txt", "")
    kept = {name for maker, names in MADE.items() if maker not in replaced for name in names}
    assert files(tmp_path) == sorted(kept | {RECORDS[stage], "new.txt"})
    assert (workspace / RECORDS[stage]).read_text() == "{}"


@pytest.mark.parametrize("stage", RECORDS)
@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError("disk full")])
def test_a_stage_that_is_broken_off_changes_nothing(tmp_path: Path, stage: str, error: BaseException) -> None:
    workspace = filled(tmp_path)
    before = files(tmp_path)

    def break_off() -> None:
        with workspace.stage(stage) as staged:
            staged.write_text(RECORDS[stage], "{}")
            raise error

    with pytest.raises((KeyboardInterrupt, InputError)):
        break_off()
    assert files(tmp_path) == before
    assert list(tmp_path.glob(".*")) == []


def test_a_first_stage_that_is_broken_off_leaves_no_folder(tmp_path: Path) -> None:
    def break_off() -> None:
        with Workspace(tmp_path / "new").stage("train"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert not (tmp_path / "new").exists()


def test_without_its_record_a_stage_has_not_been_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = filled(tmp_path)
    moved: list[str] = []
    replace = os.replace

    def stop_at_the_second(source: Path, target: Path) -> None:
        moved.append(str(target))
        if len(moved) == 2:
            raise KeyboardInterrupt
        replace(source, target)

    def break_off() -> None:
        with workspace.stage("qat") as staged:
            for name in ("folded.keras", "qat.h5", "qat.json"):
                staged.write_text(name, "{}")
            moved.clear()
            monkeypatch.setattr(os, "replace", stop_at_the_second)

    with pytest.raises(KeyboardInterrupt):
        break_off()
    with pytest.raises(MissingInputError, match="run `edgeproof qat"):
        workspace.read_json("qat.json")


def test_artifacts_are_those_of_the_manifest(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    path = workspace.write_bytes("artifacts/m.tflite", b"model")
    workspace.write_bytes("artifacts/stray.tflite", b"left by somebody")
    manifest_of(workspace, "m.tflite")
    (artifact,) = workspace.artifacts()
    assert (artifact.path, artifact.sha256, artifact.runtimes) == (path.resolve(), file_sha256(path), ("ai-edge-litert",))


@pytest.mark.parametrize("change", ["changed", "gone"])
def test_an_artifact_that_is_not_the_exported_file_is_refused(tmp_path: Path, change: str) -> None:
    workspace = Workspace(tmp_path)
    path = workspace.write_bytes("artifacts/m.tflite", b"model")
    manifest_of(workspace, "m.tflite")
    path.unlink()
    if change == "changed":
        path.write_bytes(b"Model")
    with pytest.raises(InputError, match="m.tflite is (not the file that was exported|missing).*run `edgeproof export all -w .*` again"):
        workspace.artifacts()


def test_a_manifest_is_a_file_people_can_read(tmp_path: Path) -> None:
    path = Workspace(tmp_path).write_json("training.json", {"seed": 1, "epochs": 2})
    assert path.read_text() == json.dumps({"seed": 1, "epochs": 2}, indent=1) + "\n"
