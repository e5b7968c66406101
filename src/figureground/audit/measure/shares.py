"""How much of an attribution map lies on the background: pure functions on arrays.

Common to all functions. ``attributions`` are non-negative maps ``[B, H, W]`` at image resolution: the
positive part or the absolute value of a signed method, summed or maximised over channels. ``masks`` are uint8
``[B, H, W]``: 0 ground, 1 object, 255 ignored; bool is accepted. Whatever ``numpy.asarray`` takes is
accepted, torch tensors on the CPU included. The answer is float64 ``[B]``. With M the object and O the valid
region (all pixels that are not ignored), sums run over O only.

NaN, never a guess: where the map is zero (its sum is at most 1e-12 per pixel) or not finite on O, and where
the mask holds no object. :class:`~figureground.errors.UsageError`: shapes that differ, a missing batch axis,
negative attributions, other mask values.

Two pitfalls hold for all of them. *Min-max scaling* adds a constant to a map and so pulls every share towards
the area (``pytorch_grad_cam.scale_cam_image`` does that); dividing by the maximum is harmless. *Signed maps*
have shares outside [0, 1]; they are refused.

Examples
--------
>>> import numpy as np
>>> mask = np.zeros((1, 4, 4), np.uint8)
>>> mask[:, :2, :2] = 1
>>> uniform = np.ones((1, 4, 4))
>>> background_share(uniform, mask), background_area(mask), log_density_ratio(uniform, mask)
(array([0.75]), array([0.75]), array([0.]))
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from figureground.audit.measure.masked_maps import FloatArray, MaskedMaps, ObjectMasks, Shape
from figureground.audit.measure.places import Place
from figureground.errors import UsageError


def background_share(attributions: npt.ArrayLike, masks: npt.ArrayLike) -> FloatArray:
    """Share of the attribution on the background: ``B = sum_{O \\ M} a / sum_O a``.

    In [0, 1]; 0 = all on the object, A (see :func:`background_area`) = indifferent, 1 = all on the
    background. One minus the relevance mass accuracy of Arras, Osman & Samek, "CLEVR-XAI", Information Fusion
    81 (2022) 14-40.

    Pitfalls: it is large wherever objects are small, so no threshold on B means anything without A, and
    coarse maps reach B > 0 even when they are perfect, see :func:`bleed_floor`. Compare
    :func:`log_density_ratio` instead.
    """
    return MaskedMaps.of(attributions, masks).background_share


def background_area(masks: npt.ArrayLike) -> FloatArray:
    """Share of the valid pixels that are background: ``A = |O \\ M| / |O|``.

    In [0, 1). What :func:`background_share` is for a uniform map: the reference tick to draw beside it.
    """
    return ObjectMasks.of(masks).background_area


def object_eccentricity(masks: npt.ArrayLike) -> FloatArray:
    """Distance of the object's centroid from the centre of the picture, over half of the picture's diagonal.

    In [0, 1): 0 in the centre, as in "visual eccentricity"; it says nothing of the object's shape. Maps are often
    stronger in the centre, whatever lies there, so that groups whose objects lie elsewhere differ in every share.
    """
    return ObjectMasks.of(masks).eccentricity


def bleed_floor(masks: npt.ArrayLike, map_shape: Shape) -> FloatArray:
    """Share that a perfect, object-only map of a coarse layer would still leave on the background, B0.

    The object mask is averaged over the cells of the layer (adaptive average pooling) and brought back to
    image size by the upsampling of Grad-CAM (bilinear, ``align_corners=False``); B0 is the background share
    of the result.

    Parameters
    ----------
    masks : array_like
        See the module. Ignored pixels count as no object when pooling, and leave the share afterwards.
    map_shape : tuple of int
        Height and width of the map at its own layer, in cells; ``(H, W)`` for pixel-wise methods.

    Returns
    -------
    ndarray
        In [0, 1]; 0 at image resolution. Discs on 3 % of an image of 224 px average 0.55 for a map of
        7 x 7 cells, discs on 20 % average 0.22.
    """
    return ObjectMasks.of(masks).bleed_floor(map_shape)


def log_density_ratio(attributions: npt.ArrayLike, masks: npt.ArrayLike) -> FloatArray:
    """How much denser the attribution is on the background than on the object, LDR: the primary measure.

    ``LDR = ln[B / (1 - B)] - ln[A / (1 - A)] = ln(mean on the background / mean on the object)``. 0 =
    indifferent, > 0 = denser on the background, ``exp(LDR)`` is "times denser". Its exponential is the
    outside-inside relevance ratio of Lapuschkin, Binder, Montavon, Müller & Samek, "Analyzing Classifiers:
    Fisher Vectors and Deep Neural Networks", CVPR 2016.

    B is clipped to [eps, 1 - eps] with eps = 0.5 / |O|, so that the measure stays finite where one side is
    empty of attribution. NaN also where the mask leaves no background.

    Pitfalls: unstable for objects smaller than two cells of a coarse map and for masks that cover more than
    98 % (the tables leave those out); the clip makes extreme values depend on the resolution.
    """
    return MaskedMaps.of(attributions, masks).log_density_ratio()


def background_auc(attributions: npt.ArrayLike, masks: npt.ArrayLike) -> FloatArray:
    """Probability that a background pixel outranks an object pixel, ties counted half.

    ``P(a_bg > a_obj) + P(a_bg = a_obj) / 2 = U / (|O \\ M| |M|)`` with Mann-Whitney's U: the area under the
    ROC curve of the map as a detector of background. In [0, 1]; 0.5 = indifferent, > 0.5 = stronger on the
    background. Free of area and of every monotone scaling: the rank twin of :func:`log_density_ratio`. NaN
    also without background.

    Pitfall: a few very strong pixels, which decide B, hardly move it; read the two together.
    """
    return MaskedMaps.of(attributions, masks).background_auc()


def background_rank_share(attributions: npt.ArrayLike, masks: npt.ArrayLike, fraction: float) -> FloatArray:
    """Expected share of background among the strongest pixels: ``E|top_K & background| / K``.

    ``K`` is ``fraction`` of \\|O\\|, rounded, at least one pixel. Pixels that tie at the K-th value enter pro
    rata, which is the expectation over a random order. Without that a constant map scores by where the mask
    lies in memory, and the zeros that ReLU leaves in Grad-CAM are exactly such ties.

    Parameters
    ----------
    attributions, masks : array_like
        See the module.
    fraction : float
        In (0, 1], for example 0.01 and 0.05.

    Returns
    -------
    ndarray
        In [0, 1]; A for a constant map.
    """
    if not 0 < fraction <= 1:
        raise UsageError(
            "RANK_FRACTION",
            "fraction",
            found=str(fraction),
            expected="a share of the pixels in (0, 1]",
            fix="use 0.01 for the strongest 1 %",
        )
    maps = MaskedMaps.of(attributions, masks)
    return maps.background_rank_share(np.rint(fraction * maps.masks.n_valid))


def ring_share(attributions: npt.ArrayLike, masks: npt.ArrayLike, map_shape: Shape) -> FloatArray:
    """Share of the attribution on the background within half a map cell of the object.

    The ring is the mask dilated by a rectangle of ``r = ceil(stride / 2)`` pixels to each side, minus the
    mask, with ``stride = H / h`` and ``W / w``: where upsampling alone puts attribution. In [0, 1];
    ``ring_share + far_share = background_share``.
    """
    return MaskedMaps.of(attributions, masks).ring_share(map_shape)


def far_share(attributions: npt.ArrayLike, masks: npt.ArrayLike, map_shape: Shape) -> FloatArray:
    """Share of the attribution on the background beyond the ring of :func:`ring_share`, in [0, 1].

    What upsampling cannot explain away; still lower for large objects, so no threshold either.
    """
    return MaskedMaps.of(attributions, masks).far_share(map_shape)


def relative_background(attributions: npt.ArrayLike, masks: npt.ArrayLike, map_shape: Shape) -> FloatArray:
    """Background share between the floor of the map's resolution and a uniform map, RBI.

    ``RBI = (B - B0) / (A - B0)``, see :func:`bleed_floor`. 0 = as good as this resolution allows, 1 =
    uniform, > 1 = favours the background; < 0 = more concentrated than the mask's own blurred image. For
    class activation maps. NaN where the resolution leaves no room between B0 and A, as a map of one cell
    does.
    """
    return MaskedMaps.of(attributions, masks).relative_background(map_shape)


def region_share(attributions: npt.ArrayLike, regions: npt.ArrayLike, masks: npt.ArrayLike | None = None) -> FloatArray:
    """Share of the attribution on a named region, such as a corner or an annotation.

    Parameters
    ----------
    attributions : array_like
        ``[B, H, W]``, non-negative.
    regions : array_like
        bool ``[B, H, W]``, or ``[H, W]`` for the same region in all images.
    masks : array_like, optional
        Only their ignored pixels matter, which leave the region and the sum. No object is needed.

    Returns
    -------
    ndarray
        In [0, 1]; NaN for unusable maps and where the region has no valid pixel.
    """
    found = np.asarray(attributions)
    nothing_ignored = np.zeros(found.shape, dtype=np.uint8)
    return share_of_region(MaskedMaps.of(found, nothing_ignored if masks is None else masks), regions)


def share_of_region(maps: MaskedMaps, regions: npt.ArrayLike) -> FloatArray:
    """Same as :func:`region_share`, for maps that were checked already, ``[B]``."""
    return Place.of(regions, maps.masks).share(maps)


def relevance_mass_accuracy(attributions: npt.ArrayLike, masks: npt.ArrayLike) -> FloatArray:
    """Share of the attribution on the object, ``1 - B``, in [0, 1]; 1 = all on the object.

    Arras, Osman & Samek (2022). With a bounding box for a mask it is the energy-based pointing game of Wang
    et al., "Score-CAM", CVPR Workshops 2020.
    """
    return 1.0 - background_share(attributions, masks)


def relevance_rank_accuracy(attributions: npt.ArrayLike, masks: npt.ArrayLike) -> FloatArray:
    """Share of object among the strongest ``K = |M|`` pixels, in [0, 1]; ties enter pro rata.

    Arras, Osman & Samek (2022), with the expectation over ties that :func:`background_rank_share` explains.
    """
    maps = MaskedMaps.of(attributions, masks)
    return 1.0 - maps.background_rank_share(np.rint(maps.masks.n_object))
