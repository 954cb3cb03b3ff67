"""A frozen baseline stands in for the model; saved outputs are judged again without one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_runtime.errors import InputError
from edgeproof.stages.freezing import Frozen
from tests import foreign
from tests.pipelines import run
from train.datasets import Dataset


@pytest.fixture(scope="module")
def judged(tiny_artifacts: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a workspace `w`, judged and frozen at a margin of 5 pp."""
    folder = foreign.bring(tmp_path_factory.mktemp("judged"), tiny_artifacts)
    arguments = ("--baseline", "float.tflite", "--export", "small.tflite", "--data", "held-out.npz", "--max-drop", "5", "--kernels", "default")
    done = run("parity", *arguments, "-w", "w", "--freeze", "frozen.npz", cwd=folder)
    assert done.code == 0, done.stderr
    return folder


@pytest.fixture
def folder(judged: Path, tmp_path: Path) -> Path:
    shutil.copytree(judged, tmp_path / "here")
    return tmp_path / "here"


def _parity(folder: Path, workspace: str = "w") -> dict[str, Any]:
    return dict(json.loads((folder / workspace / "parity.json").read_text()))


def _by_frozen(folder: Path, data: str, *more: str) -> tuple[int, str]:
    done = run("parity", "--baseline", "frozen.npz", "--export", "small.tflite", "--data", data, "--kernels", "default", "-w", "v", *more, cwd=folder)
    return done.code, done.stderr


def _arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as arrays:
        return dict(arrays)


def test_it_holds_answers_and_hashes_and_no_images(folder: Path) -> None:
    arrays, validation = _arrays(folder / "frozen.npz"), _arrays(folder / "w/validation.npz")
    assert {name: values.shape for name, values in arrays.items()} == {
        "facts": (),
        "labels": (600,),
        "baseline_probabilities": (600, 3),
        "image_sha256": (600, 16),
    }
    np.testing.assert_array_equal(arrays["baseline_probabilities"], validation["baseline_probabilities"])
    facts = json.loads(str(arrays["facts"]))
    assert (facts["margin_pp"], facts["class_names"], facts["preprocessing"]["height"]) == (5, ["a", "b", "c"], 8)
    assert facts["baseline_sha256"] == _parity(folder)["baseline"]["sha256"]


def test_images_are_found_by_content_whatever_their_order_and_company(folder: Path) -> None:
    data = _arrays(folder / "held-out.npz")
    order = np.random.default_rng(0).permutation(600)
    images = np.concatenate([data["images"][order], data["images"][:7], 255 - data["images"][:20]])
    labels = np.concatenate([data["labels"][order], data["labels"][:7], data["labels"][:20]])
    foreign.save_held_out(folder / "shuffled.npz", images, labels)
    code, said = _by_frozen(folder, "shuffled.npz")
    assert code == 0, said
    assert "27 further images of shuffled.npz are not part of the frozen baseline" in said
    judged, frozen = _parity(folder), _parity(folder, "v")
    assert frozen == judged, "to the last flip, and at the margin that was frozen"
    checked = run("check", "v", cwd=folder)
    assert checked.code == 0, checked.stdout
    assert "validation.npz holds the 600 images that the baseline was frozen with" in checked.stdout

    validation = _arrays(folder / "v/validation.npz")
    validation["images"][9] ^= 1
    np.savez(folder / "v/validation.npz", **validation)
    assert "1 images of validation.npz are not in the data: run `edgeproof parity --baseline …" in run("check", "v", cwd=folder).stdout


def test_images_that_are_missing_are_counted(folder: Path) -> None:
    data = _arrays(folder / "held-out.npz")
    foreign.save_held_out(folder / "part.npz", data["images"][12:], data["labels"][12:])
    code, said = _by_frozen(folder, "part.npz")
    assert code == 2
    assert "12 of the 600 images that the baseline was frozen with are not in part.npz: give those very images" in said
    assert not (folder / "v").exists()


def test_twice_the_same_picture_and_other_labels(folder: Path) -> None:
    frozen = Frozen.load(folder / "frozen.npz")
    data = _arrays(folder / "held-out.npz")
    twice = Frozen(**{**vars(frozen), **{name: getattr(frozen, name)[[3, 3, 5]] for name in ("labels", "probabilities", "hashes")}})
    dataset = Dataset("held-out.npz", data["images"], data["labels"], ("a", "b", "c"))
    np.testing.assert_array_equal(twice.find(dataset), [3, 3, 5])
    assert frozen.relabelled(dataset) == 0
    assert frozen.relabelled(Dataset("other", data["images"], (data["labels"] + (np.arange(600) < 4)) % 3, ("a", "b", "c"))) == 4


def test_the_frozen_margin_holds_unless_another_is_given(folder: Path) -> None:
    assert _by_frozen(folder, "held-out.npz", "--max-drop", "1")[0] == 3
    assert _parity(folder, "v")["margin_pp"] == 1


@pytest.mark.parametrize("fault", ["noise", "pictures", "other lengths", "newer"])
def test_what_is_no_frozen_baseline_is_named(fault: str, folder: Path) -> None:
    path, arrays = folder / "frozen.npz", _arrays(folder / "frozen.npz")
    if fault == "noise":
        path.write_bytes(np.random.default_rng(0).bytes(500))
    elif fault == "pictures":
        shutil.copy(folder / "held-out.npz", path)
    elif fault == "other lengths":
        np.savez(path, **{**arrays, "labels": arrays["labels"][1:]})
    else:
        np.savez(path, **{**arrays, "facts": np.array(str(arrays["facts"]).replace('"schema": 1', '"schema": 2'))})
    with pytest.raises(InputError, match="frozen.npz.*(edgeproof parity --freeze|upgrade this one)"):
        Frozen.load(path)


def test_judging_again_needs_no_runtime_and_keeps_the_outputs(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign.block(monkeypatch, tmp_path, *foreign.NOT_IN_CHECK, *foreign.RUNTIMES)
    before, rows = {path.name: path.read_bytes() for path in (folder / "w/outputs").iterdir()}, _parity(folder)["rows"]
    done = run("parity", "--rejudge", "--max-drop", "1", "-w", "w", cwd=folder)
    assert done.code == 3, done.stderr
    after = _parity(folder)
    assert (after["verdict"], after["margin_pp"]) == ("INCONCLUSIVE", 1)
    assert [row["broken"] for row in after["rows"]] == [row["broken"] for row in rows]
    assert "INCONCLUSIVE" in (folder / "w/parity.md").read_text()
    assert "margin 1" in (folder / "w/parity.junit.xml").read_text()
    assert {path.name: path.read_bytes() for path in (folder / "w/outputs").iterdir()} == before

    assert run("parity", "--rejudge", "-w", "w", cwd=folder).code == 3, "at the margin of the last verdict"
    assert run("parity", "--rejudge", "--max-drop", "5", "-w", "w", "--freeze", "again.npz", cwd=folder).code == 0
    assert (folder / "again.npz").read_bytes() == (folder / "frozen.npz").read_bytes()


def test_outputs_that_are_missing_or_of_another_file_are_not_judged(folder: Path) -> None:
    outputs = folder / "w/outputs"
    saved = sorted(outputs.iterdir())
    arrays = _arrays(saved[0])
    report = (folder / "w/parity.json").read_bytes()

    def refused(because: str) -> None:
        done = run("parity", "--rejudge", "-w", "w", cwd=folder)
        assert done.code == 2
        assert because in done.stderr
        assert "edgeproof parity -w w" in done.stderr
        assert (folder / "w/parity.json").read_bytes() == report

    np.savez(saved[0], **{**arrays, "facts": np.array(str(arrays["facts"]).replace('"sha256": "', '"sha256": "0'))})
    refused("was answered by another file than the artifact")
    np.savez(saved[0], raw=arrays["raw"])
    refused("holds no outputs")
    saved[0].write_bytes(b"PK")
    refused("Cannot read")
    saved[0].unlink()
    refused("does not exist yet")


def test_where_nothing_can_be_frozen(folder: Path) -> None:
    for path, because in (("w", "give a file in a folder"), ("none/frozen.npz", "a folder that exists"), ("frozen.json", "--freeze writes an .npz")):
        done = run("parity", "--rejudge", "-w", "w", "--freeze", path, cwd=folder)
        assert (done.code, because in done.stderr) == (2, True), done.stderr
