"""A model card for Hugging Face: what was measured as ``model-index``, what was found in words, blanks for people."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from figureground.audit.document.audit_json import Estimate, GroupPerformance
from figureground.audit.keeping.tables import ALL
from figureground.reports.sections import cover, trust
from figureground.reports.sections.context import Context, cue_name, given
from figureground.reports.sections.not_shown import not_shown
from figureground.reports.twins.told import told
from figureground.visible import visible

#: Groups whose accuracy the card lists; the rest stays in the run.
MAX_GROUPS = 40
_MARKS = "\\`*_{}[]#|~!@:$^=+"
# What would begin a list, a rule or a heading where it stands first (CommonMark 0.31, sections 4.1, 4.3, 5.2).
_FIRST = re.compile(r"^(\d{0,9})([-.)])")
# Beyond ASCII, JSON and YAML differ: JSON writes an astral character as two halves, YAML 1.2 with eight digits.
_BEYOND = re.compile(r"[^ -~]")


def model_card(context: Context) -> str:
    """The card as Markdown with YAML in front; every value is written as YAML 1.2 in the form of JSON."""
    front = {"tags": ["image-classification", "figureground"], "model-index": [_index(context)]}
    lines = ["---", *(f"{name}: {_json(value)}" for name, value in front.items()), "---", "", *_body(context)]
    return "\n".join(lines) + "\n"


def _json(value: Any) -> str:
    written = json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False)
    return _BEYOND.sub(lambda found: _escaped(ord(found[0])), written)


def _escaped(code: int) -> str:
    return f"\\U{code:08x}" if code > 0xFFFF else f"\\u{code:04x}"


def _index(context: Context) -> dict[str, Any]:
    results = [result for result in _results(context) if result["metrics"][0]["value"] is not None]
    return {"name": context.document.subject.architecture, "results": results}


def _results(context: Context) -> Iterator[dict[str, Any]]:
    document = context.document
    for part in (document.performance, *document.performance.others):
        named = {} if part.finding is None else {"finding": part.finding}
        yield _result(context, "accuracy", "Accuracy", part.overall, named)
        for group in part.by_group[:MAX_GROUPS]:
            yield _result(context, "accuracy", "Accuracy", group.accuracy, named | _group(group))
    for cue in document.verdict.cues:
        args = {"cue": cue.cue, "scale": cue.scale, "state": cue.status, "finding": cue.finding}
        interval = {"ci_low": cue.ci_low, "ci_high": cue.ci_high, "ci_level": cue.level, "n": cue.n}
        metric = {"type": "donor_contrast", "name": f"Effect of {cue_name(context, cue.cue)}", "value": cue.estimate}
        yield _entry(context, metric | {"args": interval}, args)


def _result(context: Context, kind: str, name: str, found: Estimate, args: dict[str, Any]) -> dict[str, Any]:
    interval = {"ci_low": found.ci_low, "ci_high": found.ci_high, "ci_level": found.ci_level, "n": found.n}
    return _entry(context, {"type": kind, "name": name, "value": found.estimate, "args": interval}, args)


def _entry(context: Context, metric: dict[str, Any], args: dict[str, Any]) -> dict[str, Any]:
    data = context.document.data
    dataset: dict[str, Any] = {"type": data.source, "name": f"audited data {data.sha256[:12]}", "revision": data.sha256}
    if data.split:
        dataset["split"] = data.split
    return {
        "task": {"type": "image-classification"},
        "dataset": dataset | {"args": {name: value for name, value in args.items() if value is not None}},
        "metrics": [metric],
    }


def _group(group: GroupPerformance) -> dict[str, str]:
    pairs = {"attribute": group.attribute, "level": group.level, "label": group.label}
    return {name: value for name, value in pairs.items() if value != ALL}


def _body(context: Context) -> Iterator[str]:
    say, document = context.words.say, context.document
    yield f"# {say('card.title', name=inert(document.subject.architecture))}"
    yield from ("", inert(cover.headline(context)), "", f"## {say('section.findings')}", "")
    yield f"| {say('card.id')} | {say('card.status')} | {say('card.words')} |"
    yield "|---|---|---|"
    for item in told(context):
        yield f"| {inert(item.id)} | {inert(item.status)} | {inert(item.sentence)} |"
    yield from ("", f"## {say('section.not_shown')}", "")
    yield from (f"- {inert(line)}" for line in not_shown(context))
    yield from ("", f"## {say('section.not_tested')}", "")
    for subject, reason in trust.build(context).not_tested:
        yield f"- {say('join.reason', words=inert(subject), reason=inert(reason))}"
    yield from ("", f"## {say('section.human')}", "")
    for field in document.human_inputs:
        value = inert(given(context, field)) or say("card.blank")
        yield f"- {say('join.reason', words=inert(context.words.term('human', field.field)), reason=value)}"
    yield from ("", say("card.foot", audit=document.audit.id, seal=context.result.seal))


def inert(text: str) -> str:
    """A text as plain words of Markdown: nothing in it is a link, a tag, a mention, a table or a line of its own.

    Examples
    --------
    >>> inert("[a](http://b) <i>")
    '\\\\[a\\\\](http\\\\://b) &lt;i&gt;'
    """
    plain = " ".join(visible(text).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    marked = "".join(f"\\{letter}" if letter in _MARKS else letter for letter in plain)
    return _FIRST.sub(r"\1\\\2", marked).replace("www.", "www\\.")
