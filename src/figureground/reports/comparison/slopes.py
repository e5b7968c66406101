"""Before and after: what each audit found, and what became of it, as lines: chart C15.

The differences and their intervals stand in the chart and the table that follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from figureground.audit.compare.document import Difference, GroupChange
from figureground.audit.keeping.tables import ALL
from figureground.reports import numbers
from figureground.reports.comparison.words import Told
from figureground.reports.figures.slopes import slope_chart
from figureground.reports.sections.charts import chart
from figureground.reports.view import Chart, Chip

#: Scales whose values are shares and stand on one axis.
_SHARES = ("decision", "probability", "share")
#: Lines of one chart; a chart with more is no longer read.
_MAX_LINES = 16


@dataclass(frozen=True)
class Line:
    """One value in both audits."""

    name: str
    chip: Chip
    found: Difference

    @property
    def moved(self) -> bool:
        """Whether the change is more than noise."""
        low, high = self.found.ci_low, self.found.ci_high
        return low is not None and high is not None and not low <= 0 <= high


def build(told: Told) -> tuple[Chart | None, Chart | None]:
    """Of the effects of the cues, and of accuracy and attribution; None where fewer than two lines could be drawn."""
    cues = [
        Line(told.cue(item.cue, item.finding), told.chip(item.state), item.difference)
        for item in told.document.cues
        if item.difference is not None
    ]
    measures = [
        Line(told.measure(item), told.measured(item), item.difference)
        for item in told.document.measures
        if item.difference is not None
    ]
    groups = [Line(told.group(item), _group_chip(told, item), item.difference) for item in _groups(told)]
    return _drawn(told, "cues", cues), _drawn(told, "measures", [*measures, *groups])


def _groups(told: Told) -> list[GroupChange]:
    """Subgroups, those of a label alone behind the attributes."""
    return sorted(told.document.groups, key=lambda item: item.attribute == ALL)


def _group_chip(told: Told, item: GroupChange) -> Chip:
    """Accuracy of a subgroup: more or less than before, or unchanged within its interval."""
    low, high = item.difference.ci_low, item.difference.ci_high
    if low is None or high is None or low <= 0 <= high:
        return told.chip("unchanged")
    return told.chip("better" if low > 0 else "worse")


def _drawn(told: Told, name: str, lines: list[Line]) -> Chart | None:
    known = [
        line
        for line in lines
        if line.found.scale in _SHARES and line.found.first is not None and line.found.second is not None
    ]
    if not known:
        return None
    shown = _chosen(known)
    say = told.words.say
    frame = pd.DataFrame(
        {
            "name": [line.name for line in shown],
            "shape": [line.chip.shape for line in shown],
            "state": [line.chip.words for line in shown],
            "first": [line.found.first for line in shown],
            "second": [line.found.second for line in shown],
        }
    )
    words: dict[str, Any] = {
        "before": say("column.first_state"),
        "after": say("column.second_state"),
        "axis": say("compare.slope.axis"),
    }
    draw = partial(slope_chart, frame, **words)
    rule = "" if len(shown) == len(known) else " " + say("compare.slope.rule", shown=len(shown), n=len(known))
    return chart(
        f"slope-{name}",
        say(f"compare.slope.{name}"),
        lambda width: draw(width=width),
        alt=_alt(told, known),
        caption=say("compare.slope.caption") + rule,
    )


def _chosen(lines: list[Line]) -> list[Line]:
    """The lines that moved by more than noise, then the largest changes; in their own order."""
    order = sorted(range(len(lines)), key=lambda at: (not lines[at].moved, -abs(lines[at].found.estimate or 0.0), at))
    return [lines[at] for at in sorted(order[:_MAX_LINES])]


def _alt(told: Told, lines: list[Line]) -> str:
    """How many moved, and the one that moved most, from where to where."""
    most = max(lines, key=lambda line: (line.moved, abs(line.found.estimate or 0.0)))
    return told.words.say(
        "compare.slope.alt",
        n=len(lines),
        moved=sum(line.moved for line in lines),
        name=most.name,
        first=most.found.first,
        second=most.found.second,
        interval=numbers.span(most.found.ci_low, most.found.ci_high),
        state=most.chip.words,
    )
