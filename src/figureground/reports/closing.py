"""The last lines of a command: what was found, in words."""

from __future__ import annotations

from figureground.audit.document import audit_json as document
from figureground.audit.keeping.result import AuditResult
from figureground.reports import numbers
from figureground.reports.catalogue import load
from figureground.reports.sections.context import Context, cue_name, for_finding, odds, scale_of, state_line
from figureground.visible import one_line


def closing_lines(result: AuditResult, lang: str = "en") -> list[str]:
    """Findings, effect and performance as plain sentences, worst first."""
    words = load(lang)
    context = Context.of(result, words)
    lines = [state_line(context, cue) for cue in result.verdict.cues]
    lines += [line for cue in result.verdict.cues for line in _effect(context, cue)]
    for part in (result.document.performance, *result.document.performance.others):
        name = f"{part.finding}: " if part.finding else ""
        lines.append(f"{name}accuracy {_rate(part.overall)}")
        if part.worst_group is not None:
            worst = part.worst_group
            lines.append(f"{name}worst-group accuracy {_rate(worst.accuracy)}: {group_name(worst)}")
    data = result.document.data
    lines.append(f"rows: {data.given} given = {data.ok} ok + {data.quarantined} set aside + {data.filtered} filtered")
    return list(map(one_line, lines))


def group_name(group: document.GroupPerformance) -> str:
    """``environment = grass, label = coat``."""
    parts = [(group.attribute, group.level), ("label", group.label)]
    return ", ".join(f"{name} = {level}" for name, level in parts if level != "(all)" and name != "(all)")


def _effect(context: Context, cue: document.CueVerdict) -> list[str]:
    # The first reason stands in the line of the state already.
    lines = [context.words.message(reason) for reason in cue.reasons[1:]]
    if cue.direction is not None and cue.estimate is not None:
        effect = _moved(context, cue, cue.direction)
        lines.insert(0, f"{effect}; n = {cue.n}, {cue.n_clusters} independent)")
    name = for_finding(context, cue.finding, cue_name(context, cue.cue))
    return [f"{name}: {line}" for line in lines]


def _moved(context: Context, cue: document.CueVerdict, way: document.Direction) -> str:
    """How far the answer goes, on the cue's own scale, up to the end of its interval."""
    scale, level = scale_of(context, cue.scale), numbers.level(cue.level)
    if cue.scale == "log_odds":
        ratio = {name: numbers.general(value) for name, value in odds(cue.estimate, cue.ci_low, cue.ci_high).items()}
        return (
            f"the odds of {way.class_name} are {ratio['ratio']} times as high on {way.arm} as on {way.reference} "
            f"({level} interval {ratio['low']} to {ratio['high']}"
        )
    interval = f"on {way.arm} than on {way.reference} ({level} interval {scale.span(cue.ci_low, cue.ci_high)}"
    if cue.scale == "native" and context.target is not None:
        return f"{context.target.name} is {scale.stated(cue.estimate)} higher {interval}"
    return f"{way.class_name} is predicted {numbers.hundredths(cue.estimate)} points more often {interval}"


def _rate(estimate: document.Estimate) -> str:
    if estimate.estimate is None:
        return f"not estimable (n = {estimate.n})"
    return (
        f"{numbers.fixed(estimate.estimate, 3)} ({numbers.level(estimate.ci_level)} interval "
        f"{numbers.fixed(estimate.ci_low, 3)} to {numbers.fixed(estimate.ci_high, 3)}; n = {estimate.n})"
    )
