"""Numbers behind charts that stand in ``audit.json`` only, as rows of tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from figureground.audit.document.audit_json import AuditDocument, Estimate, Performance

Row = dict[str, Any]
_ESTIMATE = ("n", "n_clusters", "estimate", "ci_low", "ci_high", "ci_level")


def number_rows(document: AuditDocument) -> dict[str, list[Row]]:
    """Rows by the name of their table; one without rows is of a run that has no such numbers."""
    parts = [document.performance, *document.performance.others]
    return {
        "reliability": [row for part in parts for row in _reliability(part)],
        "false_alarms": [row for part in parts for row in _alarms(part)],
        "associations": [
            {"attribute": one.attribute, "measure": "cramers_v", **_estimate(one.cramers_v)}
            for one in document.data.associations
        ],
        "method_pairs": list(_pairs(document)),
    }


def _reliability(part: Performance) -> Iterator[Row]:
    for one in part.reliability:
        for number, found in enumerate(one.bins, start=1):
            keys = {"finding": part.finding, "attribute": one.attribute, "level": one.level, "bin": number}
            stated = {"stated_low": found.low, "stated_high": found.high, "stated_mean": found.stated}
            yield {**keys, **stated, **_estimate(found.observed)}


def _alarms(part: Performance) -> Iterator[Row]:
    for rate in part.false_alarms.rates if part.false_alarms else ():
        keys = {"finding": part.finding, "measure": rate.measure, "method": rate.method, "cue": rate.cue}
        for number, p in enumerate(rate.p_values, start=1):
            yield {**keys, "rank": number, "p": p}


def _pairs(document: AuditDocument) -> Iterator[Row]:
    for check in document.trust:
        for one in check.measures if check.check == "agreement" else ():
            left, _, right = one.name.partition("/")
            found = {"n": one.n, "estimate": one.value, "ci_low": one.ci_low, "ci_high": one.ci_high}
            yield {"method": left, "other": right, "measure": "rank_correlation", **found}


def _estimate(found: Estimate) -> Row:
    return {name: getattr(found, name) for name in _ESTIMATE}
