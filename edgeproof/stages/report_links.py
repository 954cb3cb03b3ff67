"""The last links of a workspace's chain: what the report says follows from the artifacts and the saved answers."""

from __future__ import annotations

import json
import math
from typing import Any

from benchmarks import parity
from benchmarks.outputs import from_arrays, outputs_file
from benchmarks.reports.junit import junit_xml
from benchmarks.reports.markdown import parity_markdown
from edge_runtime.errors import InputError
from edgeproof.stages.judging import reference_of
from edgeproof.stages.links import Chain

_NOT_IN_ANSWERS = {"rows", "layers", "suspects"}  # of a report: rows are compared field by field, the others took a look inside the exports
WRITTEN = {"parity.md": parity_markdown, "parity.junit.xml": junit_xml}


def check_judged(chain: Chain) -> str:
    """The report is about this baseline and these artifacts."""
    if chain.report["baseline"]["sha256"] != chain.training["baseline_sha256"]:
        raise chain.broken("parity.json compares with another baseline", "parity.json")
    artifacts = chain.artifacts
    for row in chain.report["rows"]:
        if row["sha256"] != artifacts.get(row["artifact"], {}).get("sha256"):
            raise chain.broken(f"parity.json judges another {row['artifact']} than the manifest lists", "parity.json")
    judged = {row["artifact"] for row in chain.report["rows"]}
    return f"parity.json judges {len(judged)} of {len(artifacts)} artifacts in {len(chain.report['rows'])} rows"


def check_rejudged(chain: Chain) -> str:
    """The saved answers, judged again, give the report again."""
    report, outputs = chain.report, []
    for row in report["rows"]:
        name = outputs_file(**row)
        if not chain.workspace.has(name):
            raise chain.broken(f"{name} is gone", "parity.json")
        outputs.append(from_arrays(chain.workspace.read_arrays(name)))
    judged = parity.judge(
        reference_of(chain.validation), outputs, margin_pp=report["margin_pp"], baseline_sha256=report["baseline"]["sha256"]
    ).to_dict()
    for stated, found in zip(report["rows"], judged["rows"], strict=True):
        for field in stated:
            if field != "reason" and field in found and not _same(stated[field], found[field]):  # another edgeproof may word it otherwise
                subject = f"{stated['artifact']} on {stated['runtime']} ({stated['kernels']} kernels)"
                raise chain.broken(f"{subject}: its answers give {field} {found[field]}, parity.json says {stated[field]}", "parity.json")
    for part in sorted(judged.keys() - _NOT_IN_ANSWERS):
        if part in report and not _same(report[part], judged[part]):
            raise chain.broken(f"the saved answers give another {part.replace('_', ' ')} than parity.json states", "parity.json")
    return f"the saved answers, judged again, give the same {len(outputs)} rows: {report['verdict']}"


def check_written(chain: Chain) -> str:
    """What people and CI servers read says what parity.json says."""
    written = [name for name in WRITTEN if chain.workspace.has(name)]
    for name in written:
        if (chain.workspace / name).read_bytes() != WRITTEN[name](chain.report).encode():
            remedy = f"edgeproof parity --rejudge{chain.workspace.option}"
            raise InputError(f"{name} was not written from this parity.json by this edgeproof: run `{remedy}`.")
    return f"{' and '.join(written)} written from parity.json"


def _same(a: Any, b: Any) -> bool:
    """Equal values; numbers up to the last digits, in which processors and libraries differ."""
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(_same, a, b))
    return json.dumps(a) == json.dumps(b)
