"""The sentences of a language: a flat catalogue by key, with ``{name:kind}`` placeholders.

The kind says how a value is written (``{rate:percent}``, ``{n:count}``); numbers are rounded nowhere else.
A key or a value that is missing raises: a report with a hole is no report.
"""

from __future__ import annotations

import json
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from figureground.audit.cues import apart
from figureground.audit.document import Message
from figureground.errors import FiguregroundError, UsageError
from figureground.reports import numbers

_KINDS: Mapping[str, Callable[[float | None], str]] = {
    "percent": numbers.percent,
    "points": numbers.points,
    "hundredths": numbers.hundredths,
    "signed": numbers.signed,
    "of_hundred": numbers.of_hundred,
    "level": numbers.level,
    "count": numbers.count,
    "two": partial(numbers.fixed, digits=2),
}


class _Formatter(string.Formatter):
    """Writes a value by its kind; what is not a number stays the text it is."""

    def __init__(self, sentences: Mapping[str, str]) -> None:
        self.sentences = sentences

    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec == "state":
            return self.sentences.get(f"state.{value}", str(value))
        if format_spec == "cue":
            return " + ".join(self.sentences.get(f"cue.{one}", one) for one in apart(str(value)))
        if isinstance(value, bool):
            return self.sentences["word.yes" if value else "word.no"]
        if value is None:
            return self.sentences["word.unknown"]
        if isinstance(value, int | float):
            plain = numbers.count if isinstance(value, int) else numbers.general
            return _KINDS.get(format_spec, plain)(value)
        if isinstance(value, list | tuple):
            return ", ".join(map(str, value))
        return str(value)


@dataclass(frozen=True)
class Catalogue:
    """The sentences of one language.

    Attributes
    ----------
    lang : str
        Language tag of the page.
    sentences : Mapping
        Sentence by key.
    """

    lang: str
    sentences: Mapping[str, str]

    def say(self, key: str, **values: Any) -> str:
        """The sentence of ``key`` with ``values`` filled in; raises where either is missing."""
        if key not in self.sentences:
            raise FiguregroundError(
                "SENTENCE_MISSING",
                f"locales/{self.lang}.json:{key}",
                found="no such sentence",
                expected="a sentence for every key",
                fix="add it to the catalogue",
            )
        try:
            return _Formatter(self.sentences).vformat(self.sentences[key], (), values)
        except KeyError as error:
            raise FiguregroundError(
                "SENTENCE_VALUE",
                f"locales/{self.lang}.json:{key}",
                found=f"no value for {error}",
                expected=f"the values {sorted(values)} and {error}",
                fix="give the message all its arguments",
            ) from error

    def plural(self, key: str, n: int, **values: Any) -> str:
        """The sentence ``key.one`` for one, else ``key.other``."""
        return self.say(f"{key}.one" if n == 1 else f"{key}.other", n=n, **values)

    def message(self, message: Message) -> str:
        """The words of a message of the audit document."""
        return self.say(message.key, **message.args)

    def term(self, family: str, name: str | None) -> str:
        """The words for a code such as a test or a reason; the code in plain letters where there are none."""
        if not name:
            return numbers.NONE
        return self.sentences.get(f"{family}.{name}", name.replace("_", " "))


@cache
def load(lang: str) -> Catalogue:
    """The catalogue of a language; raises :class:`UsageError` where there is none."""
    known = languages()
    if lang not in known:
        raise UsageError(
            "REPORT_LANGUAGE",
            "lang",
            found=repr(lang),
            expected=f"one of {', '.join(known)}",
            fix="choose a language that has a catalogue",
        )
    return Catalogue(lang, json.loads((_folder() / f"{lang}.json").read_text(encoding="utf-8")))


def languages() -> list[str]:
    """Languages that have a catalogue."""
    return sorted(file.name.removesuffix(".json") for file in _folder().iterdir() if file.name.endswith(".json"))


def _folder() -> Traversable:
    return resources.files("figureground.reports") / "locales"
