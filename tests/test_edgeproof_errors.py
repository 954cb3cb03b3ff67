"""Users' mistakes: one line that names the thing and the remedy, exit code 2, nothing half-written."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.pipelines import Run, run

PIXELS = [f"pixel{index}" for index in range(784)]


def _csv(header: list[str], *rows: list[object]) -> bytes:
    return "\n".join(",".join(str(value) for value in row) for row in [header, *rows]).encode()


def _rows(labels: range, pixels: int = 784) -> list[list[object]]:
    return [[label % 10, *([0] * pixels)] for label in labels]


BAD_CSV = {
    "missing column": (_csv(PIXELS, *_rows(range(3), 783)), "no column 'label'"),
    "non-numeric pixel": (_csv(["label", *PIXELS], [1, *(["x"] + [0] * 783)]), "'pixel0' in row 1 is not a whole number: 'x'"),
    "783 pixel columns": (_csv(["label", *PIXELS[:783]], *_rows(range(3), 783)), "783 pixel columns"),
    "no rows": (_csv(["label", *PIXELS]), "no rows"),
    "empty file": (b"", "empty"),
    "random bytes": (np.random.default_rng(0).bytes(4000), "data.csv"),
    "label outside": (_csv(["label", *PIXELS], *_rows(range(300)), [57, *([0] * 784)]), "class '10' (of 58) has 0 images"),
    "negative label": (_csv(["label", *PIXELS], *_rows(range(300)), [-1, *([0] * 784)]), "label -1 in row 301 is outside the classes"),
}


def _assert_refused(folder: Path, *arguments: str, because: str) -> None:
    before = sorted(folder.rglob("*"))
    done = run(*arguments, cwd=folder)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.code == 2, done.stderr
    assert len(errors) == 1
    assert because in errors[0]
    assert "Traceback" not in done.stderr
    assert sorted(folder.rglob("*")) == before, "nothing written"


@pytest.mark.parametrize("fault", BAD_CSV)
def test_bad_csv(fault: str, tmp_path: Path) -> None:
    content, because = BAD_CSV[fault]
    (tmp_path / "data.csv").write_bytes(content)
    _assert_refused(tmp_path, "train", "--data", "data.csv", because=because)


def test_missing_data_file(tmp_path: Path) -> None:
    _assert_refused(tmp_path, "train", "--data", "nowhere.csv", because="No data at nowhere.csv")


def test_unknown_names_get_the_nearest_one(tmp_path: Path) -> None:
    _assert_refused(tmp_path, "train", "--recipe", "compct", because="Did you mean 'compact'?")
    _assert_refused(tmp_path, "run", "--recipe", "sed", because="Did you mean 'seed'?")
    _assert_refused(tmp_path, "export", "tflit", because="Did you mean 'tflite'?")
    _assert_refused(tmp_path, "export", "tflite", "--int4", because="--int8")
    _assert_refused(tmp_path, "parityy", because="parity")


def test_random_bytes_as_model(tmp_path: Path) -> None:
    (tmp_path / "m.h5").write_bytes(b"not a model at all")
    for command in ("run", "qat"):
        _assert_refused(tmp_path, command, "--model", "m.h5", because="m.h5 is not a Keras model")
    _assert_refused(tmp_path, "export", "tflite", "--int8", "--model", "m.h5", because="m.h5 is not a Keras model")
    _assert_refused(tmp_path, "predict", "x.png", "--model", "m.h5", because="neither a TFLite nor an ONNX model")
    _assert_refused(tmp_path, "run", "--model", "none.keras", because="none.keras")


def test_folders_that_are_no_workspace(tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    _assert_refused(tmp_path, "check", "saved", because="saved is no workspace: there is no training.json in it.")
    (tmp_path / "saved/saved_model.pb").write_bytes(b"")
    _assert_refused(tmp_path, "check", "saved", because="saved is a SavedModel: load it with tf_keras")
    _assert_refused(tmp_path, "run", "--model", "saved", because="saved is a folder, and a Keras model is one file")


def test_a_model_that_does_not_fit_the_data(twin_folder: Path, tmp_path: Path) -> None:
    model = str(twin_folder / "stranger.h5")
    _assert_refused(tmp_path, "run", "--model", model, because="28×28×1, the model takes 32×32×3")
    _assert_refused(
        tmp_path, "run", "--model", model, "--data", str(twin_folder / "pictures"), "--preprocess", "uint", because="Did you mean 'unit'?"
    )


def test_a_workspace_below_a_regular_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    _assert_refused(tmp_path, "train", "-w", "file/w", because="file is a file")


def test_stages_in_the_wrong_order_name_the_command_that_is_missing(tmp_path: Path) -> None:
    _assert_refused(tmp_path, "qat", because="run `edgeproof train` first")
    _assert_refused(tmp_path, "export", "all", because="run `edgeproof train` first")
    _assert_refused(tmp_path, "parity", because="run `edgeproof export all` first")
    _assert_refused(tmp_path, "bench", "-w", "w", because="run `edgeproof export all -w w` first")
    _assert_refused(tmp_path, "dashboard", because="run `edgeproof parity` first")
    _assert_refused(tmp_path, "predict", "x.png", because="run `edgeproof export all` first")


def test_numbers_outside_their_range(tmp_path: Path) -> None:
    _assert_refused(tmp_path, "parity", "--max-drop", "-1", because="--max-drop")
    _assert_refused(tmp_path, "train", "--epochs", "0", because="--epochs")
    _assert_refused(tmp_path, "bench", "--seconds", "0", because="--seconds")
    _assert_refused(tmp_path, "bench", "--runtime", "tflite", because="Did you mean 'tflite-runtime'?")
    _assert_refused(tmp_path, "bench", "--on", "locale", because="Did you mean 'local'?")


def test_options_that_would_be_ignored_or_contradict_each_other(tmp_path: Path) -> None:
    _assert_refused(tmp_path, "qat", "--data", "digits", because="--data only means something with --model")
    _assert_refused(tmp_path, "export", "all", "--logits", "--seed", "1", because="--logits and --seed")
    _assert_refused(tmp_path, "run", "--preprocess", "raw", because="--preprocess")
    _assert_refused(tmp_path, "run", "--model", "m.h5", "--recipe", "seed", because="not both")


def test_a_run_checks_its_numbers_before_it_works_for_minutes(tmp_path: Path) -> None:
    _assert_refused(tmp_path, "run", "--max-drop", "500", because="--max-drop")
    _assert_refused(tmp_path, "run", "--seconds", "inf", because="--seconds")


def test_a_workspace_keeps_the_way_of_one_model(digits_run: Run, twin_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(digits_run.workspace, tmp_path / "w")
    model = ("--model", str(twin_folder / "stranger.h5"), "--data", str(twin_folder / "pictures"))
    _assert_refused(tmp_path, "export", "tflite", "-w", "w", *model, because="w already holds compact")
    _assert_refused(tmp_path, "run", "-w", "w", *model, because="choose another folder with -w")


@pytest.mark.parametrize(("package", "extra"), [("typer", "check"), ("tf_keras", "toolkit")])
def test_a_package_that_is_not_installed_is_named_with_the_extra_that_brings_it(package: str, extra: str, tmp_path: Path) -> None:
    program = f"import sys; sys.modules[{package!r}] = None; sys.argv = ['edgeproof', 'train']; from edgeproof.__main__ import script; script()"
    done = run("-c", program, cwd=tmp_path, command=(sys.executable, "-P"))
    assert done.code == 2
    assert f"needs {package}, which is not installed: pip install 'edgeproof[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr
