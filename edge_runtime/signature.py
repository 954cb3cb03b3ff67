"""In a bundle made with `--require-signature`: no model runs but one whose signed verdict is PASS.

Folder `edge_bundle` then holds `SIGNERS` (the public key, in its `__init__.py`), `manifest.json` (sha256 of the model, its parity rows) and
`manifest.json.sig` (OpenSSH's signature of it), so that model, verdict and manifest hold or fall together. It guards a program that nobody
changed against another model, verdict or manifest; who can change the program can also take this check out of it, against which the file
as a whole is signed.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from edge_runtime.bundled import FOLDER, MANIFEST
from edge_runtime.errors import InputError, RuntimeMissingError

NAMESPACE = "edgeproof"  # what a signature was made for: one made for a commit or a mail is none
SIGNER = "edgeproof"  # the name that SIGNERS gives the key
SIGNATURE_FILE = "manifest.json.sig"
_SECONDS = 30


def check_model(content: bytes) -> None:
    """Does nothing outside a bundle that requires a signature. InputError when these bytes are not a model that it may run."""
    signed = _signed_manifest()
    if signed is None:
        return
    import hashlib  # here and below: a first answer elsewhere should not wait for what it does not need

    digest = hashlib.sha256(content).hexdigest()
    if digest not in signed["sha256"].values():
        raise InputError(
            f"This bundle runs {signed['model']} only, as it was signed; this model has another sha256: make a bundle of it with --model."
        )
    verdicts = [row["verdict"] for row in signed["verdict"] if row["sha256"] == digest]
    if not verdicts or set(verdicts) != {"PASS"}:
        said = ", ".join(dict.fromkeys(verdicts)) or "none"
        raise InputError(f"This bundle runs no model without a PASS, and the signed verdict on this one is {said}: run `edgeproof parity`.")


@cache
def _signed_manifest() -> dict[str, Any] | None:
    """The manifest after its signature held; None where none is required."""
    if not FOLDER.is_dir():
        return None
    try:
        signers = _signers((FOLDER / "__init__.py").read_text())
        if not signers:
            return None  # one that nobody signed
        manifest, signature = (FOLDER / MANIFEST).read_bytes(), (FOLDER / SIGNATURE_FILE).read_bytes()
    except OSError as error:
        raise _refused(f"{Path(str(error.filename)).name} is missing") from None
    verify(manifest, signature, signers)
    import json

    signed: dict[str, Any] = json.loads(manifest)
    return signed


def _signers(source: str) -> str:
    """What the source of `edge_bundle/__init__.py` assigns to SIGNERS; read and not imported, as a package of that name may lie elsewhere."""
    import ast

    try:
        for statement in ast.parse(source).body:
            if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "SIGNERS":
                return str(ast.literal_eval(statement.value))
    except (SyntaxError, ValueError):
        raise _refused("__init__.py is damaged") from None
    return ""


def verify(content: bytes, signature: bytes, signers: str) -> None:
    """InputError unless `signature` is that of `content` by a key in `signers` (the format of ssh-keygen's allowed signers)."""
    import shutil
    import subprocess
    import tempfile

    program = shutil.which("ssh-keygen")
    if program is None:
        raise RuntimeMissingError("Checking the model's signature takes ssh-keygen: install it (package openssh-client).")
    with tempfile.TemporaryDirectory(prefix="edge-signature-") as folder:
        signers_file, signature_file = Path(folder) / "signers", Path(folder) / "signature"
        signers_file.write_text(signers)
        signature_file.write_bytes(signature)
        command = [program, "-Y", "verify", "-f", str(signers_file), "-I", SIGNER, "-n", NAMESPACE, "-s", str(signature_file)]
        try:
            done = subprocess.run(command, input=content, capture_output=True, timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            raise RuntimeMissingError(f"Checking the model's signature takes ssh-keygen, and {program} did not end within {_SECONDS} s.") from None
    if done.returncode:
        raise _refused("the signature of manifest.json does not hold")


def _refused(reason: str) -> InputError:
    return InputError(f"This bundle runs no model whose signature does not hold, and {reason}: copy the bundle here again, or build a new one.")
