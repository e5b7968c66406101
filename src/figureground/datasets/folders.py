"""A folder of pictures as a data table: one folder for each class, or one for each split and class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from figureground.datasets.class_map import labels_of
from figureground.errors import ManifestError, UsageError
from figureground.visible import is_text

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
#: Names of folders that are splits, whatever the spelling.
SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_MASK_SUFFIXES = (".png", ".bmp", ".tif", ".tiff", ".webp", ".jpg", ".jpeg")


@dataclass(frozen=True)
class BuiltTable:
    """A data table that was made of something else.

    Attributes
    ----------
    frame : pandas.DataFrame
        Strings; paths relative to the data root.
    left_out : mapping of str to int
        What was found and is in no row, by reason.
    """

    frame: pd.DataFrame = field(repr=False)
    left_out: Mapping[str, int]


def from_folder(
    source: Path, root: Path, masks: Path | None = None, class_map: Mapping[str, str] | None = None
) -> BuiltTable:
    """One row for each picture below ``source``, in sorted order.

    Parameters
    ----------
    source : Path
        ``<class>/.../picture`` or ``<split>/<class>/.../picture``; the second where all folders have names of splits.
    root : Path
        The data root, which holds ``source`` and ``masks``.
    masks : Path, optional
        Masks under the same relative names, with any usual suffix.
    class_map : mapping of str to str, optional
        Labels by the names of folders; needed where these are numbers. A class without a folder is counted.

    Raises
    ------
    ManifestError
        There is no such folder, no picture in a folder of a class, or a folder without a label.
    UsageError
        Something lies outside the root.
    """
    if not source.is_dir():
        raise _no_pictures(source, "no such folder")
    for folder in (source, *([] if masks is None else [masks])):
        check_inside(folder, root)
    counts: Counter[str] = Counter()
    rows = [_row(file, source, root, masks) for file in _pictures(source, counts)]
    if not rows:
        found = ", ".join(f"{n} {reason}" for reason, n in sorted(counts.items())) or "an empty folder"
        raise _no_pictures(source, found)
    frame = pd.DataFrame(rows)
    if set(frame["first"]) <= set(SPLITS) and frame["second"].ne("").all():
        frame = frame.assign(split=frame["first"].map(SPLITS), label=frame["second"])
    else:
        frame = frame.assign(label=frame["first"])
    labels = labels_of(sorted(set(frame["label"])), class_map, str(source))
    frame["label"] = frame["label"].map(labels)
    for absent in [label for label in (class_map or {}).values() if label not in set(labels.values())]:
        counts[f"pictures of {absent}"] = 0
    if masks is not None:
        counts["pictures without a mask"] = int((frame["mask"] == "").sum())
    columns = [name for name in ("image", "label", "split", "mask") if name in frame]
    told = {reason: n for reason, n in sorted(counts.items()) if n or reason.startswith("pictures of ")}
    return BuiltTable(frame[columns], told)


def check_inside(path: Path, root: Path) -> None:
    """Refuse what the data root does not hold: an audit would open nothing of it."""
    if path.resolve().is_relative_to(root.resolve()):
        return
    raise UsageError(
        "OUTSIDE_ROOT",
        str(path),
        found=f"a place outside {root}",
        expected="pictures and masks below the folder that the manifest is written to",
        fix="write the manifest to a folder that holds them all: -o FOLDER/manifest.csv",
    )


def relative(path: Path, root: Path) -> str:
    """The path below the root, with forward slashes."""
    return path.absolute().relative_to(root.absolute()).as_posix()


def _pictures(source: Path, counts: Counter[str]) -> Iterator[Path]:
    """Pictures in a folder of a class; everything else is counted, hidden files and folders apart."""
    base = source.resolve()
    for file in sorted(source.rglob("*")):
        below = file.relative_to(source).parts
        if not file.is_file() or any(part.startswith(".") for part in below):
            continue
        if file.suffix.lower() not in IMAGE_SUFFIXES:
            counts["files that are no pictures"] += 1
        elif not is_text(str(file)):
            counts["pictures whose names are no UTF-8"] += 1
        elif not file.resolve().is_relative_to(base):
            counts["links that lead outside"] += 1
        elif len(below) == 1:
            counts["pictures in no folder of a class"] += 1
        else:
            yield file


def _row(file: Path, source: Path, root: Path, masks: Path | None) -> dict[str, str]:
    parts = file.relative_to(source).parts
    row = {"image": relative(file, root), "first": parts[0], "second": parts[1] if len(parts) > 2 else ""}
    return row if masks is None else row | {"mask": _mask(masks / file.relative_to(source), root)}


def _mask(like: Path, root: Path) -> str:
    found = next((path for suffix in _MASK_SUFFIXES if (path := like.with_suffix(suffix)).is_file()), None)
    return "" if found is None else relative(found, root)


def _no_pictures(source: Path, found: str) -> ManifestError:
    return ManifestError(
        "FOLDER",
        str(source),
        found=found,
        expected="pictures in one folder for each class: CLASS/picture.png, or SPLIT/CLASS/picture.png",
        fix="sort the pictures into folders, or write a manifest with image and label",
    )
