"""Wheels for a machine that need not be this one: fetched once with the user's own pip and its configuration, then kept."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from edge_runtime.errors import InputError
from edge_runtime.machine import Machine
from edge_runtime.progress import Progress, silent
from export.platforms import platform_tags, title

_PIP = (sys.executable, "-P", "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--no-input")
_RETRIES = "1"  # five, pip's own number, are half a minute of silence without a network

# What no import on the way to an answer loads: a third of what the board would have to unpack.
_UNUSED_EVERYWHERE = re.compile(r"(^|/)tests/|\.(pyi|h|a|pxd|pyx|c)$")  # numpy's own tests; stubs, headers and static libraries for builders
_UNUSED = {
    # 17 MB that libLiteRt.so opens by name when a CompiledModel asks for a GPU; `Interpreter` links against none of it.
    "ai-edge-litert": re.compile(r"libLiteRtWebGpuAccelerator\.so$"),
    # Programs that convert and optimize models; `InferenceSession` imports none of them.
    "onnxruntime": re.compile(r"^onnxruntime/(transformers|quantization|tools|datasets)/"),
}


def fetch(pins: Mapping[str, str], machine: Machine, cache: Path, progress: Progress = silent) -> dict[str, Path]:
    """The wheel of each distribution in `pins` (name: version) for the machine, from the cache where it is there.

    Raises InputError when pip finds none, or no network.
    """
    places = {name: _place(cache, name, version, machine) for name, version in pins.items()}
    missing = [name for name, place in places.items() if not list(place.glob("*.whl"))]
    for done, name in enumerate(missing):
        progress(done, len(missing), f"{name} {pins[name]}")
        _download(name, pins[name], machine, places[name])
    return {name: next(place.glob("*.whl")) for name, place in places.items()}


def unpack(name: str, wheel: Path, folder: Path) -> None:
    """Put what a wheel installs beside the others in `folder`, without what is never used. InputError when the wheel is damaged."""
    unused = _UNUSED.get(name)
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.infolist():
                place = None if member.is_dir() else _installed_place(member.filename)
                if place is None or _UNUSED_EVERYWHERE.search(place) or (unused and unused.search(place)):
                    continue
                target = folder / place
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(member))
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise InputError(f"{wheel} is damaged ({error}): remove it, it is fetched again.") from None


def _installed_place(member: str) -> str | None:
    """Where a wheel's entry goes below site-packages; None for scripts and data, which go elsewhere, and for paths out of the folder."""
    parts = PurePosixPath(member).parts
    if ".." in parts or member.startswith("/"):
        return None
    if not parts[0].endswith(".data"):
        return member
    return "/".join(parts[2:]) if parts[1] in ("purelib", "platlib") else None


def _place(cache: Path, name: str, version: str, machine: Machine) -> Path:
    asked = "\n".join([name, version, f"cp{machine.python[0]}{machine.python[1]}", *platform_tags(machine)])
    return cache / "wheels" / hashlib.sha256(asked.encode()).hexdigest()


def _download(name: str, version: str, machine: Machine, place: Path) -> None:
    """Into a folder beside, renamed when whole."""
    python = f"{machine.python[0]}.{machine.python[1]}"
    platforms = [argument for tag in platform_tags(machine) for argument in ("--platform", tag)]
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".fetching-", ignore_cleanup_errors=True) as folder:
            command = [*_PIP, "--retries", _RETRIES, "--python-version", python, "--implementation", "cp", *platforms, "-d", folder]
            done = subprocess.run([*command, f"{name}=={version}"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
            if done.returncode:
                raise _not_fetched(f"{name} {version}", machine, done.stderr, place.parent)
            (wheel,) = Path(folder).iterdir()
            place.mkdir(exist_ok=True)
            os.replace(wheel, place / wheel.name)
    except OSError as error:
        raise InputError(f"Cannot keep wheels in {place.parent}: {error.strerror}.") from None


def _not_fetched(what: str, machine: Machine, complaint: str, kept: Path) -> InputError:
    if "No module named pip" in complaint:
        return InputError(f"Fetching {what} takes pip, which {sys.executable} lacks: {sys.executable} -m ensurepip.")
    if re.search(r"Retrying|[Cc]onnection|timed out|Max retries|name resolution|ProxyError", complaint):
        return InputError(f"Cannot fetch {what}: pip reaches no package index. Build once with a network; wheels are then kept in {kept}.")
    errors = [line.removeprefix("ERROR: ").strip() for line in complaint.splitlines() if line.startswith("ERROR")]
    said = f" ({errors[-1]})" if errors else ""
    return InputError(f"pip finds no wheel of {what} for {title(machine)}{said}: see `pip config list`, or connect to a package index.")
