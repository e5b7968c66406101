"""One batch of maps and masks to rows of the ``attributions`` table: every measure, or why it is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from figureground.audit.keeping.tables import ATTRIBUTIONS
from figureground.audit.measure.masked_maps import (
    BoolArray,
    FloatArray,
    MaskedMaps,
    ObjectMasks,
    Shape,
    ratio,
)
from figureground.audit.measure.places import Place, places
from figureground.datasets.columns import MASK_ABSENT, NO_OBJECT
from figureground.errors import UsageError

#: Where the background covers less than this, its density is an average over almost nothing.
MIN_BACKGROUND_AREA = 0.02

#: An object smaller than this many cells of the map cannot be told from its surroundings by that map.
MIN_OBJECT_CELLS = 2

_T = TypeVar("_T")
TextArray = npt.NDArray[np.str_]


def attribution_rows(
    row_ids: npt.ArrayLike,
    maps: Mapping[tuple[str, str], npt.ArrayLike],
    masks: npt.ArrayLike,
    has_mask: npt.ArrayLike,
    *,
    layers: Mapping[str, str],
    map_shapes: Mapping[str, Shape],
    regions: Mapping[str, npt.ArrayLike],
    finite: npt.ArrayLike,
    target: str = "predicted",
    mask_status: Sequence[str] | None = None,
    soft: npt.ArrayLike | None = None,
) -> pd.DataFrame:
    """Measure every map of a batch.

    Parameters
    ----------
    row_ids : array_like
        int64, ``[B]``.
    maps : mapping
        ``(method, sign)`` to non-negative maps ``[B, H, W]`` at image resolution.
    masks : array_like
        uint8 ``[B, H, W]``: 0 ground, 1 object, 255 ignored.
    has_mask : array_like
        bool, ``[B]``. Where False nothing but the ignored pixels of the mask is looked at.
    layers, map_shapes : mapping
        By method: the layer's name, and the height and width of the map at that layer (``(H, W)`` for
        saliency).
    regions : mapping
        Named regions, bool ``[B, H, W]``, or ``[H, W]`` where the same for all images.
    finite : array_like
        bool, ``[B]``: whether the logits of the image were all finite.
    target : str
        What was explained: the predicted class, or the name of a finding.
    mask_status : sequence of str, optional
        What is known of each mask beyond ``has_mask``, such as ``object_cropped_out``; by default nothing.
    soft : array_like, optional
        Of soft masks: float ``[B, H, W]``, the share of each pixel that is object.

    Returns
    -------
    pandas.DataFrame
        Columns of :data:`figureground.audit.keeping.tables.ATTRIBUTIONS`; B rows per map, maps in the order given.
        Missing numbers are NaN, missing reasons None; ``region_shares`` is a list of (name, share or None)
        pairs. ``status``:

        - ``ok``: measured. ``ldr`` alone is null with reason ``object_too_large`` (background below 2 % of
          the valid pixels) or ``object_too_small`` (object below two cells of the map).
        - ``mask_absent``, ``no_object``, or the given status of the mask: there is no mask to measure with, or it
          holds no object. Region shares are there.
        - ``degenerate``, reason ``zero_map`` or ``map_not_finite``: nothing was measured.
        - ``not_finite``: the model's output was not finite; nothing was measured.

    Raises
    ------
    UsageError
        Shapes that differ, negative maps, other mask values, a method without a layer or map shape.
    """
    given, sound = np.asarray(has_mask, dtype=bool), np.asarray(finite, dtype=bool)
    keys, objects = np.asarray(row_ids, dtype=np.int64), ObjectMasks.of(masks)
    _check_lengths(objects.shape[0], row_ids=keys, has_mask=given, finite=sound)
    objects = _where_given(objects if soft is None else objects.softened(soft), given)
    frames, where = [], places(regions, objects)
    for (method, sign), values in maps.items():
        shape = _known(map_shapes, method, "map_shapes")
        batch = _Measured(MaskedMaps.of(values, objects), shape, given, sound, mask_status)
        names = {"method": method, "sign": sign, "layer": _known(layers, method, "layers")}
        size = {"map_height": shape[0], "map_width": shape[1]}
        columns = {**batch.numbers(), **batch.texts(values), "region_shares": batch.region_shares(where)}
        frames.append(pd.DataFrame({"row_id": keys, **names, **columns, **size}))
    return _table(frames, target)


@dataclass(frozen=True)
class _Measured:
    """One method's maps of a batch and what is known about their rows, bool ``[B]``."""

    maps: MaskedMaps
    map_shape: Shape
    given: BoolArray
    sound: BoolArray
    mask_status: Sequence[str] | None = None

    @cached_property
    def degenerate(self) -> BoolArray:
        # A row without a single valid pixel is the mask's doing and must not count against the method.
        return ~self.maps.usable & (self.maps.masks.n_valid > 0)

    @cached_property
    def silent(self) -> BoolArray:
        return ~self.sound | self.degenerate

    def numbers(self) -> dict[str, FloatArray]:
        """The measures by column; NaN in silent rows, and LDR where the object's size forbids it."""
        masks, edges = self.maps.masks, self._size_reasons != ""
        found = {
            "background_share": self.maps.background_share,
            "background_area": masks.background_area,
            "bleed_floor": masks.bleed_floor(self.map_shape),
            "object_eccentricity": masks.eccentricity,
            "ldr": np.where(edges, np.nan, self.maps.log_density_ratio()),
            "auc_background": self.maps.background_auc(),
            "rank_share_1": self.maps.background_rank_share(np.rint(0.01 * masks.n_valid)),
            "rank_share_5": self.maps.background_rank_share(np.rint(0.05 * masks.n_valid)),
            "ring_share": self.maps.ring_share(self.map_shape),
            "far_share": self.maps.far_share(self.map_shape),
        }
        return {name: np.where(self.silent, np.nan, values) for name, values in found.items()}

    def region_shares(self, where: Mapping[str, Place]) -> pd.Series[Any]:
        """Per image the shares of the named regions; None in silent rows."""
        shares = [place.share(self.maps).tolist() for place in where.values()]
        by_image = zip(*shares, strict=True) if shares else ((),) * len(self.silent)
        pairs = [
            None if silent else [(name, _or_none(value)) for name, value in zip(where, values, strict=True)]
            for silent, values in zip(self.silent.tolist(), by_image, strict=True)
        ]
        return pd.Series(pairs, dtype=object)

    def texts(self, values: npt.ArrayLike) -> dict[str, pd.Series[str]]:
        """Status and reason; ``values`` are the maps as they came, to tell zero from not finite."""
        no_object = self.maps.masks.n_object == 0
        causes = [~self.sound, self.degenerate, ~self.given, no_object]
        status = np.select(causes, ["not_finite", "degenerate", MASK_ABSENT, NO_OBJECT], "ok").astype(object)
        if self.mask_status is not None:  # says why there is no mask, or no object in it
            status = np.where(np.isin(status, [MASK_ABSENT, NO_OBJECT]), np.array(self.mask_status, object), status)
        reasons = np.where(status == "ok", self._size_reasons, "").astype(object)
        if self.degenerate.any():
            reasons = np.where(status == "degenerate", self._degenerate_reasons(values), reasons)
        reasons[reasons == ""] = None
        return {"status": pd.Series(status, dtype=object), "reason": pd.Series(reasons, dtype=object)}

    @cached_property
    def _size_reasons(self) -> TextArray:
        masks = self.maps.masks
        cell = masks.shape[1] * masks.shape[2] / (self.map_shape[0] * self.map_shape[1])
        too_large = ratio(masks.n_background, masks.n_valid) < MIN_BACKGROUND_AREA
        too_small = masks.n_object < MIN_OBJECT_CELLS * cell
        return np.select([too_large, too_small], ["object_too_large", "object_too_small"], "")

    def _degenerate_reasons(self, values: npt.ArrayLike) -> TextArray:
        known = np.isfinite(np.asarray(values, dtype=np.float64)) | ~self.maps.masks.valid
        return np.where(known.all(axis=(1, 2)), "zero_map", "map_not_finite")


def _where_given(masks: ObjectMasks, given: BoolArray) -> ObjectMasks:
    """Masks without any object in the rows that have none: what stands there stands for nothing."""
    present = given[:, None, None]
    # A soft mask that reaches one half nowhere holds no object for anything else in the audit either.
    held = present & masks.foreground.any(axis=(1, 2), keepdims=True)
    soft = None if masks.soft is None else np.where(held, masks.soft, 0.0)
    return ObjectMasks(masks.foreground & present, np.where(present, masks.background, masks.valid), soft)


def _table(frames: Sequence[pd.DataFrame], target: str) -> pd.DataFrame:
    rows = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    return rows.assign(target=target, mask_variant="object").reindex(columns=ATTRIBUTIONS.names)


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value


def _known(by_method: Mapping[str, _T], method: str, where: str) -> _T:
    if method not in by_method:
        raise UsageError(
            "METHOD_UNKNOWN",
            f"{where}:{method}",
            found="nothing",
            expected="an entry for every method",
            fix=f"add it; there are {', '.join(sorted(by_method)) or 'none'}",
        )
    return by_method[method]


def _check_lengths(batch: int, **arrays: npt.NDArray[np.generic]) -> None:
    for name, values in arrays.items():
        if values.shape != (batch,):
            raise UsageError(
                "BATCH_LENGTH",
                name,
                found=f"shape {list(values.shape)}",
                expected=f"[{batch}], one per mask",
                fix="give one value per image of the batch",
            )
