"""Characters that show nothing and change what stands around them, written so that they are seen.

Names come from whoever made the data. An override of the reading direction in a class name turns the sentence around
it, an escape sequence clears a terminal, and most control characters may stand in no XML or HTML document at all.
"""

from __future__ import annotations

import re

_LAST = "".join(chr(0x10000 * plane + end) for plane in range(1, 17) for end in (0xFFFE, 0xFFFF))
#: What no XML 1.0 document can hold (section 2.2), or no HTML document without a parse error: control characters but
#: tab and line breaks, halves of surrogate pairs, noncharacters; and what turns or hides text (Unicode TR 36, TR 39):
#: overrides, embeddings and isolates of direction, line and paragraph separators, spaces of no width, tags. The
#: joiners and direction marks that scripts and emoji need are left alone.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufdd0-\ufdef\ufeff\ufff9-\ufffb"
    f"\ufffe\uffff\U000e0000-\U000e007f{_LAST}]"
)
_HALF = re.compile("[\ud800-\udfff]")
_BREAKS = re.compile("[\t\n\r]")
#: What build servers take for a command in a log: GitHub at the start of a line, it and others in the middle of one.
_COMMAND = re.compile(r"^(\s*)::|##(?=[a-z]*\[)")


def visible(text: str) -> str:
    """The text with its unseen characters as their code points.

    Examples
    --------
    >>> visible("a\\u202eb\\x1b[2J")
    'a⟨U+202E⟩b⟨U+001B⟩[2J'
    """
    return _UNSEEN.sub(_named, text)


def is_text(text: str) -> bool:
    """Whether a text can be written in UTF-8, as every table and document is.

    Half of a surrogate pair cannot; Python puts one in place of each byte of a file's name that is no UTF-8.

    Examples
    --------
    >>> is_text("\\U0001f43c"), is_text("\\udcff.png")
    (True, False)
    """
    return not _HALF.search(text)


def one_line(text: str) -> str:
    """The text as one line of a terminal or of a log: it moves no cursor, and gives no command to a build server.

    Examples
    --------
    >>> one_line("::error::x\\n##[group]y")
    '\\\\::error::x #\\\\#[group]y'
    """
    return _COMMAND.sub(_disarmed, _BREAKS.sub(" ", visible(text)))


def _named(found: re.Match[str]) -> str:
    return f"⟨U+{ord(found[0]):04X}⟩"


def _disarmed(found: re.Match[str]) -> str:
    return "#\\#" if found[0] == "##" else f"{found[1]}\\::"
