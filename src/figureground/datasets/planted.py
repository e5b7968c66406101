"""Data with a known answer: garments on textures, with a planted association between label and background.

``Planted(association=0.95, split="train").write(folder)`` writes ordinary pictures, masks and a manifest, so
that the known answer takes the same way into the audit as anybody's data. The association is the probability
that a picture has the background that goes with its label: 0.5 is balanced, 1 makes the background as good as
the label.

The random words of a row depend on ``(seed, split, number of the garment in its original file)`` and on
nothing else. So rows do not depend on order, the same garment has the same place and the same piece of either
texture at every association, and one picture can be shown on both backgrounds (:meth:`Planted.pair`): the
intervention do(background).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from figureground.datasets.embedded_data import (
    GARMENTS,
    SPLITS,
    TEXTURES,
    Pixels,
    Region,
    Split,
    load_garments,
    load_texture,
)
from figureground.errors import UsageError

#: Garments are enlarged from 28 to this many pixels.
GARMENT_PIXELS = 42
#: Width of the half of a texture that a split has.
TEXTURE_WIDTH = 256
#: Texture pixels per pixel of the picture: 64 pixels then show several stones, and blades that one can see.
TEXTURE_ZOOM = 1.5
#: Labels and the backgrounds that go with them.
PAIRING = {"pullover": "grass", "coat": "gravel"}
LIGHTINGS = ("bright", "dim")
_PAIRINGS = [sorted(zip(GARMENTS, textures, strict=True)) for textures in permutations(TEXTURES)]


@dataclass(frozen=True)
class Crop:
    """A piece of a texture: upper left corner in pixels, then turned over or not."""

    top: int
    left: int
    flip_rows: bool
    flip_columns: bool

    def cut(self, texture: Pixels, size: int) -> Pixels:
        """uint8 ``[size, size]`` from uint8 ``[H, W]``."""
        piece = texture[self.top : self.top + size, self.left : self.left + size]
        return piece[:: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]


@dataclass(frozen=True)
class Scene:
    """One picture before it is drawn.

    Attributes
    ----------
    label, background, lighting : str
        What is shown, on which texture, ``"bright"`` or ``"dim"``.
    cluster : str
        Identity of the garment in the original file: ``ids`` of
        :class:`~figureground.datasets.embedded_data.Garments`.
    garment : int
        Its position among the garments of the split.
    top, left : int
        Where it is pasted, in pixels.
    crops : Mapping of str to Crop
        The piece of *each* texture that this scene has, or would have.
    """

    label: str
    background: str
    lighting: str
    cluster: str
    garment: int
    top: int
    left: int
    crops: Mapping[str, Crop] = field(hash=False)


def place(mask: Region, size: int, top: int, left: int) -> Region:
    """bool ``[size, size]``: the mask, bool ``[H, W]``, with its upper left corner at ``(top, left)``.

    Examples
    --------
    >>> place(np.ones((1, 1), bool), 2, 0, 1).tolist()
    [[False, True], [False, False]]
    """
    canvas = np.zeros((size, size), dtype=np.bool_)
    canvas[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    return canvas


def compose(garment: Pixels, mask: Region, background: Pixels, top: int, left: int, gain: float = 1.0) -> Pixels:
    """Paste a garment on a background. No pixel is blended, so the placed mask is exact.

    Parameters
    ----------
    garment : ndarray
        uint8, ``[h, w]``.
    mask : ndarray
        bool, ``[h, w]``: the pixels of the garment that are pasted.
    background : ndarray
        uint8, ``[H, W]``; not changed.
    top, left : int
        Place of the garment's upper left corner, in pixels.
    gain : float
        Factor on the whole picture, in (0, 1]; grey values are rounded to the nearest, halves to even.

    Returns
    -------
    ndarray
        uint8, ``[H, W]``.

    Examples
    --------
    >>> ground = np.full((2, 2), 100, np.uint8)
    >>> compose(np.array([[10]], np.uint8), np.array([[True]]), ground, 0, 1, gain=0.5).tolist()
    [[50, 5], [50, 50]]
    """
    picture = background.copy()
    window = picture[top : top + mask.shape[0], left : left + mask.shape[1]]
    window[mask] = garment[mask]
    lit: Pixels = np.rint(picture * gain).astype(np.uint8)
    return lit


@dataclass(frozen=True)
class Planted:
    """A data set with a planted association between label and background.

    Attributes
    ----------
    association : float
        Share of each label's pictures that have the background that goes with the label, in [0, 1]. It is
        met exactly, up to rounding to whole pictures.
    split : str
        ``"train"`` (1,000 garments of each label) or ``"test"`` (400); they share no garment and no pixel of
        texture.
    seed : int
        Not negative.
    size : int
        Side of the pictures in pixels, 42 to 170.
    per_label : int or None
        Use only the first so many garments of each label, in the order of the original file.
    backgrounds : Mapping of str to str
        Which background goes with which label.
    dim : float
        Gain of the dim half of the pictures, in (0, 1]. Lighting is balanced within each label and
        background: an attribute that means nothing, to have a subgroup to report on.

    Raises
    ------
    UsageError
        A value is out of its range.

    Examples
    --------
    >>> data = Planted(association=0.9, split="test", per_label=10)
    >>> sum(scene.background == "gravel" for scene in data.scenes if scene.label == "coat")
    9
    >>> [picture.shape for picture in data.pair(0)]
    [(64, 64), (64, 64)]
    """

    association: float
    split: Split
    seed: int = 0
    size: int = 64
    per_label: int | None = None
    backgrounds: Mapping[str, str] = field(default_factory=lambda: dict(PAIRING), hash=False)
    dim: float = 0.7

    def __post_init__(self) -> None:
        few = self.per_label is not None and self.per_label < 1
        small, large = GARMENT_PIXELS, int(TEXTURE_WIDTH / TEXTURE_ZOOM)
        _require(0 <= self.association <= 1, "association", self.association, "a share in [0, 1]")
        _require(self.split in SPLITS, "split", self.split, " or ".join(SPLITS))
        _require(self.seed >= 0, "seed", self.seed, "0 or more")
        _require(small <= self.size <= large, "size", self.size, f"{small} to {large} pixels")
        _require(not few, "per_label", self.per_label, "1 or more, or None")
        _require(0 < self.dim <= 1, "dim", self.dim, "a gain in (0, 1]")
        _require(
            sorted(self.backgrounds.items()) in _PAIRINGS,
            "backgrounds",
            dict(self.backgrounds),
            f"one of {TEXTURES} for each of {GARMENTS}",
        )

    @cached_property
    def scenes(self) -> tuple[Scene, ...]:
        """The rows, shuffled: neither a row's number nor its file name says anything about its label."""
        drawn = pd.concat([self._draw(label) for label in GARMENTS]).sort_values("place_in_file")
        return tuple(self._scene(row) for row in drawn.to_dict("records"))

    def render(self, index: int, background: str | None = None) -> Pixels:
        """uint8 ``[size, size]``: row ``index`` as it is written, or with its background set to another."""
        scene = self.scenes[index]
        stock, ground = _stock(self.split), scene.background if background is None else background
        _require(ground in TEXTURES, "background", ground, " or ".join(TEXTURES))
        return compose(
            stock.garments[scene.garment],
            stock.masks[scene.garment],
            scene.crops[ground].cut(stock.textures[ground], self.size),
            scene.top,
            scene.left,
            self.dim if scene.lighting == "dim" else 1.0,
        )

    def mask(self, index: int) -> Region:
        """bool ``[size, size]``: where row ``index`` shows its garment."""
        scene = self.scenes[index]
        return place(_stock(self.split).masks[scene.garment], self.size, scene.top, scene.left)

    def pair(self, index: int) -> tuple[Pixels, Pixels]:
        """Row ``index`` on grass and on gravel, all else equal: the truth about do(background)."""
        return self.render(index, "grass"), self.render(index, "gravel")

    def manifest(self) -> pd.DataFrame:
        """The rows of ``manifest.csv``, all strings; paths are relative to its folder."""
        return pd.DataFrame([self._entry(index, scene) for index, scene in enumerate(self.scenes)], dtype=str)

    def write(self, out: Path) -> Path:
        """Write ``images/*.png``, ``masks/*.png`` (0 or 255) and, last, ``manifest.csv``; returns its path.

        Raises
        ------
        UsageError
            The folder already holds a manifest; nothing was written.
        """
        target = out / "manifest.csv"
        _require(not target.exists(), "out", str(target), "a folder without a manifest")
        for folder in ("images", "masks"):
            (out / folder).mkdir(parents=True, exist_ok=True)
        rows = self.manifest()
        for index, (image, mask) in enumerate(zip(rows["image"], rows["mask"], strict=True)):
            Image.fromarray(self.render(index)).save(out / image)
            Image.fromarray(self.mask(index).astype(np.uint8) * np.uint8(255)).save(out / mask)
        rows.to_csv(target, index=False, lineterminator="\n")
        return target

    def _entry(self, index: int, scene: Scene) -> dict[str, str]:
        name = f"{self.split}-{index:04d}.png"
        return {
            "image": f"images/{name}",
            "mask": f"masks/{name}",
            "label": scene.label,
            "environment": scene.background,
            "cluster": scene.cluster,
            "split": self.split,
            "object": scene.label,
            "background": scene.background,
            "lighting": scene.lighting,
        }

    def _draw(self, label: str) -> pd.DataFrame:
        """One row of random words per garment of a label, and the two balanced choices made from them."""
        stock = _stock(self.split)
        chosen = [number for number, name in enumerate(stock.labels) if name == label][: self.per_label]
        words = [_words(self.seed, self.split, stock.ids[number]) for number in chosen]
        rows = pd.DataFrame(words).assign(garment=chosen)
        # Ranks of random words are a permutation, and unlike Generator.permutation the same in every NumPy.
        rows["paired"] = rows["background"].rank(method="first") <= round(self.association * len(rows))
        rows = rows.sort_values(["paired", "lighting"])
        # Every second row is dim: half of the label exactly, half of each background up to one picture.
        rows["dim"] = np.arange(len(rows)) % 2 == 1
        return rows

    def _scene(self, row: Mapping[Hashable, int]) -> Scene:
        stock, room = _stock(self.split), self.size - GARMENT_PIXELS + 1
        label = stock.labels[row["garment"]]
        with_label = self.backgrounds[label]
        return Scene(
            label=label,
            background=with_label if row["paired"] else next(name for name in TEXTURES if name != with_label),
            lighting=LIGHTINGS[row["dim"]],
            cluster=stock.ids[row["garment"]],
            garment=row["garment"],
            top=row["top"] % room,
            left=row["left"] % room,
            crops={name: self._crop(name, stock.textures[name], row) for name in TEXTURES},
        )

    def _crop(self, name: str, texture: Pixels, row: Mapping[Hashable, int]) -> Crop:
        rows, columns = (side - self.size + 1 for side in texture.shape)
        top, left, flips = (row[f"{name}_{draw}"] for draw in ("top", "left", "flips"))
        return Crop(top % rows, left % columns, flip_rows=bool(flips & 1), flip_columns=bool(flips & 2))


@dataclass(frozen=True)
class _Stock:
    """Garments ``[N, 42, 42]`` with masks, and textures, at the scale of the pictures."""

    garments: Pixels
    masks: Region
    labels: tuple[str, ...]
    ids: tuple[str, ...]
    textures: Mapping[str, Pixels]


@cache
def _stock(split: Split) -> _Stock:
    source, side = load_garments(split), (GARMENT_PIXELS, GARMENT_PIXELS)
    masks = _resized(source.masks.astype(np.uint8), side, Image.Resampling.NEAREST).astype(np.bool_)
    textures = {name: _shrunk(load_texture(name, split)) for name in TEXTURES}
    return _Stock(_resized(source.images, side, Image.Resampling.BILINEAR), masks, source.labels, source.ids, textures)


def _shrunk(texture: Pixels) -> Pixels:
    height, width = (int(side / TEXTURE_ZOOM) for side in texture.shape)
    return _resized([texture], (width, height), Image.Resampling.LANCZOS).squeeze(0)


def _resized(pictures: Iterable[Pixels], side: tuple[int, int], resampling: Image.Resampling) -> Pixels:
    return np.stack([np.asarray(Image.fromarray(picture).resize(side, resampling)) for picture in pictures])


_WORDS = (
    "background", "lighting", "place_in_file", "top", "left",
    *(f"{texture}_{draw}" for texture in TEXTURES for draw in ("top", "left", "flips")),
)  # fmt: skip


def _words(seed: int, split: Split, garment: str) -> dict[str, int]:
    """Named 64-bit random words of one row."""
    sequence = np.random.SeedSequence([seed, SPLITS.index(split), int(garment.rsplit("-", 1)[1])])
    words = sequence.generate_state(len(_WORDS), np.uint64) >> np.uint64(1)  # 63 bits fit a signed column
    return dict(zip(_WORDS, words.tolist(), strict=True))


def _require(holds: bool, field_name: str, found: object, expected: str) -> None:
    if not holds:
        raise UsageError(
            "PLANTED", field_name, found=repr(found), expected=expected, fix=f"choose another {field_name}"
        )
