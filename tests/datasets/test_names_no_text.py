"""Names that UTF-8 cannot write: half of a surrogate pair, and bytes of file names that are no UTF-8."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from torch import nn

from figureground.audit.classify.subject import as_subject
from figureground.datasets.building import build_manifest
from figureground.datasets.manifest import as_strings
from figureground.datasets.singles import open_pictures, open_singles
from figureground.errors import ManifestError, UsageError
from figureground.visible import is_text

ODD = os.fsdecode(b"x\xff\x1b[2J.png")
bytes_in_names = pytest.mark.skipif(sys.platform != "linux", reason="names of files are text here")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for name in ("cat/0.png", "dog/1.png", f"cat/{ODD}"):
        file = tmp_path / "pictures" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(file)
    return tmp_path / "pictures"


@bytes_in_names
def test_a_manifest_leaves_such_a_file_out_and_counts_it(pictures: Path, tmp_path: Path) -> None:
    built = build_manifest(pictures, tmp_path / "manifest.csv")
    assert built.left_out == {"pictures whose names are no UTF-8": 1}
    assert sorted(Path(name).name for name in built.frame["image"]) == ["0.png", "1.png"]


@bytes_in_names
def test_single_pictures_of_such_names_are_refused_in_letters(pictures: Path) -> None:
    for call in (lambda: open_singles([pictures / "cat" / ODD]), lambda: open_pictures(pictures)):
        with pytest.raises(UsageError, match="no UTF-8") as caught:
            call()
        assert is_text(str(caught.value))
        assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("frame", "where"),
    [
        (pd.DataFrame({"image": ["a", "b"], "site": ["x", "y\ud800"]}, dtype=object), "table:3:site"),
        (pd.DataFrame([["a", "b"]], columns=pd.Index(["image", "\udfff"], dtype=object), dtype=object), "table:2:"),
    ],
)
def test_a_table_in_memory_is_refused_where_it_holds_one(frame: pd.DataFrame, where: str) -> None:
    with pytest.raises(ManifestError, match="MANIFEST_TEXT") as caught:
        as_strings(frame)
    assert where in str(caught.value)
    assert is_text(str(caught.value))


def test_a_class_is_refused_that_no_document_could_name() -> None:
    with pytest.raises(UsageError, match="CLASSES"):
        as_subject(nn.Linear(2, 2), classes=["cat", "dog\ud800"])
