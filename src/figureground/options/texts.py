"""How the text of options becomes values; what cannot be read is refused under the option's name."""

from __future__ import annotations

import json
from typing import Any

import typer


def as_list(texts: list[str] | None) -> list[str] | None:
    """Parts of options that are separated by commas and may be repeated; None where there is none."""
    # An option given twice adds to the first: taking the last alone would drop what was asked for, in silence.
    return None if not texts else [part.strip() for text in texts for part in text.split(",") if part.strip()]


def as_tuple(given: list[Any] | None) -> tuple[Any, ...]:
    """What was given, each by an option of its own; empty where there is none."""
    return tuple(given or ())


def as_mapping(pairs: list[str] | None) -> dict[str, str]:
    """``ROLE=NAME`` pairs."""
    found: dict[str, str] = {}
    for pair in pairs or []:
        role, mark, name = pair.partition("=")
        if not mark or not role or not name:
            raise typer.BadParameter(
                f"{pair!r}: expected ROLE=NAME, for example label=diagnosis", param_hint="--column"
            )
        found[role] = name
    return found


def as_arguments(pairs: list[str] | None, hint: str = "--model-arg") -> dict[str, Any]:
    """``NAME=VALUE`` pairs, values read as JSON where they are, else as text.

    >>> as_arguments(["num_classes=3", "act=relu", "bias=true"])
    {'num_classes': 3, 'act': 'relu', 'bias': True}
    """
    found: dict[str, Any] = {}
    for pair in pairs or []:
        name, mark, value = pair.partition("=")
        if not mark or not name:
            raise typer.BadParameter(f"{pair!r}: expected NAME=VALUE", param_hint=hint)
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def as_groups(texts: list[str] | None) -> list[str] | None:
    """Subgroups, whose edges are separated by commas as they are themselves; None where there is none."""
    from figureground.audit.judge.edges import join_edges

    parts = as_list(texts)
    return None if parts is None else join_edges(parts)


def as_suppliers(pairs: list[str] | None) -> dict[str, str]:
    """``INPUT=PARTY`` pairs, separated by commas or repeated."""
    found: dict[str, str] = {}
    for pair in as_list(pairs) or []:
        name, mark, party = pair.partition("=")
        if not mark:
            raise typer.BadParameter(f"{pair!r}: expected INPUT=PARTY, as data=client", param_hint="--supplied-by")
        found[name.strip()] = party.strip()
    return found


def as_thresholds(pairs: list[str] | None) -> dict[str, float]:
    """``NAME=0.3`` pairs."""
    found: dict[str, float] = {}
    for pair in pairs or []:
        name, mark, value = pair.rpartition("=")
        try:
            found[name] = float(value)
        except ValueError:
            mark = ""
        if not mark or not name:
            raise typer.BadParameter(f"{pair!r}: expected NAME=0.3", param_hint="--threshold")
    return found


def as_uncertain(given: str | None) -> Any:
    """What an uncertain label counts as."""
    if given not in (None, "exclude", "positive", "negative"):
        raise typer.BadParameter(f"{given!r}: expected exclude, positive or negative", param_hint="--uncertain")
    return given


def as_shard(text: str | None) -> tuple[int, int] | None:
    """``I/N`` as two numbers."""
    if text is None:
        return None
    number, _, total = text.partition("/")
    if not (number.isdecimal() and total.isdecimal()):
        raise typer.BadParameter(f"{text!r}: expected I/N, as 3/64", param_hint="--shard")
    return int(number), int(total)
