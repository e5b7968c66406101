"""The owner's key: private, and HMAC as the standard has it."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

import pytest

from figureground.audit.bundle.keys import Key
from figureground.errors import IntegrityError, UsageError


def by_hand(secret: bytes, text: str) -> str:
    """RFC 2104: H(K xor opad, H(K xor ipad, text)), with the key filled up to the block of 64 bytes."""
    block = secret.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(one ^ 0x36 for one in block) + text.encode()).digest()
    return hashlib.sha256(bytes(one ^ 0x5C for one in block) + inner).hexdigest()


def test_a_digest_is_the_standards_hmac() -> None:
    key = Key(bytes(range(32)))
    assert key.digest("ünïcode") == by_hand(bytes(range(32)), "ünïcode")


def test_a_key_is_made_for_its_owner_alone_and_read_again(tmp_path: Path) -> None:
    made = Key.of_file(tmp_path / "key")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    again = Key.of_file(tmp_path / "key")
    assert again == made
    assert len(made.secret) == 32
    assert made.key_id == hashlib.sha256(made.secret).hexdigest()[:16]


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    Key.of_file(tmp_path / "key")
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(IntegrityError, match="KEY_FILE"):
        Key.of_file(tmp_path / "key")


def test_what_is_no_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret")
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(UsageError, match="64 hexadecimal"):
        Key.of_file(tmp_path / "key")


def test_a_forgotten_key_has_no_name_and_no_twin() -> None:
    one, other = Key.forgotten(), Key.forgotten()
    assert one.key_id is None
    assert one.digest("a") != other.digest("a")


def test_pseudonyms_fit_into_63_bits_and_differ() -> None:
    key = Key(bytes(32))
    ids = {key.row_id(one) for one in range(500)}
    assert len(ids) == 500
    assert all(0 <= one < 2**63 for one in ids)
    assert str(key) == "Key(kept=True)"


def test_a_key_in_a_folder_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="KEY_FILE"):
        Key.of_file(tmp_path / "nowhere" / "key")
