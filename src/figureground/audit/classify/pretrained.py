"""A folder that ``transformers`` saved an image classifier in: weights, classes, and how pictures are prepared.

Weights are read from safetensors only, code in the folder is never run, and nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from figureground.audit.classify.readout import Picked
from figureground.audit.classify.weights import nonfinite_names, not_finite
from figureground.datasets.transforms import Preprocess
from figureground.errors import IntegrityError, SubjectError, UsageError

CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"
_INSTALL = "pip install 'figureground[transformers]'"
#: Pillow's numbers of the filters that pictures are resized with here.
_FILTERS = {2: "bilinear", 3: "bicubic"}


@dataclass(frozen=True, eq=False)
class Pretrained:
    """What was found in the folder.

    Attributes
    ----------
    module : nn.Module
        Gives logits ``[B, K]``; the library's own model is its part ``model``.
    classes : tuple of str
        In the order of ``id2label``.
    preprocess : Preprocess or None
        None where the folder does not say.
    name : str
        Of the library's class.
    nonfinite : tuple of str
        Weights that are not finite, where that was allowed.
    """

    module: nn.Module
    classes: tuple[str, ...]
    preprocess: Preprocess | None
    name: str
    nonfinite: tuple[str, ...] = ()


def is_pretrained(path: Path) -> bool:
    """Whether this is a folder of that kind."""
    return path.is_dir() and (path / CONFIG).is_file()


def load_pretrained(folder: Path, *, expect_sha256: str | None = None, allow_nonfinite: bool = False) -> Pretrained:
    """The classifier in a folder.

    Parameters
    ----------
    folder : Path
    expect_sha256 : str, optional
        Of its one file of weights.
    allow_nonfinite : bool
        Whether weights may be NaN or infinite.

    Raises
    ------
    UsageError
        ``transformers`` is not installed, or the preprocessing is one that masks cannot follow.
    SubjectError
        There are no safetensors, the model is no image classifier or needs code of its own, or weights do not fit
        whole or are not finite.
    IntegrityError
        The weights are others than were expected.
    """
    config = _read(folder / CONFIG)
    _check_weights(folder, expect_sha256)
    if config.get("auto_map"):
        raise _unfit(folder, f"a model that brings its own code ({config['auto_map']})", "a model of the library")
    model = _model(folder)
    bad = nonfinite_names(model.state_dict())
    if bad and not allow_nonfinite:
        raise not_finite(bad, folder)
    return Pretrained(
        module=Picked(model, "logits").eval(),
        classes=_classes(config, model, folder),
        preprocess=_preprocess(folder),
        name=type(model).__name__,
        nonfinite=bad,
    )


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unfit(file, f"{type(error).__name__}: {error}", "a JSON object") from error
    if not isinstance(found, dict):
        raise _unfit(file, f"a {type(found).__name__}", "a JSON object")
    return found


def _check_weights(folder: Path, expected: str | None) -> None:
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        others = ", ".join(sorted(file.name for file in folder.glob("*.bin"))) or "no weights"
        raise _unfit(folder, others, "model.safetensors", "save it again: model.save_pretrained(folder)")
    if expected is None:
        return
    with files[0].open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if len(files) > 1 or found != expected.lower():
        what = found if len(files) == 1 else f"{len(files)} files of weights"
        fix = "find the weights that were meant, or correct the hash"
        raise IntegrityError("WEIGHTS_SHA256", str(folder), found=what, expected=expected.lower(), fix=fix)


def _model(folder: Path) -> nn.Module:
    try:
        from transformers import AutoModelForImageClassification
    except ImportError as error:
        raise UsageError(
            "EXTRA",
            str(folder),
            found="transformers is not installed",
            expected="the extra transformers",
            fix=_INSTALL,
        ) from error
    with _quiet():
        try:
            model, told = AutoModelForImageClassification.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                ignore_mismatched_sizes=True,  # they are told below, by name
                output_loading_info=True,
            )
        except Exception as error:  # its own errors, and whatever its parts raise
            raise _unfit(folder, f"{type(error).__name__}: {str(error)[:200]}", "an image classifier") from error
    _check_whole(told, folder)
    assert isinstance(model, nn.Module)  # noqa: S101  (the library has no types)
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """What the library says of weights that do not fit is said here, once."""
    log = logging.getLogger("transformers")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


def _check_whole(told: Mapping[str, Any], folder: Path) -> None:
    """The library fills what is missing with random numbers; here nothing may be."""
    kinds = {"missing_keys": "missing", "unexpected_keys": "unknown", "mismatched_keys": "of another shape"}
    faults = [
        f"{_key(name)} is {word}" for kind, word in kinds.items() for name in sorted(told.get(kind) or (), key=str)
    ]
    if faults:
        rest = f" and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise _unfit(folder, "; ".join(faults[:5]) + rest, "weights that fit the configuration whole")


def _key(name: Any) -> str:
    return str(name[0]) if isinstance(name, tuple) else str(name)


def _classes(config: Mapping[str, Any], model: nn.Module, folder: Path) -> tuple[str, ...]:
    # Read by the library where the file leaves them out: LABEL_0, LABEL_1, ...
    named = config.get("id2label") or getattr(getattr(model, "config", None), "id2label", {})
    try:
        return tuple(str(name) for _, name in sorted((int(at), name) for at, name in named.items()))
    except (ValueError, AttributeError) as error:
        raise _unfit(folder / CONFIG, f"id2label {named!r}"[:200], "names by the number of an output") from error


def _preprocess(folder: Path) -> Preprocess | None:
    file = folder / PREPROCESSOR
    if not file.is_file():
        return None
    told = _read(file)
    resize, crop = _geometry(told)
    mean, std = _scale(told, file)
    interpolation: Any = "bilinear"
    if resize is not None:
        interpolation = _FILTERS.get(told.get("resample", 2))
        if interpolation is None:
            raise _unfollowed(file, f"the filter {told['resample']}", "bilinear (2) or bicubic (3)")
    return Preprocess(resize=resize, crop=crop, mean=mean, std=std, interpolation=interpolation)


def _geometry(told: Mapping[str, Any]) -> tuple[Any, Any]:
    """Resize and crop, as :class:`Preprocess` takes them."""
    size = _size(told.get("size")) if told.get("do_resize", True) else None
    share = told.get("crop_pct")
    if isinstance(size, int) and isinstance(share, int | float) and "shortest_edge" in (told.get("size") or {}):
        # As ConvNeXt is: below 384 pixels it is resized by so much more, and cropped to the size.
        return (int(size / share), (size, size)) if size < 384 else ((size, size), None)
    crop = _size(told.get("crop_size", told.get("size"))) if told.get("do_center_crop") else None
    return size, (crop, crop) if isinstance(crop, int) else crop


def _size(given: Any) -> int | tuple[int, int] | None:
    if isinstance(given, int):
        return (given, given)
    if not isinstance(given, Mapping):
        return None
    if "shortest_edge" in given:
        return int(given["shortest_edge"])
    return (int(given["height"]), int(given["width"])) if {"height", "width"} <= given.keys() else None


def _scale(told: Mapping[str, Any], file: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation in units of [0, 1]."""
    factor = float(told.get("rescale_factor", 1 / 255)) if told.get("do_rescale", True) else 1.0
    if abs(factor * 255 - 1) > 1e-6:
        raise _unfollowed(file, f"a rescaling by {factor}", "pixels in [0, 1] before normalisation")
    if not told.get("do_normalize", True):
        return (0.0,) * 3, (1.0,) * 3
    mean, std = told.get("image_mean") or [0.5] * 3, told.get("image_std") or [0.5] * 3
    return tuple(map(float, mean)), tuple(map(float, std))


def _unfollowed(file: Path, found: str, expected: str) -> UsageError:
    fix = "say what pictures go through: --resize, --crop, --mean, --std"
    return UsageError("PREPROCESS", str(file), found=found, expected=expected, fix=fix)


def _unfit(where: Path, found: str, expected: str, fix: str = "audit the model itself from Python") -> SubjectError:
    return SubjectError("PRETRAINED", str(where), found=found, expected=expected, fix=fix)
