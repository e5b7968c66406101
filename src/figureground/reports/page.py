"""The whole page as values: what was found first, then why, then how to check it."""

from __future__ import annotations

from dataclasses import dataclass

from figureground.audit.result import AuditResult
from figureground.reports import numbers
from figureground.reports.catalogue import Catalogue
from figureground.reports.sections import (
    cases,
    causal,
    cover,
    cues,
    data,
    findings,
    groups,
    looking,
    performance,
    plain,
    provenance,
    trust,
)
from figureground.reports.sections.context import Context
from figureground.reports.view import Cases, Chart, Table


@dataclass(frozen=True)
class Page:
    """Everything that the template shows."""

    lang: str
    cover: cover.Cover
    swap_cases: tuple[Cases, ...]
    demonstrated: bool
    findings: findings.Findings
    swaps: tuple[Chart, ...]
    cues: Table | None
    cost: str
    tests: Table | None
    contrast: Chart | None
    plain: plain.Plain | None
    looking: Chart | None
    heatmaps: tuple[Cases, ...]
    accuracy: Chart | None
    left_out: Table | None
    groups: groups.Groups
    confusion: Chart | None
    data: data.DataSection
    trust: trust.Trust
    provenance: provenance.Provenance
    audit_id: str
    seal: str


def build(result: AuditResult, words: Catalogue) -> Page:
    """The page of a finished run in one language; raises if the run did not finish."""
    context = Context(result, words)
    return Page(
        seal=numbers.short_hash(result.seal),
        audit_id=result.document.audit.id,
        lang=words.lang,
        cover=cover.build(context),
        swap_cases=cases.swap_cases(context),
        demonstrated=context.demonstrated,
        findings=findings.build(context),
        swaps=causal.swaps(context),
        cues=cues.cue_table(context),
        cost=cues.cost_line(context),
        tests=causal.tests_table(context),
        contrast=causal.contrast(context),
        plain=plain.build(context),
        looking=looking.build(context),
        heatmaps=cases.heatmap_cases(context),
        accuracy=performance.accuracy(context),
        left_out=performance.left_out(context),
        groups=groups.build(context),
        confusion=performance.confusion(context),
        data=data.build(context),
        trust=trust.build(context),
        provenance=provenance.build(context),
    )
