"""Bundles without a model: they run jobs on the machine that they were made for, and say one line anywhere else."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.errors import InputError
from edge_runtime.machine import Machine, this_machine
from edge_runtime.worker import run_in_subprocess
from edgeproof.cache import cache_folder
from edgeproof.console import Console
from edgeproof.stages.bundling import supply
from export.bundle import build_bundle
from export.platforms import TESTED
from export.wheels import unpack
from tests.bundles import RUNTIME, overridden, start

PI4 = Machine("aarch64", (3, 11), "glibc 2.36")
PYENV = Path.home() / ".pyenv/versions"
_HALF_A_MEGABYTE = 500_000


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the bundles of this file unpack themselves."""
    return tmp_path_factory.mktemp("root")


def test_it_runs_a_job_with_nothing_but_a_bare_python(bundle_here: Path, root: Path) -> None:
    done = start(bundle_here, "job", root=root, given=json.dumps({"job": "doctor", "runtime": RUNTIME}))
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["runtime_version"], answer["numpy"]) == (0, TESTED[RUNTIME], TESTED["numpy"])
    assert done.stderr.startswith("first start: unpacking below")
    assert start(bundle_here, "job", root=root, given=json.dumps({"job": "doctor", "runtime": RUNTIME})).stderr == ""


def test_it_computes_what_the_runtime_here_computes(
    bundle_here: Path, root: Path, tiny_artifacts: dict[str, Path], tiny_images: np.ndarray, tmp_path: Path
) -> None:
    np.save(tmp_path / "images.npy", tiny_images)
    job = {"job": "predict", "model": str(tiny_artifacts["tflite-int8"]), "images": str(tmp_path / "images.npy")}
    run_in_subprocess({**job, "outputs": str(tmp_path / "here.npy")}, RUNTIME)
    done = start(bundle_here, "job", root=root, given=json.dumps({**job, "runtime": RUNTIME, "outputs": str(tmp_path / "bundled.npy")}))
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "bundled.npy"), np.load(tmp_path / "here.npy"))


def test_the_same_inputs_give_the_same_bytes_without_a_network(bundle_here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _without_network(monkeypatch)
    former = os.umask(0o077)
    try:
        again = build_bundle(this_machine(), {RUNTIME: TESTED[RUNTIME]}, tmp_path / "again.pyz", cache=cache_folder())
    finally:
        os.umask(former)
    assert again.read_bytes() == bundle_here.read_bytes()
    assert os.access(again, os.X_OK)
    assert [path.name for path in tmp_path.iterdir()] == ["again.pyz"]


def test_a_target_is_given_the_same_file_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, new_console: Callable[..., Console]) -> None:
    (tmp_path / "wheels").symlink_to(cache_folder() / "wheels")
    monkeypatch.setenv("EDGEPROOF_CACHE", str(tmp_path))
    supplied = supply(new_console())
    first = supplied(this_machine(), RUNTIME)
    made = first.stat().st_mtime_ns
    assert supply(new_console())(this_machine(), RUNTIME) == first
    assert first.stat().st_mtime_ns == made


def test_offline_with_an_empty_cache_it_says_so_in_one_line_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _without_network(monkeypatch)
    with pytest.raises(InputError, match=r"Cannot fetch numpy 1\.26\.4: pip reaches no package index\. Build once with a network"):
        build_bundle(PI4, {"tflite-runtime": "2.14.0"}, tmp_path / "x.pyz", cache=tmp_path / "cache")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert list((tmp_path / "cache/wheels").iterdir()) == []


def test_a_version_that_was_never_published_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"pip finds no wheel of tflite-runtime 9\.9 for aarch64, Python 3\.11, glibc 2\.36"):
        build_bundle(PI4, {"tflite-runtime": "9.9"}, tmp_path / "x.pyz", cache=cache_folder())


def test_a_damaged_wheel_is_named(tmp_path: Path, bundle_here: Path) -> None:
    shutil.copytree(cache_folder() / "wheels", tmp_path / "wheels")
    for wheel in (tmp_path / "wheels").rglob("Pillow*.whl" if list((tmp_path / "wheels").rglob("Pillow*.whl")) else "pillow*.whl"):
        content = bytearray(wheel.read_bytes())
        content[5000:6000] = bytes(1000)
        wheel.write_bytes(content)
    with pytest.raises(InputError, match=r"(?i)pillow.*\.whl is damaged .*remove it, it is fetched again"):
        build_bundle(this_machine(), {RUNTIME: TESTED[RUNTIME]}, tmp_path / "x.pyz", cache=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["wheels"]


def test_a_wheel_may_list_its_folders(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as archive:
        for name in ("x.data/", "x.data/purelib/", "x/"):
            archive.mkdir(name)
        archive.writestr("x.data/purelib/x/__init__.py", "")
    unpack("x", tmp_path / "x.whl", tmp_path / "unpacked")
    assert [path.name for path in (tmp_path / "unpacked").rglob("*.py")] == ["__init__.py"]


@pytest.mark.parametrize("version", ["3.12.1", "3.13.0"])
def test_a_newer_python_gets_a_bundle_of_its_own_that_answers_alike(
    version: str, tiny_artifacts: dict[str, Path], tiny_images: np.ndarray, tmp_path: Path
) -> None:
    python = PYENV / version / "bin/python"
    if not python.exists():
        pytest.skip(f"no Python {version} here")
    major, minor, _ = map(int, version.split("."))
    machine, runtime = this_machine()._replace(python=(major, minor)), "ai-edge-litert"
    bundle = build_bundle(machine, {runtime: TESTED[runtime]}, tmp_path / "newer.pyz", cache=cache_folder())
    np.save(tmp_path / "images.npy", tiny_images)
    job = {"job": "predict", "model": str(tiny_artifacts["tflite-int8"]), "images": str(tmp_path / "images.npy"), "runtime": runtime}
    done = start(bundle, "job", root=tmp_path, given=json.dumps({**job, "outputs": str(tmp_path / "newer.npy")}), python=str(python))
    assert done.returncode == 0, done.stderr
    run_in_subprocess({**job, "outputs": str(tmp_path / "here.npy")}, runtime)
    np.testing.assert_array_equal(np.load(tmp_path / "newer.npy"), np.load(tmp_path / "here.npy"))


@pytest.mark.parametrize("version", ["3.7.16", "3.9.18", "3.12.1", "3.13.0"])
def test_another_python_hears_which_bundle_to_build(version: str, bundle_here: Path, root: Path) -> None:
    python = PYENV / version / "bin/python"
    if not python.exists():
        pytest.skip(f"no Python {version} here")
    done = start(bundle_here, "job", root=root, python=str(python))
    short = version.rpartition(".")[0]
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert f"here is x86_64, Python {short}" in done.stderr
    able = "Build one with: edgeproof bundle --for ssh://USER@" if short in ("3.12", "3.13") else "install 64-bit Linux with Python 3.11 to 3.13"
    assert able in done.stderr


def test_another_processor_hears_it_before_anything_is_unpacked(bundle_here: Path, tmp_path: Path) -> None:
    wanted = json.dumps({"architecture": "aarch64", "python": [3, 11], "glibc": [2, 34]}).encode()
    foreign = overridden(bundle_here, tmp_path / "foreign.pyz", "machine.json", wanted)
    done = start(foreign, "job", root=tmp_path / "root")
    assert done.returncode == 2
    assert done.stderr.startswith("error: This bundle is for aarch64, Python 3.11, glibc 2.34 or newer; here is x86_64, ")
    assert not (tmp_path / "root").exists()


def test_an_older_c_library_hears_it(bundle_here: Path, tmp_path: Path) -> None:
    here = {**this_machine()._asdict(), "glibc": [2, 99]}
    newer = overridden(bundle_here, tmp_path / "newer.pyz", "machine.json", json.dumps(here).encode())
    done = start(newer, "job", root=tmp_path / "root")
    assert done.returncode == 2
    assert "glibc 2.99 or newer; here is" in done.stderr


def test_a_full_disk_on_the_board_is_one_line_and_nothing_stays(bundle_here: Path, tmp_path: Path) -> None:
    def full() -> None:  # the kernel refuses to write more into any file
        resource.setrlimit(resource.RLIMIT_FSIZE, (_HALF_A_MEGABYTE, _HALF_A_MEGABYTE))

    environment = {"PATH": "/usr/bin:/bin", "SHIV_ROOT": str(tmp_path / "root")}
    command = [os.path.realpath(sys.executable), "-I", str(bundle_here), "job"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, preexec_fn=full)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"error: cannot unpack below {tmp_path / 'root'} (File too large): make room")
    assert "Traceback" not in done.stderr
    assert [path for path in (tmp_path / "root").iterdir() if path.is_dir()] == []


def test_shivs_own_switches_work(bundle_here: Path, root: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "SHIV_ROOT": str(root), "SHIV_INTERPRETER": "1"}
    command = [os.path.realpath(sys.executable), "-I", str(bundle_here), "-c", "import numpy; print(numpy.__file__)"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(str(root))


def test_what_no_answer_needs_stays_out(bundle_here: Path) -> None:
    names = zipfile.ZipFile(bundle_here).namelist()
    assert "site-packages/edge_runtime/jobs.py" in names
    assert not [name for name in names if "/tests/" in name or name.endswith((".pyi", ".h", ".a", ".pyc"))]
    assert not [name for name in names if name.startswith(("site-packages/starlette", "site-packages/edge_bundle"))]


def _without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """pip as it is on a machine whose index cannot be reached."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
