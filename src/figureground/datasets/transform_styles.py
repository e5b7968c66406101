"""How transforms of different libraries are called with a picture and a mask."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms import v2

#: What a transform gives for the picture, and for the mask.
Pair = tuple[Any, Any]
Style = Callable[[Any, Image.Image, npt.NDArray[np.uint8]], Pair]
#: Names under which dictionary transforms know a mask.
_MASK_KEYS = ("mask", "label", "seg")


def style_of(function: Callable[..., Any]) -> Style:
    """How a transform is called, by the library that it comes from."""
    library = type(function).__module__.partition(".")[0]
    if isinstance(function, v2.Transform):
        return _torchvision
    return {"albumentations": _albumentations, "monai": _monai}.get(library, _plain)


def described(function: Callable[..., Any]) -> str | None:
    """What a library says of its transform; None for a function, of which its code says more."""
    return None if style_of(function) is _plain or style_of(function) is _monai else " ".join(repr(function).split())


def source_sha256(function: Callable[..., Any]) -> str | None:
    """SHA-256 of the file that a function was written in; None where there is none, as for a library's object."""
    try:
        file = inspect.getsourcefile(function) if inspect.isroutine(function) else None
    except TypeError:
        file = None
    found = None if file is None else Path(file)
    return hashlib.sha256(found.read_bytes()).hexdigest() if found is not None and found.is_file() else None


def _plain(function: Any, picture: Image.Image, mask: npt.NDArray[np.uint8]) -> Pair:
    return _two(function(picture, Image.fromarray(mask)))


def _torchvision(function: Any, picture: Image.Image, mask: npt.NDArray[np.uint8]) -> Pair:
    return _two(function(picture, tv_tensors.Mask(torch.from_numpy(mask))))


def _albumentations(function: Any, picture: Image.Image, mask: npt.NDArray[np.uint8]) -> Pair:
    found = function(image=np.array(picture), mask=mask)
    image = found["image"]
    if isinstance(image, np.ndarray):  # channels last, unless the last step made a tensor
        image = np.atleast_3d(image).transpose(2, 0, 1).copy()
    return image, found["mask"]


def _monai(function: Any, picture: Image.Image, mask: npt.NDArray[np.uint8]) -> Pair:
    """Channels first, float32 from 0 to 255, as if the files had been loaded by transforms before it."""
    key = next((name for name in _MASK_KEYS if name in set(_keys(function))), _MASK_KEYS[0])
    image = np.atleast_3d(np.array(picture, dtype=np.float32)).transpose(2, 0, 1).copy()
    found = function({"image": image, key: mask[None].astype(np.float32)})
    return torch.as_tensor(found["image"]), torch.as_tensor(found[key])


def _keys(function: Any) -> Iterator[str]:
    """Keys that a dictionary transform, or those that it is composed of, looks at."""
    yield from (str(key) for key in getattr(function, "keys", ()) or ())
    for part in getattr(function, "transforms", ()):
        yield from _keys(part)


def _two(found: Any) -> Pair:
    if not isinstance(found, tuple | list) or len(found) != 2:
        raise TypeError(f"it gave {type(found).__name__}, where (tensor, mask) is expected")
    return found[0], found[1]
