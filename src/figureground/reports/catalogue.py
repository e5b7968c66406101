"""The sentences of a language: a flat catalogue by key, with ``{name:kind}`` placeholders.

The kind says how a value is written (``{rate:percent}``, ``{n:count}``); numbers are rounded nowhere else.
``{n:?image|images}`` is the one or the other word by the number, ``{cue:the}``, ``{cue:to_the}`` and ``{cue:of_the}``
a cue with its article, and ``{at:day}`` a time stamp as a date.
A key or a value that is missing raises: a report with a hole is no report.
"""

from __future__ import annotations

import json
import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from figureground.audit.declared.cues import apart
from figureground.audit.document.audit_json import Message
from figureground.errors import FiguregroundError, UsageError
from figureground.reports import numbers
from figureground.reports.said import recognised, templates_of

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
        if format_spec.startswith("?"):
            return _agreeing(value, *format_spec[1:].split("|"))
        if format_spec in _IN_WORDS:
            return _IN_WORDS[format_spec](self.sentences, str(value))
        return self._plain(value, format_spec)

    def _plain(self, value: Any, format_spec: str) -> str:
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


def _agreeing(value: Any, one: str, many: str) -> str:
    """The word that goes with so many; what is not known is many."""
    return one if isinstance(value, int | float) and numbers.style().one(value) else many


def _state(sentences: Mapping[str, str], value: str) -> str:
    return sentences.get(f"state.{value}", value)


def _cue(sentences: Mapping[str, str], value: str) -> str:
    return " + ".join(sentences.get(f"cue.{one}", one) for one in apart(value))


def _the(sentences: Mapping[str, str], value: str, before: str = "") -> str:
    """Each cue with its article, and with a preposition before it, where the two may contract (à le: au)."""
    return " + ".join(_with_article(sentences, one, before) for one in apart(value))


def _with_article(sentences: Mapping[str, str], cue: str, before: str) -> str:
    named = sentences.get(f"the.{cue}") or sentences["the.other"].replace("{name}", sentences.get(f"cue.{cue}", cue))
    if not before:
        return named
    first, *contractions = sentences[f"the.{before}"].split("|")
    pairs = (pair.split(">") for pair in contractions)
    found = next(((apart_, joined) for apart_, joined in pairs if named.startswith(apart_)), ("", f"{first} "))
    return found[1] + named.removeprefix(found[0])


def _day(sentences: Mapping[str, str], value: str) -> str:
    return numbers.day(value, sentences["date.months"].split())


_IN_WORDS: Mapping[str, Callable[[Mapping[str, str], str], str]] = {
    "state": _state,
    "cue": _cue,
    "the": _the,
    "to_the": partial(_the, before="to"),
    "of_the": partial(_the, before="of"),
    "day": _day,
}


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
            with numbers.written_in(self.style):
                return _Formatter(self.sentences).vformat(self.sentences[key], (), values)
        except KeyError as error:
            raise FiguregroundError(
                "SENTENCE_VALUE",
                f"locales/{self.lang}.json:{key}",
                found=f"no value for {error}",
                expected=f"the values {sorted(values)} and {error}",
                fix="give the message all its arguments",
            ) from error

    @cached_property
    def style(self) -> numbers.Style:
        """How numbers are written in this language; :func:`numbers.written_in` takes it."""
        marks = {name: self.sentences[f"number.{name}"] for name in ("decimal", "group", "span", "fewer", "more")}
        point, points = self.sentences["number.points.one"], self.sentences["number.points.other"]
        below_two = self.sentences["number.singular"] == "below two"
        return numbers.Style(
            **marks, point=point, points=points, first=self.sentences["date.first"], one_below_two=below_two
        )

    def plural(self, key: str, n: int, **values: Any) -> str:
        """The sentence ``key.one`` where so many are singular, else ``key.other``."""
        return self.say(f"{key}.one" if self.style.one(n) else f"{key}.other", n=n, **values)

    def message(self, message: Message) -> str:
        """The words of a message of the audit document."""
        return self.say(message.key, **message.args)

    def clauses(self, parts: Iterable[str]) -> str:
        """Clauses in one sentence, one behind the other."""
        return self.sentences["join.clauses"].join(parts)

    def term(self, family: str, name: str | None) -> str:
        """The words for a code such as a test or a reason; the code in plain letters where there are none."""
        if not name:
            return numbers.NONE
        return self.sentences.get(f"{family}.{name}") or self._said(name) or name.replace("_", " ")

    def check(self, name: str) -> str:
        """The words for a check; those of one cue or method are the check's own, and the name of that."""
        if f"check.{name}" in self.sentences:
            return self.sentences[f"check.{name}"]
        for check, what in _parted(name):
            for family in ("cue", "method"):
                if f"check.{check}" in self.sentences and f"{family}.{what}" in self.sentences:
                    return f"{self.sentences[f'check.{check}']} ({self.sentences[f'{family}.{what}']})"
        return name.replace("_", " ")

    def _said(self, text: str) -> str | None:
        """A reason that is stored as an English sentence, in this language; None for one that is not known."""
        found = recognised(text, templates_of(load("en").sentences)) if " " in text else None
        return None if found is None else self.say(found[0], **found[1])


def _parted(name: str) -> Iterator[tuple[str, str]]:
    """A name cut at each of its underscores, the longest beginning first."""
    words = name.split("_")
    for at in range(len(words) - 1, 0, -1):
        yield "_".join(words[:at]), "_".join(words[at:])


def asked_languages(asked: str | Sequence[str]) -> tuple[str, ...]:
    """The languages of ``"en,fr"`` or of a sequence, each once and with a catalogue; raises :class:`UsageError`.

    >>> asked_languages("fr, en,fr")
    ('fr', 'en')
    """
    named = asked.split(",") if isinstance(asked, str) else asked
    found = tuple(dict.fromkeys(name.strip() for name in named))
    for lang in found or ("",):
        load(lang)
    return found


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
