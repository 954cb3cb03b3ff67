"""The user's own `ssh`, with its configuration, agent, aliases and jump hosts; what it says becomes one line.

EDGEPROOF_SSH names another client or adds options ("ssh -F file"); what stands there wins over the options set here.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tempfile
from pathlib import Path

from benchmarks.targets.address import Address
from edge_runtime.errors import EdgeproofError, InputError, TargetError
from edge_runtime.processes import of_signal

STEP_SECONDS = 60.0  # for a step that copies nothing
SLOWEST_BYTES_PER_SECOND = 100_000
LOST = 255  # what ssh ends with when the connection, and not the command, failed
# The last is numpy's, which does not say why.
_FULL = re.compile(r"No space left on device|Disk quota exceeded|File too large|Read-only file system|\d+ requested and \d+ written")
# BatchMode: a question nobody sees would hang. A host key that is not known is never accepted here, whatever the user's configuration says
# of it. Forwardings (of ports, and, which ClearAllForwardings does not cover, of the agent and of X11) and a command of that configuration
# are for a person's session.
_OPTIONS = (
    "BatchMode=yes", "StrictHostKeyChecking=yes", "ConnectTimeout=15", "ServerAliveInterval=15", "ServerAliveCountMax=4",
    "ClearAllForwardings=yes", "ForwardAgent=no", "ForwardX11=no", "RemoteCommand=none", "LogLevel=ERROR",
)  # fmt: skip


class OpenSsh:
    """Runs commands on one board."""

    def __init__(self, address: Address) -> None:
        self.address = address

    def command(self, remote: str) -> list[str]:
        """The local command line that runs `remote` on the board."""
        options = [part for option in _OPTIONS for part in ("-o", option)]
        return [*self._client(), *options, "-T", *self.address.arguments, remote]

    def run(self, remote: str, *, stdin: bytes | Path = b"", seconds: float = STEP_SECONDS, out: Path | None = None) -> bytes:
        """Run a command to its end and return its stdout (or write it to `out`). TargetError when it fails or takes too long."""
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as complaints:  # files: a pipe would fill, or be held open by a master
            if isinstance(stdin, bytes):
                given.write(stdin)
                given.seek(0)
            with open(stdin, "rb") if isinstance(stdin, Path) else given as source, open(out or os.devnull, "wb") as sink:
                done = self._finish(remote, source.fileno(), sink.fileno() if out else subprocess.PIPE, complaints.fileno(), seconds)
            if done.returncode != 0:
                complaints.seek(0)
                raise self.problem(done.returncode, complaints.read().decode(errors="replace"), f"`{remote[:60]}`")
        return done.stdout or b""

    def _finish(self, remote: str, stdin: int, stdout: int, stderr: int, seconds: float) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(self.command(remote), stdin=stdin, stdout=stdout, stderr=stderr, timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            raise TargetError(f"{self.address} did not answer within {seconds:g} s: see what `{self.address.by_hand}` says.") from None
        except OSError as error:
            raise no_client(error) from None

    def problem(self, code: int, complaints: str, what: str, otherwise: type[EdgeproofError] = TargetError) -> EdgeproofError:
        """What a command that ended with `code` and said `complaints` means, with the remedy where there is one.

        TargetError for what is the board's or the connection's fault, `otherwise` for what may be the program's own.
        """
        lines = [line.strip() for line in complaints.splitlines() if line.strip()]
        last = lines[-1].rstrip(".") if lines else ""
        full = next((match[0] for line in lines if (match := _FULL.search(line))), None)
        if full:
            return TargetError(f"{self.address} has no room left ({full}): free some space there.")
        if code == LOST or code < 0:
            return TargetError(self._lost(complaints, last))
        if "not found" in last and "python3" in last or code == 127:
            return TargetError(f"{self.address} has no python3 ({last}): install it there.")
        cause = f"was ended by {of_signal(code - 128)}" if 128 < code < 160 else f"ended with exit code {code}"
        return otherwise(f"{what} on {self.address} {cause}{': ' + last if last else ''}.")

    def _lost(self, complaints: str, last: str) -> str:
        place, by_hand = self.address, self.address.by_hand
        if "REMOTE HOST IDENTIFICATION HAS CHANGED" in complaints:
            return f"The host key of {place} is not the one it had: find out why before you trust it (`{by_hand}` says what changed)."
        if "Host key verification failed" in complaints:
            return f"The host key of {place} is not known here: run `{by_hand}` once by hand and compare it."
        if "Permission denied" in complaints:
            return f"{place} lets no key of yours in: make `{by_hand}` work without a password first (`ssh-copy-id`)."
        cause = f" ({last})" if last else ""
        return f"The connection to {place} failed or was lost{cause}: see what `{by_hand}` says."

    @staticmethod
    def _client() -> list[str]:
        text = os.environ.get("EDGEPROOF_SSH", "ssh")
        try:
            return shlex.split(text) or ["ssh"]
        except ValueError as error:
            raise InputError(f"EDGEPROOF_SSH is no command line ({error}): {text}") from None


def no_client(error: OSError) -> TargetError:
    """The error for an ssh that cannot be started."""
    return TargetError(f"Cannot start ssh ({error}): install an OpenSSH client, or name one in EDGEPROOF_SSH.")


def chatty(address: Address, said: bytes) -> TargetError:
    """The error for a login shell that talks where a program's answer is expected."""
    text = said.decode(errors="replace").strip()[:60]
    return TargetError(f"{address} prints {text!r} on every login, into the answers: silence it there for shells that are not interactive.")


def in_shell(command: list[str]) -> str:
    """The command as text that any login shell hands on to `sh`, which says by its exit code which signal ended a program."""
    return f"sh -c {shlex.quote(shlex.join(command) + '; exit $?')}"
