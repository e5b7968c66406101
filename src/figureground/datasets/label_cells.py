"""Labels of a dataset as cells of a table: a name, an index, or one entry for each finding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from figureground.datasets.columns import ABSENT, LABEL_PREFIX, PRESENT
from figureground.errors import ManifestError


def label_cells(label: Any, classes: Sequence[str], where: str) -> dict[str, str]:
    """One cell ``label``, or one ``label:NAME`` for each class; nothing where there is no label.

    Parameters
    ----------
    label : str, number, array of shape [K], or None
        A name, an index into ``classes`` (a number where there are none), or for findings 1, 0, -1 or NaN each.
    classes : sequence of str
    where : str
        What errors call the data.

    Raises
    ------
    ManifestError
        ``DATASET_LABELS``: not one entry for each class.

    Examples
    --------
    >>> label_cells(1, ("cat", "dog"), ""), label_cells([1, float("nan")], ("cat", "dog"), "")
    ({'label': 'dog'}, {'label:cat': '1', 'label:dog': ''})
    """
    if label is None:
        return {}
    if isinstance(label, str):
        return {"label": label}
    entries = np.asarray(label.numpy(force=True) if hasattr(label, "numpy") else label)
    if entries.ndim == 0:
        return {"label": _named(float(label), classes)}
    if len(entries) != len(classes):
        raise ManifestError(
            "DATASET_LABELS",
            where,
            found=f"{len(entries)} labels an item",
            expected=f"{len(classes)}, one for each of {', '.join(classes[:5]) or 'the classes'}",
            fix="give the classes in the order of the labels, or items with label:NAME",
        )
    values = [float(value) for value in entries]
    return {
        f"{LABEL_PREFIX}{name}": "" if value != value else f"{value:g}"
        for name, value in zip(classes, values, strict=True)
    }


def present_cells(present: Sequence[int], names: Sequence[str]) -> dict[str, str]:
    """One cell ``label:NAME`` for each name, from the indices of those that are present.

    >>> present_cells([1], ("mass", "nodule"))
    {'label:mass': '0', 'label:nodule': '1'}
    """
    return {f"{LABEL_PREFIX}{name}": PRESENT if at in present else ABSENT for at, name in enumerate(names)}


def _named(number: float, classes: Sequence[str]) -> str:
    # What is no index of a class (-1 above all, which Python would take from the end; 2.5) stays visible as it is.
    if number.is_integer():
        return classes[int(number)] if 0 <= number < len(classes) else str(int(number))
    return "" if number != number else repr(number)
