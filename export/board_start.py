"""The first code of a bundle: is this the machine that it was made for? Then unpack, and hand over.

It goes into the bundle as it stands, beside `edge_machine.py` (edge_runtime's machine.py) and `machine.json`, and runs before anything is
unpacked or imported. Standard library only, and words that every Python from 3.7 on understands: a wrong Python must hear which bundle
to build, not a SyntaxError.
"""

import importlib
import json
import os
import pkgutil
import shutil
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_runtime.machine import Machine

# What `edgeproof bundle` calls the machines that it knows, by architecture and Python.
_OPTIONS = {("aarch64", (3, 11)): "--for pi4 --os bookworm", ("aarch64", (3, 13)): "--for pi4 --os trixie"}
_SYSTEM = {"site-packages", "dist-packages"}  # what is unpacked goes before the system's own packages
_ABLE = (("aarch64", "x86_64"), ((3, 11), (3, 12), (3, 13)))


def start() -> None:
    problem = misfit(_packed("machine.json"))
    if problem:
        _end(f"error: {problem}")
    if any(name.startswith("SHIV_") and name != "SHIV_ROOT" for name in os.environ):
        from _bootstrap import bootstrap  # who asks shiv for something else (SHIV_INTERPRETER, ...) gets its own start

        bootstrap()
        return
    settings = _packed("environment.json")
    folder = _folder(settings)
    if not os.path.isdir(folder):
        _unpack()
    # What shiv's start does, without its imports: they are a tenth of the time to a first answer.
    places = [os.path.basename(place) for place in sys.path]
    sys.path.insert(min(map(places.index, _SYSTEM & set(places)), default=len(places)), folder)
    module, _, function = settings["entry_point"].partition(":")
    sys.exit(getattr(importlib.import_module(module), function)())


def _packed(name: str) -> dict:
    return dict(json.loads((pkgutil.get_data(__name__, name) or b"").decode()))


def _folder(settings: dict) -> str:
    """Where shiv unpacks this very content."""
    root = os.path.expanduser(os.environ.get("SHIV_ROOT", settings["root"]))
    return os.path.join(root, f"{os.path.basename(os.path.realpath(sys.argv[0]))}_{settings['build_id']}", "site-packages")


def misfit(wanted: dict) -> "str | None":
    """One line on why the bundle cannot run here and which one to build; None when it can."""
    from edge_machine import this_machine

    here = this_machine()
    glibc = _glibc(here.libc)
    fits = here.architecture == wanted["architecture"] and here.python == tuple(wanted["python"])
    if fits and glibc and glibc >= tuple(wanted["glibc"]):
        return None
    made = f"{wanted['architecture']}, Python {_dotted(wanted['python'])}, glibc {_dotted(wanted['glibc'])} or newer"
    return f"This bundle is for {made}; here is {here.architecture}, Python {_dotted(here.python)}, {here.libc}. {_remedy(here, glibc)}"


def _remedy(here: "Machine", glibc: "tuple[int, ...] | None") -> str:
    if here.architecture not in _ABLE[0] or here.python not in _ABLE[1] or not glibc or glibc < (2, 28):
        able = "64-bit Linux with Python 3.11 to 3.13 and glibc 2.28 or newer (Raspberry Pi OS Bookworm or Trixie, 64-bit)"
        return f"No bundle can run here: install {able}, or start it with such a Python."
    option = _OPTIONS.get((here.architecture, here.python), "--for ssh://USER@" + os.uname().nodename)
    return f"Build one with: edgeproof bundle {option}"


def _unpack() -> None:
    """Unpack below $SHIV_ROOT. Nothing half-unpacked stays, and a full disk is one line."""
    from _bootstrap import cache_path, current_zipfile, extract_site_packages
    from _bootstrap.environment import Environment

    with current_zipfile() as archive:
        settings = Environment.from_json(archive.read("environment.json").decode())
        target = cache_path(archive, settings.root, settings.build_id)
        sys.stderr.write(f"first start: unpacking below {target.parent}\n")
        try:
            os.makedirs(str(target.parent), mode=0o700, exist_ok=True)
            extract_site_packages(archive, target)
        except BaseException as error:
            shutil.rmtree(f"{target}.tmp", ignore_errors=True)
            if isinstance(error, OSError):
                remedy = "make room, or set SHIV_ROOT to a folder with 150 MB free that you may write to"
                _end(f"error: cannot unpack below {target.parent} ({error.strerror or error}): {remedy}")
            if isinstance(error, KeyboardInterrupt):
                sys.exit(130)
            raise


def _glibc(libc: str) -> "tuple[int, ...] | None":
    """(2, 36) of "glibc 2.36"; None for another C library."""
    words = libc.split()
    return tuple(int(part) for part in words[1].split(".")[:2]) if words[0] == "glibc" else None


def _dotted(numbers: "list[int] | tuple[int, ...]") -> str:
    return ".".join(str(number) for number in numbers)


def _end(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.exit(2)
