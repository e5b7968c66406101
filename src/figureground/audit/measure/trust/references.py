"""Maps that know nothing of the model: what the same statistics say about them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import ndimage
from torch import Tensor

from figureground.audit.measure.masked_maps import MaskedMaps, ObjectMasks, Shape
from figureground.audit.measure.trust.estimates import mean_of
from figureground.audit.measure.trust.lines import NO_MASKS, Line, not_run, reference
from figureground.audit.measure.trust.maps import FloatMaps
from figureground.audit.measure.trust.masks import density_ratios


def reference_maps(images: Tensor) -> dict[str, FloatMaps]:
    """Reference maps by name, float32 ``[N, H, W]``, of images ``[N, C, H, W]`` in [0, 1].

    ``uniform`` is 1 everywhere; ``centred`` is a Gaussian at the centre with a quarter of the sides as deviation
    (photographers centre their objects); ``sobel`` is the magnitude of the Sobel gradient of the grey image (edges
    look like an explanation).
    """
    grey = images.mean(dim=1).numpy().astype(np.float32)
    count, height, width = grey.shape
    down, right = (((np.arange(size) + 0.5) / size - 0.5) / 0.25 for size in (height, width))
    centred = np.exp(-0.5 * (down[:, None] ** 2 + right[None, :] ** 2)).astype(np.float32)
    edges = np.hypot(ndimage.sobel(grey, axis=1), ndimage.sobel(grey, axis=2))
    return {
        "uniform": np.ones_like(grey),
        "centred": np.broadcast_to(centred, (count, height, width)),
        "sobel": np.asarray(edges, dtype=np.float32),
    }


def reference_lines(values: Mapping[str, tuple[FloatMaps, Shape]], masks: ObjectMasks) -> tuple[Line, ...]:
    """Mean LDR and mean background share of each named map, with intervals over images; never pass or fail."""
    lines: list[Line] = []
    for name, (maps, shape) in values.items():
        if not (masks.n_object > 0).any():
            lines += [not_run(name, f"reference_{what}", NO_MASKS) for what in ("ldr", "background_share")]
            continue
        share = MaskedMaps.of(maps, masks).background_share
        lines.append(reference(name, "reference_ldr", mean_of(density_ratios(maps, masks, shape))))
        lines.append(reference(name, "reference_background_share", mean_of(share)))
    return tuple(lines)
