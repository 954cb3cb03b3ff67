"""Are the counts of the simulated board those of a whole emulated computer, with its own kernel and a clock that counts instructions?

The same Python, packages and models boot in `qemu-system-aarch64 -icount shift=0,sleep=off`; evidence/board_init.py is its only program.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.instructions import COUNTED_IMAGES, EMPTY, SCOPES, count_instructions, instructions
from benchmarks.matrix import Artifact
from benchmarks.targets import find_target
from benchmarks.targets.programs import run
from benchmarks.targets.simulated import SimulatedTarget
from benchmarks.targets.sysroot import fetch
from edge_runtime.errors import RuntimeMissingError, RuntimeProblem
from edgeproof.cache import cache_folder
from edgeproof.console import Console
from edgeproof.stages.bundling import supply
from evidence.archive import write_archive
from evidence.board_init import RUNTIMES
from evidence.findings import Finding, Places

BOARD, FORMATS, MOST_PERCENT = "sim-pi4", ("tflite-float32", "tflite-int8"), 1.0
_SECONDS, _MEMORY_MB = 1800, 1536
_KERNEL = "linux-image-cloud-arm64"  # Debian's kernel for virtual machines; the archive's newest
_LEFT_OUT = (".bytecode", "PIL", "pillow.libs", "tests", "doc", "locale")  # parts of paths: not needed to count


def prove(places: Places) -> list[Finding]:
    board = find_target(BOARD, supply(Console()), cache_folder())
    if not isinstance(board, SimulatedTarget):
        raise RuntimeMissingError(f"{BOARD} is no simulated board.")
    artifacts = [artifact for workspace in places.workspaces.values() for artifact in workspace.artifacts() if artifact.format in FORMATS]
    images = places.workspaces["compact"].read_arrays("validation.npz")["images"][:COUNTED_IMAGES]
    counted = count_instructions(artifacts, images, board, runtimes=RUNTIMES)
    whole = {(row["artifact"], row["runtime"]): row for row in boot(board, artifacts, images)}
    findings = []
    for one in counted:
        row = whole.get((one.artifact.path.name, one.runtime))
        user = {} if one.reason else {scope: instructions(one.per_inference(scope)) for scope in SCOPES}
        findings.append(compared(f"{one.artifact.path.name} on {one.runtime}", user, row, places.command("full-system")))
    return findings


def compared(subject: str, user: Mapping[str, float], row: Mapping[str, Any] | None, command: str) -> Finding:
    """Both counts of an inference, and how far they are apart."""
    parts, met = [], bool(user and row)
    for scope in user if row else ():
        system = (row[scope] - row[EMPTY]) / row["runs"] if row else 0.0
        percent = 100 * (user[scope] / system - 1)
        met = met and abs(percent) <= MOST_PERCENT
        parts.append(f"{scope} {user[scope] / 1e6:.4f} M against {system / 1e6:.4f} M ({percent:+.2f} %)")
    claim = f"{subject}: instructions per inference on {BOARD} against a whole emulated computer"
    return Finding(claim, f"within {MOST_PERCENT:g} %", "; ".join(parts) or "it did not run in both", met, command)


def boot(board: SimulatedTarget, artifacts: Sequence[Artifact], images: np.ndarray) -> list[dict[str, Any]]:
    """What the emulated computer printed: for each artifact and runtime, the instructions of its windows."""
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as place:
        folder = Path(place)
        kernel = _kernel(folder)
        np.save(folder / "images.npy", images)
        files = {f"models/{artifact.path.name}": artifact.path for artifact in artifacts} | {"models/images.npy": folder / "images.npy"}
        for root, above in [(board.system(), ""), *((board.packages(runtime), f"packages/{runtime}/") for runtime in RUNTIMES)]:
            files |= {f"{above}{path.relative_to(root)}": path for path in root.rglob("*") if _needed(path.relative_to(root))}
        write_archive(folder / "initrd", {**files, "init": Path(__file__).with_name("board_init.py")})
        options = ["-M", "virt", "-cpu", board.board.core, "-smp", "1", "-m", str(_MEMORY_MB), "-icount", "shift=0,sleep=off", "-nographic"]
        options += ["-nic", "none", "-no-reboot", "-kernel", str(kernel), "-initrd", str(folder / "initrd")]
        command = ["qemu-system-aarch64", *options, "-append", "console=ttyAMA0 quiet panic=-1 rdinit=/init"]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=_SECONDS)
        except FileNotFoundError:
            raise RuntimeMissingError("The proof needs qemu-system-arm: sudo apt-get install qemu-system-arm.") from None
        except subprocess.TimeoutExpired:
            raise RuntimeProblem(f"The emulated computer did not end within {_SECONDS} s.") from None
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"artifact"')]


def _kernel(folder: Path) -> Path:
    (folder / "apt").mkdir()
    package = next(file for file in fetch([_KERNEL], folder / "apt") if file.name.startswith("linux-image-") and "linux-image-cloud" not in file.name)
    run(("dpkg-deb", "-x", str(package), str(folder / "kernel")), f"Unpacking {package.name}")
    return next((folder / "kernel/boot").glob("vmlinuz-*"))


def _needed(path: Path) -> bool:
    return path.parts[0] not in ("proc", "sys", "dev") and not set(path.parts) & set(_LEFT_OUT)
