"""Reasons that a run stored as an English sentence, recognised again, so that every language can say them.

Most reasons are codes and have a sentence each. Checks of the model and of the maps also store short sentences with a
number or a name in them. Their templates are the ``said.*`` keys of the English catalogue: a stored sentence that
fits one is told by that key, with what was found at its places.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from functools import cache

_WHOLE = re.compile(r"\d{1,15}")


def recognised(text: str, templates: tuple[tuple[str, str], ...]) -> tuple[str, dict[str, int | str]] | None:
    """Key and values of the first template that ``text`` fits.

    >>> recognised("7 levels: a date", (("said.levels", "{n} levels: {what}"),))
    ('said.levels', {'n': 7, 'what': 'a date'})
    """
    for key, template in templates:
        if (found := _pattern(template).fullmatch(text)) is not None:
            return key, {name: _value(value) for name, value in found.groupdict().items()}
    return None


def templates_of(sentences: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The templates of a catalogue, those that leave the least open first."""
    found = ((key, sentence) for key, sentence in sentences.items() if key.startswith("said."))
    return tuple(sorted(found, key=lambda item: (item[1].count("{"), -len(item[1]), item[0])))


@cache
def _pattern(template: str) -> re.Pattern[str]:
    parts = string.Formatter().parse(template)
    return re.compile(
        "".join(re.escape(text) + (f"(?P<{name}>.+)" if name else "") for text, name, _, _ in parts), re.S
    )


def _value(text: str) -> int | str:
    return int(text) if _WHOLE.fullmatch(text) else text
