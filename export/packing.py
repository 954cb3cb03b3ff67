"""Package `edge_bundle`: the models of a bundle, their golden vectors, and the manifest that says what they are and what is proved of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_runtime.machine import Machine
from edge_runtime.signature import SIGNATURE_FILE
from export import signing

PASS = "PASS"


@dataclass(frozen=True)
class Payload:
    """What a bundle brings along. `models`: contents by file name, the one that `classify` runs first; `golden`: (file name, content).

    rows: of parity.json, those that decide about these models on the bundle's runtimes. assume: metadata for a model that carries none.
    """

    models: Mapping[str, bytes]
    golden: tuple[str, bytes] | None
    rows: Sequence[Mapping[str, Any]]
    margin_pp: float | None
    assume: Mapping[str, Any] | None

    @property
    def model(self) -> str:
        return next(iter(self.models))

    @property
    def verdict(self) -> str:
        """PASS, or the first other verdict on the first model, or "not judged"."""
        verdicts = [row["verdict"] for row in self.rows if row["artifact"] == self.model]
        return next((verdict for verdict in verdicts if verdict != PASS), PASS) if verdicts else "not judged"


def pack(payload: Payload, machine: Machine, versions: Mapping[str, str], *, key: Path | None = None, required: bool = False) -> dict[str, bytes]:
    """The files of `edge_bundle`, by name. versions: by runtime, the one that `classify` uses first.

    key: signs the manifest, and with it the sha256 of every file and the verdict. required: the bundle then runs nothing else.
    """
    files = dict(payload.models) | (dict([payload.golden]) if payload.golden else {})
    runtime, version = next(iter(versions.items()))
    manifest = {
        "schema": 1,
        "model": payload.model,
        "models": list(payload.models),
        "golden": payload.golden[0] if payload.golden else None,
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        "runtime": runtime,
        "runtime_version": version,
        "runtimes": dict(versions),
        "machine": {**machine._asdict(), "python": list(machine.python)},
        "verdict": [dict(row) for row in payload.rows],
        "margin_pp": payload.margin_pp,
        "assume": payload.assume,
    }
    content = (json.dumps(manifest, indent=1) + "\n").encode()
    signers = signing.signers(key) if key and required else ""
    packed = {**files, "manifest.json": content, "__init__.py": f"SIGNERS = {signers!r}\n".encode()}
    return packed | ({SIGNATURE_FILE: signing.sign(content, key)} if key else {})
