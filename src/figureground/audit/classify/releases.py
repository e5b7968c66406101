"""Releases that run code out of checkpoints in spite of `weights_only=True`: with them no pickle is read."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.version import Version

from figureground.errors import IntegrityError

#: The first release without the hole, and the advisory: CVE-2026-24747; CVE-2026-58659 (its three distributions).
FIXED_IN = {
    "torch": "2.10",
    "pytorch-lightning": "2.6.6",
    "lightning": "2.6.6",
}


def check_releases(path: Path) -> None:
    """Raise :class:`IntegrityError` where an installed release has a known hole.

    ``.safetensors`` and models in memory do not come here: they hold no pickle.
    """
    old = {name: found for name in FIXED_IN if (found := _installed(name)) is not None and found < _fixed(name)}
    if old:
        name, found = next(iter(old.items()))
        raise IntegrityError(
            "RELEASE",
            str(path),
            found=f"{name} {found}, which can run code out of this file",
            expected=f"{name} {FIXED_IN[name]} or later",
            fix=f"pip install -U '{name}>={FIXED_IN[name]}', or give the weights as .safetensors",
        )


def _fixed(name: str) -> Version:
    return Version(FIXED_IN[name])


def _installed(name: str) -> Version | None:
    try:
        return Version(version(name))
    except PackageNotFoundError:
        return None
