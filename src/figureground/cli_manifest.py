"""``figureground manifest``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from figureground.options import (
    ClassMap,
    DicomTags,
    SaltFile,
    as_class_map,
    as_list,
)
from figureground.visible import one_line

if TYPE_CHECKING:
    pass


def build(
    source: Annotated[
        Path,
        typer.Argument(
            help="Folder with one folder for each class, or laid out as Pascal VOC; a COCO file; a table of boxes (CSV "
            "or Parquet: image, label, xmin, ymin, xmax, ymax); with --tags a folder of DICOM files."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV file; its folder must hold all pictures and masks.")],
    masks: Annotated[
        Path | None,
        typer.Option(
            "--masks",
            help="Folder of masks under the pictures' names; of annotations and boxes, where they are written.",
        ),
    ] = None,
    images: Annotated[Path | None, typer.Option("--images", help="Of COCO and boxes: folder of the pictures.")] = None,
    boxes: Annotated[bool, typer.Option("--boxes", help="Of COCO and VOC: boxes where outlines are missing.")] = False,
    class_map: ClassMap = None,
    tags: DicomTags = None,
    salt: SaltFile = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier manifest.")] = False,
) -> None:
    """Write a manifest from folders of pictures or DICOM files, from COCO or VOC annotations, or from boxes."""
    from figureground.datasets.building import build_manifest

    built = build_manifest(
        source,
        out,
        masks=masks,
        images=images,
        boxes=boxes,
        class_map=as_class_map(class_map),
        tags=as_list(tags),
        salt=None if salt is None else salt.read_bytes(),
        overwrite=overwrite,
    )
    for reason, n in built.left_out.items():
        typer.echo(one_line(f"{n} {reason}"))
    names = ", ".join(map(str, built.frame.columns))
    typer.echo(one_line(f"{out}: {len(built.frame)} rows with {names}"))
