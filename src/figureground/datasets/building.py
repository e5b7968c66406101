"""A manifest from what people have: folders of pictures or DICOM files, annotations of COCO or VOC, boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from figureground.datasets.box_table import from_boxes
from figureground.datasets.class_map import read_class_map
from figureground.datasets.coco import Coco, from_coco
from figureground.datasets.dicom_folder import from_dicom
from figureground.datasets.folders import BuiltTable, from_folder
from figureground.datasets.voc import from_voc, is_voc
from figureground.errors import UsageError


def build_manifest(
    source: str | Path,
    out: str | Path,
    *,
    masks: str | Path | None = None,
    images: str | Path | None = None,
    boxes: bool = False,
    class_map: Mapping[str, str] | str | Path | None = None,
    tags: Sequence[str] | None = None,
    salt: bytes | None = None,
    overwrite: bool = False,
) -> BuiltTable:
    """Write a manifest; its folder is the data root, which must hold all pictures and masks.

    Parameters
    ----------
    source : path
        A folder with one folder for each class (or for each split, with those of classes inside), a COCO file of
        instance annotations, a folder laid out as Pascal VOC, a table of bounding boxes (CSV or Parquet with
        ``image``, ``label``, ``xmin``, ``ymin``, ``xmax``, ``ymax``), or, with ``tags``, a folder of DICOM files.
    out : path
        The CSV file.
    masks : path, optional
        Of a folder: where masks are, under the names of the pictures. Of annotations and boxes: where they are
        written, by default beside the manifest in ``masks``.
    images : path, optional
        Of COCO and boxes: the folder that file names start from, by default that of the file.
    boxes : bool
        Of COCO and VOC: whether an annotation without an outline covers its box. ``mask_source`` tells such masks.
    class_map : mapping of str to str, or path, optional
        Labels by the names of folders, also as a JSON file; needed where folders are numbers.
    tags : sequence of str, optional
        Of DICOM: keywords that become columns, such as ``Manufacturer``, ``PatientSex``, ``PatientAge``.
    salt : bytes, optional
        Of DICOM: keys the hashes of patients in ``cluster``; the same one gives the same hashes. Default: random.
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
    given, labels = None if masks is None else Path(masks), read_class_map(class_map)
    written = given or root / "masks"
    pictures = source.parent if images is None else Path(images)
    if tags is not None:
        built = from_dicom(source, root, tags, class_map=labels, salt=salt)
    elif source.suffix.lower() == ".json":
        built = from_coco(Coco.read(source), pictures, root, written, boxes=boxes)
    elif source.suffix.lower() in (".csv", ".parquet"):
        built = from_boxes(source, pictures, root, written)
    elif is_voc(source):
        built = from_voc(source, root, written, boxes=boxes)
    else:
        built = from_folder(source, root, given, labels)
    root.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.tmp")
    built.frame.to_csv(temporary, index=False, lineterminator="\n", encoding="utf-8")
    temporary.replace(out)
    return built
