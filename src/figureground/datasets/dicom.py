"""Pictures from DICOM files: rescaled, windowed as the file says, upright in brightness; nothing is guessed.

Needs the extra ``medical``: pydicom, and the decoders of pylibjpeg for compressed pixels.
"""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from figureground.datasets.decoding import Decoding
from figureground.datasets.row_faults import RowFault

Values = npt.NDArray[Any]
_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")


def read_dicom(
    data: bytes, decoding: Decoding, max_pixels: int
) -> tuple[Image.Image, npt.NDArray[np.uint8] | None, tuple[str, ...]]:
    """Picture of mode ``L`` or ``RGB``, no alpha channel, and what was done to it.

    Grey values are rescaled (modality LUT), then windowed: by the declared range if there is one, else by the file's
    first VOI window or LUT, else, for 8 bits stored, not at all. ``MONOCHROME1`` is inverted, so that more is lighter.

    Raises
    ------
    RowFault
        ``format_not_allowed``: the extra is missing, or its pixels are of another kind; ``pixel_cap``,
        ``multi_frame``, ``bit_depth``: no window in the file, and no range was declared; ``image_unreadable``.
    """
    pydicom = _tools()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of values that a standard would not allow; the pixels are what counts
            dataset = pydicom.dcmread(io.BytesIO(data))
            size, frames = int(dataset.Rows) * int(dataset.Columns), int(dataset.get("NumberOfFrames", 1) or 1)
            _check(size, max_pixels, frames, decoding)
            index = None if frames == 1 else decoding.frame
            return _picture(dataset, pydicom.pixels.pixel_array(dataset, index=index), decoding, frames)
    except RowFault:
        raise
    except Exception as error:  # decoders of other people let out anything on damaged bytes
        raise RowFault("image_unreadable", f"damaged DICOM: {type(error).__name__}: {error}") from error


def windowed(values: Values, span: tuple[float, float]) -> npt.NDArray[np.uint8]:
    """Stored values as 8 bits: the first of ``span`` is black, the second white, what lies beyond is clipped.

    Examples
    --------
    >>> windowed(np.array([0, 2048, 4095, 9999]), (0, 4095)).tolist()
    [0, 128, 255, 255]
    """
    low, high = span
    share = (np.asarray(values, dtype=np.float64) - low) / (high - low)
    if not np.isfinite(share).all():
        raise RowFault("bit_depth", "values that are not finite")
    return np.asarray(np.rint(share.clip(0, 1) * 255), dtype=np.uint8)


def _check(size: int, max_pixels: int, frames: int, decoding: Decoding) -> None:
    if size > max_pixels:
        raise RowFault("pixel_cap", f"{size} pixels; the limit is {max_pixels}")
    if frames > 1 and (decoding.frame is None or decoding.frame >= frames):
        raise RowFault("multi_frame", f"{frames} frames; expected one: name it with --frame, from 0 to {frames - 1}")


def _picture(
    dataset: Any, stored: Values, decoding: Decoding, frames: int
) -> tuple[Image.Image, npt.NDArray[np.uint8] | None, tuple[str, ...]]:
    notes = ["dicom"] + ["frame_chosen"] * (frames > 1)
    kind = str(dataset.PhotometricInterpretation)
    if kind in _COLOUR and stored.dtype == np.uint8:
        return Image.fromarray(stored), None, tuple(notes)
    if kind not in _GREY:
        raise RowFault("format_not_allowed", f"DICOM pixels of the kind {kind}; expected grey, or colours in 8 bits")
    grey, done = _grey(dataset, stored, decoding)
    if kind == "MONOCHROME1":
        grey, done = 255 - grey, [*done, "dicom_inverted"]
    return Image.fromarray(grey), None, (*notes, *done)


def _grey(dataset: Any, stored: Values, decoding: Decoding) -> tuple[npt.NDArray[np.uint8], list[str]]:
    """Eight bits from stored values, and what was done."""
    values = _tools().pixels.apply_modality_lut(stored, dataset)
    rescaled = "RescaleSlope" in dataset or "ModalityLUTSequence" in dataset
    done = ["dicom_rescaled"] * rescaled
    if decoding.range is not None:
        return windowed(values, decoding.range), [*done, "range_scaled"]
    if "WindowWidth" in dataset or "VOILUTSequence" in dataset:
        return _by_window(dataset, values), [*done, "dicom_windowed"]
    if int(dataset.BitsStored) == 8 and not int(dataset.PixelRepresentation) and not rescaled:
        return stored.astype(np.uint8), done
    depth = f"{dataset.BitsStored} bits and no window in the file"
    raise RowFault("bit_depth", f"{depth}: declare --range LOW,HIGH, in rescaled values")


def _by_window(dataset: Any, values: Values) -> npt.NDArray[np.uint8]:
    """The file's first window or LUT; the ends of what it can give are black and white."""
    shown = np.asarray(_tools().pixels.apply_voi_lut(values, dataset, prefer_lut=True), dtype=np.float64)
    if "VOILUTSequence" in dataset:
        return windowed(shown, (0, 2 ** int(dataset.VOILUTSequence[0].LUTDescriptor[2]) - 1))
    return windowed(shown, _ends(dataset))


def _ends(dataset: Any) -> tuple[float, float]:
    """Smallest and largest value that a window can give: those of the stored bits, rescaled (DICOM PS3.3 C.11.2)."""
    bits = int(dataset.BitsStored)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if int(dataset.PixelRepresentation) else (0, 2**bits - 1)
    slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
    return low * slope + intercept, high * slope + intercept


def _tools() -> Any:
    try:
        import pydicom
        import pydicom.pixels
    except ImportError as error:
        raise RowFault(
            "format_not_allowed", "DICOM needs the extra medical: pip install 'figureground[medical]'"
        ) from error
    return pydicom
