"""The same drawing in fewer bytes: a page of fourteen findings holds some three hundred drawings.

Only what stands inside tags is changed. Names and numbers that are shown stay as they are, and the same drawing gives
the same bytes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

_COMMENT, _BETWEEN, _TAG = re.compile(r"<!--.*?-->", re.S), re.compile(r">\s+<"), re.compile(r"<[^>!?]*>")
_DECIMALS = re.compile(r"-?\d+\.\d{2,}")
_REFERENCE = re.compile(r'(url\(|href=")#([\w-]+)')
_STYLE, _IDENTIFIER = re.compile(r' style="([^"]*)"'), re.compile(r' id="([^"]*)"')
_EMPTY = re.compile(r"<path(?![^>]* d=)[^>]*/>")
_UNTURNED = re.compile(r' transform="rotate\(-?0 [^)]*\)"')
_BARE = re.compile(r"<g>((?:<(?:path|text|use)\b[^>]*(?:/>|>[^<]*</(?:path|text)>))*)</g>")


def slimmed(svg: str) -> str:
    """Tenths of a pixel, styles once, short names, no comments, no names that nothing refers to, no empty paths.

    >>> slimmed('<svg>  <!-- 0.1234 -->  <g id="a"><path d="M 1.23456 7"/></g> <text>0.1234 b</text> </svg>')
    '<svg><path d="M 1.2 7"/><text>0.1234 b</text></svg>'
    """
    bare = _BETWEEN.sub("><", _COMMENT.sub("", svg))
    used = (name for tag in _TAG.findall(bare) for _, name in _REFERENCE.findall(tag))
    referred = {name: f"i{at}" for at, name in enumerate(dict.fromkeys(used))}
    bare = _TAG.sub(lambda tag: _tag(tag[0], referred), bare)
    return _styled(_ungrouped(_EMPTY.sub("", bare)))


def _tag(tag: str, referred: Mapping[str, str]) -> str:
    text = _DECIMALS.sub(lambda found: _tenths(found[0]), tag)
    text = _IDENTIFIER.sub(lambda found: f' id="{referred[found[1]]}"' if found[1] in referred else "", text)
    text = _REFERENCE.sub(lambda found: f"{found[1]}#{referred[found[2]]}", text)
    text = _UNTURNED.sub("", text)
    return re.sub(r" ?\n ?", "", text) if text.startswith(("<path", "<use", "<clipPath")) else text


def _tenths(number: str) -> str:
    """A number with one decimal at most; small ones, such as widths of lines, keep two digits."""
    value = float(number)
    return f"{value:.2g}" if abs(value) < 1 else f"{value:.1f}".removesuffix(".0")


def _ungrouped(svg: str) -> str:
    """Without groups that carry nothing, from the inside out."""
    while (found := _BARE.sub(r"\1", svg)) != svg:
        svg = found
    return svg


def _styled(svg: str) -> str:
    """Every style once, as a class, where it is used more than once."""
    used = Counter(text for tag in _TAG.findall(svg) for text in _STYLE.findall(tag))
    names = {text: f"s{at}" for at, text in enumerate(one for one, n in used.items() if n > 1)}
    if not names or "</style>" not in svg:
        return svg
    family = _family(names)
    shared = f"text{{{_tight(family)}}}" if family else ""
    rules = shared + "".join(
        f".{name}{{{_tight(text.replace(family, '') if family else text)}}}" for text, name in names.items()
    )

    def named(tag: str) -> str:
        return _STYLE.sub(lambda found: f' class="{names[found[1]]}"' if found[1] in names else found[0], tag)

    text = _TAG.sub(lambda tag: named(tag[0]), svg)
    return text.replace("</style>", f"{rules}</style>", 1)


def _family(styles: Iterable[str]) -> str:
    """The typeface, where all text has the same one."""
    found = {match[0] for style in styles for match in re.finditer(r"font-family: [^;]*; ", style)}
    return found.pop() if len(found) == 1 else ""


def _tight(style: str) -> str:
    return style.replace("; ", ";").replace(": ", ":")
