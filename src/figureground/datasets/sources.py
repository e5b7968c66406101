"""Where rows come from: a manifest, a DataFrame, a Dataset, a data module, a Hugging Face dataset.

All give the same pictures and strings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from figureground.datasets import huggingface, manifest
from figureground.datasets.decoding import PLAIN, Decoding
from figureground.datasets.item_source import DatasetSource, as_picture
from figureground.datasets.joining import Attributes
from figureground.datasets.lightning_data import dataset_of, is_datamodule
from figureground.datasets.normalized import Normalized
from figureground.datasets.pixels import Pixels
from figureground.datasets.table_source import TableSource
from figureground.errors import UsageError

__all__ = ["DatasetSource", "Pixels", "Source", "TableSource", "as_picture", "open_source"]


class Source(Protocol):
    """Rows as strings, and the pixels of one row at a time."""

    @property
    def kind(self) -> str:
        """``manifest``, ``dataframe``, ``dataset``, ``datamodule`` or ``huggingface``."""

    @property
    def where(self) -> str:
        """What errors call it: the path, or the kind."""

    @property
    def decoding(self) -> Decoding:
        """What was declared about its pictures and masks."""

    def table(self) -> pd.DataFrame:
        """Role columns and attributes as strings, with ``key``; one row per row given."""

    def there(self, position: int) -> bool:
        """Whether all files of one row are plainly there; nothing is opened, and False is no verdict."""

    def pixels(self, position: int) -> Pixels:
        """Decode one row; raises :class:`~figureground.datasets.images.RowFault`."""


def open_source(
    data: Any,
    *,
    classes: Sequence[str],
    columns: Mapping[str, str] | None = None,
    root: Path | None = None,
    decoding: Decoding = PLAIN,
    attributes: Attributes | None = None,
    normalized: Normalized | None = None,
    labelled: bool = True,
) -> Source:
    """One :class:`Source` from what a caller gave.

    Parameters
    ----------
    data : path, DataFrame, map-style Dataset, LightningDataModule or Hugging Face dataset
        A CSV or Parquet manifest (or a folder with ``manifest.csv``), a frame with the same columns, a Dataset, a data
        module with a test or predict dataset, or a ``datasets.Dataset`` or ``DatasetDict`` in memory or as the folder
        that ``save_to_disk`` wrote.
    classes : sequence of str
        The model's class names, in order; they give names to a Dataset's integer labels.
    columns : mapping, optional
        ``{role: name in the table}``.
    root : Path, optional
        Nothing outside it is opened. Default: the folder of the manifest or dataset; for what is in memory, the
        common folder of absolute paths, else the working directory.
    decoding : Decoding
        What is declared about its pictures and masks.
    attributes : Attributes, optional
        Joined to the rows before roles are named, so that its columns can have roles too.
    normalized : Normalized, optional
        How the tensors of a Dataset were normalised.
    labelled : bool
        Whether there must be labels.
    """
    if normalized is not None and not _is_dataset(data):
        raise _not_tensors(data)
    if isinstance(data, str | Path) and huggingface.is_saved(Path(data)):
        folder, saved = Path(data), huggingface.load_saved(Path(data))
        return _stored_rows(saved, str(folder), classes, columns or {}, root or folder, attributes, decoding, labelled)
    if isinstance(data, str | Path):
        path = manifest.find_manifest(Path(data))
        frame, joined = _prepared(manifest.read_manifest(path), columns or {}, str(path), attributes, labelled)
        reading = manifest.reading_of(frame)
        return TableSource("manifest", str(path), frame, root or path.parent, reading, decoding, joined)
    if isinstance(data, pd.DataFrame):
        frame, joined = _prepared(manifest.as_strings(data), columns or {}, "DataFrame", attributes, labelled)
        base = root or _common_root(frame["image"].tolist())
        return TableSource("dataframe", "DataFrame", frame, base, decoding=decoding, joined=joined)
    if huggingface.is_huggingface(data):
        where = "Hugging Face dataset"
        return _stored_rows(data, where, classes, columns or {}, root, attributes, decoding, labelled)
    kind = "datamodule" if is_datamodule(data) else "dataset"
    dataset = dataset_of(data) if kind == "datamodule" else data
    if hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__"):
        return DatasetSource(
            dataset, tuple(classes), kind, kind, decoding, columns or {}, attributes, normalized, labelled
        )
    raise UsageError(
        "DATA_KIND",
        "data",
        found=type(data).__name__,
        expected="a path, a pandas DataFrame, a map-style Dataset, a LightningDataModule, or a Hugging Face dataset",
        fix="give one of these; what is streamed has to be read into one first",
    )


def _prepared(
    frame: pd.DataFrame, columns: Mapping[str, str], where: str, attributes: Attributes | None, labelled: bool
) -> tuple[pd.DataFrame, Mapping[str, Any] | None]:
    """The table with what is joined to it and its roles named, and what there is to say of the join."""
    joined = frame if attributes is None else attributes(frame, where)
    named = manifest.name_columns(joined, columns, where, labelled=labelled)
    return named, None if attributes is None else attributes.record(frame)


def _stored_rows(
    data: Any,
    where: str,
    classes: Sequence[str],
    columns: Mapping[str, str],
    root: Path | None,
    attributes: Attributes | None,
    decoding: Decoding,
    labelled: bool,
) -> TableSource:
    rows = huggingface.ArrowRows.of(data, classes, where)
    cells = rows.cells(columns)
    label = columns.get("label")
    if label in rows.dataset.column_names and label not in cells:  # it became one column for each finding
        columns = {role: name for role, name in columns.items() if role != "label"}
    frame, joined = _prepared(cells, columns, where, attributes, labelled)
    rows.check_pictures(frame)
    base = root or _common_root([cell for cell in frame["image"] if rows.read(cell) is None])
    return TableSource("huggingface", where, frame, base, decoding=decoding, joined=joined, stored=rows.read)


def _is_dataset(data: Any) -> bool:
    return not isinstance(data, str | Path | pd.DataFrame) and not huggingface.is_huggingface(data)


def _not_tensors(data: Any) -> UsageError:
    return UsageError(
        "NORMALIZED",
        "normalized",
        found=f"{type(data).__name__}, whose pictures are no tensors",
        expected="a Dataset or data module that yields normalised tensors",
        fix="say how the model normalises by transform or --mean and --std",
    )


def _common_root(cells: Sequence[str]) -> Path:
    paths = [Path(cell) for cell in cells if cell]
    if not paths or not all(path.is_absolute() for path in paths):
        return Path.cwd()
    root = paths[0].parent
    while not all(path.is_relative_to(root) for path in paths):
        root = root.parent
    return root
