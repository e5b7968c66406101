"""Hugging Face datasets, in memory or saved on disk: cells as strings, pictures as the bytes that are stored.

Pictures are not decoded by that library but by this one, so that a limit or a rule here holds for them as well. What
was set to be done when an item is asked for (formats, transforms) is not done: rows are what is stored.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from figureground.datasets import manifest
from figureground.datasets.columns import MASK_PREFIX, REGION_PREFIX
from figureground.datasets.label_cells import label_cells, present_cells
from figureground.errors import ManifestError, UsageError

#: Cells of pictures that lie in the dataset itself begin so; then follow row and column.
STORED = "arrow://"
#: Files by which a folder that the library saved is known: one dataset, or one for each split.
_SAVED = ("state.json", "dataset_dict.json")


def is_saved(path: Path) -> bool:
    """Whether a folder was written by ``save_to_disk``."""
    return path.is_dir() and any((path / name).is_file() for name in _SAVED)


def load_saved(path: Path) -> Any:
    """What ``save_to_disk`` wrote; nothing is downloaded, and no script is run. Raises :class:`UsageError`."""
    try:
        library = _library()
    except ImportError as error:
        raise UsageError(
            "EXTRA",
            str(path),
            found="the package datasets is not installed",
            expected="the extra huggingface",
            fix="pip install 'figureground[huggingface]'",
        ) from error
    try:
        return library.load_from_disk(str(path))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ManifestError(
            "HUGGINGFACE",
            str(path),
            found=(str(error).splitlines() or [type(error).__name__])[0],
            expected="a dataset as save_to_disk writes it",
            fix="save it again",
        ) from error


def _library() -> Any:
    # By name, because in a folder that holds a room of this name a plain import means that one to type checkers.
    return importlib.import_module("datasets")


def is_huggingface(data: Any) -> bool:
    """Whether something is a ``datasets.Dataset`` or a ``datasets.DatasetDict``."""
    library = sys.modules.get("datasets")  # who holds one has imported it
    kinds = tuple(getattr(library, name) for name in ("Dataset", "DatasetDict") if hasattr(library, name))
    return isinstance(data, kinds)


@dataclass(frozen=True)
class ArrowRows:
    """Rows of one Hugging Face dataset; those of several splits are put together, with a column ``split``.

    Attributes
    ----------
    dataset : datasets.Dataset
        Its pictures are not decoded.
    classes : sequence of str
        Names for integer labels that have none of their own.
    where : str
        What errors call it.
    """

    dataset: Any = field(repr=False)
    classes: Sequence[str]
    where: str

    @classmethod
    def of(cls, data: Any, classes: Sequence[str], where: str) -> ArrowRows:
        """From a dataset, or from one for each split."""
        library = _library()
        if isinstance(data, library.DatasetDict):
            parts = [_with_split(part, str(name)) for name, part in data.items()]
            data = library.concatenate_datasets(parts)
        plain = data.with_format(None)
        for name, feature in data.features.items():
            if _is_picture(feature):
                plain = plain.cast_column(name, library.Image(decode=False))
        return cls(plain, tuple(classes), where)

    def cells(self, columns: Mapping[str, str]) -> pd.DataFrame:
        """All cells as strings, under the dataset's own names; pictures as names that :meth:`read` understands.

        ``columns`` says which of them is the label. ``key`` is the number of the row where there is no such column.
        """
        label = columns.get("label", "label")
        cells: dict[str, Any] = {}
        for name, feature in self.dataset.features.items():
            cells |= self._column(name, feature, is_label=name == label)
        if "key" not in cells and "key" not in columns:
            cells["key"] = [f"{position:09d}" for position in range(len(self.dataset))]
        return manifest.declare_levels(manifest.as_strings(pd.DataFrame(cells, dtype=object)), self._levels())

    def read(self, cell: str) -> bytes | None:
        """The stored bytes of a picture; None where the cell is a path."""
        if not cell.startswith(STORED):
            return None
        position, _, name = cell.removeprefix(STORED).partition("/")
        return bytes(self.dataset[int(position)][name]["bytes"])

    @cached_property
    def _table(self) -> Any:
        """The Arrow table of everything but pictures, in the order of the rows."""
        plain = [name for name, feature in self.dataset.features.items() if not _is_picture(feature)]
        return self.dataset.select_columns(plain).with_format("arrow")[:] if plain else None

    def _column(self, name: str, feature: Any, *, is_label: bool) -> dict[str, list[Any]]:
        """Cells of one column; a label can become several."""
        if _is_picture(feature):
            return {name: self._pictures(name)}
        values = self._table.column(name).to_pylist()
        names, inner = _class_names(feature), _class_names(getattr(feature, "feature", None))
        if names is not None:
            return {name: ["" if value is None or value < 0 else names[value] for value in values]}
        if is_label and inner is not None:
            return _transposed([present_cells(value or (), inner) for value in values])
        if is_label:
            return _transposed(
                [label_cells(value, self.classes, self.where) or {"label": ""} for value in values], name
            )
        _check_plain(name, feature, self.where)
        return {name: values}

    def _pictures(self, name: str) -> list[str]:
        stored = self.dataset.select_columns([name]).with_format("arrow")[:].column(name).to_pylist()
        return [_picture_cell(value, position, name) for position, value in enumerate(stored)]

    def _levels(self) -> dict[str, tuple[str, ...]]:
        found = {name: _class_names(feature) for name, feature in self.dataset.features.items()}
        return {name: tuple(names) for name, names in found.items() if names is not None}

    def check_pictures(self, named: pd.DataFrame) -> None:
        """Refuse pictures that have no role: as an attribute they would be a column of addresses."""
        known = ("image", "mask")
        for name in named.columns:
            has_role = name in known or name.startswith((MASK_PREFIX, REGION_PREFIX))
            if not has_role and named[name].str.startswith(STORED).any():
                raise ManifestError(
                    "HUGGINGFACE_COLUMN",
                    f"{self.where}:{name}",
                    found="pictures in a column without a role",
                    expected="pictures named image, mask, mask:NAME or region:NAME",
                    fix=f"map it: --column mask={name}, or remove_columns({name!r})",
                )


def _with_split(part: Any, name: str) -> Any:
    return part if "split" in part.column_names else part.add_column("split", [name] * len(part))


def _is_picture(feature: Any) -> bool:
    return type(feature).__name__ == "Image"


def _class_names(feature: Any) -> list[str] | None:
    return list(feature.names) if type(feature).__name__ == "ClassLabel" else None


def _picture_cell(value: Mapping[str, Any] | None, position: int, name: str) -> str:
    if value is None:
        return ""
    return f"{STORED}{position}/{name}" if value["bytes"] is not None else str(value["path"] or "")


def _transposed(rows: Sequence[Mapping[str, str]], name: str = "label") -> dict[str, list[str]]:
    """Cells by column, of rows that all have the same; ``label`` keeps the name of its column."""
    if not rows:
        return {name: []}
    return {name if key == "label" else key: [row.get(key, "") for row in rows] for row in rows[:1] for key in row}


def _check_plain(name: str, feature: Any, where: str) -> None:
    if type(feature).__name__ == "Value":
        return
    raise ManifestError(
        "HUGGINGFACE_COLUMN",
        f"{where}:{name}",
        found=f"a column of {type(feature).__name__}",
        expected="pictures, names of classes and single values",
        fix=f"remove_columns({name!r}), or write what matters of it to columns of single values",
    )
