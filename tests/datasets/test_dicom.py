"""DICOM: rescaled, windowed as the file says, dark objects turned light; nothing is guessed."""

import builtins
import io

import numpy as np
import pytest
from PIL import Image

from figureground.datasets.decoding import Decoding
from figureground.datasets.images import MAX_PIXELS, RowFault, decode_image, read_picture

pydicom = pytest.importorskip("pydicom")

RAMP = np.linspace(0, 4095, 64 * 48).astype(np.uint16).reshape(64, 48)


def dicom(values=RAMP, *, bits=12, kind="MONOCHROME2", frames=None, compress=None, **tags):
    """Bytes of a small file."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = SecondaryCaptureImageStorage
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = generate_uid()
    height, width = values.shape[-3:-1] if kind == "RGB" else values.shape[-2:]
    made.Rows, made.Columns, made.SamplesPerPixel = height, width, 3 if kind == "RGB" else 1
    made.PhotometricInterpretation, made.PixelRepresentation = kind, int(values.dtype.kind == "i")
    made.BitsAllocated, made.BitsStored, made.HighBit = 8 * values.dtype.itemsize, bits, bits - 1
    if kind == "RGB":
        made.PlanarConfiguration = 0
    if frames:
        made.NumberOfFrames = frames
    for name, value in tags.items():
        setattr(made, name, value)
    made.PixelData = values.tobytes()
    if compress is not None:
        made.compress(compress)
    stream = io.BytesIO()
    made.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def fault(*args):
    with pytest.raises(RowFault) as caught:
        decode_image(*args)
    return caught.value


def pixels(data, **declared):
    return np.asarray(read_picture(data, Decoding(**declared)).image, dtype=float)


@pytest.mark.fault("C11")
def test_the_window_of_the_file_is_applied():
    data = dicom(WindowCenter="2048", WindowWidth="1000")
    expected = ((RAMP - 2047.5) / 999 + 0.5).clip(0, 1) * 255  # DICOM PS3.3 C.11.2.1.2.1, linear
    np.testing.assert_allclose(pixels(data), expected, atol=1)
    assert read_picture(data).notes == ("dicom", "dicom_windowed")


@pytest.mark.fault("C11")
def test_values_are_rescaled_before_the_window():
    data = dicom(WindowCenter="40", WindowWidth="400", RescaleSlope="1", RescaleIntercept="-1024")
    expected = ((RAMP - 1024.0 - 39.5) / 399 + 0.5).clip(0, 1) * 255
    np.testing.assert_allclose(pixels(data), expected, atol=1)
    assert read_picture(data).notes == ("dicom", "dicom_rescaled", "dicom_windowed")
    by_range = pixels(data, range=(-160, 240))
    np.testing.assert_allclose(by_range, ((RAMP - 1024.0 + 160) / 400).clip(0, 1) * 255, atol=1)


@pytest.mark.fault("C11")
def test_monochrome1_is_inverted_and_that_is_noted():
    upright, inverted = (
        dicom(kind=kind, WindowCenter="2048", WindowWidth="4096") for kind in ("MONOCHROME2", "MONOCHROME1")
    )
    np.testing.assert_array_equal(pixels(inverted), 255 - pixels(upright))
    assert "dicom_inverted" in read_picture(inverted).notes


def test_a_lookup_table_of_the_file_is_applied():
    from pydicom.dataset import Dataset

    table = Dataset()
    table.LUTDescriptor = [4096, 0, 12]
    table.LUTData = (4095 - np.arange(4096)).astype("<u2").tobytes()
    found = pixels(dicom(VOILUTSequence=[table]))
    np.testing.assert_allclose(found, (4095 - RAMP.astype(float)) / 4095 * 255, atol=1)


def test_eight_bits_and_colours_are_taken_as_they_are():
    grey = (RAMP // 16).astype(np.uint8)
    np.testing.assert_array_equal(pixels(dicom(grey, bits=8)), grey)
    colour = np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)
    np.testing.assert_array_equal(pixels(dicom(colour, bits=8, kind="RGB")), colour)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90"])  # RLE, JPEG 2000 lossless
def test_compressed_pixels_are_decoded(syntax):
    window = {"WindowCenter": "2048", "WindowWidth": "4096"}
    np.testing.assert_array_equal(pixels(dicom(compress=syntax, **window)), pixels(dicom(**window)))


@pytest.mark.fault("C7")
def test_deep_values_without_a_window_need_a_range():
    assert fault(dicom()).reason == "bit_depth"
    np.testing.assert_allclose(pixels(dicom(), range=(0, 4095)), RAMP / 4095 * 255, atol=1)


def test_frames_are_a_question_and_size_is_told_by_the_header():
    frames = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]])
    window = {"WindowCenter": "2048", "WindowWidth": "4096"}
    data = dicom(frames, frames=3, **window)
    assert fault(data).reason == "multi_frame"
    np.testing.assert_array_equal(pixels(data, frame=1), pixels(dicom(RAMP[::-1].copy(), **window)))
    huge = dicom(Rows=20_000, Columns=20_000, **window)
    assert MAX_PIXELS < 20_000**2
    assert fault(huge).reason == "pixel_cap"


def test_damage_is_a_row_fault():
    data = dicom(WindowCenter="2048", WindowWidth="4096")
    assert fault(data[: len(data) // 2]).reason == "image_unreadable"
    assert fault(dicom(kind="PALETTE COLOR")).reason == "format_not_allowed"


@pytest.mark.fault("C11")
def test_without_the_extra_the_row_names_it(monkeypatch):
    data, real = dicom(WindowCenter="2048", WindowWidth="4096"), builtins.__import__

    def absent(name, *args, **more):
        if name.startswith("pydicom"):
            raise ImportError(name)
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", absent)
    found = fault(data)
    assert found.reason == "format_not_allowed"
    assert "pip install 'figureground[medical]'" in found.detail


def test_a_picture_under_the_name_of_dicom_is_a_picture(tmp_path):
    stream = io.BytesIO()
    Image.fromarray((RAMP // 16).astype(np.uint8)).save(stream, "PNG")
    np.testing.assert_array_equal(np.asarray(decode_image(stream.getvalue())), RAMP // 16)
