"""A run beside a bundle that was made under its owner's key: the run's hashes under the same key, in memory only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import pandas as pd

from figureground.audit.bundle.keys import Key
from figureground.audit.bundle.lines import Pseudonyms
from figureground.audit.compare.side import Side
from figureground.audit.keeping.tables import EXAMPLES
from figureground.errors import UsageError


@dataclass(frozen=True)
class OwnedSide(Side):
    """A run whose tables are read as a bundle under a key has them; nothing is written.

    Attributes
    ----------
    key : Key
    """

    key: Key = field(default_factory=Key.forgotten, repr=False)

    @classmethod
    def of(cls, run: Side, key: Key) -> OwnedSide:
        """The run of the owner of a key."""
        known = {item.name: getattr(run, item.name) for item in fields(Side)}
        return cls(**known | {"key_id": key.key_id}, key=key)

    def table(self, name: str) -> pd.DataFrame:
        """One table, with ids, units and hashes under the key."""
        frame = super().table(name)
        own = tuple(column for column in frame.columns if column not in EXAMPLES.names)
        under = Pseudonyms(self.key, own)
        return under.examples(frame) if name == "examples" else under.ids(frame)


def under_key(sides: Sequence[Side], key: Key) -> list[Side]:
    """Both sides, runs read under the key of the bundle that they are compared with.

    Raises
    ------
    UsageError
        A bundle was made under another key, or there is none that a key could open.
    """
    bundles = [side for side in sides if side.kind == "bundle"]
    if not bundles:
        raise UsageError(
            "KEY_FILE",
            "key_file",
            found="a key, and two runs",
            expected="a bundle, whose hashes are under the key",
            fix="leave --key-file out: two runs are compared row by row without it",
        )
    for side in bundles:
        _check_key(side, key)
    # A bundle whose key was forgotten has rows that nobody finds again: the run stays as it is, and that is told.
    known = all(side.key_id is not None for side in bundles)
    return [OwnedSide.of(side, key) if known and side.kind == "run" else side for side in sides]


def _check_key(side: Side, key: Key) -> None:
    if side.key_id not in (None, key.key_id):
        raise UsageError(
            "KEY_OTHER",
            str(side.path),
            found=f"a bundle under key {side.key_id}, and the key {key.key_id}",
            expected="the key under which the bundle was made",
            fix="name that key with --key-file, or leave it out to compare the two as wholes",
        )
