"""The pictures that ship with the package: two garments to tell apart, two textures to put behind them.

The garments are Fashion-MNIST's pullovers and coats (Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747), the
textures scikit-image's grass and gravel; sources and licences are in ``embedded/NOTICE.md``. Training and
auditing share neither a garment nor a pixel of texture: garments come from the original training and test
files, textures from the left and the right half of the picture.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from figureground.errors import IntegrityError, UsageError

Split = Literal["train", "test"]
Pixels = npt.NDArray[np.uint8]
Region = npt.NDArray[np.bool_]

GARMENTS = ("pullover", "coat")
TEXTURES = ("grass", "gravel")
SPLITS: tuple[Split, ...] = get_args(Split)
#: Side of a garment picture in pixels.
GARMENT_SIDE = 28
#: Grey values up to this are the black ground of a garment picture, and its faint noise.
GROUND_LEVEL = 8


@dataclass(frozen=True)
class Garments:
    """Garments of one split, in the order of the original file: the order says nothing about the label.

    Attributes
    ----------
    images : ndarray
        uint8, ``[N, 28, 28]``, on black.
    masks : ndarray
        bool, ``[N, 28, 28]``: brighter than :data:`GROUND_LEVEL`, holes filled.
    labels : tuple of str
        ``"pullover"`` or ``"coat"``, length ``N``.
    ids : tuple of str
        ``"test-00017"`` is number 17, counted from 0, in the original test file, whatever its class.
        Length ``N``.
    """

    images: Pixels
    masks: Region
    labels: tuple[str, ...]
    ids: tuple[str, ...]


def load_garments(split: Split) -> Garments:
    """Pullovers and coats in equal numbers: 2 x 1,000 for ``"train"``, 2 x 400 for ``"test"``.

    Raises
    ------
    UsageError
        The split is neither of the two.
    IntegrityError
        A file differs from ``SHA256SUMS``: a damaged installation.

    Examples
    --------
    >>> garments = load_garments("test")
    >>> garments.images.shape, garments.labels[0], garments.ids[0]
    ((800, 28, 28), 'pullover', 'test-00001')
    """
    _require("split", split, SPLITS)
    positions = json.loads(_verified("positions.json"))
    numbers = np.concatenate([positions[f"{split}-{name}"] for name in GARMENTS])
    labels = np.repeat(GARMENTS, [len(positions[f"{split}-{name}"]) for name in GARMENTS])
    images = np.concatenate([_tiles(_picture(f"{split}-{name}.png")) for name in GARMENTS])
    order = np.argsort(numbers)
    return Garments(
        images[order],
        garment_masks(images[order]),
        tuple(labels[order].tolist()),
        tuple(f"{split}-{number:05d}" for number in numbers[order]),
    )


def load_texture(name: str, split: Split) -> Pixels:
    """One half of a texture, uint8 ``[512, 256]``: left for ``"train"``, right for ``"test"``.

    Raises
    ------
    UsageError
        There is no such texture or split.
    IntegrityError
        The file differs from ``SHA256SUMS``: a damaged installation.

    Examples
    --------
    >>> load_texture("gravel", "train").shape
    (512, 256)
    """
    _require("texture", name, TEXTURES)
    _require("split", split, SPLITS)
    texture = _picture(f"{name}.png")
    middle = texture.shape[1] // 2
    return np.ascontiguousarray(texture[:, :middle] if split == "train" else texture[:, middle:])


def garment_masks(images: Pixels) -> Region:
    """Where the garments are: bool ``[N, H, W]`` from uint8 ``[N, H, W]`` on black, dark patches included.

    Examples
    --------
    >>> ring = np.full((1, 3, 3), 200, np.uint8)
    >>> ring[0, 1, 1] = 0
    >>> bool(garment_masks(ring).all())
    True
    """
    return np.stack([ndimage.binary_fill_holes(image > GROUND_LEVEL) for image in images])


def _tiles(sheet: Pixels) -> Pixels:
    rows, columns = (side // GARMENT_SIDE for side in sheet.shape)
    tiles = sheet.reshape(rows, GARMENT_SIDE, columns, GARMENT_SIDE).swapaxes(1, 2)
    return tiles.reshape(rows * columns, GARMENT_SIDE, GARMENT_SIDE)


def _picture(name: str) -> Pixels:
    with Image.open(io.BytesIO(_verified(name)), formats=["PNG"]) as picture:
        return np.array(picture, dtype=np.uint8)


def _folder() -> Traversable:
    return files("figureground.datasets").joinpath("embedded")


def _verified(name: str) -> bytes:
    """The file's content if its SHA-256 is the listed one: finds damage, not somebody who edits the list."""
    lines = _folder().joinpath("SHA256SUMS").read_text(encoding="ascii").splitlines()
    listed = {entry: digest for digest, entry in (line.split("  ", 1) for line in lines)}
    content = _folder().joinpath(name).read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != listed.get(name):
        raise IntegrityError(
            "EMBEDDED_CHECKSUM",
            f"figureground/datasets/embedded/{name}",
            found=f"SHA-256 {found}",
            expected=listed.get(name, "an entry in SHA256SUMS"),
            fix="reinstall figureground",
        )
    return content


def _require(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(
            "EMBEDDED_NAME", what, found=repr(value), expected=" or ".join(known), fix=f"name such a {what}"
        )
