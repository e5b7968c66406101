"""A folder of DICOM files as a data table: attributes from tags, patients as salted hashes.

Tags that name a person are refused. Ages are numbers of years. What the label of a picture is stands in no tag that
all files have: it is joined from a table (``--attributes``), or comes from folders that a class map names.
"""

from __future__ import annotations

import hashlib
import hmac
import importlib
import secrets
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pandas as pd

from figureground.datasets.class_map import labels_of
from figureground.datasets.folders import BuiltTable, check_inside, relative
from figureground.errors import ManifestError, UsageError
from figureground.visible import is_text

#: Keywords of tags that name a person or a stay; beside them, all of names and addresses.
IDENTIFYING = (
    "PatientID", "OtherPatientIDs", "PatientBirthDate", "PatientBirthTime", "PatientTelephoneNumbers",
    "AccessionNumber", "StudyID", "PatientMotherBirthName", "IssuerOfPatientID", "MedicalRecordLocator",
    "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "PatientComments", "AdditionalPatientHistory",
)  # fmt: skip
_IDENTIFYING_KINDS = ("PN",)
#: Characters of a hash that stand for a patient: 64 bits.
_HASHED = 16
_YEARS = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}


def from_dicom(
    source: Path,
    root: Path,
    tags: Sequence[str],
    *,
    class_map: Mapping[str, str] | None = None,
    salt: bytes | None = None,
) -> BuiltTable:
    """One row for each DICOM file with a picture below ``source``, in sorted order.

    Parameters
    ----------
    source, root : Path
        The folder, and the data root that holds it.
    tags : sequence of str
        Keywords such as ``Manufacturer``, ``PatientSex``, ``PatientAge``; each becomes a column.
    class_map : mapping of str to str, optional
        Labels by the name of the first folder of a file's path; without it there is no column ``label``.
    salt : bytes, optional
        Keys the hash of each ``PatientID`` in ``cluster``. Default: random and forgotten, so that no other table has
        the same hashes; give the same one for training and audit data that are to be compared.

    Raises
    ------
    ManifestError
        There is no such folder, or no DICOM file in it.
    UsageError
        A tag is unknown or identifies a person, or the extra ``medical`` is missing.
    """
    reader = _library()
    _check_tags(tags)
    if not source.is_dir():
        raise _none(source, "no such folder")
    check_inside(source, root)
    counts: Counter[str] = Counter()
    read = _Read(reader, source, root, tuple(tags), salt or secrets.token_bytes(32), counts)
    files = sorted(file for file in source.rglob("*") if file.is_file() and not _hidden(file, source))
    counts["files whose names are no UTF-8"] = sum(not is_text(str(file)) for file in files)
    rows = [row for file in files if is_text(str(file)) and (row := read(file)) is not None]
    if not rows:
        raise _none(source, ", ".join(f"{n} {reason}" for reason, n in counts.items()) or "an empty folder")
    frame = pd.DataFrame(rows)
    if class_map is not None:
        labels = labels_of(sorted(set(frame["folder"])), class_map, str(source))
        frame.insert(1, "label", frame["folder"].map(labels))
    return BuiltTable(frame.drop(columns="folder"), {reason: n for reason, n in sorted(counts.items()) if n})


def as_years(age: str) -> str:
    """An age string as a number of years; empty where it is none.

    >>> as_years("045Y"), as_years("006M"), as_years("about 40")
    ('45', '0.5', '')
    """
    text = age.strip().upper()
    if len(text) < 2 or text[-1] not in _YEARS or not text[:-1].isdigit():
        return ""
    return f"{round(int(text[:-1]) * _YEARS[text[-1]], 2):g}"


def hashed(patient: str, salt: bytes) -> str:
    """The name of a patient's cluster: a keyed hash, empty where there is no identifier."""
    text = patient.strip()
    return hmac.new(salt, text.encode(), hashlib.sha256).hexdigest()[:_HASHED] if text else ""


@dataclass(frozen=True)
class _Read:
    library: Any
    source: Path
    root: Path
    tags: tuple[str, ...]
    salt: bytes = field(repr=False)
    counts: Counter[str] = field(repr=False)

    def __call__(self, file: Path) -> dict[str, str] | None:
        if not file.resolve().is_relative_to(self.source.resolve()):
            self.counts["links that lead outside"] += 1
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about values that are not as the standard has them; we read what is
                found = self.library.dcmread(file, stop_before_pixels=True)
                values = {name: _value(found, name) for name in (*self.tags, "PatientID", "Rows")}
        except Exception:  # a damaged header can raise anything
            self.counts["files that are no DICOM"] += 1
            return None
        if not values.pop("Rows"):
            self.counts["DICOM files without a picture"] += 1
            return None
        return self._row(file, values)

    def _row(self, file: Path, values: dict[str, str]) -> dict[str, str]:
        patient, path = values.pop("PatientID"), relative(file, self.root)
        if patient.strip() and patient.strip() in path:
            self.counts["paths that hold the identifier of a patient"] += 1
        below = file.relative_to(self.source).parts
        folder = below[0] if len(below) > 1 else ""
        return {"image": path, "cluster": hashed(patient, self.salt), "folder": folder, **values}


def _value(found: Any, name: str) -> str:
    value = found.get(name)
    if value is None:
        return ""
    if found[name].VR == "AS":
        return as_years(str(value))
    return "\\".join(map(str, value)) if found[name].VM > 1 else str(value).strip()


def _check_tags(tags: Sequence[str]) -> None:
    table = importlib.import_module("pydicom.datadict")
    for name in tags:
        number = table.tag_for_keyword(name)
        if number is None:
            near = get_close_matches(name, list(table.keyword_dict), n=1)
            raise _bad_tag(name, "no keyword of DICOM", f"did you mean {near[0]}?" if near else "check the spelling")
        if name in IDENTIFYING or table.dictionary_VR(number) in _IDENTIFYING_KINDS or "Address" in name:
            raise _bad_tag(
                name, "a tag that identifies a person", "leave it out: patients are hashed in cluster anyway"
            )


def _bad_tag(name: str, found: str, fix: str) -> UsageError:
    expected = "keywords such as Manufacturer, PatientSex, PatientAge"
    return UsageError("DICOM_TAG", f"tags:{name}", found=found, expected=expected, fix=fix)


def _hidden(file: Path, source: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(source).parts)


def _library() -> Any:
    try:
        return importlib.import_module("pydicom")
    except ImportError as error:
        raise UsageError(
            "EXTRA",
            "tags",
            found="pydicom is not installed",
            expected="the extra medical",
            fix="pip install 'figureground[medical]'",
        ) from error


def _none(source: Path, found: str) -> ManifestError:
    return ManifestError(
        "DICOM", str(source), found=found, expected="DICOM files with pictures", fix="check the folder"
    )
