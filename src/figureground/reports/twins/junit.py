"""JUnit XML: a test case for each finding, for build servers."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from figureground.reports.sections.context import Context
from figureground.reports.twins.told import Told, printable, told

#: What a state is to a build server; all others pass, with their words as output.
KINDS = {"demonstrated": "failure", "error": "error", "inconclusive": "skipped", "not_tested": "skipped"}


def junit_xml(context: Context) -> bytes:
    """The findings as JUnit XML in UTF-8.

    ``demonstrated`` is a failure, ``error`` an error, ``inconclusive`` and ``not_tested`` are skipped, ``suspected``
    and ``not_detected`` pass. Skipped looks green on most servers: hold a build to the exit code, which stands in the
    properties.
    """
    document, cases = context.document, told(context)
    counts = {kind: sum(KINDS.get(case.status) == kind for case in cases) for kind in ("failure", "error", "skipped")}
    totals = {
        "tests": str(len(cases)),
        "failures": str(counts["failure"]),
        "errors": str(counts["error"]),
        "skipped": str(counts["skipped"]),
    }
    root = ET.Element("testsuites", {"name": "figureground", **totals})
    suite = ET.SubElement(root, "testsuite", {"name": "figureground", "timestamp": document.audit.ended[:19], **totals})
    _properties(
        suite,
        {
            "audit_id": document.audit.id,
            "seal": context.result.seal,
            "exit_code": "" if document.audit.exit_code is None else str(document.audit.exit_code),
            "status": document.verdict.status,
        },
    )
    for case in cases:
        _case(suite, case)
    ET.indent(root, " ")
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _case(suite: ET.Element, case: Told) -> None:
    found = ET.SubElement(suite, "testcase", {"classname": "figureground", "name": printable(case.id), "time": "0"})
    _properties(found, {"status": case.status})
    words = printable("\n".join((case.sentence, *case.details)))
    kind = KINDS.get(case.status)
    if kind is not None:
        attributes = {"message": printable(case.sentence)}
        made = ET.SubElement(found, kind, attributes if kind == "skipped" else {**attributes, "type": case.status})
        made.text = words
    else:
        ET.SubElement(found, "system-out").text = words


def _properties(parent: ET.Element, values: dict[str, str]) -> None:
    part = ET.SubElement(parent, "properties")
    for name, value in values.items():
        ET.SubElement(part, "property", {"name": name, "value": printable(value)})
