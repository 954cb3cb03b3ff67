"""`parity.junit.xml`: one test case a row, for CI servers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as xml

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # XML has no way to write them; interpreters' messages may hold them


def junit_xml(parity: Mapping[str, Any]) -> str:
    """PASS passes, what does not gate or could not run is skipped, all else fails."""
    rows = parity["rows"]
    suite = xml.Element("testsuite", name="edgeproof parity", tests=str(len(rows)))
    for row in rows:
        case = xml.SubElement(suite, "testcase", classname=f"parity.{row['target']}.{row['runtime']}", name=row["artifact"])
        if row["verdict"] == "PASS":
            continue
        kind = "failure" if row["gates"] else "skipped"
        xml.SubElement(case, kind, message=_UNPRINTABLE.sub("", f"{row['verdict']}: {row['reason']}"))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
    xml.indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + xml.tostring(suite, encoding="unicode") + "\n"
