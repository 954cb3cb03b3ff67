"""`parity.junit.xml`: one test case a row, for CI servers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as xml


def junit_xml(parity: Mapping[str, Any]) -> str:
    """PASS passes, what does not gate or could not run is skipped, all else fails."""
    rows = parity["rows"]
    suite = xml.Element("testsuite", name="edgeproof parity", tests=str(len(rows)))
    for row in rows:
        case = xml.SubElement(suite, "testcase", classname=f"parity.{row['target']}.{row['runtime']}", name=row["artifact"])
        if row["verdict"] == "PASS":
            continue
        kind = "failure" if row["gates"] else "skipped"
        xml.SubElement(case, kind, message=f"{row['verdict']}: {row['reason']}")
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
    xml.indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + xml.tostring(suite, encoding="unicode") + "\n"
