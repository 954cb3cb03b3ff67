"""What can be reached from here: simulated boards by what they need of this machine, named targets by trying every runtime on them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence

from benchmarks.mca import PACKAGE as LLVM
from benchmarks.mca import have_llvm
from benchmarks.targets.base import Target
from benchmarks.targets.programs import missing, remedy
from benchmarks.targets.simulated import SIMULATED, SimulatedTarget
from benchmarks.targets.ssh import SshTarget
from edge_runtime.board import throttle_words
from edge_runtime.errors import EdgeproofError, TargetError, first_line
from edge_runtime.interpreter import RUNTIMES
from edgeproof.console import Console
from edgeproof.stages.board_scales import times_of
from edgeproof.stages.diagnosing import Finding
from edgeproof.stages.places import open_targets, prepare_simulated, visiting

_NEEDED = ("qemu-aarch64", "gcc", "apt-get", "dpkg-deb")


def kinds_of_target() -> list[Finding]:
    """The targets there are, and what this machine lacks for them. Nothing is built, nobody is called."""
    packages = missing(_NEEDED)
    lacking = f"needs {' and '.join(packages)}: {remedy(_NEEDED)}"
    able = f"answers, instruction counts{' and predicted times' if have_llvm() else f'; for predicted times: sudo apt-get install {LLVM}'}"
    findings = [
        Finding(name, not packages, lacking if packages else f"{board.title} ({board.core}): {able}{_own_scale(board.name)}")
        for name, board in SIMULATED.items()
    ]
    client = shutil.which("ssh")
    told = "any Linux board with Python 3.11 or newer; to try one: edgeproof doctor --on ssh://USER@HOST"
    return [*findings, Finding("ssh://", client is not None, told if client else "needs ssh: sudo apt-get install openssh-client")]


def _own_scale(board: str) -> str:
    """Whether the user measured a board like it, in brackets."""
    try:
        measured = times_of(board).measured
    except EdgeproofError as error:
        return f", which fail: {first_line(error)}"
    return f" ({measured})" if measured else ""


def examine_targets(names: Sequence[str], console: Console) -> list[Finding]:
    """Every runtime tried on each of these targets, in a process of its own there. A board that cannot be reached is a finding, too."""
    findings = []
    for target in open_targets(names, console):
        try:
            with visiting([target], RUNTIMES, console):
                findings += [*_board(target), *_runtimes(target, console)]
        except EdgeproofError as error:
            findings.append(Finding(target.name, False, first_line(error)))
    return findings


def _runtimes(target: Target, console: Console) -> Iterable[Finding]:
    if isinstance(target, SimulatedTarget):
        prepare_simulated(target, RUNTIMES, console)
    for runtime in RUNTIMES:
        subject = f"{runtime} on {target.name}"
        try:
            answer = target.run({"job": "doctor"}, runtime)
            yield Finding(subject, True, f"{answer['runtime_version']} with numpy {answer['numpy']}")
        except TargetError:  # the place, not the runtime: nothing further can be tried there
            raise
        except EdgeproofError as error:  # its bundle cannot be had, or it does not work there
            yield Finding(subject, False, str(error))


def _board(target: Target) -> list[Finding]:
    """What a real board says of itself."""
    if not isinstance(target, SshTarget):
        return []
    with target.watch() as watch:
        facts = watch.receive()
    said, now = facts["board"], facts["before"]
    parts = [said["model"] or "a machine that does not say what it is"]
    if said["governor"]:
        parts.append(f"governor {said['governor']}")
    if now["temperature_c"] is not None:
        parts.append(f"{now['temperature_c']:.0f} °C")
    if held := throttle_words(now["throttled"] or 0):
        parts.append(f"{' and '.join(held)}: times are INVALID until that is mended")
    if said["virtual"]:
        parts.append(f"no real board ({said['virtual']}): times are INVALID")
    return [Finding(target.name, True, ", ".join(parts))]
