"""What is another in the second audit: model, preprocessing, data, policy, versions. Told, never refused for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from figureground.audit.compare.document import Compared, InputChange, Untested
from figureground.audit.compare.side import Side
from figureground.audit.compare.states import tested
from figureground.audit.declared.config import canonical_sha256
from figureground.audit.document.audit_json import AuditDocument, CueVerdict, Deviation
from figureground.audit.document.base import Message

Key = tuple[str, str | None]


def compared(side: Side) -> Compared:
    """What one of the two audits was of, and what proves it."""
    document = side.document
    return Compared(
        kind=side.kind,
        edition=side.edition,
        key_id=side.key_id,
        seal=side.seal,
        audit_id=document.audit.id,
        started=document.audit.started,
        tool=document.audit.tool.version,
        model_sha256=document.subject.model_sha256,
        architecture=document.subject.architecture,
        data_sha256=document.data.sha256,
        policy_sha256=canonical_sha256(side.policy.declared),
        rows=document.data.ok,
    )


def input_changes(first: Side, second: Side) -> list[InputChange]:
    """Every input with both values, those that differ marked."""
    pairs = zip(_inputs(first), _inputs(second), strict=True)
    return [InputChange(name=name, first=one, second=other, changed=one != other) for (name, one), (_, other) in pairs]


def _inputs(side: Side) -> Iterator[tuple[str, Any]]:
    document = side.document
    subject, data = document.subject, document.data
    yield "model", subject.model_sha256
    yield "architecture", subject.architecture
    yield "classes", sorted(subject.classes)
    yield "thresholds", dict(sorted(subject.thresholds.items()))
    yield "preprocessing", subject.preprocessing
    yield "target_layer", subject.target_layer
    yield "access", subject.access
    yield "data", data.sha256
    yield "rows", data.ok
    yield "environment", data.environment
    yield "environments", dict(sorted(data.environments.items()))
    yield "labels", dict(sorted(data.labels.items()))
    yield "groups", sorted(group.attribute for group in data.groups)
    yield "decoding", data.decoding
    yield "policy", canonical_sha256(side.policy.declared)
    yield "seed", document.audit.seed
    yield "tool", document.audit.tool.version
    yield "software", dict(sorted(document.software.items()))


def policy_changes(first: Side, second: Side) -> list[Deviation]:
    """Fields of the two policies that differ: states of two policies are answers to two questions."""
    one, other = first.policy.declared, second.policy.declared
    names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    return [Deviation(field=name, declared=one.get(name), now=other.get(name)) for name in names]


def by_key(document: AuditDocument) -> dict[Key, CueVerdict]:
    """Verdicts by cue and finding."""
    return {(cue.cue, cue.finding): cue for cue in document.verdict.cues}


def untested(first: AuditDocument, second: AuditDocument) -> list[Untested]:
    """What at least one of the two did not test, with the reason; never the same as fine."""
    found = [_untested(document) for document in (first, second)]
    keys: Sequence[Key] = sorted({*found[0], *found[1]}, key=lambda key: (key[0], key[1] or ""))
    return [
        Untested(
            subject=subject,
            finding=finding,
            first=found[0].get((subject, finding)),
            second=found[1].get((subject, finding)),
        )
        for subject, finding in keys
    ]


def _untested(document: AuditDocument) -> dict[Key, Message]:
    cues = {
        key: cue.reasons[0] if cue.reasons else Message(key=f"state.{cue.status}")
        for key, cue in by_key(document).items()
        if not tested(cue)
    }
    register = {(item.subject, item.finding): Message(key=item.reason) for item in document.not_tested}
    return {**register, **cues}
