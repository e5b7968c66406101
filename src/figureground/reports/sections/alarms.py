"""How often the audit's own test between groups cries wolf on this data."""

from __future__ import annotations

from figureground.audit.document.audit_json import AlarmRate, FalseAlarms
from figureground.reports import numbers
from figureground.reports.figures.uniformity import Words, uniformity_chart
from figureground.reports.sections.charts import chart
from figureground.reports.sections.context import Context, cue_name, for_finding
from figureground.reports.view import Chart, table


def build(context: Context) -> Chart | None:
    """The p-values of tests between random groups; None where the run has none."""
    found = context.performance.false_alarms
    rates = [] if found is None else [rate for rate in found.rates if rate.p_values]
    if found is None or not rates:
        return None
    say = context.words.say
    words = Words(
        p=say("alarms.p"),
        share=say("alarms.share"),
        alpha=say("alarms.alpha", alpha=numbers.percent(found.alpha, 0)),
        expected=say("alarms.expected"),
    )
    p_values = {_name(context, rate): rate.p_values for rate in rates}
    return chart(
        "false-alarms",
        for_finding(context, context.performance.finding, say("alarms.title")),
        lambda width: uniformity_chart(p_values, found.alpha, words, width=width),
        alt=_alt(context, found, rates),
        caption=_caption(context, found),
        tables=[
            table(
                say("alarms.table"),
                [say("column.measured"), say("alarms.tests"), say("alarms.below"), say("column.interval")],
                [_row(context, rate) for rate in rates],
            )
        ],
    )


def _row(context: Context, rate: AlarmRate) -> list[str]:
    share = rate.share
    interval = numbers.span(share.ci_low, share.ci_high)
    return [_name(context, rate), numbers.count(share.n), numbers.hundredths(share.estimate), interval]


def _alt(context: Context, found: FalseAlarms, rates: list[AlarmRate]) -> str:
    """The highest share, and whether its interval lies above alpha."""
    worst = max(rates, key=lambda rate: rate.share.estimate or 0.0)
    above = worst.share.ci_low is not None and worst.share.ci_low > found.alpha
    return context.words.say(
        "alarms.alt_above" if above else "alarms.alt_within",
        n=found.relabellings,
        measure=_name(context, worst),
        share=numbers.percent(worst.share.estimate),
        interval=numbers.span(worst.share.ci_low, worst.share.ci_high),
        alpha=numbers.percent(found.alpha, 0),
    )


def _caption(context: Context, found: FalseAlarms) -> str:
    say = context.words.say
    told = say(
        "alarms.caption",
        attributes=", ".join(found.attributes),
        clusters=found.clusters,
        permutations=found.permutations,
    )
    return f"{told} {say('alarms.sampled')}" if found.sampled else told


def _name(context: Context, rate: AlarmRate) -> str:
    say, measure = context.words.say, context.words.term("measure", rate.measure)
    if rate.method is not None:  # the log density ratio, whose whole name is too long for a legend
        return say("alarms.by_method", method=context.words.term("method", rate.method))
    return measure if rate.cue is None else say("alarms.by_cue", measure=measure, cue=cue_name(context, rate.cue))
