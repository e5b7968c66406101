"""The tables of a comparison: cues, measures, groups, rows, inputs, what was not tested, provenance."""

from __future__ import annotations

from typing import Any

from figureground.audit.compare.document import Compared, CueChange, Difference, MeasureChange
from figureground.audit.declared.config import canonical_json
from figureground.reports import numbers
from figureground.reports.comparison.words import Told
from figureground.reports.view import Table, table

_LONGEST = 400


def cue_table(told: Told) -> Table:
    """Every cue: what changed, and the state that each audit gives it."""
    columns = [told.words.say(f"column.{name}") for name in ("cue", "what_changed", "first_state", "second_state")]
    body = [
        [
            told.cue(item.cue, item.finding),
            _stated(told, told.chip(item.state).words, told.reason(item.reason)),
            told.audit_state(item, "first"),
            told.audit_state(item, "second"),
        ]
        for item in told.document.cues
    ]
    return table(told.words.say("compare.table.cues"), columns, body, text_columns=4, limit=len(body))


def effect_table(told: Told) -> Table | None:
    """The differences of the cues that both audits tested; None where there is none."""
    body = [[_effect(told, item), *_numbers(told, item.difference)] for item in told.document.cues if item.difference]
    return _table(told, "compare.table.effects", ["effect_of"], body, text=1) if body else None


def measure_table(told: Told) -> Table:
    """Accuracy, worst-group accuracy and attribution."""
    names = ["measured", "what_changed"]
    body = [_measure(told, item) for item in told.document.measures]
    return _table(told, "compare.table.measures", names, body, text=2)


def group_table(told: Told) -> Table | None:
    """Accuracy of every subgroup on the rows that both audits have; None where there is none."""
    groups = told.document.groups
    if not groups:
        return None
    body = [[told.group(item), *_numbers(told, item.difference)] for item in groups]
    return _table(told, "compare.table.groups", ["subgroup"], body, text=1)


def _table(told: Told, caption: str, names: list[str], body: list[list[str]], *, text: int) -> Table:
    say = told.words.say
    columns = [say(f"column.{name}") for name in names]
    columns += [say(f"column.{name}") for name in ("first", "second", "difference", "interval", "level", "shown_from")]
    columns += [say("column.n"), say("column.units")]
    return table(say(caption), columns, body, text_columns=text, limit=len(body))


def _effect(told: Told, item: CueChange) -> str:
    """The effect that the difference is of."""
    name, way = told.cue(item.cue, item.finding), item.direction
    if way is None:
        return name
    cue = name if item.part is None else f"{name} ({item.part})"
    return told.words.say("compare.named", cue=cue, **way.model_dump())


def _stated(told: Told, words: str, reason: str) -> str:
    return told.of(words, reason) if reason else words


def _measure(told: Told, item: MeasureChange) -> list[str]:
    words, reason = told.measured(item).words, told.reason(item.reason)
    return [told.measure(item), _stated(told, words, reason), *_numbers(told, item.difference)]


def _numbers(told: Told, found: Difference | None) -> list[str]:
    if found is None:
        return [numbers.NONE] * 8
    scale = told.scale(found)
    return [
        scale.size(found.first) if found.scale == "share" else scale.amount(found.first),
        scale.size(found.second) if found.scale == "share" else scale.amount(found.second),
        scale.amount(found.estimate),
        scale.span(found.ci_low, found.ci_high),
        numbers.level(told.level(found)),
        scale.size(found.smallest),
        numbers.count(found.n),
        numbers.count(found.n_clusters),
    ]


def row_table(told: Told) -> Table:
    """Which rows both audits have, and which only one."""
    rows, say = told.document.rows, told.words.say
    names = ("common", "clusters", "same_mask", "other_label", "only_first", "only_second")
    body = [[say(f"compare.rows.{name}"), numbers.count(getattr(rows, name))] for name in names]
    notes = [] if rows.masks_recorded or rows.how == "aggregates" else [say("compare.rows.masks_unknown")]
    notes += [say("compare.rows.larger")] if rows.weights == "larger" else []
    columns = [say("column.name"), say("column.n")]
    found = table(say("compare.table.rows"), columns, body, text_columns=1, limit=len(body))
    return Table(found.caption, found.columns, found.rows, found.numeric, " ".join(notes))


def input_table(told: Told) -> Table:
    """Inputs that differ, with both values; those that are the same are counted."""
    say, inputs = told.words.say, told.document.inputs
    changed = [item for item in inputs if item.changed]
    body = [[told.words.term("compare.input", item.name), _value(item.first), _value(item.second)] for item in changed]
    body += [
        [say("compare.input.policy_field", field=item.field), _value(item.declared), _value(item.now)]
        for item in told.document.policy_changes
    ]
    body = body or [[say("compare.input.none"), numbers.NONE, numbers.NONE]]
    same = ", ".join(told.words.term("compare.input", item.name) for item in inputs if not item.changed)
    columns = [say("column.input"), say("column.first"), say("column.second")]
    found = table(say("compare.table.inputs"), columns, body, text_columns=3, limit=len(body))
    note = say("compare.input.same", names=same) if same else ""
    return Table(found.caption, found.columns, found.rows, found.numeric, note)


def untested_table(told: Told) -> Table | None:
    """What at least one of the audits did not test, and why; None where there is nothing."""
    say, items = told.words.say, told.document.not_tested
    if not items:
        return None
    body = [
        [told.cue(item.subject, item.finding), *(_reason(told, one) for one in (item.first, item.second))]
        for item in items
    ]
    columns = [say("column.subject"), say("column.first"), say("column.second")]
    return table(say("compare.table.not_tested"), columns, body, text_columns=3, limit=len(body))


def _reason(told: Told, message: Any) -> str:
    return told.words.say("compare.was_tested") if message is None else told.why(message)


def provenance_table(told: Told) -> Table:
    """Where both audits come from."""
    say, document = told.words.say, told.document
    names: tuple[str, ...] = (
        "kind",
        "audit_id",
        "started",
        "tool",
        "model_sha256",
        "data_sha256",
        "policy_sha256",
        "seal",
        "edition",
    )
    names += ("key_id",) if document.first.kind == "bundle" or document.second.kind == "bundle" else ()
    body = [
        [say(f"compare.side.{name}"), _side(told, document.first, name), _side(told, document.second, name)]
        for name in names
        if not (name == "edition" and document.first.edition is document.second.edition is None)
    ]
    body.append([say("compare.side.comparison"), document.id, document.tool])
    columns = [say("column.name"), say("column.first"), say("column.second")]
    return table(say("compare.table.provenance"), columns, body, text_columns=3, limit=len(body))


def _side(told: Told, side: Compared, name: str) -> str:
    value = getattr(side, name)
    if name == "kind":
        return told.words.say(f"compare.kind.{value}")
    return numbers.NONE if value is None else str(value)


def _value(value: Any) -> str:
    if value is None:
        return numbers.NONE
    text = value if isinstance(value, str) else canonical_json(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
