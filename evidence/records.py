"""What proofs found, kept as `<folder>/<proof>.json`, so that a long series resumes; and the page made of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from edge_runtime.board import host_facts
from edgeproof.stages.project import versions
from edgeproof.workspace import Workspace
from evidence.findings import ROOT, Finding, Places
from evidence.proofs import Proof

RECORDS = ROOT / "runs/evidence"


@dataclass(frozen=True)
class Record:
    """One proof's findings, and on what they rest."""

    inputs: str  # sha256 of everything the proof depends on
    date: str
    machine: str
    seconds: float
    findings: tuple[Finding, ...]


def inputs_of(proof: Proof, places: Places) -> str:
    """sha256 of the proof's sources, of the workspaces' files and of the libraries' versions. MissingInputError when a file is not there."""
    digest = hashlib.sha256(json.dumps(versions(), sort_keys=True).encode())
    paths = sorted({path for pattern in (*proof.sources, "evidence/findings.py") for path in ROOT.glob(pattern)})
    paths += [workspace.require(name) for workspace in places.workspaces.values() for name in proof.files]
    for path in paths:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def read_record(proof: Proof, folder: Path = RECORDS) -> Record | None:
    """The last record of the proof; None when there is none that can be read."""
    try:
        fields = json.loads((folder / f"{proof.name}.json").read_text())
        return Record(**{**fields, "findings": tuple(Finding(**finding) for finding in fields["findings"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_record(proof: Proof, record: Record, folder: Path = RECORDS) -> None:
    Workspace(folder).write_json(f"{proof.name}.json", asdict(record))


def make_record(inputs: str, seconds: float, findings: Iterable[Finding]) -> Record:
    host = host_facts()
    machine = f"{host['cpu']}, {host['cores']} cores"
    return Record(inputs, datetime.now(UTC).strftime("%Y-%m-%d"), machine, round(seconds, 1), tuple(findings))


def page(records: dict[Proof, Record | None]) -> str:
    """docs/evidence.md: each claim, what was found, and how to find it again."""
    found = [finding for record in records.values() if record for finding in record.findings]
    lines = [
        "# Evidence",
        "",
        "What the project claims, put to the test. `make evidence` runs everything and writes this page; a proof whose code, workspaces and",
        "libraries have not changed since is not repeated (`python -m evidence all --again` does).",
        "",
        f"{sum(finding.met for finding in found)} of {len(found)} targets met.",
    ]
    for proof, record in records.items():
        lines += ["", f"## {proof.name}: {proof.about}", ""]
        if record is None:
            lines.append(f"Not run yet: `python -m evidence {proof.name}`.")
            continue
        lines += [f"{record.date}, {record.machine}; {record.seconds:.0f} s. {_commands(record.findings)}", ""]
        lines += ["| claim | target | figure | met |", "|---|---|---|---|"]
        lines += [f"| {' | '.join(_cell(text) for text in _row(finding))} |" for finding in record.findings]
    return "\n".join(lines) + "\n"


def _commands(findings: Iterable[Finding]) -> str:
    return ", ".join(f"`{command}`" for command in dict.fromkeys(finding.command for finding in findings))


def _row(finding: Finding) -> tuple[str, str, str, str]:
    return finding.claim, finding.target, finding.figure, "yes" if finding.met else "**no**"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
