"""Signatures with the user's own SSH key, by OpenSSH's `ssh-keygen -Y sign`."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from edge_runtime.errors import InputError, first_line
from edge_runtime.signature import NAMESPACE, SIGNER, verify


def sign(content: bytes, key: Path) -> bytes:
    """The armored signature. `key`: a private key, or a public one whose private part an agent holds. InputError when it does not sign."""
    with tempfile.TemporaryDirectory(prefix="edgeproof-signing-") as folder:
        file = Path(folder) / "content"
        file.write_bytes(content)
        _ssh_keygen(key, "-Y", "sign", "-f", str(key), "-n", NAMESPACE, str(file))
        signature = file.with_name("content.sig").read_bytes()
    if _public(key).is_file():  # what a bundle verifies with
        try:
            verify(content, signature, signers(key))
        except InputError:
            raise _no_pair(key) from None
    return signature


def signers(key: Path) -> str:
    """The public part of a key, as a list of allowed signers for `ssh-keygen -Y verify`."""
    public = _public(key)
    text = public.read_text() if public.is_file() else _ssh_keygen(key, "-y", "-f", str(key))
    kind, blob = text.split()[:2]
    return f'{SIGNER} namespaces="{NAMESPACE}" {kind} {blob}\n'


def _public(key: Path) -> Path:
    return key if key.suffix == ".pub" else key.with_name(f"{key.name}.pub")


def _no_pair(key: Path) -> InputError:
    return InputError(f"Cannot sign with {key}: {_public(key)} is not its public part; remove that file, or write the right one there.")


def _ssh_keygen(key: Path, *arguments: str) -> str:
    """Run it and return what it prints. It asks for a passphrase on the terminal by itself."""
    program = shutil.which("ssh-keygen")
    if program is None:
        raise InputError("--sign takes ssh-keygen: install it (package openssh-client).")
    if not key.is_file():
        raise InputError(f"Cannot sign with {key}: there is no such file.")
    done = subprocess.run([program, *arguments], capture_output=True, text=True)
    if done.returncode and "doesn't match private" in done.stderr:
        raise _no_pair(key)
    if done.returncode:
        raise InputError(f"Cannot sign with {key}: {first_line(ValueError(done.stderr))}.")
    return done.stdout
