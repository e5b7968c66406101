"""Fuzz the decoding of masks and pictures, and of COCO outlines, from bytes to mask values.

    python benchmarks/fuzz/masks.py -max_total_time=600

The first byte says whether the rest is a mask's file, a picture's file, or the annotations of a COCO file.
"""

from __future__ import annotations

import io
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from figureground.datasets.building import build_manifest
from figureground.datasets.sources import open_source

_SHAPE = (6, 8)


def target(data: bytes, folder: Path) -> None:
    """Decode one row, or make masks from annotations."""
    kind, rest = data[:1], data[1:]
    if kind == b"J":
        _annotated(rest, folder)
        return
    named = {"image": "file.png", "label": "cat"} if kind == b"I" else {"image": "plain.png", "mask": "file.png"}
    (folder / "file.png").write_bytes(rest)
    _write_plain(folder)
    frame = pd.DataFrame([{"label": "cat", **named}])
    open_source(frame, classes=("cat",), root=folder).pixels(0)


def _annotated(text: bytes, folder: Path) -> None:
    _write_plain(folder)
    path = folder / "annotations.json"
    path.write_bytes(text)
    build_manifest(path, folder / "manifest.csv", boxes=True, overwrite=True)


def _write_plain(folder: Path) -> None:
    if not (folder / "plain.png").is_file():
        Image.new("L", _SHAPE[::-1], 90).save(folder / "plain.png")


def seeds() -> dict[str, bytes]:
    """Masks and pictures in every format and mode that is read, and annotations of every kind."""
    files = {f"{mode}-{kind}": _file(mode, kind) for mode, kind in _MODES}
    masks = {f"mask-{name}": b"M" + content for name, content in files.items()}
    pictures = {f"image-{name}": b"I" + content for name, content in files.items()}
    return masks | pictures | {"coco": b"J" + json.dumps(_coco()).encode()}


_MODES = [
    *((mode, "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
    *((mode, "TIFF") for mode in ("1", "L", "RGB", "CMYK", "F", "I;16", "LAB", "YCbCr")),
    *((mode, "JPEG") for mode in ("L", "RGB", "CMYK")),
    ("P", "GIF"),
    ("RGB", "BMP"),
    ("RGBA", "WEBP"),
]


def _file(mode: str, kind: str) -> bytes:
    values = np.zeros(_SHAPE, dtype=np.uint8)
    values[2:4, 2:5] = 255
    stored = io.BytesIO()
    picture = Image.fromarray(values)
    picture = Image.fromarray(values.astype(np.uint16)) if mode == "I;16" else picture.convert("RGB").convert(mode)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(stored, kind, **({"exif": exif} if kind in ("JPEG", "PNG", "WEBP") else {}))
    return stored.getvalue()


def _coco() -> dict[str, object]:
    height, width = _SHAPE
    image = {"id": 1, "file_name": "plain.png", "height": height, "width": width}
    outline = {"id": 1, "image_id": 1, "category_id": 3, "iscrowd": 0, "segmentation": [[1, 1, 4, 1, 4, 4]]}
    counted = {"counts": [10, 6, 32], "size": [height, width]}
    packed = {"counts": "\\\\60T1", "size": [height, width]}
    return {
        "images": [image],
        "categories": [{"id": 3, "name": "cat"}],
        "annotations": [
            {**outline, "bbox": [1, 1, 3, 3], "area": 9},
            {**outline, "id": 2, "iscrowd": 1, "segmentation": counted},
            {**outline, "id": 3, "segmentation": packed},
        ],
    }


if __name__ == "__main__":
    runpy.run_path(str(Path(__file__).with_name("running.py")))["run"](target, seeds(), sys.argv)
