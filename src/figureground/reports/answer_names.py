"""Names of answers that the audit itself made: the absence of a finding, the sides of a cut, in the reader's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from figureground.audit.declared.target import Target
from figureground.audit.declared.task import named
from figureground.audit.document.audit_json import AuditDocument
from figureground.reports import numbers
from figureground.reports.catalogue import Catalogue

Names = Mapping[str, str]


def answer_names(document: AuditDocument, words: Catalogue) -> Names:
    """Stored name to the name that is shown; empty where the answers are classes, whose names are the user's own."""
    declared = document.policy.get("target")
    if declared is not None:
        return _sides(Target.model_validate(declared), words)
    if document.subject.kind != "multilabel":
        return {}
    own = document.subject.classes
    made = {named(finding, present=False): words.say("answer.absent", finding=finding) for finding in own}
    return {stored: shown for stored, shown in made.items() if stored not in own}  # a name of the user's stays


def _sides(target: Target, words: Catalogue) -> Names:
    at = f"{numbers.style().marked(f'{target.cut:g}')} {target.unit}".strip()
    keys = ("answer.below", "answer.or_more")
    return {stored: words.say(key, name=target.name, at=at) for stored, key in zip(target.classes, keys, strict=True)}


def renamed(value: Any, names: Names) -> Any:
    """A value of JSON in which every text that is such a name, keys included, is the name that is shown."""
    if isinstance(value, dict):
        return {names.get(key, key): renamed(item, names) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [renamed(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value


def renamed_document(document: AuditDocument, names: Names) -> AuditDocument:
    """The document under the names that are shown; itself where they are those that were stored."""
    if all(stored == shown for stored, shown in names.items()):
        return document
    return AuditDocument.model_validate(renamed(document.model_dump(mode="json"), names))
