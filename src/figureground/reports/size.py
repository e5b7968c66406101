"""How large a report of one file may be: beyond that its pictures stand beside it."""

from __future__ import annotations

from pathlib import Path

from figureground.errors import UsageError
from figureground.reports import numbers

#: Bytes from which on it is told that a page is large, and beyond which one file is refused.
LARGE, MOST = 10_000_000, 25_000_000
TOO_LARGE = "REPORT_SIZE"


def fitting(page: bytes, where: str) -> bytes:
    """The page of one file, after it was seen that a browser can be asked to open it.

    Raises
    ------
    UsageError
        ``REPORT_SIZE``: it is larger than 25 MB.
    """
    if len(page) > MOST:
        raise UsageError(
            TOO_LARGE,
            where,
            found=f"a report of {_megabytes(len(page))} in one file",
            expected=f"at most {_megabytes(MOST)}",
            fix="--layout folder, which keeps the pictures beside the page; or audit with fewer --cases",
        )
    return page


def large(page: Path) -> str:
    """What is told of a file that is large to send and slow to open; nothing of others."""
    size = page.stat().st_size
    if size <= LARGE:
        return ""
    return f"{page.name} is {_megabytes(size)}; --layout folder keeps its pictures beside it"


def _megabytes(size: int) -> str:
    return f"{numbers.fixed(size / 1e6, 1)} MB"
