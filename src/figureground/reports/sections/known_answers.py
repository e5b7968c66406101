"""An auditor that is itself audited: what this tool found where the answer was known."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from figureground.audit.judge.intervals import wilson
from figureground.reports import numbers
from figureground.reports.sections.context import Context
from figureground.reports.view import Table, table

_LEVEL = 0.95


@dataclass(frozen=True)
class KnownAnswers:
    """The published benchmark of the tool, and what it is not."""

    lead: str
    table: Table
    version: str


@cache
def pack() -> dict[str, Any]:
    """The figures that came with this version of the package; ``scripts/recovery_pack.py`` writes them."""
    text = (resources.files("figureground.reports") / "recovery.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def build(context: Context, known: dict[str, Any] | None = None) -> KnownAnswers:
    """Detection, misses and false alarms with their n and intervals."""
    found, say = pack() if known is None else known, context.words.say
    named, wrong, alarms = found["named"], found["wrong"], found["alarms"]
    missed = {"k": named["n"] - named["k"], "n": named["n"]}
    reliant, clean = 100 * found["reliant"], 100 * found["clean"]
    rows = [
        _row(say("known.named", points=reliant), named),
        _row(say("known.missed"), missed),
        _row(say("known.alarms", points=clean), alarms),
        _row(say("known.wrong"), wrong),
    ]
    columns = [say("known.asked"), say("known.count"), say("known.of"), say("column.share"), say("column.interval")]
    return KnownAnswers(
        lead=say("known.lead", models=wrong["n"], images=found["per_label"], day=found["made"]),
        table=table(say("known.table", level=numbers.level(_LEVEL)), columns, rows),
        version=_version(context, found["tool_version"]),
    )


def _row(asked: str, found: dict[str, int]) -> list[str]:
    interval = wilson(found["k"], found["n"], _LEVEL)
    k, n = numbers.count(found["k"]), numbers.count(found["n"])
    return [asked, k, n, numbers.hundredths(interval.estimate), numbers.span(interval.low, interval.high)]


def _version(context: Context, measured: str) -> str:
    """Whether the figures are of the version that made this run."""
    run = context.document.audit.tool.version
    key = "known.same_version" if run == measured else "known.other_version"
    return context.words.say(key, run=run, measured=measured)
