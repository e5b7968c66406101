"""What two audits say as wholes: where rows cannot be compared one by one, their intervals are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from figureground.audit.compare.cue_rows import CueRows, Names
from figureground.audit.compare.differing import Ruler, of_aggregates, sum_bounds
from figureground.audit.compare.document import Difference
from figureground.audit.compare.map_rows import Method, shared_methods
from figureground.audit.document.audit_json import AuditDocument, CueVerdict, Estimate, Performance
from figureground.audit.judge.effects import Scale
from figureground.audit.judge.observations import WHOLE
from figureground.audit.keeping.tables import ALL

Documents = tuple[AuditDocument, AuditDocument]


def cue_aggregates(documents: Documents, cues: tuple[CueVerdict, CueVerdict], ruler: Ruler) -> CueRows:
    """Differences of the contrasts that both audits tested, from their simultaneous intervals."""
    scale: Any = cues[0].scale if cues[0].scale == cues[1].scale else "decision"
    first, second = (_contrasts(document, cue, scale) for document, cue in zip(documents, cues, strict=True))
    family = tuple(names for names in first if names in second)
    found = tuple(of_aggregates(first[names], second[names], scale, ruler) for names in family)
    sums = tuple(sum_bounds(first[names], second[names], ruler) for names in family)
    return CueRows(_scale(scale), family, found, sums)


def _scale(name: Any) -> Scale:
    known: dict[str, Scale] = {"log_odds": "log_odds", "native": "native"}
    return known.get(name, "decision")


def _contrasts(document: AuditDocument, cue: CueVerdict, scale: Any) -> dict[Names, dict[str, Any]]:
    return {
        (row["class_name"], row["arm"], row["reference"], row.get("part") or WHOLE): row
        for row in document.tests
        if (row["cue"], row.get("finding"), row["test"], row["scale"])
        == (cue.cue, cue.finding, "donor_contrast", scale)
        and not row.get("held")
    }


def performances(documents: Documents, finding: str | None) -> tuple[Performance | None, Performance | None]:
    """How good both models are, overall or for one finding."""
    found = [
        next((part for part in (whole, *whole.others) if part.finding == finding), None)
        for whole in (document.performance for document in documents)
    ]
    return found[0], found[1]


def estimates(first: Estimate, second: Estimate, ruler: Ruler) -> Difference:
    """A difference of two estimates of the documents."""
    return of_aggregates(first.model_dump(), second.model_dump(), "share", ruler)


def share_aggregates(
    documents: Documents, finding: str | None, methods: Sequence[Method], ruler: Ruler
) -> Iterator[tuple[Method, Difference]]:
    """Share of attribution on the background, by method."""
    first, second = (_shares(document, finding) for document in documents)
    for method in methods:
        if method in first and method in second:
            yield method, of_aggregates(first[method], second[method], "share", ruler)


def methods_of(documents: Documents) -> list[Method]:
    """Methods, with their sign, that both audits give a background share of."""
    tables = [
        pd.DataFrame(
            [
                {"method": row["method"], "sign": row["sign"]}
                for row in document.subgroups
                if row["measure"] == "background_share" and row["estimate"] is not None
            ],
            columns=["method", "sign"],
        )
        for document in documents
    ]
    return shared_methods(tables[0], tables[1])


def _shares(document: AuditDocument, finding: str | None) -> dict[Method, dict[str, Any]]:
    return {
        (row["method"], row["sign"]): row
        for row in document.subgroups
        if (row["measure"], row["attribute"], row.get("finding")) == ("background_share", ALL, finding)
        and row["label"] in (None, ALL)
    }
