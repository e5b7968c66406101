"""Pictures of the rows that the judge chose: read, explained or composed a second time, encoded once.

An asset is a WebP file named by its own hash; whoever renders later copies bytes and never encodes again.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import default_collate

from figureground.audit.classify.subject import Subject
from figureground.audit.declared.config import CASES
from figureground.audit.declared.cues import BACKGROUND
from figureground.audit.declared.task import Task, named
from figureground.audit.explain.explanation import Explainer
from figureground.audit.keeping.run_folder import RunFolder
from figureground.audit.measure.masked_maps import MaskedMaps, ObjectMasks
from figureground.audit.measure.suite import TupleDataset, tuples_of
from figureground.audit.measure.transfers.registry import transfer_for
from figureground.audit.methods.reported import first_signs
from figureground.datasets.columns import OBJECT
from figureground.datasets.datamodule import Row, RowReader

#: Longer side of an encoded picture at most, in pixels: of a few, and of so many that a page would grow too large.
MAX_SIDE, SMALL_SIDE = 224, 160
#: Tiles up to which they are few: twelve of each rule, where nobody asks for more.
FEW = 2 * CASES


@dataclass(frozen=True)
class Painter:
    """Draws gallery rows.

    Attributes
    ----------
    subject : Subject
    explainer : Explainer
    reader : RowReader
    rows : mapping of int to Row
        Usable rows by ``row_id``.
    folder : RunFolder
    seed : int
        Of the run, so that composites are made as they were measured.
    finding : str or None
        Multi-label data: the finding that the pictures are about.
    """

    subject: Subject = field(repr=False)
    explainer: Explainer = field(repr=False)
    reader: RowReader = field(repr=False)
    rows: Mapping[int, Row] = field(repr=False)
    folder: RunFolder = field(repr=False)
    seed: int = 0
    finding: str | None = None

    def tiles(self, chosen: pd.DataFrame) -> Iterator[dict[str, Any]]:
        """Rows of ``gallery`` for chosen ``row_id``, ``rule``, ``rank``: the picture and its two maps."""
        side = MAX_SIDE if len(chosen) <= FEW else SMALL_SIDE
        for row in _rows(chosen):
            item = self.reader(self.rows[int(row.row_id)])
            image, mask = item["image"][None], item["mask"][None].numpy()
            explained = self.explainer(self.subject.module, self.subject.preprocess.normalize(image), self._target())
            keys = self._keys(row, item, explained.logits[0])
            yield keys | {"panel": "original", "asset": self._store(picture(image[0]), side)}
            masks = ObjectMasks.of(mask)
            if "soft" in item:
                masks = masks.softened(item["soft"][None].numpy())
            for method, sign in first_signs(explained.maps):
                heat = explained.maps[method, sign].numpy()
                found = MaskedMaps.of(heat, masks).background_share
                share = float(found[0]) if bool(item["has_mask"]) and heat.any() else None
                tile = overlay(image[0], heat[0], mask[0] == OBJECT)
                yield keys | {"panel": method, "background_share": share, "asset": self._store(tile, side)}

    def swaps(
        self, chosen: pd.DataFrame, plan: pd.DataFrame, levels: tuple[str, ...], *, masks: bool = True
    ) -> Iterator[dict[str, Any]]:
        """Rows of ``gallery`` for chosen ``row_id``, ``pass``, ``other_level``: unchanged, own level, other level.

        ``cue`` and ``part`` say what is exchanged: the background where the columns are missing.
        """
        dataset = TupleDataset(plan.reset_index(drop=True), self.rows, self.reader, levels, masks)
        chosen = chosen.assign(**{"cue": BACKGROUND, "part": None, **{str(name): chosen[name] for name in chosen}})
        at = {key: index for index, key in enumerate(zip(plan["row_id"], plan["pass"], strict=True))}
        for row in _rows(chosen):
            drawn = dataset[at[row.row_id, row.number]]
            item = self.reader(self.rows[int(row.row_id)])
            own = levels[int(drawn["own_level"])]
            yield self._exchanged(row, item, item["image"]) | {
                "panel": "original",
                "caption_level": own,
                "asset": self._store(picture(item["image"])),
            }
            for panel, level in (("own_level", own), ("other_level", str(row.other_level))):
                yield self._composite(row, item, drawn, panel, level, levels.index(level))

    def _composite(
        self, row: Any, item: Mapping[str, Any], drawn: Mapping[str, Any], panel: str, level: str, arm: int
    ) -> dict[str, Any]:
        height, width = item["image"].shape[-2:]
        transfer = transfer_for(row.cue, height=height, width=width)
        part = None if pd.isna(row.part) else row.part
        image = transfer.swap(tuples_of(default_collate([drawn]), self.seed), arm, part).images[0]
        return self._exchanged(row, item, image) | {
            "panel": panel,
            "caption_level": level,
            "donor_row_id": int(drawn["donor_ids"][arm]),
            "asset": self._store(picture(image)),
        }

    def _exchanged(self, row: Any, item: Mapping[str, Any], image: Tensor) -> dict[str, Any]:
        return self._keys(row, item, self._logits(image)) | {"cue": row.cue, "finding": self.finding}

    def _logits(self, image: Tensor) -> Tensor:
        with torch.no_grad():
            logits: Tensor = self.subject.module(self.subject.preprocess.normalize(image[None]))
        return logits[0]

    def _target(self) -> Tensor | None:
        """What the maps explain: the finding's own logit, or whatever is predicted."""
        return None if self.finding is None else torch.tensor([self.subject.classes.index(self.finding)])

    def _keys(self, row: Any, item: Mapping[str, Any], logits: Tensor) -> dict[str, Any]:
        predicted, probability = answer(logits, self.subject.task, self.finding)
        cut = self.subject.cut
        return {
            "row_id": int(row.row_id),
            "rule": row.rule,
            "rank": int(row.rank),
            "predicted": predicted,
            "probability": probability if cut is None else None,
            "number": None if cut is None else float(logits[1].double() - logits[0].double()) + cut,
            "label": self._label(item["label"]),
        }

    def _label(self, label: Tensor) -> str:
        if self.finding is None:
            return self.subject.classes[int(label)]
        return named(self.finding, bool(label[self.subject.classes.index(self.finding)] == 1))

    def _store(self, image: Image.Image, side: int = MAX_SIDE) -> str:
        stream = io.BytesIO()
        image.thumbnail((side, side))
        image.save(stream, "WEBP", lossless=max(image.size) <= 128, quality=85, method=6)
        digest = hashlib.sha256(stream.getvalue()).hexdigest()
        if not (self.folder.path / "assets" / f"{digest}.webp").exists():
            self.folder.write_bytes(f"assets/{digest}.webp", stream.getvalue())
        return digest


def answer(logits: Tensor, task: Task, finding: str | None = None) -> tuple[str, float]:
    """The answer in words and its probability, from logits ``[K]``; at the operating threshold where there is one."""
    precise = logits.detach().double()
    if finding is not None:
        z = precise[task.classes.index(finding)]
        called = bool(z >= task.offset(finding))
        return named(finding, called), float((z if called else -z).sigmoid())
    probability = precise.softmax(0)
    best = int(probability.argmax())
    if task.findings and (offset := task.offset(task.classes[1])) != 0:
        best = int(precise[1] - precise[0] >= offset)
    if task.scalar:
        best = int(precise[1] >= precise[0])
    return task.classes[best], float(probability[best])


def _rows(chosen: pd.DataFrame) -> Iterator[Any]:
    # `pass` is a keyword of Python, and so no name of an attribute.
    yield from chosen.rename(columns={"pass": "number"}).itertuples(index=False)


def picture(image: Tensor) -> Image.Image:
    """8-bit RGB picture from float ``[C, H, W]`` in [0, 1]."""
    pixels = (image.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)).convert("RGB")


def overlay(image: Tensor, heat: npt.NDArray[np.float32], figure: npt.NDArray[np.bool_]) -> Image.Image:
    """Map in cividis over the grey picture, the object's outline in white; small pictures enlarged by whole factors.

    Parameters
    ----------
    image : Tensor
        float ``[C, H, W]`` in [0, 1].
    heat : ndarray
        float ``[H, W]``, non-negative; scaled by its maximum, so that tiles show places, not amounts.
    figure : ndarray
        bool ``[H, W]``.
    """
    factor = max(1, MAX_SIDE // max(heat.shape))
    strength = heat / heat.max() if heat.max() > 0 else heat
    colour = matplotlib.colormaps["cividis"](strength)[..., :3]
    grey = np.asarray(picture(image).convert("L"), dtype=np.float64)[..., None] / 255
    blended = 0.45 * grey + 0.55 * colour
    large = np.kron(blended, np.ones((factor, factor, 1)))
    large[outline(np.kron(figure, np.ones((factor, factor), dtype=bool)))] = 1.0
    return Image.fromarray((large * 255).round().astype(np.uint8))


def outline(figure: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Pixels of the figure that touch the ground to the left, right, above or below; bool ``[H, W]``."""
    padded = np.pad(figure, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.asarray(figure & ~inner)
