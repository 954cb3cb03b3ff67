"""The gate of a pull request, run as .github/workflows/parity.yml runs it: one script, edgeproof[check], a frozen baseline."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests import foreign
from tests.pipelines import run

GATE = foreign.ROOT / ".github/parity-gate.sh"
WORKFLOW = foreign.ROOT / ".github/workflows/parity.yml"


@pytest.fixture(scope="module")
def repository(tiny_artifacts: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a user commits: the exports, a frozen baseline and held-out images."""
    folder = foreign.bring(tmp_path_factory.mktemp("repository"), tiny_artifacts)
    arguments = ("--baseline", "float.tflite", "--export", "small.tflite", "--data", "held-out.npz", "--max-drop", "5", "--kernels", "default")
    assert run("parity", *arguments, "-w", "w", "--freeze", "frozen.npz", cwd=folder).code == 0
    return folder


def _gate(
    folder: Path, reports: Path, monkeypatch: pytest.MonkeyPatch, exports: str, **settings: str
) -> tuple[subprocess.CompletedProcess[str], str]:
    """The script's end, and the job summary."""
    (reports / "summary.md").write_text("")
    steps = {"BASELINE": "frozen.npz", "DATA": "held-out.npz", "EXPORTS": exports, "PYTHON": sys.executable, "REPORTS": str(reports / "out")}
    for name, value in {**steps, "GITHUB_STEP_SUMMARY": str(reports / "summary.md"), **settings}.items():
        monkeypatch.setenv(name, value)
    done = subprocess.run([str(GATE)], cwd=folder, capture_output=True, text=True)
    return done, (reports / "summary.md").read_text()


def test_good_exports_pass_and_leave_their_reports(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign.block(monkeypatch, tmp_path, *foreign.NOT_IN_CHECK)
    done, summary = _gate(repository, tmp_path, monkeypatch, "small.tflite\nfirst.onnx\n")
    assert done.returncode == 0, done.stderr
    assert summary.startswith("## Parity: PASS")
    assert "first.onnx" in summary
    parity = json.loads((tmp_path / "out/parity.json").read_text())
    assert (parity["verdict"], parity["margin_pp"]) == ("PASS", 5)
    assert (tmp_path / "out/parity.junit.xml").is_file()
    assert "small.tflite" in (tmp_path / "out/dashboard.html").read_text()
    assert "no dashboard" not in done.stderr


def test_the_same_folder_takes_the_reports_of_another_baseline(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _gate(repository, tmp_path, monkeypatch, "small.tflite")[0].returncode == 0
    again, summary = _gate(repository, tmp_path, monkeypatch, "small.tflite", BASELINE="first.onnx", MAX_DROP="5")
    assert again.returncode == 0, again.stderr
    assert summary.startswith("## Parity: PASS")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"parity.json", "parity.md", "parity.junit.xml", "dashboard.html"}


def test_a_runtime_may_be_required(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new = tmp_path / "new.tflite"
    new.write_bytes(foreign.with_operator_version((repository / "float.tflite").read_bytes(), "FULLY_CONNECTED", 12))
    assert _gate(repository, tmp_path, monkeypatch, str(new))[0].returncode == 0
    required, summary = _gate(repository, tmp_path, monkeypatch, str(new), RUNTIMES="ai-edge-litert\ntflite-runtime\n")
    assert required.returncode == 1, required.stderr
    assert "FULLY_CONNECTED" in summary
    assert {row["runtime"] for row in json.loads((tmp_path / "out/parity.json").read_text())["rows"]} == {"ai-edge-litert", "tflite-runtime"}


def test_a_damaged_export_fails_and_so_does_what_is_undecided(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done, summary = _gate(repository, tmp_path, monkeypatch, "small.tflite\ndamaged.tflite")
    assert done.returncode == 1, done.stderr
    assert summary.startswith("## Parity: FAIL")

    undecided, summary = _gate(repository, tmp_path, monkeypatch, "small.tflite", MAX_DROP="1")
    assert undecided.returncode == 3, undecided.stderr
    assert "INCONCLUSIVE" in summary
    assert _gate(repository, tmp_path, monkeypatch, "small.tflite", MAX_DROP="1", INCONCLUSIVE="pass")[0].returncode == 0


def test_what_cannot_be_judged_leaves_no_former_report(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/parity.md").write_text("## Parity: PASS")
    done, summary = _gate(repository, tmp_path, monkeypatch, "none.tflite")
    assert done.returncode == 2
    assert "error: Cannot read model none.tflite" in done.stderr
    assert summary.startswith("## Parity: not judged")
    assert not (tmp_path / "out/parity.md").exists()
    assert _gate(repository, tmp_path, monkeypatch, "small.tflite", INCONCLUSIVE="maybe")[0].returncode == 2
    assert _gate(repository, tmp_path, monkeypatch, "")[0].returncode != 0


def test_the_workflow_runs_the_script_with_every_setting_it_knows() -> None:
    workflow, script = WORKFLOW.read_text(), GATE.read_text()
    assert "run: .github/parity-gate.sh" in workflow
    for setting in ("BASELINE", "EXPORTS", "DATA", "MAX_DROP", "PREPROCESS", "RUNTIMES", "INCONCLUSIVE"):
        assert f"{setting}: ${{{{ inputs.{setting.lower().replace('_', '-')} }}}}" in workflow
        assert f"#   {setting} " in script
