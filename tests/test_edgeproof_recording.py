from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.counts import CountResult, read_counts
from benchmarks.history import FILE, read_history
from benchmarks.results import LatencyResult, read_result
from benchmarks.tables import FOLDER
from benchmarks.validity import INVALID
from edge_runtime.errors import InputError
from edgeproof.console import Console
from edgeproof.stages.recording import check_recordable, record
from edgeproof.workspace import Workspace
from tests.pipelines import Run, run

LATENCY, COUNTS = read_result(FOLDER / "local.json"), read_counts(FOLDER / "sim-pi4.json")
BAD = LatencyResult({**LATENCY.fields, "validity": {"verdict": INVALID, "reasons": ["the clock moved"]}})


def git(*command: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *who, *command], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace in a git repository with one commit, which is the current folder."""
    monkeypatch.chdir(tmp_path)
    git("init", "-q")
    (tmp_path / "train.py").write_text("1")
    (tmp_path / "runs/w/latency").mkdir(parents=True)
    (tmp_path / FILE).parent.mkdir()
    (tmp_path / "runs/w" / FILE).write_text("")
    git("add", "-A")
    git("commit", "-q", "-m", "first")
    return Workspace("runs/w")


def recorded(workspace: Workspace, console: Console, *results: LatencyResult | CountResult) -> set[tuple[str | None, bool | None]]:
    """The commits and dirty flags of the lines that this recording adds."""
    before, _ = read_history(workspace / FILE)
    assert record(workspace, console, results) == 0
    after, problems = read_history(workspace / FILE)
    assert problems == []
    return {(line.commit, line.dirty) for line in after if line not in before}


def test_the_commit_is_that_of_the_current_folder(repository: Workspace, new_console: Callable[..., Console]) -> None:
    console, head = new_console(), git("rev-parse", "HEAD")
    assert recorded(repository, console, LATENCY) == {(head, False)}
    assert recorded(repository, console, COUNTS) == {(head, False)}, "that the history itself has changed is no change of what was measured"
    Path("notes.txt").write_text("untracked")
    Path("train.py").write_text("2")
    assert recorded(repository, console, COUNTS) == {(head, True)}
    git("commit", "-q", "-a", "-m", "second")
    assert recorded(repository, console, COUNTS) == {(git("rev-parse", "HEAD"), False)}
    lines, _ = read_history(repository / FILE)
    assert len(lines) == len(LATENCY.rows) + 3 * len(COUNTS.rows)


@pytest.mark.parametrize("repository", [False, True], ids=["no repository", "no commit yet"])
def test_without_a_commit_there_is_none(
    repository: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_console: Callable[..., Console], capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    if not repository:
        monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    else:
        git("init", "-q")
    assert recorded(Workspace("w"), new_console(), COUNTS) == {(None, None)}
    assert ("without a commit" in capfd.readouterr().err) is repository


def test_without_git_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_console: Callable[..., Console]) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert recorded(Workspace(tmp_path / "w"), new_console(), COUNTS) == {(None, None)}


def test_invalid_times_are_refused_and_what_else_was_measured_is_recorded(
    repository: Workspace, new_console: Callable[..., Console], capfd: pytest.CaptureFixture[str]
) -> None:
    assert record(repository, new_console(), [BAD, COUNTS]) == 1
    lines, _ = read_history(repository / FILE)
    assert {line.target for line in lines} == {"sim-pi4"}
    (said,) = capfd.readouterr().err.splitlines()
    assert "the clock moved" in said
    assert record(repository, new_console(), [BAD]) == 1
    assert read_history(repository / FILE)[0] == lines


def test_where_no_history_can_be_kept_is_said_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir(parents=True)
    with pytest.raises(InputError, match=r"history\.jsonl is not a file"):
        check_recordable(Workspace(tmp_path))


def test_the_command_records_what_it_measured(digits_run: Run, tmp_path: Path) -> None:
    shutil.copytree(digits_run.workspace, tmp_path / "w", ignore=shutil.ignore_patterns("latency", "outputs", "figures"))
    done = run("bench", "--record", "--seconds", "0.02", "--runtime", "ai-edge-litert", "-w", "w", cwd=tmp_path, workspace=tmp_path / "w")
    (path,) = (tmp_path / "w/latency").glob("local-*.json")
    result, (lines, problems) = read_result(path), read_history(tmp_path / "w" / FILE)
    assert problems == []
    if result.validity.startswith(INVALID):  # others had the processor meanwhile: the machine of a test is nobody's own
        assert (done.code, lines) == (1, [])
        assert "not recorded in the history" in done.stderr
    else:
        assert (done.code, {line.artifact for line in lines}) == (0, {row.key[0] for row in result.rows})
        assert f"{len(lines)} lines in w/{FILE}" in done.stdout
