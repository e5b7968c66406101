"""A manifest from what people have: a folder of pictures, or COCO annotations."""

from __future__ import annotations

from pathlib import Path

from figureground.datasets.coco import Coco, from_coco
from figureground.datasets.folders import BuiltTable, from_folder
from figureground.errors import UsageError


def build_manifest(
    source: str | Path,
    out: str | Path,
    *,
    masks: str | Path | None = None,
    images: str | Path | None = None,
    boxes: bool = False,
    overwrite: bool = False,
) -> BuiltTable:
    """Write a manifest; its folder is the data root, which must hold all pictures and masks.

    Parameters
    ----------
    source : path
        A folder with one folder for each class (or for each split, with those of classes inside), or a COCO file of
        instance annotations.
    out : path
        The CSV file.
    masks : path, optional
        Of a folder: where masks are, under the names of the pictures. Of COCO: where they are written, by default
        beside the manifest in ``masks``.
    images : path, optional
        Of COCO: the folder that file names start from, by default that of the annotations.
    boxes : bool
        Of COCO: whether an annotation without an outline covers its box.
    overwrite : bool
        Whether an earlier manifest is replaced.

    Raises
    ------
    ManifestError
        There is no such source, or it is none of these.
    UsageError
        The manifest is there already, something lies outside its folder, or an extra is missing.
    """
    source, out = Path(source), Path(out)
    if out.exists() and not overwrite:
        raise UsageError(
            "FILE_EXISTS",
            str(out),
            found="a file that is there already",
            expected="a new file",
            fix="give another -o, or --overwrite to replace it",
        )
    root = out.absolute().parent
    given = None if masks is None else Path(masks)
    if source.suffix.lower() == ".json":
        pictures = source.parent if images is None else Path(images)
        built = from_coco(Coco.read(source), pictures, root, given or root / "masks", boxes=boxes)
    else:
        built = from_folder(source, root, given)
    root.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.tmp")
    built.frame.to_csv(temporary, index=False, lineterminator="\n", encoding="utf-8")
    temporary.replace(out)
    return built
