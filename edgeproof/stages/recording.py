"""What was measured, kept with the commit it was measured at."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from benchmarks.counts import CountResult
from benchmarks.history import FILE, append_history, check_appendable, history_lines
from benchmarks.results import LatencyResult
from edge_runtime.errors import InputError, first_line
from edgeproof.console import Console
from edgeproof.workspace import Workspace

_SECONDS = 60.0  # for git in a very large repository
_SHOWN = 12  # digits of a commit


def check_recordable(workspace: Workspace) -> None:
    """InputError where no history can be kept, before anything is measured."""
    check_appendable(workspace / FILE)


def record(workspace: Workspace, console: Console, results: Sequence[LatencyResult | CountResult]) -> int:
    """Append to `latency/history.jsonl` what the results hold. The exit code: 1 if a result is INVALID, and so was refused, with the reason."""
    commit, dirty = current_commit(console, without=workspace / "latency")
    lines, refused = [], False
    for result in results:
        try:
            lines += history_lines(result, commit, dirty)
        except InputError as error:
            console.say(str(error))
            refused = True
    if lines:
        append_history(workspace / FILE, lines)
        at = f"commit {commit[:_SHOWN]}{' with changes' if dirty else ''}" if commit else "no commit"
        tell = console.say if console.as_json else console.show
        tell(f"Recorded at {at}: {len(lines)} {'line' if len(lines) == 1 else 'lines'} in {workspace / FILE}.")
    return 1 if refused else 0


def current_commit(console: Console, without: Path) -> tuple[str | None, bool | None]:
    """The commit of the repository that the current folder is in, and whether tracked files differ from it, those below `without` left aside:
    measuring writes there. (None, None) outside of a repository, and where git cannot say, which is told.
    """
    try:
        top = Path(_git("rev-parse", "--show-toplevel"))
        commit = _git("rev-parse", "--verify", "HEAD")
        others = [f":(top,exclude){without.resolve().relative_to(top)}"] if without.resolve().is_relative_to(top) else []
        return commit, bool(_git("status", "--porcelain", "--untracked-files=no", "--", ":(top)", *others))
    except FileNotFoundError:  # no git, so no repository of anyone who cares
        return None, None
    except (OSError, subprocess.SubprocessError) as error:
        reason = first_line(Exception(getattr(error, "stderr", None) or str(error)))
        if "not a git repository" not in reason:
            console.say(f"Recorded without a commit: git says {reason!r}")
        return None, None


def _git(*command: str) -> str:
    environment = {**os.environ, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"}  # looking must not get in the way of another git
    done = subprocess.run(["git", *command], capture_output=True, text=True, check=True, timeout=_SECONDS, env=environment)
    return done.stdout.strip()
