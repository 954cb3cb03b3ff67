"""A private folder on a board that lasts as long as the connection of whoever asked for it.

Standard library only, and one file without imports of ours: the SSH target sends this very text to a board's `python3 -c` before anything
of ours is there, and keeps the connection open. Spoken over stdin and stdout, one JSON object a line:

    -> {"remove": a folder that a lost connection may have left, or null}
    <- {"folder", "free", "boot_id", "cores"}                       the folder is there, mode 700
    -> any line, at the latest after SILENCE_SECONDS                <- {"free"}    bytes free in it
    end of input, silence, a signal                                 the folder goes, with every process that runs from it; <- {"removed"}
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import sys
import tempfile
import time

PREFIX = "edgeproof-board-"
SILENCE_SECONDS = 90
STALE_SECONDS = 24 * 3600
ENOUGH_BYTES = 500 * 2**20  # a runtime unpacked, the images, and room to spare
REMOVAL_TRIES = 100


def main() -> int:
    folder = None
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
        signal.signal(number, lambda *_: sys.exit(1))
    try:
        left = json.loads(sys.stdin.readline() or "{}").get("remove")
        parents = candidates()
        sweep(parents, left)
        folder = tempfile.mkdtemp(prefix=PREFIX, dir=roomiest(parents))
        say({"folder": folder, "free": free_bytes(folder), "boot_id": boot_id(), "cores": len(os.sched_getaffinity(0))})
        signal.alarm(SILENCE_SECONDS)
        while sys.stdin.readline():
            signal.alarm(SILENCE_SECONDS)
            os.utime(folder)  # so that no later visitor takes it for a stale one
            say({"free": free_bytes(folder)})
    except OSError as error:  # a full disk, or nobody listens any more
        print(error, file=sys.stderr)
        return 1
    finally:
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)
        removed = folder is None or remove(folder)
    say({"removed": removed})
    return 0


def candidates() -> list[str]:
    """Folders of this user's that may hold ours: writable, and programs may run from there."""
    home = os.path.expanduser("~")
    named = [os.environ.get("XDG_RUNTIME_DIR"), os.environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache"), home, tempfile.gettempdir()]
    return [path for path in named if path and os.path.isdir(path) and os.access(path, os.W_OK) and not os.statvfs(path).f_flag & os.ST_NOEXEC]


def roomiest(parents: list[str]) -> str:
    """The first with enough room, else the one with the most."""
    if not parents:
        raise OSError(f"there is no folder to write to: neither the home folder nor {tempfile.gettempdir()}")
    roomy = [path for path in parents if free_bytes(path) >= ENOUGH_BYTES]
    return roomy[0] if roomy else max(parents, key=free_bytes)


def sweep(parents: list[str], left: str | None) -> None:
    """Remove what former visits left: the folder named, and ours that nobody touched for a day."""
    for parent in parents:
        for name in os.listdir(parent):
            path = os.path.join(parent, name)
            if name.startswith(PREFIX) and (path == left or stale(path)) and ours(path):
                remove(path)


def stale(path: str) -> bool:
    """Whether nobody touched it for a day: who still holds it does so twice a minute."""
    try:
        return time.time() - os.lstat(path).st_mtime > STALE_SECONDS
    except OSError:  # another visitor removed it
        return False


def ours(path: str) -> bool:
    """Whether it is a folder of this user's: in a shared /tmp anybody may have made one of that name."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode) and os.lstat(path).st_uid == os.getuid()
    except OSError:
        return False


def remove(folder: str) -> bool:
    """End what runs from the folder and delete it; whether it is gone."""
    for _ in range(REMOVAL_TRIES):
        end_processes(folder)
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.exists(folder):
            return True
        time.sleep(0.05)  # a process that was writing to it takes a moment to end
    return False


def end_processes(folder: str) -> None:
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as command:
                    if os.fsencode(folder) in command.read():
                        os.kill(int(entry), signal.SIGKILL)
            except OSError:
                continue  # it ended by itself, or is not ours


def free_bytes(path: str) -> int:
    room = os.statvfs(path)
    return room.f_bavail * room.f_frsize


def boot_id() -> str:
    """What tells two machines apart, whatever they are called."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def say(message: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
