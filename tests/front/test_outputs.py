"""What a run leaves behind: names as they are, no secrets, no paths of home, nothing that a camera wrote."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

import figureground as fg
from figureground.audit.keeping.run_folder import read_table
from figureground.datasets.transforms import Preprocess
from figureground.errors import UsageError

SECRET = "hunter2-token-5f3a"  # noqa: S105  (planted, so that it can be looked for)
SITES, HEADER = ("=1+1", "@SUM(A1)", "-2", "+cmd|' /C calc'!A0", "\tx"), "=site"
PLACE = "48.8583"


def photograph(at: int) -> bytes:
    """A JPEG that says where it was taken, and by whom."""
    rng = np.random.default_rng(at)
    values = rng.integers(0, 90, (32, 32, 3)).astype(np.uint8)
    values[8:24, 8:24] = (200, 60, 60) if at % 2 else (60, 60, 200)
    exif = Image.Exif()
    exif[0x013B] = "Jane Q. Photographer"
    exif.get_ifd(0x8825)[0x1D] = PLACE
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "JPEG", exif=exif)
    return stream.getvalue()


def tiny() -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)).eval()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    home = tmp_path_factory.mktemp("home-of-jane")
    (home / "data").mkdir()
    for at in range(40):
        (home / "data" / f"={at}.jpg").write_bytes(photograph(at))
    rows = [
        {
            "image": f"={at}.jpg",
            "label": ("cat", "dog")[at % 2],
            "environment": "ab"[at // 2 % 2],
            HEADER: SITES[at % 5],
        }
        for at in range(40)
    ]
    pd.DataFrame(rows).to_csv(home / "data" / "manifest.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("API_TOKEN", SECRET)
        patch.chdir(home)
        made = fg.run_audit(
            tiny(),
            home / "data" / "manifest.csv",
            classes=["cat", "dog"],
            transform=Preprocess(),
            cues=["corner_top_left"],
            out=home / "run",
        )
    return made, home


def everything(folder: Path) -> dict[str, str]:
    """All that a run says, as text: tables are read, because they are compressed."""
    texts = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = file.relative_to(folder).as_posix()
        if file.suffix == ".parquet":
            frame = pd.read_parquet(file)
            texts[name] = " ".join([*map(str, frame.columns), frame.to_csv(), *map(str, frame.attrs.values())])
        else:
            texts[name] = file.read_bytes().decode("latin-1")
    return texts


@pytest.mark.slow
@pytest.mark.fault("F4")
def test_no_secret_and_no_home_is_left_behind(run: Any) -> None:
    made, home = run
    texts = everything(made.path)
    assert {"audit.json", "config.json", "examples.parquet", "report.en.html"} <= set(texts)
    for word in (SECRET, str(home), "home-of-jane", os.uname().nodename + ":"):
        assert [name for name, text in texts.items() if word in text] == []


@pytest.mark.slow
@pytest.mark.fault("F5")
def test_nothing_that_a_camera_wrote_is_left_behind(run: Any) -> None:
    made, _ = run
    assets = sorted((made.path / "assets").glob("*.webp"))
    assert assets
    for file in assets:
        with Image.open(file) as picture:
            assert not {"exif", "xmp", "icc_profile", "comment"} & set(picture.info)
    assert [name for name, text in everything(made.path).items() if "Photographer" in text or PLACE in text] == []


@pytest.mark.slow
@pytest.mark.fault(
    "F2",
    better="Results are written as Parquet, JSON and HTML, in which names stand as they are and compute nothing; "
    "no table of results is written as CSV.",
)
def test_names_that_spreadsheets_would_compute_stand_as_they_are(run: Any) -> None:
    made, _ = run
    examples = read_table(made.path, "examples")
    assert set(examples[HEADER]) == set(SITES)
    assert set(examples["path"]) == {f"={at}.jpg" for at in range(40)}
    assert HEADER in (made.path / "audit.json").read_text(encoding="utf-8")
    assert [file.name for file in made.path.rglob("*.csv")] == []


@pytest.mark.fault("F4")
def test_a_password_in_an_address_is_not_repeated() -> None:
    error = UsageError(
        "X", f"https://jane:{SECRET}@host/w.pt", found=f"s3://{SECRET}@b", expected="a file", fix="a@b.c"
    )
    assert SECRET not in str(error)
    assert SECRET not in error.where
    assert "https://***@host/w.pt" in str(error)
    assert "a@b.c" in str(error)
