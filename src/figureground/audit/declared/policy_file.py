"""The policy as a file for people: commented TOML and a JSON Schema, both made from the model of the policy."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from figureground.audit.declared.config import DecisionEntry, Policy
from figureground.audit.declared.target import Target
from figureground.errors import UsageError

_HEAD = """\
# Policy of a figureground audit: thresholds, consequences and required cues, declared by the people who answer for
# the model. It is hashed before the first image is seen; what is changed afterwards is listed as a deviation.
# Every field is optional and stands here with its default. The unit is in [brackets].
"""
#: An entry that a person can copy; the names of its fields are those of the model, which a test holds.
EXAMPLE_DECISION: Mapping[str, str] = {
    "finding": "cue-background",
    "decision": "accepted",
    "reason": "known since the pilot; the next version is trained without it",
    "by": "A. Person",
    "expires": "2027-06-30",
}
#: The same for a number as the answer.
EXAMPLE_TARGET: Mapping[str, Any] = {
    "name": "age",
    "unit": "years",
    "cut": 60,
    "material": 5,
    "negligible": 2,
    "values": {"mild": 1, "severe": 3},
}
_PARTS = ("target", "decision")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def policy_toml() -> str:
    """Text of a policy file with every field, its default, unit, limits and meaning; it loads to ``Policy()``.

    Returns
    -------
    str
        TOML 1.0, UTF-8, ending in a newline.
    """
    fields = Policy.model_fields
    tables = [name for name, field in fields.items() if isinstance(_default(field), dict)]
    # In TOML all plain keys come before the first table.
    plain = [_entry(name, field) for name, field in fields.items() if name not in (*tables, *_PARTS)]
    parts = [
        *(_table(name, fields[name]) for name in tables),
        _target(fields["target"]),
        _decisions(fields["decision"]),
    ]
    return "\n".join([_HEAD, *plain, *parts])


def write_policy(path: Path, *, overwrite: bool = False) -> Path:
    """Write :func:`policy_toml` to a file; an existing one is left alone unless told otherwise."""
    if path.exists() and not overwrite:
        raise UsageError(
            "FILE_EXISTS",
            str(path),
            found="a file that is there already",
            expected="a new file",
            fix="give another -o, or --overwrite to replace it",
        )
    path.write_text(policy_toml(), encoding="utf-8", newline="\n")
    return path


def policy_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a policy; the package ships it as ``audit/schema/policy.schema.json``."""
    schema = Policy.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "figureground policy"}


def _default(field: FieldInfo) -> Any:
    return field.get_default(call_default_factory=True, validated_data={})


def _entry(name: str, field: FieldInfo) -> str:
    default = _default(field)
    line = f"# {name} = {_value(_example(field))}" if default is None else f"{name} = {_value(default)}"
    return "\n".join([*_meaning(field), line, ""])


def _table(name: str, field: FieldInfo) -> str:
    lines = [f"# {key} = {_value(value)}" for key, value in (_example(field) or {}).items()]
    return "\n".join([*_meaning(field), f"[{name}]", *lines, ""])


def _target(field: FieldInfo) -> str:
    lines = [f"# {name} = {_stated(name)}" for name in Target.model_fields]
    return "\n".join([*_meaning(field), "# [target]", *lines, ""])


def _stated(name: str) -> str:
    value = EXAMPLE_TARGET[name]
    pairs = value.items() if isinstance(value, dict) else ()
    written = f"{{{', '.join(f'{key} = {json.dumps(one)}' for key, one in pairs)}}}" if pairs else json.dumps(value)
    return f"{written}  # {Target.model_fields[name].description}"


def _decisions(field: FieldInfo) -> str:
    lines = [f"# {name} = {_decided(name)}" for name in DecisionEntry.model_fields]
    return "\n".join([*_meaning(field), "# [[decision]]", *lines, ""])


def _decided(name: str) -> str:
    meaning, value = DecisionEntry.model_fields[name].description, EXAMPLE_DECISION[name]
    written = value if _DATE.fullmatch(value) else json.dumps(value)
    return f"{written}  # {meaning}" if meaning else f"{written}  # accepted, disputed or legitimate"


def _meaning(field: FieldInfo) -> Iterator[str]:
    limits = ", ".join(_limits(field))
    yield f"# {field.description}" + (f"; {limits}" if limits else "")


def _limits(field: FieldInfo) -> Iterator[str]:
    words = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
    for item in field.metadata:
        yield from (f"{word} {getattr(item, key)}" for key, word in words.items() if hasattr(item, key))


def _example(field: FieldInfo) -> Any:
    return field.examples[0] if field.examples else None


def _value(value: Any) -> str:
    """A TOML value; JSON writes numbers, strings and lists of them the same way."""
    if value is None or value is PydanticUndefined:
        raise ValueError("a field of the policy has neither a default nor an example")
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
