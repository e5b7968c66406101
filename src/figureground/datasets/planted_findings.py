"""Several findings with a known answer: marks on garments, at four sites of which two print a tag into the corner.

A row is a picture of a garment (the patient, drawn several times) that may show an ``opacity``, a ``nodule``, both or
neither. ``association`` is the share of the opacities that come from a site with a tag, and of the pictures without
one that come from a site without: 0.5 plants nothing, 1 makes the tag as good as the opacity. The nodule has nothing
to do with the sites. Only a share of the rows has a mask of the garment, and one site has none; some labels are
uncertain (-1) or unknown (empty).

Everything is drawn from words of the row's own, so that :meth:`PlantedFindings.do` shows one picture with and without
the tag: the intervention that an audit tries to imitate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from figureground.datasets import cue_painters as paint
from figureground.datasets.columns import ABSENT, LABEL_PREFIX, PRESENT, UNCERTAIN
from figureground.datasets.cue_painters import Pixels, Region
from figureground.datasets.embedded_data import TEXTURES, Split, load_garments, load_texture
from figureground.errors import UsageError

SIDE, GARMENT = 64, 42
OPACITY, NODULE = "opacity", "nodule"
FINDINGS = (OPACITY, NODULE)
#: Sites with a tag in the corner, and those without; the last has no masks.
TAGGED, PLAIN = ("A", "B"), ("C", "D")
UNMASKED = "D"
_WORDS = (
    *("opacity", "nodule", "tag", "site", "mask", "unsure", "unknown", "order", "top", "left"),
    *("crop_top", "crop_left", "light", "opacity_at", "nodule_at", "batch"),
)


@dataclass(frozen=True)
class FindingScene:
    """One row before it is drawn."""

    garment: int
    identity: str
    site: str
    present: tuple[bool, bool]
    masked: bool
    labels: tuple[str, str]
    words: Mapping[str, int] = field(hash=False)

    @property
    def tagged(self) -> bool:
        """Whether the site prints its tag."""
        return self.site in TAGGED


@dataclass(frozen=True)
class PlantedFindings:
    """A multi-label data set in which a tag goes with one of two findings.

    Attributes
    ----------
    association : float
        In [0, 1], met exactly up to whole pictures.
    split : {"train", "test"}
        They share no garment.
    seed : int
    prevalence : mapping of str to float
        Share of the rows that have each of :data:`FINDINGS`, met exactly up to whole pictures.
    masked : float
        Share of the rows that have a mask.
    unsure, unknown : float
        Share of the labels of the opacity that are written as uncertain, and of the nodule that are left empty.
    garments : int or None
        Use only the first so many.
    repeats : int
        Draw every garment so often, each time as another picture of the same cluster.

    Examples
    --------
    >>> data = PlantedFindings(1.0, "test", garments=20, prevalence={"opacity": 0.5, "nodule": 0.1})
    >>> {scene.present[0]: scene.tagged for scene in data.scenes}
    {False: False, True: True}
    """

    association: float
    split: Split
    seed: int = 0
    prevalence: Mapping[str, float] = field(default_factory=lambda: {OPACITY: 0.20, NODULE: 0.02}, hash=False)
    masked: float = 0.15
    unsure: float = 0.02
    unknown: float = 0.03
    garments: int | None = None
    repeats: int = 2

    def __post_init__(self) -> None:
        shares = {
            "association": self.association,
            "masked": self.masked,
            "unsure": self.unsure,
            "unknown": self.unknown,
        }
        for name, share in {**shares, **self.prevalence}.items():
            if not 0 <= share <= 1:
                raise _bad(name, share, "a share in [0, 1]")
        if set(self.prevalence) != set(FINDINGS):
            raise _bad("prevalence", dict(self.prevalence), f"a share for each of {', '.join(FINDINGS)}")
        if self.repeats < 1 or (self.garments is not None and self.garments < 1):
            raise _bad("repeats", self.repeats, "1 or more")

    @cached_property
    def scenes(self) -> tuple[FindingScene, ...]:
        """The rows, shuffled: neither number nor file name says anything about a label."""
        return tuple(_scene(row) for row in self._drawn().sort_values("order").to_dict("records"))

    def render(self, index: int, tagged: bool | None = None) -> Pixels:
        """uint8 ``[64, 64, 3]``: row ``index`` as it is written, or with or without the tag."""
        scene = self.scenes[index]
        picture, figure = _with_garment(scene, _ground(scene, self.split), self.split)
        for name, present, draw in zip(FINDINGS, scene.present, (_cloud, _ring), strict=True):
            picture = draw(picture, *_place(figure, scene.words[f"{name}_at"])) if present else picture
        return paint.tag(picture, scene.tagged if tagged is None else tagged)

    def mask(self, index: int) -> Region:
        """bool ``[64, 64]``: where the garment is, whether or not the row is given its mask."""
        scene = self.scenes[index]
        return _with_garment(scene, _ground(scene, self.split), self.split)[1]

    def do(self, index: int) -> tuple[Pixels, Pixels]:
        """Row ``index`` without and with the tag, all else as it is."""
        return self.render(index, tagged=False), self.render(index, tagged=True)

    def manifest(self) -> pd.DataFrame:
        """The rows of ``manifest.csv``, all strings."""
        return pd.DataFrame([self._entry(index, scene) for index, scene in enumerate(self.scenes)], dtype=str)

    def write(self, out: Path) -> Path:
        """Write pictures, masks and, last, ``manifest.csv``; returns its path."""
        for folder in ("images", "masks"):
            (out / folder).mkdir(parents=True, exist_ok=True)
        rows = self.manifest()
        for index, row in enumerate(rows.to_dict("records")):
            Image.fromarray(self.render(index)).save(out / row["image"])
            if row["mask"]:
                Image.fromarray(self.mask(index).astype(np.uint8) * np.uint8(255)).save(out / row["mask"])
        rows.to_csv(out / "manifest.csv", index=False, lineterminator="\n")
        return out / "manifest.csv"

    def _entry(self, index: int, scene: FindingScene) -> dict[str, str]:
        name = f"{self.split}-{index:05d}.png"
        return {
            "image": f"images/{name}",
            "mask": f"masks/{name}" if scene.masked else "",
            **{f"{LABEL_PREFIX}{finding}": cell for finding, cell in zip(FINDINGS, scene.labels, strict=True)},
            "environment": f"site {scene.site}",
            "cluster": scene.identity,
            "split": self.split,
            "batch": f"batch {scene.words['batch'] % 4}",
        }

    def _drawn(self) -> pd.DataFrame:
        stock = _stock(self.split)
        chosen = list(range(len(stock.ids)))[: self.garments]
        rows = pd.DataFrame(
            [_words(self.seed, self.split, stock.ids[at], turn) for turn in range(self.repeats) for at in chosen]
        ).assign(garment=chosen * self.repeats, identity=[stock.ids[at] for at in chosen] * self.repeats)
        for name in FINDINGS:
            rows[f"{name}_on"] = _lowest(rows[name], self.prevalence[name])
        with_it = rows["opacity_on"]
        rows["tag_on"] = pd.concat(
            [
                _lowest(rows.loc[with_it, "tag"], self.association),
                _lowest(rows.loc[~with_it, "tag"], 1 - self.association),
            ]
        )
        rows["site_name"] = [
            (TAGGED if tag else PLAIN)[word % 2] for tag, word in zip(rows["tag_on"], rows["site"], strict=True)
        ]
        able = rows["site_name"] != UNMASKED
        rows["masked"] = _lowest(rows["mask"].where(able), self.masked) & able
        rows["unsure_on"], rows["unknown_on"] = (
            _lowest(rows["unsure"], self.unsure),
            _lowest(rows["unknown"], self.unknown),
        )
        return rows


def _lowest(words: pd.Series, share: float) -> pd.Series:
    """Whether each word is among the lowest, so many that they are this share of the rows exactly."""
    return words.rank(method="first") <= round(share * len(words))


def _scene(row: Mapping[Any, Any]) -> FindingScene:
    present = (bool(row["opacity_on"]), bool(row["nodule_on"]))
    written = [PRESENT if on else ABSENT for on in present]
    return FindingScene(
        garment=int(row["garment"]),
        identity=str(row["identity"]),
        site=str(row["site_name"]),
        present=present,
        masked=bool(row["masked"]),
        labels=(UNCERTAIN if row["unsure_on"] else written[0], "" if row["unknown_on"] else written[1]),
        words={name: int(row[name]) for name in _WORDS},
    )


def _ground(scene: FindingScene, split: Split) -> Pixels:
    """A piece of either texture, brought to the same mean and spread; no texture goes with a site."""
    words = scene.words
    texture = _texture(TEXTURES[words["light"] % 2], split)
    top, left = (
        words[name] % (side - SIDE + 1) for name, side in zip(("crop_top", "crop_left"), texture.shape, strict=True)
    )
    piece = texture[top : top + SIDE, left : left + SIDE].astype(np.float64)
    piece = (piece - piece.mean()) / max(piece.std(), 1.0) * 25 + 90
    return np.repeat(np.clip(piece, 0, 255).round().astype(np.uint8)[..., None], 3, axis=2)


def _with_garment(scene: FindingScene, ground: Pixels, split: Split) -> tuple[Pixels, Region]:
    grey, figure = _garment(split, scene.garment)
    top, left = (scene.words[name] % (SIDE - GARMENT + 1) for name in ("top", "left"))
    picture, mask = ground.copy(), np.zeros((SIDE, SIDE), dtype=np.bool_)
    mask[top : top + GARMENT, left : left + GARMENT] = figure
    # Darkened, so that a bright mark stands out on every garment.
    picture[mask] = (grey[figure][:, None] * 0.6).round().astype(np.uint8)
    return picture, mask


def _place(figure: Region, word: int) -> tuple[int, int]:
    """Row and column of a pixel well inside the figure, as the word chooses."""
    inner = figure.copy()
    for shift in (-4, 4):
        inner &= np.roll(figure, shift, axis=0) & np.roll(figure, shift, axis=1)
    places = np.argwhere(inner if inner.any() else figure)
    row, column = places[word % len(places)]
    return int(row), int(column)


def _distance(row: int, column: int) -> npt.NDArray[np.float64]:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return np.asarray(np.hypot(rows - row, columns - column))


def _cloud(picture: Pixels, row: int, column: int) -> Pixels:
    """A soft bright spot."""
    glow = 110 * np.exp(-0.5 * (_distance(row, column) / 3.5) ** 2)
    return np.asarray(np.clip(picture + glow[..., None], 0, 255).round(), dtype=np.uint8)


def _ring(picture: Pixels, row: int, column: int) -> Pixels:
    """A dark dot in a bright ring."""
    distance, drawn = _distance(row, column), picture.copy()
    drawn[distance <= 4.5] = 235
    drawn[distance <= 2.5] = 10
    return drawn


_texture, _stock = cache(load_texture), cache(load_garments)


@cache
def _garment(split: Split, number: int) -> tuple[Pixels, Region]:
    stock, size = _stock(split), (GARMENT, GARMENT)
    grey = Image.fromarray(stock.images[number]).resize(size, Image.Resampling.BILINEAR)
    figure = Image.fromarray(stock.masks[number].astype(np.uint8)).resize(size, Image.Resampling.NEAREST)
    return np.array(grey), np.array(figure).astype(bool)


def _words(seed: int, split: Split, garment: str, turn: int) -> dict[str, int]:
    sequence = np.random.SeedSequence([seed, 0xF1, int(split == "test"), turn, int(garment.rsplit("-", 1)[1])])
    words = sequence.generate_state(len(_WORDS), np.uint64) >> np.uint64(1)
    return dict(zip(_WORDS, words.tolist(), strict=True))


def _bad(name: str, found: object, expected: str) -> UsageError:
    return UsageError("PLANTED", name, found=repr(found), expected=expected, fix=f"choose another {name}")
