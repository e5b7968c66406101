"""Where every number comes from, how to repeat it, and what the words mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from figureground.audit.declared.config import canonical_json, canonical_sha256
from figureground.audit.keeping import run_folder
from figureground.audit.methods.reported import METHODS
from figureground.reports.numbers import NONE
from figureground.reports.sections.context import Context, more
from figureground.reports.sections.inputs import suppliers
from figureground.reports.view import Table, table

#: Entries of the glossary, in the order of their words.
GLOSSARY = (
    "attribution",
    "background_share",
    "bleed_floor",
    "cluster",
    "contrast",
    "cue",
    "donor",
    "gradcam",
    "interval",
    "ldr",
    "material",
    "mask",
    "occlusion",
    "points",
    "saliency",
    "same_level",
    "seal",
    "simultaneous",
    "spike_in",
    "stratum",
    "wilson",
)


@dataclass(frozen=True)
class Provenance:
    """Hashes, versions, settings, commands."""

    tables: tuple[Table, ...]
    steps: tuple[tuple[str, str], ...]
    glossary: tuple[tuple[str, str], ...]


def _words(context: Context) -> list[str]:
    """The glossary's entries, and those of further methods that the run used."""
    used = {row["method"] for row in context.subgroups if row["method"]}
    return list(dict.fromkeys((*GLOSSARY, *(name for name in METHODS if name in used))))


def build(context: Context) -> Provenance:
    """The section from the document and the seal."""
    say = context.words.say
    terms = tuple((say(f"glossary.{key}.term"), say(f"glossary.{key}.text")) for key in _words(context))
    again = ("judge",) if context.document.audit.judged else ()
    parties = (suppliers(context),) if context.document.audit.supplied_by else ()
    return Provenance(
        tables=(_identity(context), *parties, _files(context), _settings(context), _software(context)),
        steps=tuple(
            (say(f"reproduce.{key}"), say(f"reproduce.{key}.command")) for key in ("verify", "audit", *again, "report")
        ),
        glossary=tuple(sorted(terms, key=lambda term: term[0].casefold())),
    )


def _identity(context: Context) -> Table:
    document = context.document
    subject, data = document.subject, document.data
    values = {
        "seal": context.result.seal,
        "model": subject.model_sha256 or context.words.say("provenance.no_identity"),
        "data": data.sha256,
        "manifest": data.manifest_sha256 or NONE,
        "policy": canonical_sha256(document.policy),
        "audit_id": document.audit.id,
        "started": document.audit.started,
        "ended": document.audit.ended,
        "seed": str(document.audit.seed),
        "classes": _first(context, subject.classes, 40),
        "target_layer": _layer(context),
        "preprocessing": context.words.say(
            "provenance.preprocessing_value",
            source=context.words.term("source", subject.preprocessing_source),
            value=canonical_json(subject.preprocessing),
        ),
        "signature": context.words.say("provenance.unsigned"),
    }
    values |= _committed(context) | _optimised(context) | _built(context) | _judged(context)
    return _pairs(context, "provenance.identity", {context.words.say(f"provenance.{k}"): v for k, v in values.items()})


def _committed(context: Context) -> dict[str, str]:
    """What was, or can be, told before the run; and what an auditor's word shows, and what it does not."""
    audit, say = context.document.audit, context.words.say
    found = {} if audit.commitment is None else {"commitment": audit.commitment}
    if audit.nonce is not None:
        found["nonce"] = say("provenance.nonce_value", nonce=audit.nonce)
    return found


def _built(context: Context) -> dict[str, str]:
    """What was built by name and given the weights of a file, and whose code made a number of the output."""
    subject, say = context.document.subject, context.words.say
    found = {}
    if subject.spec is not None:
        prefix = say("provenance.prefix_removed", prefix=subject.prefix_removed) if subject.prefix_removed else ""
        found["spec"] = f"{subject.spec}{prefix}"
    if subject.allowed_globals:
        found["allowed_globals"] = ", ".join(subject.allowed_globals)
    if subject.nonfinite:
        found["nonfinite"] = ", ".join(subject.nonfinite[:10]) + ("" if len(subject.nonfinite) <= 10 else ", …")
    return found | ({"target": subject.target} if subject.target is not None else {})


def _first(context: Context, names: Sequence[str], most: int) -> str:
    shown, left_out = ", ".join(names[:most]), len(names) - most
    return shown if left_out <= 0 else context.words.say("fact.and_more", shown=shown, n=left_out)


def _optimised(context: Context) -> dict[str, str]:
    """What was done to run the model faster; nothing for a run of a version that did nothing."""
    found, say = context.document.subject.optimisation, context.words.say
    if found is None:
        return {}
    steps = ", ".join(say(f"optimisation.{step}", count=found.folded) for step in found.steps)
    return {"optimisation": steps or say("optimisation.none", reason=found.reason or NONE)}


def _judged(context: Context) -> dict[str, str]:
    """Where a run that was judged again comes from; nothing for one that was not."""
    judged = context.document.audit.judged
    if judged is None:
        return {}
    later = ", ".join(judged.exploratory)
    return {"judged_at": judged.at, "judged_of": judged.of, "first": judged.first} | (
        {"exploratory": later} if later else {}
    )


def _layer(context: Context) -> str:
    subject = context.document.subject
    if subject.target_layer is None:
        return NONE
    source = context.words.term("source", subject.layer_source)
    layer, say = subject.target_layer, context.words.say
    if subject.layer_layout != "NCHW":
        layer = say("provenance.layer_layout", layer=layer, layout=subject.layer_layout)
    if subject.layer_calls > 1:
        layer = say("provenance.layer_calls", layer=layer, calls=subject.layer_calls)
    return say("provenance.layer_value", layer=layer, source=source)


def _files(context: Context) -> Table:
    """Hashes of the tables and settings; pictures are named by their hash already."""
    sealed = run_folder.read_seal(context.result.path)
    kept = {name: digest for name, digest in sorted(sealed.items()) if not name.startswith("assets/")}
    return _pairs(context, "provenance.files", kept)


def _settings(context: Context) -> Table:
    values = {key: _plain(value) for key, value in sorted(context.document.policy.items())}
    key = "provenance.policy_now" if context.document.deviations else "provenance.policy_values"
    return _pairs(context, key, values, limit=len(values))


def _software(context: Context) -> Table:
    document = context.document
    own = {document.audit.tool.name: document.audit.tool.version}
    judged = document.audit.judged
    later = {} if judged is None else {_with(context, name): version for name, version in judged.software.items()}
    return _pairs(context, "provenance.software", {**own, **dict(sorted(document.software.items())), **later})


def _with(context: Context, name: str) -> str:
    return context.words.say("provenance.judged_with", name=name)


def _pairs(context: Context, key: str, values: Mapping[str, str], limit: int = 30) -> Table:
    columns = (context.words.say("column.name"), context.words.say("column.value"))
    rows = list(values.items())
    return table(context.words.say(key), columns, rows, text_columns=2, note=more(context, "audit.json"), limit=limit)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else canonical_json(value)
