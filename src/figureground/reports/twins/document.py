"""A Word document: the findings, their numbers, and fields that people fill in; python-docx is an extra."""

from __future__ import annotations

import io
import zipfile
from datetime import datetime
from typing import TYPE_CHECKING, Any

from figureground.errors import UsageError
from figureground.reports import numbers
from figureground.reports.sections import cover, edition, trust
from figureground.reports.sections.context import Context, given, scale_of, state_line
from figureground.reports.sections.not_shown import not_shown
from figureground.reports.twins.told import printable, told

if TYPE_CHECKING:
    from docx.document import Document
    from docx.table import _Cell

_SIGN = ("name", "role", "date", "decision", "remarks")
#: ZIP knows no earlier moment.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def word_document(context: Context) -> bytes:
    """The document; the same run and versions give the same bytes."""
    made = _new()
    _head(made, context)
    _findings(made, context)
    _numbers(made, context)
    _lists(made, context)
    _clauses(made, context)
    _human(made, context)
    _properties(made, context)
    stream = io.BytesIO()
    made.save(stream)
    return timeless(stream.getvalue())


def _new() -> Document:
    try:
        from docx import Document as new
    except ImportError as error:
        raise UsageError(
            "EXTRA_MISSING",
            "format:docx",
            found="python-docx is not installed",
            expected="the extra docx",
            fix="pip install 'figureground[docx]'",
        ) from error
    return new()


def _head(made: Document, context: Context) -> None:
    say, document = context.words.say, context.document
    made.add_heading(printable(say("card.title", name=document.subject.architecture)), 0)
    made.add_paragraph(printable(cover.headline(context)))
    view = edition.build(context)
    if view is not None:
        made.add_heading(view.name, 1)
        for line in (view.lead, *view.left_out):
            made.add_paragraph(printable(line))
    facts = {
        say("fact.audit"): document.audit.id,
        say("fact.date"): document.audit.ended,
        say("fact.tool"): f"{document.audit.tool.name} {document.audit.tool.version}",
        say("fact.model_sha256"): document.subject.model_sha256 or numbers.NONE,
        say("provenance.seal"): context.result.seal,
    }
    _table(made, [(say("column.name"), say("column.value")), *facts.items()])


def _findings(made: Document, context: Context) -> None:
    say = context.words.say
    made.add_heading(say("section.findings"), 1)
    head = (say("card.id"), say("card.status"), say("card.words"))
    rows = [(item.id, item.status, "\n".join((item.sentence, *item.details))) for item in told(context)]
    _table(made, [head, *rows])


def _numbers(made: Document, context: Context) -> None:
    say, cues = context.words.say, context.document.verdict.cues
    made.add_heading(say("docx.numbers"), 1)
    rows = []
    for cue in cues:
        scale = scale_of(context, cue.scale)
        span = scale.span(cue.ci_low, cue.ci_high)
        rows.append((state_line(context, cue), scale.stated(cue.estimate), span, numbers.count(cue.n)))
    head = tuple(say(f"column.{name}") for name in ("cue", "value", "interval", "n"))
    _table(made, [head, *rows])


def _lists(made: Document, context: Context) -> None:
    say = context.words.say
    made.add_heading(say("section.not_shown"), 1)
    for line in not_shown(context):
        made.add_paragraph(printable(line), style="List Bullet")
    made.add_heading(say("section.not_tested"), 1)
    for subject, reason in trust.build(context).not_tested:
        made.add_paragraph(printable(say("join.reason", words=subject, reason=reason)), style="List Bullet")


def _clauses(made: Document, context: Context) -> None:
    """On which provisions the evidence bears, as the page tells it."""
    view, say = trust.build(context), context.words.say
    if not view.clauses:
        return
    made.add_heading(say("section.clauses"), 1)
    made.add_paragraph(printable(say("clauses.lead")))
    made.add_paragraph(printable(view.stale))
    for table in view.clauses:
        made.add_heading(printable(table.caption), 2)
        _table(made, [table.columns, *table.rows])
        made.add_paragraph(printable(table.note))


def _human(made: Document, context: Context) -> None:
    """Fields to be filled in, as content controls: what a person said stands in them already."""
    say = context.words.say
    made.add_heading(say("section.human"), 1)
    fields = [(context.words.term("human", item.field), given(context, item)) for item in context.document.human_inputs]
    _form(made, context, fields)
    made.add_heading(say("docx.sign"), 1)
    made.add_paragraph(say("docx.sign.lead"))
    _form(made, context, [(say(f"docx.sign.{name}"), "") for name in _SIGN])


def _form(made: Document, context: Context, fields: list[tuple[str, str]]) -> None:
    table = made.add_table(rows=0, cols=2, style="Table Grid")
    for name, value in fields:
        row = table.add_row()
        row.cells[0].text = printable(name)
        _control(row.cells[1], name, value or context.words.say("docx.placeholder"), empty=not value)


def _control(cell: _Cell, name: str, value: str, *, empty: bool) -> None:
    """A plain-text content control (ECMA-376, 17.5.2), which Word lets people type into."""
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    def element(tag: str, **attributes: str) -> Any:
        made = OxmlElement(tag)
        for key, one in attributes.items():
            made.set(qn(f"w:{key}"), one)
        return made

    control, about, content = element("w:sdt"), element("w:sdtPr"), element("w:sdtContent")
    about.append(element("w:alias", val=printable(name)[:64]))
    if empty:
        about.append(element("w:showingPlcHdr"))
    about.append(element("w:text"))
    run, text = element("w:r"), element("w:t")
    text.text = printable(value)
    run.append(text)
    content.append(run)
    control.append(about)
    control.append(content)
    cell.paragraphs[0]._p.append(control)


def _table(made: Document, rows: list[tuple[str, ...]]) -> None:
    table = made.add_table(rows=0, cols=len(rows[0]), style="Table Grid")
    for row in rows:
        for cell, text in zip(table.add_row().cells, row, strict=True):
            cell.text = printable(text)


def _properties(made: Document, context: Context) -> None:
    """Of the audit, not of the moment and not of the machine."""
    known, document = made.core_properties, context.document
    moment = datetime.fromisoformat(document.audit.ended).replace(tzinfo=None)
    known.author = known.last_modified_by = "figureground"
    known.created = known.modified = moment
    known.title = printable(f"{document.audit.id}")
    known.comments, known.revision = "", 1


def timeless(content: bytes) -> bytes:
    """A ZIP file with the moments of its members set to one, members in their order."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            fresh = zipfile.ZipInfo(member.filename, _EPOCH)
            fresh.compress_type, fresh.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
            new.writestr(fresh, old.read(member))
    return stream.getvalue()
