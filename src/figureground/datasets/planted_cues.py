"""Data with a known answer for every cue: garments on neutral grounds, and one thing that goes with the label.

``association`` is the share of a label's pictures that have the cue's level of that label: 0.5 plants nothing, 1 makes
the cue as good as the label. Everything else (garment, place, ground, colours, light) is drawn from words of the row's
own and does not depend on the cue, so that :meth:`PlantedCue.do` can show one scene under every level: the
intervention that an audit tries to imitate.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from figureground.datasets import cue_painters as paint
from figureground.datasets.cue_painters import MARK, Pixels, Region
from figureground.datasets.embedded_data import GARMENTS, TEXTURES, Split, load_garments, load_texture
from figureground.errors import UsageError

SIDE = 64
#: What an audit must name, by family.
NAMED: Mapping[str, tuple[str, ...]] = {
    "background_texture": ("background",),
    "background_colour": ("background",),
    "corner_tag": ("corner_top_left",),
    "marker": ("region:marker",),
    "border": ("border",),
    "tint": ("tint",),
    "blur": ("sharpness",),
    "jpeg": ("compression",),
    "object_size": ("object_size",),
    "object_position": ("object_position",),
    "logo": ("object_patch",),
    "one_site": ("corner_top_left",),
    "two_cues": ("corner_bottom_right", "border"),
}
FAMILIES = tuple(NAMED)
#: Names of the two levels of a cue; the first goes with the first label.
LEVELS = ("plain", "marked")
SITES = ("A", "B", "C")
_SIZES = {False: 30, True: 50}
_PLACES = {False: 2, True: SIDE - 42 - 2}
_WORDS = (
    "cue",
    "second",
    "site",
    "top",
    "left",
    "ground",
    "crop_top",
    "crop_left",
    "hue",
    "light",
    "batch",
    "mark",
    "order",
)


@dataclass(frozen=True)
class CueScene:
    """One row before it is drawn; ``marked`` has the level of each planted cue."""

    label: str
    garment: int
    identity: str
    site: str
    marked: tuple[bool, ...]
    words: Mapping[str, int]


@dataclass(frozen=True)
class PlantedCue:
    """A data set in which one cue goes with the label.

    Attributes
    ----------
    family : str
        One of :data:`FAMILIES`.
    association : float
        In [0, 1], met exactly up to whole pictures. In ``one_site`` it holds at site B alone; elsewhere nothing is
        marked. In ``two_cues`` a marked row has one of the two marks, each as often.
    split : {"train", "test"}
        They share no garment.
    seed : int
    per_label : int or None
        Use only the first so many garments of each label.
    repeats : int
        Draw every garment so often, each time as another scene.

    Examples
    --------
    >>> data = PlantedCue("corner_tag", 1.0, "test", per_label=5)
    >>> {scene.label: scene.marked for scene in data.scenes}
    {'coat': (False,), 'pullover': (True,)}
    """

    family: str
    association: float
    split: Split
    seed: int = 0
    per_label: int | None = None
    repeats: int = 1

    def __post_init__(self) -> None:
        if self.family not in NAMED:
            raise _bad("family", self.family, ", ".join(FAMILIES))
        if not 0 <= self.association <= 1:
            raise _bad("association", self.association, "a share in [0, 1]")
        if self.repeats < 1 or (self.per_label is not None and self.per_label < 1):
            raise _bad("repeats", self.repeats, "1 or more")

    @property
    def named(self) -> tuple[str, ...]:
        """The cues that an audit must name."""
        return NAMED[self.family]

    @cached_property
    def scenes(self) -> tuple[CueScene, ...]:
        """The rows, shuffled: neither number nor file name says anything about a label."""
        drawn = pd.concat([self._draw(label) for label in GARMENTS], ignore_index=True).sort_values("order")
        return tuple(self._scene(row) for row in drawn.to_dict("records"))

    def render(self, index: int, marked: tuple[bool, ...] | None = None) -> Pixels:
        """uint8 ``[64, 64, 3]``: row ``index`` as it is written, or with other levels of its cues."""
        return self._picture(index, self.scenes[index].marked if marked is None else marked)[0]

    def mask(self, index: int, marked: tuple[bool, ...] | None = None) -> Region:
        """bool ``[64, 64]``: where the object is."""
        return self._picture(index, self.scenes[index].marked if marked is None else marked)[1]

    def region(self, index: int) -> Region:
        """bool ``[64, 64]``: where the marker is; empty where there is none."""
        found = np.zeros((SIDE, SIDE), dtype=bool)
        if self.family == "marker" and self.scenes[index].marked[0]:
            top, left = self._free_place(index)
            found[top : top + MARK, left : left + MARK] = True
        return found

    def do(self, index: int, cue: int = 0) -> tuple[Pixels, Pixels]:
        """Row ``index`` without and with one of its cues, all else as it is."""
        own = self.scenes[index].marked
        plain, marked = ((*own[:cue], on, *own[cue + 1 :]) for on in (False, True))
        return self.render(index, plain), self.render(index, marked)

    def manifest(self) -> pd.DataFrame:
        """The rows of ``manifest.csv``, all strings."""
        rows = [self._entry(index, scene) for index, scene in enumerate(self.scenes)]
        return pd.DataFrame(rows, dtype=str)

    def write(self, out: Path) -> Path:
        """Write pictures, masks, regions and, last, ``manifest.csv``; returns its path."""
        for folder in ("images", "masks", "regions"):
            (out / folder).mkdir(parents=True, exist_ok=True)
        rows = self.manifest()
        for index, row in enumerate(rows.to_dict("records")):
            picture, mask = self._picture(index, self.scenes[index].marked)
            Image.fromarray(picture).save(out / row["image"])
            _save_mask(mask, out / row["mask"])
            if "region:marker" in row:
                _save_mask(self.region(index), out / row["region:marker"])
        rows.to_csv(out / "manifest.csv", index=False, lineterminator="\n")
        return out / "manifest.csv"

    def _entry(self, index: int, scene: CueScene) -> dict[str, str]:
        name = f"{self.split}-{index:05d}.png"
        levels = "+".join(LEVELS[on] for on in scene.marked)
        entry = {
            "image": f"images/{name}",
            "mask": f"masks/{name}",
            "label": scene.label,
            "environment": f"site {scene.site}" if self.family == "one_site" else levels,
            "cluster": scene.identity,
            "split": self.split,
            "site": scene.site,
            "batch": f"batch {scene.words['batch'] % 4}",
        }
        return entry | ({"region:marker": f"regions/{name}"} if self.family == "marker" else {})

    def _draw(self, label: str) -> pd.DataFrame:
        stock = _stock(self.split)
        chosen = [at for at, name in enumerate(stock.labels) if name == label][: self.per_label]
        rows = pd.DataFrame(
            [_words(self.seed, self.split, stock.ids[at], turn) for turn in range(self.repeats) for at in chosen]
        ).assign(garment=chosen * self.repeats, label=label)
        rows["at_b"] = rows["site"].rank(method="first") <= round(0.3 * len(rows))
        marked_label = label == GARMENTS[0]
        within = rows["at_b"] if self.family == "one_site" else pd.Series(True, index=rows.index)
        rank = rows.loc[within, "cue"].rank(method="first")
        agrees = rank <= round(self.association * int(within.sum()))
        on = pd.Series(False, index=rows.index)
        on.loc[within] = agrees if marked_label else ~agrees
        # Of two cues every row has one at most: a model that knows only one of them misses half of the marked rows.
        turn = (
            rows["second"].rank(method="first") % 2 == 1
            if self.family == "two_cues"
            else pd.Series(True, index=on.index)
        )
        return rows.assign(cue_on=on & turn, second_on=on & ~turn)

    def _scene(self, row: Mapping[Hashable, object]) -> CueScene:
        values = {str(name): value for name, value in row.items()}
        words = {name: int(str(values[name])) for name in _WORDS}
        garment = int(str(values["garment"]))
        site = "B" if values["at_b"] else ("A", "C")[words["site"] % 2]
        both = (bool(values["cue_on"]), bool(values["second_on"]))
        identity = _stock(self.split).ids[garment]
        return CueScene(str(values["label"]), garment, identity, site, both[: len(self.named)], words)

    def _picture(self, index: int, marked: tuple[bool, ...]) -> tuple[Pixels, Region]:
        scene, on = self.scenes[index], marked[0]
        ground = self._ground(scene, on)
        picture, mask = self._with_garment(scene, ground, on)
        return self._painted(index, picture, mask, marked), mask

    def _ground(self, scene: CueScene, on: bool) -> Pixels:
        words = scene.words
        which = on if self.family == "background_texture" else bool(words["ground"] % 2)
        texture = _texture(TEXTURES[which], self.split)
        top, left = (
            words[name] % (side - SIDE + 1) for name, side in zip(("crop_top", "crop_left"), texture.shape, strict=True)
        )
        piece = texture[top : top + SIDE, left : left + SIDE].astype(np.float64)
        # The same mean and spread for both textures: what is left to tell them apart is texture.
        level = 110 + 40 * _unit(words["light"])
        piece = (piece - piece.mean()) / max(piece.std(), 1.0) * 30 + level
        return np.repeat(np.clip(piece, 0, 255).round().astype(np.uint8)[..., None], 3, axis=2)

    def _with_garment(self, scene: CueScene, ground: Pixels, on: bool) -> tuple[Pixels, Region]:
        words, size = scene.words, _SIZES[on] if self.family == "object_size" else 42
        grey, figure = _garment(self.split, scene.garment, size)
        room = SIDE - size + 1
        top, left = words["top"] % room, words["left"] % room
        if self.family == "object_position":
            left = _PLACES[on]
        mask = np.zeros((SIDE, SIDE), dtype=bool)
        mask[top : top + size, left : left + size] = figure
        # A mild colour of the row's own, so that colour as such says nothing.
        angle = 2 * np.pi * _unit(words["hue"])
        gains = 1 + 0.08 * np.cos(angle + np.array([0, 2, 4]) * np.pi / 3)
        coloured = np.clip(grey[..., None] * gains, 0, 255).round().astype(np.uint8)
        picture = ground.copy()
        picture[top : top + size, left : left + size][figure] = coloured[figure]
        return picture, mask

    def _painted(self, index: int, picture: Pixels, mask: Region, marked: tuple[bool, ...]) -> Pixels:
        on = marked[0]
        match self.family:
            case "background_colour":
                return paint.tint(picture, on, ~mask)
            case "corner_tag" | "one_site":
                return paint.tag(picture, on)
            case "marker":
                return paint.mark(picture, on, *self._free_place(index))
            case "border":
                return paint.frame(picture, on)
            case "tint":
                return paint.tint(picture, on)
            case "blur":
                return paint.blur(picture, on)
            case "jpeg":
                return paint.jpeg(picture, on)
            case "logo":
                return paint.logo(picture, on, mask)
            case "two_cues":
                return paint.frame(paint.tag(picture, on, bottom=True), marked[1])
        return picture  # texture, size and position were given before

    def _free_place(self, index: int) -> tuple[int, int]:
        """Upper left corner of a box that touches neither the object nor the edges, as the row's word chooses."""
        scene = self.scenes[index]
        _, figure = _garment(self.split, scene.garment, 42)
        top, left = scene.words["top"] % (SIDE - 42 + 1), scene.words["left"] % (SIDE - 42 + 1)
        mask = np.zeros((SIDE, SIDE), dtype=np.int64)
        mask[top : top + 42, left : left + 42] = figure
        sums = np.lib.stride_tricks.sliding_window_view(mask[2:-2, 2:-2], (MARK, MARK)).sum(axis=(2, 3))
        places = np.argwhere(sums == sums.min())
        row, column = places[scene.words["mark"] % len(places)]
        return int(row) + 2, int(column) + 2


_texture, _stock = cache(load_texture), cache(load_garments)


def _garment(split: Split, number: int, size: int) -> tuple[Pixels, Region]:
    stock = _stock(split)
    grey = Image.fromarray(stock.images[number]).resize((size, size), Image.Resampling.BILINEAR)
    figure = Image.fromarray(stock.masks[number].astype(np.uint8)).resize((size, size), Image.Resampling.NEAREST)
    return np.array(grey), np.array(figure).astype(bool)


def _words(seed: int, split: Split, garment: str, turn: int) -> dict[str, int]:
    sequence = np.random.SeedSequence([seed, 0xC7, int(split == "test"), turn, int(garment.rsplit("-", 1)[1])])
    words = sequence.generate_state(len(_WORDS), np.uint64) >> np.uint64(1)
    return dict(zip(_WORDS, words.tolist(), strict=True))


def _unit(word: int) -> float:
    """In [0, 1)."""
    return (word % 2**32) / 2**32


def _save_mask(mask: Region, path: Path) -> None:
    Image.fromarray(mask.astype(np.uint8) * np.uint8(255)).save(path)


def _bad(field: str, found: object, expected: str) -> UsageError:
    return UsageError("PLANTED", field, found=repr(found), expected=expected, fix=f"choose another {field}")
