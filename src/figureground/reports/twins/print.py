"""The page as PDF, printed by a Chromium that is installed: what the page looks like, it looks like on paper."""

from __future__ import annotations

import os
import re
import shutil
import subprocess  # a browser that the user has, without a shell
import tempfile
from datetime import datetime
from pathlib import Path

from figureground.errors import ResourceError, UsageError

#: Names under which the browser is looked for, in this order.
BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "msedge",
    "microsoft-edge",
)
#: Names a browser that is elsewhere.
CHOSEN = "FIGUREGROUND_CHROMIUM"
_SECONDS = 300
# Structure elements are numbered by a counter of the browser's, which does not begin at the same number each time.
_NODE = re.compile(rb"\(node(\d{8})\)")
_MOMENT = re.compile(rb"/(?P<kind>CreationDate|ModDate) \(D:\d{14}[^)]*\)")
_FLAGS = (
    "--headless",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--no-pdf-header-footer",
)


def pdf(page: str, ended: str) -> bytes:
    """The page printed.

    Parameters
    ----------
    page : str
        The report in one file; it holds no script and asks for nothing.
    ended : str
        When the audit ended, ISO 8601; written in place of the moment of printing.

    Returns
    -------
    bytes
        The same page and browser give the same bytes.
    """
    with tempfile.TemporaryDirectory(prefix="figureground-") as folder:
        source, target = Path(folder) / "report.html", Path(folder) / "report.pdf"
        source.write_text(page, encoding="utf-8")
        command = [browser(), *_FLAGS, *_as_root(), f"--user-data-dir={folder}/profile", f"--print-to-pdf={target}"]
        _run([*command, source.as_uri()])
        if not target.is_file():
            raise _failed("no file was printed")
        return timeless(target.read_bytes(), ended)


def browser() -> str:
    """Path of the browser; raises :class:`UsageError` where there is none."""
    chosen = os.environ.get(CHOSEN)
    found = shutil.which(chosen) if chosen else next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        raise UsageError(
            "PDF_BROWSER",
            "format:pdf",
            found=f"{chosen!r}, which cannot be run" if chosen else "no Chromium",
            expected=f"one of {', '.join(BROWSERS)}",
            fix=f"install Chromium (apt-get install chromium), or name one in {CHOSEN}; or print the HTML report",
        )
    return found


def _as_root() -> tuple[str, ...]:
    # Chromium refuses to run as root inside its sandbox; the page is our own and runs nothing.
    return ("--no-sandbox",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)  # noqa: S603 - a list, no shell
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _failed(str(error)) from error
    if done.returncode:
        raise _failed(done.stderr.decode(errors="replace").strip().splitlines()[-1:])


def _failed(found: object) -> ResourceError:
    return ResourceError(
        "PDF_PRINT",
        "format:pdf",
        found=str(found),
        expected="a page that the browser prints",
        fix="print the HTML report from a browser",
    )


def timeless(content: bytes, ended: str) -> bytes:
    """The file without what differs between printings: the moment becomes that of the audit, elements are counted.

    No byte more or less, so that the offsets inside the file hold.
    """
    stamp = datetime.fromisoformat(ended).strftime("%Y%m%d%H%M%S").encode()

    def put(found: re.Match[bytes]) -> bytes:
        start = found[0].index(b"(D:") + 3
        return found[0][:start] + stamp + found[0][start + 14 :]

    numbers: dict[bytes, bytes] = {}

    def count(found: re.Match[bytes]) -> bytes:
        return b"(node%s)" % numbers.setdefault(found[1], b"%08d" % (len(numbers) + 1))

    return _NODE.sub(count, _MOMENT.sub(put, content))
