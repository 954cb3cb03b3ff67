"""Archives that a Linux kernel unpacks as its first file system ("newc" of cpio; format: the kernel's Documentation, initramfs-buffer-format)."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import IO

_END = "TRAILER!!!"


def write_archive(file: Path, contents: Mapping[str, Path]) -> None:
    """Write files, folders and links under their names in the archive; folders that a name needs come before it."""
    folders = {str(parent) for name in contents for parent in Path(name).parents if str(parent) != "."}
    with file.open("wb") as out:
        for name in sorted(folders - contents.keys()):
            _entry(out, name, stat.S_IFDIR | 0o755, b"")
        for name, path in sorted(contents.items()):
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                _entry(out, name, mode, os.readlink(path).encode())
            elif stat.S_ISDIR(mode):
                _entry(out, name, mode, b"")
            elif stat.S_ISREG(mode):
                _entry(out, name, mode | 0o555, path.read_bytes())
        _entry(out, _END, 0, b"")


def _entry(out: IO[bytes], name: str, mode: int, content: bytes) -> None:
    # inode, mode, owner, group, links, time, size, device (2), special device (2), length of the name with its zero, checksum
    fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name.encode()) + 1, 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    out.write(header + b"\0" * (-len(header) % 4))
    out.write(content + b"\0" * (-len(content) % 4))
