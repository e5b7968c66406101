"""Files are looked up without being opened; what is not plainly there is read, and told by whoever reads it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from figureground.datasets.lookup import Lookup


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root" / "a"
    folder.mkdir(parents=True)
    (folder / "one.png").write_bytes(b"x")
    (folder / "empty.png").write_bytes(b"")
    (folder / "link.png").symlink_to(folder / "one.png")
    (tmp_path / "out.png").write_bytes(b"x")
    (tmp_path / "root" / "inside").symlink_to(folder, target_is_directory=True)
    (tmp_path / "root" / "outside").symlink_to(tmp_path, target_is_directory=True)
    return (tmp_path / "root").resolve()


@pytest.mark.parametrize(
    ("cell", "there"),
    [
        ("a/one.png", True),
        ("inside/one.png", True),
        ("a/empty.png", False),
        ("a/link.png", False),
        ("a/none.png", False),
        ("a", False),
        ("", False),
        ("a/..", False),
        ("../out.png", False),
        ("outside/out.png", False),
        ("/etc/hostname", False),
        ("/dev/zero", False),
        ("http://x.org/one.png", False),
        ("a\0b/one.png", False),
        ("a/one\0.png", False),
        ("a/" + "x" * 300, False),
    ],
)
def test_only_plain_files_inside_the_root_are_there(root: Path, cell: str, there: bool) -> None:
    assert Lookup(root)(cell) is there


def test_an_absolute_path_inside_the_root_is_there_and_a_pipe_is_not(root: Path) -> None:
    os.mkfifo(root / "a" / "pipe.png")
    assert Lookup(root)(str(root / "a" / "one.png"))
    assert not Lookup(root)("a/pipe.png")


def test_nothing_is_opened(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.open", lambda *_: pytest.fail("opened"))
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("opened"))
    assert Lookup(root)("a/one.png")


def test_a_source_asks_for_the_image_and_every_mask_that_is_named(tmp_path: Path) -> None:
    import pandas as pd

    from figureground.datasets.sources import open_source

    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "a.png")
    rows = {"image": ["a.png", "a.png", "a.png", ""], "mask": ["", "a.png", "b.png", "a.png"], "label": "cat"}
    source = open_source(pd.DataFrame(rows), classes=("cat",), root=tmp_path)
    assert [source.there(position) for position in range(4)] == [True, True, False, False]
