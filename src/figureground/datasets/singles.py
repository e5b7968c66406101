"""Single pictures that are named one by one, with a mask each where there are any; or all pictures of a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from figureground.datasets.decoding import PLAIN, Decoding
from figureground.datasets.folders import IMAGE_SUFFIXES
from figureground.datasets.huggingface import is_saved
from figureground.datasets.sources import Source, open_source
from figureground.datasets.table_source import TableSource
from figureground.errors import DataError, UsageError
from figureground.visible import is_text, visible


def open_singles(
    images: Sequence[str | Path],
    masks: Sequence[str | Path] = (),
    root: Path | None = None,
    decoding: Decoding = PLAIN,
) -> TableSource:
    """Pictures as rows of a source, in the order in which they were named.

    Parameters
    ----------
    images : sequence of paths
    masks : sequence of paths
        None, or one for each picture.
    root : Path, optional
        Nothing outside it is opened. Default: the folder that holds them all.

    Raises
    ------
    UsageError
        No picture is named, or another number of masks.
    """
    if not images or (masks and len(masks) != len(images)):
        raise UsageError(
            "IMAGES",
            "images",
            found=f"{len(images)} pictures and {len(masks)} masks",
            expected="one picture or more, and no mask or one for each",
            fix="name every mask with --mask, in the order of the pictures",
        )
    cells = {"image": [str(Path(path).absolute()) for path in images]}
    if masks:
        cells["mask"] = [str(Path(path).absolute()) for path in masks]
    _check_names([cell for named in cells.values() for cell in named])
    base = root or _common([Path(cell).parent for named in cells.values() for cell in named])
    return TableSource("images", "images", pd.DataFrame(cells), base, decoding=decoding)


def _check_names(files: Sequence[str]) -> None:
    """Refuse what no table could hold: a name of bytes that are no UTF-8."""
    odd = next((file for file in files if not is_text(file)), None)
    if odd is not None:
        raise UsageError(
            "IMAGES",
            visible(odd),
            found="a name that is no UTF-8",
            expected="names of files that can be written as text",
            fix="give the file another name",
        )


def open_pictures(
    data: str | Path | pd.DataFrame,
    root: Path | None = None,
    decoding: Decoding = PLAIN,
    columns: Mapping[str, str] | None = None,
) -> Source:
    """The pictures of a manifest or of a frame, without their labels; or every picture below a folder, sorted."""
    folder = None if isinstance(data, pd.DataFrame) else Path(data)
    plain = folder is not None and folder.is_dir() and not (folder / "manifest.csv").exists() and not is_saved(folder)
    if folder is None or not plain:
        return open_source(data, classes=(), columns=columns, root=root, decoding=decoding, labelled=False)
    found = sorted(file for file in folder.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise DataError(
            "IMAGES_NONE",
            str(folder),
            found="no picture",
            expected=f"files ending in {', '.join(IMAGE_SUFFIXES)}, or a manifest",
            fix="name another folder, or a manifest",
        )
    return open_singles(found, root=root or folder, decoding=decoding)


def _common(folders: Sequence[Path]) -> Path:
    root = folders[0]
    while not all(folder.is_relative_to(root) for folder in folders):
        root = root.parent
    return root
