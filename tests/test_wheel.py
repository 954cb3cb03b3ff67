"""The wheel, installed into a fresh environment, runs the main job outside the clone."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.pipelines import run

ROOT = Path(__file__).parent.parent
INSTALL_SECONDS = 1200


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)], check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_it_holds_the_five_packages_their_data_and_both_licences(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    packages = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert packages == {"train", "export", "benchmarks", "edge_runtime", "edgeproof"}
    assert "train/data/digits-42k.npz" in names
    assert "benchmarks/templates/dashboard.html.j2" in names
    assert "edge_runtime/page/index.html" in names
    assert "benchmarks/targets/blocks.c" in names, "compiled where instructions are counted"
    assert {"LICENSE", "NOTICE"} <= {Path(name).name for name in names}


@pytest.mark.timeout(INSTALL_SECONDS + 600)
def test_it_runs_in_a_fresh_environment_outside_the_clone(wheel: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv/bin/python"
    options = ["--quiet", "--no-compile", "-c", str(ROOT / "constraints.txt")]  # what is never imported need not be compiled
    install = [str(python), "-m", "pip", "install", *options, f"{wheel}[toolkit]"]
    subprocess.run(install, check=True, capture_output=True, timeout=INSTALL_SECONDS, cwd=tmp_path)
    (tmp_path / "elsewhere").mkdir()
    done = run("run", "--epochs", "1", "--seconds", "0.2", cwd=tmp_path / "elsewhere", command=(str(tmp_path / "venv/bin/edgeproof"),))
    assert done.code == 0, done.stderr
    assert (tmp_path / "elsewhere/runs/default/dashboard.html").exists()
