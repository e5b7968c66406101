"""A transform of the user's own: found by its name, and watched for whether it moves picture and mask together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from figureground.audit.classify.named_code import importable, load_named, name_of
from figureground.audit.document.audit_json import TrustCheck
from figureground.datasets.marker_probe import LIMIT, Moved, moved
from figureground.datasets.own_transform import OwnTransform
from figureground.datasets.row_faults import RowFault
from figureground.datasets.transforms import Preprocess
from figureground.errors import UsageError

CHECK = "transform_moves_together"
_PRESET = ("resize_size", "crop_size", "mean", "std")


def own_transform(given: Any, python_path: Sequence[Path] = ()) -> Any:
    """What was given as a transform, where it is a function, or the name of one, as an :class:`OwnTransform`.

    Anything else comes back as it is.

    Raises
    ------
    UsageError
        The function is not found, fails, gives other pixels when it is called again, or moves picture and mask apart.
    """
    own = _own(given)
    if own is None:
        return given
    if own.function is None:
        with importable(python_path):
            own = replace(own, function=load_named(own.spec))
    _watched(own)
    return own


def moves_together(preprocess: Preprocess) -> list[TrustCheck]:
    """The check of a transform of the user's own; none of the geometry that image and mask share by construction."""
    if not isinstance(preprocess, OwnTransform):
        return []
    seen = _watched(preprocess)
    return [TrustCheck(check=CHECK, status="passed", value=seen.distance, threshold=LIMIT, n=seen.n, reason=None)]


def _own(given: Any) -> OwnTransform | None:
    if isinstance(given, OwnTransform):
        return given if given.spec or given.function is None else replace(given, spec=name_of(given.function))
    if isinstance(given, str):
        return OwnTransform(spec=given)
    if callable(given) and not all(hasattr(given, name) for name in _PRESET):
        return OwnTransform(function=given, spec=name_of(given))
    return None


def _watched(own: OwnTransform) -> Moved:
    try:
        seen = moved(own)
    except RowFault as fault:
        expected = "a function of (image, mask), pictures of PIL, which gives (tensor, mask)"
        raise _refused(own, fault.detail, expected, "wrap it: masks must go through the same steps") from fault
    if not seen.repeats:
        found, fix = "other pixels when it is called again", "leave augmentation out: give the transform of evaluation"
        raise _refused(own, found, "the same for the same picture", fix)
    if not seen.together:
        far = "a mask that is lost" if seen.distance == float("inf") else f"a mask {seen.distance:.1f} pixels away"
        found = f"{far} from a lit square of the picture" if seen.n else "neither a lit square nor its mask to be seen"
        fix = "move the mask through the same steps as the picture, with nearest neighbour"
        raise _refused(own, found, f"at most {LIMIT:g} pixel between the two", fix)
    return seen


def _refused(own: OwnTransform, found: str, expected: str, fix: str) -> UsageError:
    return UsageError("TRANSFORM", f"transform {own.spec}", found=found, expected=expected, fix=fix)
