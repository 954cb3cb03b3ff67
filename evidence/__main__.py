"""`python -m evidence`: list the proofs. `python -m evidence NAME…`: run some. `python -m evidence all`: run all and write docs/evidence.md."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from edge_runtime.errors import EdgeproofError, unknown_name
from edgeproof.workspace import DEFAULT
from evidence.findings import DEFAULT_SEED, ROOT, Places
from evidence.proofs import PROOFS, Proof
from evidence.records import RECORDS, Record, inputs_of, make_record, page, read_record, write_record

PAGE = ROOT / "docs/evidence.md"


def main(arguments: list[str] | None = None) -> int:
    """0 when every target was met, 1 when one was not, 2 when a proof could not be run."""
    options = _options(arguments)
    if not options.names:
        for proof in PROOFS.values():
            print(f"{proof.name:14} {proof.about}")
        return 0
    places = Places(options.workspace, options.seed)
    try:
        chosen = list(PROOFS.values()) if options.names == ["all"] else [_find(name) for name in options.names]
    except EdgeproofError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    codes = [run_proof(proof, places, options.again, options.records) for proof in chosen]
    if options.names == ["all"]:
        options.page.parent.mkdir(parents=True, exist_ok=True)
        options.page.write_text(page({proof: read_record(proof, options.records) for proof in chosen}))
        print(f"Written: {options.page}")
    return max(codes)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m evidence", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="proofs to run, or all")
    parser.add_argument("-w", "--workspace", type=Path, default=Path(DEFAULT), help="a finished run of recipe compact (default: %(default)s)")
    parser.add_argument("--seed", type=Path, default=Path(DEFAULT_SEED), help="a finished run of recipe seed (default: %(default)s)")
    parser.add_argument("--again", action="store_true", help="repeat proofs whose inputs have not changed")
    parser.add_argument("--records", type=Path, default=RECORDS, help="where findings are kept (default: runs/evidence)")
    parser.add_argument("--page", type=Path, default=PAGE, help="what `all` writes (default: docs/evidence.md)")
    return parser.parse_args(arguments)


def _find(name: str) -> Proof:
    if name not in PROOFS:
        raise unknown_name("proof", name, PROOFS)
    return PROOFS[name]


def run_proof(proof: Proof, places: Places, again: bool = False, folder: Path = RECORDS) -> int:
    """Prove it, or show what was found before, if nothing has changed since; the exit code as of `main`."""
    print(f"{proof.name}: {proof.about}", flush=True)
    try:
        inputs = inputs_of(proof, places)
        record = read_record(proof, folder)
        if again or record is None or record.inputs != inputs:
            begin = time.perf_counter()
            findings = proof.prove(places)
            record = make_record(inputs, time.perf_counter() - begin, findings)
            write_record(proof, record, folder)
        else:
            print(f"  found on {record.date}, nothing has changed since")
    except EdgeproofError as error:
        print(f"  not run: {error}", file=sys.stderr)
        return 2
    _show(record)
    return 0 if all(finding.met for finding in record.findings) else 1


def _show(record: Record) -> None:
    for finding in record.findings:
        print(f"  {'met' if finding.met else 'NOT MET'}: {finding.claim}\n    target {finding.target}\n    found  {finding.figure}", flush=True)


if __name__ == "__main__":
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    sys.exit(main())
