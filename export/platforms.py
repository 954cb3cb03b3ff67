"""Which machine each board and operating system is, and which wheels there are for a machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edge_runtime.errors import InputError, unknown_name
from edge_runtime.interpreter import find_runtime
from edge_runtime.machine import Machine

# The tested set (constraints.txt). A bundle needs these distributions and no other: what the runtimes' metadata asks for beyond numpy
# (protobuf, flatbuffers, tqdm, ml_dtypes …) is for their converters and tools; `import` of an interpreter loads none of it.
TESTED: Mapping[str, str] = {"numpy": "1.26.4", "Pillow": "13.0.0", "ai-edge-litert": "2.3.0", "tflite-runtime": "2.14.0", "onnxruntime": "1.31.1"}
# What `serve` needs there (starlette and uvicorn, and what those need): Python only, half a megabyte.
SERVER: Mapping[str, str] = {
    "starlette": "1.10.0", "uvicorn": "0.54.0", "anyio": "4.16.0", "click": "8.5.1", "h11": "0.16.0", "idna": "3.20", "typing_extensions": "4.16.0",
}  # fmt: skip
_NUMPY_2 = "2.4.6"  # numpy 1.26 has no wheels for Python 3.13; tflite-runtime, which needs numpy 1, has none for it either

PYTHONS = ((3, 11), (3, 12), (3, 13))  # that edge_runtime is tested on
_ARCHITECTURES = ("aarch64", "x86_64")  # that numpy, Pillow and a runtime all have wheels for

# The oldest glibc that a runtime's or library's wheels are tagged for, by architecture.
_GLIBC: Mapping[str, Mapping[str, tuple[int, int]]] = {
    "aarch64": {"Pillow": (2, 27), "ai-edge-litert": (2, 27), "tflite-runtime": (2, 34), "onnxruntime": (2, 28)},
    "x86_64": {"Pillow": (2, 27), "ai-edge-litert": (2, 27), "tflite-runtime": (2, 17), "onnxruntime": (2, 28)},
}

REMEDY = "64-bit Raspberry Pi OS (Bookworm or Trixie), on a Pi 3, 4, 5 or Zero 2, has all of them"


@dataclass(frozen=True)
class System:
    """A release of Raspberry Pi OS: its Python and its C library."""

    title: str
    python: tuple[int, int]
    libc: str
    wide: bool = True  # 64-bit userland


SYSTEMS: dict[str, System] = {
    "bookworm": System("Bookworm", (3, 11), "glibc 2.36"),
    "bookworm-32": System("Bookworm 32-bit", (3, 11), "glibc 2.36", wide=False),
    "trixie": System("Trixie", (3, 13), "glibc 2.41"),
    "trixie-32": System("Trixie 32-bit", (3, 13), "glibc 2.41", wide=False),
    "bullseye": System("Bullseye", (3, 9), "glibc 2.31"),
}
DEFAULT_SYSTEM = "bookworm"

# The processor's own architecture: what a 64-bit system runs, if it has one. (Pi 2: the BCM2836 of most of them, an ARMv7.)
BOARDS: dict[str, str] = {
    "pi5": "aarch64", "pi4": "aarch64", "pi3": "aarch64", "zero2": "aarch64", "pi2": "armv7l", "pi1": "armv6l", "zero": "armv6l",
}  # fmt: skip


def machine_of(board: str, system: str) -> Machine:
    """The machine that a board is under a release; InputError for names in neither registry. Whether it has wheels is `refuse`'s matter."""
    if board not in BOARDS:
        raise unknown_name("board", board, BOARDS)
    if system not in SYSTEMS:
        raise unknown_name("operating system", system, SYSTEMS)
    native, release = BOARDS[board], SYSTEMS[system]
    return Machine("armv7l" if native == "aarch64" and not release.wide else native, release.python, release.libc)


def default_runtime(machine: Machine) -> str:
    """tflite-runtime where it has wheels (an eighth of the other's size), ai-edge-litert elsewhere."""
    return "tflite-runtime" if why_not(machine, "tflite-runtime") is None else "ai-edge-litert"


def refuse(machine: Machine, runtimes: Iterable[str]) -> None:
    """InputError, with what would work, when a runtime or what it needs has no wheels for the machine."""
    for runtime in runtimes:
        reason = why_not(machine, runtime)
        if reason:
            raise InputError(f"There can be no bundle for {title(machine)}: {reason}.")


def why_not(machine: Machine, runtime: str) -> str | None:
    """What a machine lacks for a bundle with this runtime, and the remedy; None when it lacks nothing."""
    find_runtime(runtime)
    return _wrong_processor(machine) or _wrong_python(machine, runtime) or _wrong_libc(machine, runtime)


def title(machine: Machine) -> str:
    """ "aarch64, Python 3.11, glibc 2.36"."""
    return f"{machine.architecture}, Python {'.'.join(map(str, machine.python))}, {machine.libc}"


def pins(machine: Machine, versions: Mapping[str, str], *, serves: bool) -> dict[str, str]:
    """Versions by distribution of all that a bundle holds beside edge_runtime; `versions` are the runtimes'."""
    numpy = TESTED["numpy"] if tuple(machine.python) < (3, 13) else _NUMPY_2
    return {"numpy": numpy, "Pillow": TESTED["Pillow"], **versions, **(SERVER if serves else {})}


def platform_tags(machine: Machine) -> list[str]:
    """The platforms of the wheels that its C library can load, newest first; pip takes a list and derives none of it."""
    newest = _glibc(machine)[1]
    tags = [f"manylinux_2_{minor}_{machine.architecture}" for minor in range(newest, 4, -1)]
    old = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
    return [*tags, *(f"{name}_{machine.architecture}" for minor, name in old.items() if minor <= newest)]


def least_glibc(machine: Machine, runtimes: Iterable[str]) -> tuple[int, int]:
    """The oldest glibc that a bundle with these runtimes starts on."""
    oldest = _GLIBC[machine.architecture]
    return max(oldest["Pillow"], *(oldest[runtime] for runtime in runtimes))


def _wrong_processor(machine: Machine) -> str | None:
    if machine.architecture == "armv6l":
        return f"no wheels exist for its ARMv6 processor; {REMEDY}"
    if machine.architecture == "armv7l":
        return f"numpy and Pillow publish no wheels for 32-bit ARM, and of the runtimes only tflite-runtime does, for Python 3.11; {REMEDY}"
    if machine.architecture not in _ARCHITECTURES:
        return f"wheels exist for {' and '.join(_ARCHITECTURES)} only"
    return None


def _wrong_python(machine: Machine, runtime: str) -> str | None:
    if tuple(machine.python) not in PYTHONS:
        return f"Python {PYTHONS[0][0]}.{PYTHONS[0][1]} to {PYTHONS[-1][0]}.{PYTHONS[-1][1]} is needed; {REMEDY}"
    if runtime == "tflite-runtime" and tuple(machine.python) > (3, 11):
        return f"the newest wheels of {runtime} are for Python 3.11 (Bookworm's); use ai-edge-litert (leave --runtime out)"
    return None


def _wrong_libc(machine: Machine, runtime: str) -> str | None:
    if not machine.libc.startswith("glibc "):
        return "the wheels need glibc"
    least = least_glibc(machine, [runtime])
    if _glibc(machine) < least:
        return f"the wheels of {runtime}, numpy and Pillow need glibc {least[0]}.{least[1]} or newer; {REMEDY}"
    return None


def _glibc(machine: Machine) -> tuple[int, int]:
    major, minor = machine.libc.removeprefix("glibc ").split(".")[:2]
    return int(major), int(minor)
