"""What folders of a class are called as labels: never by their order."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from figureground.errors import ManifestError, UsageError


def read_class_map(given: Mapping[str, str] | str | Path | None) -> dict[str, str] | None:
    """Labels by the name of their folder, from a mapping or a JSON file; None where nothing is given.

    Raises
    ------
    UsageError
        ``CLASS_MAP``: the file is no JSON object of text.
    """
    if given is None:
        return None
    if isinstance(given, Mapping):
        return {str(name): str(label) for name, label in given.items()}
    try:
        found = json.loads(Path(given).read_text(encoding="utf-8"))
        if not isinstance(found, dict) or not all(isinstance(label, str) for label in found.values()):
            raise ValueError("no object of texts")
    except (OSError, ValueError) as error:
        raise UsageError(
            "CLASS_MAP",
            str(given),
            found=str(error),
            expected='a JSON object, {"folder": "label"}',
            fix="write one, or give pairs: --class-map 1=cat,2=dog",
        ) from error
    return dict(found)


def labels_of(folders: Sequence[str], class_map: Mapping[str, str] | None, where: str) -> dict[str, str]:
    """The label of each folder: its own name, or what the map says.

    Numbers are no names. Sorted as text they come in another order than they count in, and where one is missing, all
    that follow would move up; so they need a map.

    Raises
    ------
    ManifestError
        ``CLASS_MAP``: folders are numbers and there is no map, or the map lacks a folder.

    Examples
    --------
    >>> labels_of(["1", "10", "2"], {"1": "cat", "2": "dog", "3": "eel", "10": "fox"}, "")
    {'1': 'cat', '10': 'fox', '2': 'dog'}
    """
    if class_map is None:
        numbers = [name for name in folders if name.strip().isdigit()]
        if numbers:
            raise _needed(where, f"folders named {', '.join(numbers[:5])}", "names of classes, or a map to them")
        return {name: name for name in folders}
    unknown = [name for name in folders if name not in class_map]
    if unknown:
        raise _needed(where, f"a folder {unknown[0]!r}", f"one of the map: {', '.join(class_map)}")
    return {name: class_map[name] for name in folders}


def _needed(where: str, found: str, expected: str) -> ManifestError:
    fix = "say which label each folder is: --class-map 1=cat,2=dog, or a JSON file"
    return ManifestError("CLASS_MAP", where, found=found, expected=expected, fix=fix)
