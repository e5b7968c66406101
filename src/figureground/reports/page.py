"""The whole page as values: what was found first, then why, then how to check it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from figureground.audit.keeping.result import AuditResult
from figureground.reports import numbers
from figureground.reports.catalogue import Catalogue
from figureground.reports.sections import (
    averages,
    cases,
    causal,
    confused,
    cover,
    cues,
    data,
    doses,
    edition,
    enrichment,
    findings,
    groups,
    looking,
    pairs,
    performance,
    plain,
    provenance,
    quadrant,
    rates,
    reliability,
    swapped,
    tools,
    trust,
)
from figureground.reports.sections.context import Context
from figureground.reports.view import Cases, Chart, Table


@dataclass(frozen=True)
class Part:
    """The evidence of the run, or of one finding, which is then named above it."""

    name: str
    swaps: tuple[Chart, ...]
    tests: Table | None
    contrast: Chart | None
    plain: plain.Plain | None
    looking: Chart | None
    accuracy: Chart | None
    left_out: Table | None
    groups: groups.Groups
    confusion: Chart | None
    rates: Chart | None
    beside_looking: tuple[Chart, ...]
    by_subgroup: tuple[Chart, ...]
    doses: tuple[Chart, ...]
    confused: Chart | None
    reliability: Chart | None


@dataclass(frozen=True)
class Page:
    """Everything that the template shows."""

    lang: str
    cover: cover.Cover
    pairs: tuple[pairs.CuePairs, ...]
    findings: findings.Findings
    lead: str
    cues: Table | None
    cost: str
    parts: tuple[Part, ...]
    heatmaps: tuple[Cases, ...]
    tools: tools.Tools | None
    data: data.DataSection
    trust: trust.Trust
    provenance: provenance.Provenance
    audit_id: str
    seal: str
    pictured: bool = True
    edition: edition.EditionView | None = None
    purges: tuple[str, ...] = ()


def build(result: AuditResult, words: Catalogue) -> Page:
    """The page of a finished run in one language; raises if the run did not finish."""
    context = Context.of(result, words)
    shown, controls = tools.with_tools(context, cases.heatmap_cases(context))
    return Page(
        seal=numbers.short_hash(result.seal),
        audit_id=result.document.audit.id,
        lang=words.lang,
        cover=cover.build(context),
        pairs=pairs.build(context),
        findings=findings.build(context),
        lead=cues.lead(context),
        cues=cues.cue_table(context),
        cost=cues.cost_line(context),
        parts=tuple(_part(context.asked(name), at) for at, name in enumerate(context.findings or (None,))),
        tools=controls,
        heatmaps=(*shown, *filter(None, [averages.mean_maps(context)])),
        pictured=bool(shown),
        edition=edition.build(context),
        purges=edition.purges(context),
        data=data.build(context),
        trust=trust.build(context),
        provenance=provenance.build(context),
    )


def _part(context: Context, at: int) -> Part:
    """One part of the evidence; the charts of a later part have names of their own."""
    return Part(
        name=context.finding or "",
        swaps=tuple(_numbered(found, at) for found in causal.swaps(context)),
        tests=causal.tests_table(context),
        contrast=_own(causal.contrast(context), at),
        plain=plain.build(context),
        looking=_own(looking.build(context), at),
        accuracy=_own(performance.accuracy(context), at),
        left_out=performance.left_out(context),
        groups=groups.build(context),
        confusion=_own(performance.confusion(context), at),
        rates=_own(rates.build(context), at),
        beside_looking=_all((enrichment.build(context), quadrant.build(context)), at),
        by_subgroup=_all((swapped.arms(context), *swapped.flips(context)), at),
        doses=_all(doses.build(context), at),
        confused=_own(confused.build(context), at),
        reliability=_own(reliability.build(context), at),
    )


def _all(found: Iterable[Chart | None], at: int) -> tuple[Chart, ...]:
    return tuple(_numbered(one, at) for one in found if one is not None)


def _own(found: Chart | None, at: int) -> Chart | None:
    return None if found is None else _numbered(found, at)


def _numbered(found: Chart, at: int) -> Chart:
    return replace(found, identifier=f"{found.identifier}-{at + 1}") if at else found
