"""A private folder on a board, held by a connection of its own: when that ends, for whatever reason, the board removes the folder."""

from __future__ import annotations

import contextlib
import importlib.resources
import json
import subprocess
import tempfile
import threading
from pathlib import PurePosixPath
from typing import IO, Any

from benchmarks.targets.openssh import STEP_SECONDS, OpenSsh, chatty, no_client
from edge_runtime.errors import EdgeproofError
from edge_runtime.private_folder import SILENCE_SECONDS

# The program comes as the first line, so that no shell of the user's has to understand it.
_READ_PROGRAM = 'python3 -c "import json,sys;exec(json.loads(sys.stdin.readline()))"'
_BEAT_SECONDS = SILENCE_SECONDS / 4
_BEAT_WAIT_SECONDS = 5.0
_REMOVAL_SECONDS = 20.0


class BoardFolder:
    """`path` on the board, and what the board says of itself: `boot_id`, `cores`. Whoever opens it closes it."""

    def __init__(self, ssh: OpenSsh, left: str | None = None) -> None:
        """left: a folder of a connection that was lost, to be removed first. TargetError when the board cannot be reached or has no room."""
        self._ssh = ssh
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `close`
        self._turn = threading.Lock()
        self._closing = threading.Event()
        try:
            # A session of its own: Ctrl-C must not end the connection that removes the folder.
            self._process = subprocess.Popen(
                ssh.command(_READ_PROGRAM), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr, start_new_session=True
            )
        except OSError as error:
            self._stderr.close()
            raise no_client(error) from None
        try:
            self._send(importlib.resources.files("edge_runtime").joinpath("private_folder.py").read_text())
            hello = self._ask({"remove": left})
        except BaseException:
            self.close()
            raise
        self.path = PurePosixPath(hello["folder"])
        self.boot_id, self.cores = str(hello["boot_id"]), int(hello["cores"])
        self._beat = threading.Thread(target=self._keep_beating, daemon=True)
        self._beat.start()

    @property
    def lost(self) -> bool:
        """Whether the connection that holds the folder has ended."""
        return self._process.poll() is not None

    def free_bytes(self) -> int:
        """Room left in the folder."""
        return int(self._ask({})["free"])

    def problem(self) -> EdgeproofError:
        """Why the connection ended."""
        code = self._process.wait()
        self._stderr.seek(0)
        return self._ssh.problem(code, self._stderr.read().decode(errors="replace"), "the private folder")

    def close(self) -> bool:
        """Let the board remove the folder; whether it said that it did."""
        self._closing.set()
        said, held = b"", self._turn.acquire(timeout=_BEAT_WAIT_SECONDS)  # a beat must not read what is for us
        try:
            said, _ = self._process.communicate(timeout=_REMOVAL_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        except (BrokenPipeError, ValueError):  # the connection is gone already, or this was called before
            self._process.wait()
        finally:
            if held:
                self._turn.release()
        self._stderr.close()
        return b'"removed": true' in said

    def _send(self, message: Any) -> None:
        with contextlib.suppress(BrokenPipeError):  # noticed by the reading that follows
            if self._process.stdin:
                self._process.stdin.write(json.dumps(message).encode() + b"\n")
                self._process.stdin.flush()

    def _ask(self, message: Any) -> dict[str, Any]:
        watch = threading.Timer(STEP_SECONDS, self._process.kill)
        watch.start()
        try:
            with self._turn:
                self._send(message)
                line = self._process.stdout.readline() if self._process.stdout else b""
        finally:
            watch.cancel()
        if not line:
            raise self.problem()
        try:
            return dict(json.loads(line))
        except ValueError:
            raise chatty(self._ssh.address, line) from None

    def _keep_beating(self) -> None:
        with contextlib.suppress(EdgeproofError, ValueError):  # whoever needs the folder next hears why it is gone
            while not self._closing.wait(_BEAT_SECONDS):
                self._ask({})
