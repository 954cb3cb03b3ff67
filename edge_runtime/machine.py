"""What decides which wheels run on a machine: processor, width of its userland, Python, C library.

Standard library only, and one file without imports of ours: the SSH target pipes this very text into a board's `python3 -` before
anything of ours is there, so it keeps to what every Python 3 from 3.7 on understands.
"""

import json
import platform
import struct
import sys
from collections import namedtuple

# architecture: of the userland, as wheel tags spell it ("x86_64", "aarch64", "armv7l", "armv6l"); python: (major, minor);
# libc: its name and version, "glibc 2.36" or "musl" (whose version is not to be had from Python).
Machine = namedtuple("Machine", ["architecture", "python", "libc"])

_NARROW = {"aarch64": "armv7l", "arm64": "armv7l", "x86_64": "i686"}  # a 64-bit kernel under a 32-bit userland reports itself


def this_machine() -> Machine:
    """The machine this interpreter runs on. A kernel's word is not enough: Raspberry Pi OS came as 32-bit userland on a 64-bit kernel."""
    reported = platform.machine()
    narrow = struct.calcsize("P") == 4
    name, version = platform.libc_ver()
    libc = "%s %s" % (name, version) if name else "musl"  # noqa: UP031 - understood by every Python 3
    return Machine(_NARROW.get(reported, reported) if narrow else {"arm64": "aarch64"}.get(reported, reported), sys.version_info[:2], libc)


if __name__ == "__main__":
    print(json.dumps(this_machine()._asdict()))
