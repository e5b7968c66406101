"""The owner's key: with it an id can be found again, without it nobody can tell whose it is."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from figureground.errors import IntegrityError, UsageError

_BYTES = 32
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Key:
    """A secret of 32 bytes; ``kept`` says whether the owner has it, or it is forgotten once the bundle is written."""

    secret: bytes = field(repr=False)
    kept: bool = True

    @classmethod
    def forgotten(cls) -> Key:
        """A key that nobody keeps: ids that nobody can undo, and that no two bundles share."""
        return cls(secrets.token_bytes(_BYTES), kept=False)

    @classmethod
    def of_file(cls, path: Path) -> Key:
        """The key in a file, made with mode 0600 where there is none.

        Raises
        ------
        UsageError
            The file holds no key.
        IntegrityError
            Others may read it.
        """
        if not path.exists():
            _make(path)
        return cls(_read(path))

    @classmethod
    def found_in(cls, path: Path) -> Key:
        """The key in a file that is there; none is made.

        Raises
        ------
        UsageError
            There is no such file, or it holds no key.
        IntegrityError
            Others may read it.
        """
        if not path.is_file():
            raise UsageError(
                "KEY_FILE",
                str(path),
                found="no such file",
                expected="the key under which a bundle was made",
                fix="name the file that was given to `figureground bundle --key-file`",
            )
        return cls(_read(path))

    @property
    def key_id(self) -> str | None:
        """First 16 hexadecimal digits of the key's SHA-256; null for one that is not kept."""
        return hashlib.sha256(self.secret).hexdigest()[:16] if self.kept else None

    def digest(self, text: str) -> str:
        """HMAC-SHA-256 of a text (RFC 2104), in hexadecimal."""
        return hmac.digest(self.secret, text.encode(), "sha256").hex()

    def row_id(self, row_id: int) -> int:
        """Pseudonymous id of a row: 63 bits."""
        return int(self.digest(f"row:{row_id}")[:16], 16) >> 1

    def name(self, kind: str, value: str) -> str:
        """Pseudonym of a patient, an animal, a burst: 16 hexadecimal digits."""
        return self.digest(f"{kind}:{value}")[:16]


def _make(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise UsageError(
            "KEY_FILE",
            str(path),
            found=error.strerror or str(error),
            expected="a key, or a place where one can be made",
            fix="name a file in a folder that is there and can be written to",
        ) from error
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(secrets.token_hex(_BYTES) + "\n")


def _read(path: Path) -> bytes:
    if path.stat().st_mode & 0o077:
        raise IntegrityError(
            "KEY_FILE",
            str(path),
            found="a key that others may read",
            expected="a file for its owner alone",
            fix=f"chmod 600 {path}, and make a new key where it may have been read",
        )
    text = path.read_text(encoding="utf-8", errors="replace").strip().lower()
    if not _HEX.fullmatch(text):
        raise UsageError(
            "KEY_FILE",
            str(path),
            found="no key",
            expected="64 hexadecimal digits, 32 bytes",
            fix="name a file that is not there yet, and one is made",
        )
    return bytes.fromhex(text)
