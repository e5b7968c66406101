"""Who a row is, whatever the order of its table. Needs no torch."""

from __future__ import annotations

import hashlib


def row_id(key: str, label: str = "", occurrence: int = 0) -> int:
    """63-bit identity of a row: seeds and shards do not depend on the order of a manifest.

    Parameters
    ----------
    key : str
        Path relative to the data root, with forward slashes, or the caller's own key.
    label : str
        Name of the finding for multi-label data; empty otherwise.
    occurrence : int
        0 for the first row with this key, 1 for its first repetition, and so on.

    Examples
    --------
    >>> row_id("images/0001.png") == row_id("images/0001.png")
    True
    >>> 0 <= row_id("a") < 2**63
    True
    """
    text = "\0".join([key, label, str(occurrence)] if occurrence else [key, label])
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()[:8], "big") >> 1
