"""Is a file plainly there? Asked of every row of a table, in microseconds, without opening anything."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Lookup:
    """Looks files up below a folder.

    Attributes
    ----------
    base : Path
        The data root, resolved.
    """

    base: Path
    _folders: dict[str, str | None] = field(default_factory=dict, repr=False, compare=False)

    def __call__(self, cell: str) -> bool:
        """Whether a cell names a file with content, in a folder that lies in the root once all links are followed.

        False is no verdict: a link, an empty file, a name that the system refuses. Reading the row tells what it is.
        """
        parent, name = os.path.split(cell)
        if name in ("", ".", ".."):
            return False
        if parent not in self._folders:
            self._folders[parent] = self._folder(parent)
        folder = self._folders[parent]
        if folder is None:
            return False
        try:
            found = os.lstat(os.path.join(folder, name))  # noqa: PTH118  (a Path costs more than the call)
        except (OSError, ValueError):
            return False
        return stat.S_ISREG(found.st_mode) and found.st_size > 0

    def _folder(self, parent: str) -> str | None:
        try:
            folder = (self.base / parent).resolve()
        except (OSError, ValueError, RuntimeError):
            return None
        return str(folder) if folder.is_relative_to(self.base) else None
