"""The last lines of a command: what was found, in words."""

from __future__ import annotations

from figureground.audit import document
from figureground.audit.result import AuditResult
from figureground.reports import numbers
from figureground.reports.catalogue import Catalogue, load
from figureground.reports.sections.context import Context, odds, state_line


def closing_lines(result: AuditResult, lang: str = "en") -> list[str]:
    """Findings, effect and performance as plain sentences, worst first."""
    words = load(lang)
    context = Context(result, words)
    lines = [state_line(context, cue) for cue in result.verdict.cues]
    lines += [line for cue in result.verdict.cues for line in _effect(cue, words)]
    for part in (result.document.performance, *result.document.performance.others):
        name = f"{part.finding}: " if part.finding else ""
        lines.append(f"{name}accuracy {_rate(part.overall)}")
        if part.worst_group is not None:
            worst = part.worst_group
            lines.append(f"{name}worst-group accuracy {_rate(worst.accuracy)}: {group_name(worst)}")
    data = result.document.data
    lines.append(f"rows: {data.given} given = {data.ok} ok + {data.quarantined} set aside + {data.filtered} filtered")
    return lines


def group_name(group: document.GroupPerformance) -> str:
    """``environment = grass, label = coat``."""
    parts = [(group.attribute, group.level), ("label", group.label)]
    return ", ".join(f"{name} = {level}" for name, level in parts if level != "(all)" and name != "(all)")


def _effect(cue: document.CueVerdict, words: Catalogue) -> list[str]:
    # The first reason stands in the line of the state already.
    found = [words.message(reason) for reason in cue.reasons[1:]]
    if cue.direction is not None and cue.estimate is not None and cue.scale == "log_odds":
        way, ratio = cue.direction, odds(cue.estimate, cue.ci_low, cue.ci_high)
        found.insert(
            0,
            f"the odds of {way.class_name} are {numbers.general(ratio['ratio'])} times as high on {way.arm} as on "
            f"{way.reference} ({numbers.level(cue.level)} interval {numbers.general(ratio['low'])} to "
            f"{numbers.general(ratio['high'])}; n = {cue.n}, {cue.n_clusters} independent)",
        )
    elif cue.direction is not None and cue.estimate is not None:
        way = cue.direction
        found.insert(
            0,
            f"{way.class_name} is predicted {numbers.hundredths(cue.estimate)} points more often "
            f"on {way.arm} than on {way.reference} "
            f"({numbers.level(cue.level)} interval {numbers.span(cue.ci_low, cue.ci_high)}; "
            f"n = {cue.n}, {cue.n_clusters} independent)",
        )
    return found


def _rate(estimate: document.Estimate) -> str:
    if estimate.estimate is None:
        return f"not estimable (n = {estimate.n})"
    return (
        f"{numbers.fixed(estimate.estimate, 3)} ({numbers.level(estimate.ci_level)} interval "
        f"{numbers.fixed(estimate.ci_low, 3)} to {numbers.fixed(estimate.ci_high, 3)}; n = {estimate.n})"
    )
