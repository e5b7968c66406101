"""Rebuild ``src/figureground/datasets/embedded`` from the original files.

Usage::

    python scripts/build_embedded.py --idx /usr/share/datasets/fashion-mnist
    python scripts/build_embedded.py --idx DIR --check

DIR holds the four ``*-ubyte.gz`` files of Fashion-MNIST, as published by Zalando or as installed by Debian's
package ``dataset-fashion-mnist`` (at the path above). The textures come from the installed scikit-image.
Nothing is downloaded. What is checked is the SHA-256 of the *unpacked* idx files, because Debian repacks the
archives.

Selection: of each garment the first 1,000 of the training file and the first 400 of the test file, in file
order. Pixels are stored as they are, lossless.

Two runs give the same bytes. Another release of Pillow may compress the same pixels into other bytes:
``--check`` therefore compares pixels with the stored files, and writes nothing.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]

TARGET = Path(__file__).resolve().parents[1] / "src" / "figureground" / "datasets" / "embedded"
#: Name to class number in Fashion-MNIST.
GARMENTS = {"pullover": 2, "coat": 4}
#: Our split: stem of the original files, garments taken of each class, garments per row of the sheet.
SPLITS = {"train": ("train", 1000, 40), "test": ("t10k", 400, 20)}
TEXTURES = ("grass.png", "gravel.png")
#: SHA-256 of the unpacked idx files and of scikit-image's textures.
SOURCES = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    "grass.png": "b6b6022426b38936c43a4ac09635cd78af074e90f42ffa8227ac8b7452d39f89",
    "gravel.png": "c48615b451bf1e606fbd72c0aa9f8cc0f068ab7111ef7d93bb9b0f2586440c12",
}


def verified(name: str, content: bytes) -> bytes:
    """The content itself, if it is the source that this script was written for."""
    found = hashlib.sha256(content).hexdigest()
    if found != SOURCES[name]:
        sys.exit(f"{name}: SHA-256 is {found}, expected {SOURCES[name]}; use the original file")
    return content


def read_idx(folder: Path, name: str) -> Pixels:
    """uint8 array of an idx file; its header is magic number, then one big-endian int32 per dimension."""
    content = verified(name, gzip.decompress((folder / f"{name}.gz").read_bytes()))
    dimensions = content[3]
    shape = np.frombuffer(content, ">i4", count=dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def sheet(images: Pixels, columns: int) -> Pixels:
    """``[N, H, W]`` laid out row by row in a picture of ``columns`` tiles across."""
    count, height, width = images.shape
    tiles = images.reshape(count // columns, columns, height, width)
    return tiles.swapaxes(1, 2).reshape(count // columns * height, columns * width)


def png(pixels: Pixels) -> bytes:
    """Lossless grey PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def garment_files(folder: Path) -> dict[str, bytes]:
    """One sheet per split and garment, and the position of each tile in the original file."""
    built: dict[str, bytes] = {}
    positions: dict[str, list[int]] = {}
    for split, (stem, count, columns) in SPLITS.items():
        images = read_idx(folder, f"{stem}-images-idx3-ubyte")
        labels = read_idx(folder, f"{stem}-labels-idx1-ubyte")
        for garment, number in GARMENTS.items():
            chosen = np.flatnonzero(labels == number)[:count]
            built[f"{split}-{garment}.png"] = png(sheet(images[chosen], columns))
            positions[f"{split}-{garment}"] = chosen.tolist()
    return built | {"positions.json": (json.dumps(positions, separators=(",", ":")) + "\n").encode()}


def texture_files() -> dict[str, bytes]:
    """scikit-image's textures, byte for byte."""
    folder = files("skimage.data")
    return {name: verified(name, folder.joinpath(name).read_bytes()) for name in TEXTURES}


def same(name: str, built: bytes, stored: bytes) -> bool:
    """Pixels are compared for pictures, bytes for the rest."""
    if not name.endswith(".png"):
        return built == stored
    one, other = (np.asarray(Image.open(io.BytesIO(content))) for content in (built, stored))
    return np.array_equal(one, other)


def checksums(contents: dict[str, bytes]) -> bytes:
    """The format of ``sha256sum``, sorted by name."""
    lines = (f"{hashlib.sha256(contents[name]).hexdigest()}  {name}\n" for name in sorted(contents))
    return "".join(lines).encode()


def differing(built: dict[str, bytes], folder: Path) -> list[str]:
    """Names of the stored files that do not hold what was built from the sources."""
    return [name for name, content in built.items() if not same(name, content, (folder / name).read_bytes())]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, or with ``--check`` compare them; returns the exit code."""
    parser = argparse.ArgumentParser(description="Rebuild the embedded data from the original files.")
    parser.add_argument("--idx", type=Path, required=True, help="folder with the *-ubyte.gz files")
    parser.add_argument("--out", type=Path, default=TARGET, help="default: the package's folder")
    parser.add_argument("--check", action="store_true", help="compare with the stored files, write nothing")
    options = parser.parse_args(arguments)
    built = garment_files(options.idx) | texture_files()
    if options.check:
        wrong = differing(built, options.out)
        print("\n".join(f"{name}: differs from its source" for name in wrong) or "all as in the sources")
        return int(bool(wrong))
    options.out.mkdir(parents=True, exist_ok=True)
    for name, content in (built | {"SHA256SUMS": checksums(built)}).items():
        (options.out / name).write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
