"""What is wrong with one row, and what a file is that is no picture."""

from __future__ import annotations


class RowFault(Exception):
    """One row, or one mask, cannot be used: ``reason`` is a stable word, ``detail`` a sentence for people.

    ``sha256`` is that of the bytes that were read, where any were.
    """

    def __init__(self, reason: str, detail: str, sha256: str | None = None) -> None:
        super().__init__(reason, detail, sha256)
        self.reason, self.detail, self.sha256 = reason, detail, sha256


class MaskQuestion(RowFault):
    """A mask that can be read in several ways, and nobody has said which is meant."""


#: How files begin that people call pictures and that are none, or none that is opened: after how many bytes, and what.
_FOREIGN = (
    (0, b"%!PS", "EPS or PostScript"),
    (0, b"\xc5\xd0\xd3\xc6", "EPS or PostScript"),
    (0, b"%PDF", "PDF"),
    (4, b"ftyphei", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (4, b"ftypavif", "AVIF"),
    (128, b"DICM", "DICOM"),
    (0, b"8BPS", "Photoshop"),
    (0, b"SIMPLE  =", "FITS"),
    (0, b"\x00\x00\x01\x00", "ICO"),
    (0, b"\x00\x00\x00\x0cjP", "JPEG 2000"),
)
_TEXTS = (
    (b"version https://git-lfs", "git_lfs", "a Git LFS pointer: run `git lfs pull`"),
    (b"<!doctype html", "html", "an HTML page: the download went wrong"),
    (b"<html", "html", "an HTML page: the download went wrong"),
)


def is_dicom(data: bytes) -> bool:
    """Whether the bytes are those of a DICOM file with its preamble."""
    return data[128:132] == b"DICM"


def no_picture(data: bytes, kind: str, formats: tuple[str, ...]) -> RowFault:
    """The fault of bytes that no decoder knows: empty, a page, a pointer, or a format that is not opened.

    Examples
    --------
    >>> no_picture(b"<html>404", "image", ("PNG",)).reason
    'not_an_image:html'
    >>> no_picture(b"%PDF-1.4", "image", ("PNG",)).reason
    'format_not_allowed'
    """
    head = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    listed = ", ".join(formats)
    if not data:
        return _not_an_image(kind, "empty", "the file is empty")
    for start, word, detail in _TEXTS:
        if head.startswith(start):
            return _not_an_image(kind, word, detail)
    named = _named(data, head)
    if named is None and data[:512].isascii() and b"\0" not in data[:512]:
        return _not_an_image(kind, "text", f"text, and not a picture in {listed}")
    reason = "format_not_allowed" if kind == "image" else f"{kind}_unreadable"
    return RowFault(reason, f"{named or 'not a picture'}; expected a picture in {listed}: convert it first")


def _named(data: bytes, head: bytes) -> str | None:
    if head.startswith(b"<svg") or (head.startswith(b"<?xml") and b"<svg" in head):
        return "SVG"
    return next((name for at, magic, name in _FOREIGN if data[at : at + len(magic)] == magic), None)


def _not_an_image(kind: str, word: str, detail: str) -> RowFault:
    return RowFault(f"not_an_image:{word}" if kind == "image" else f"{kind}_unreadable", detail)
