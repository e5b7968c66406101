"""Decoding: every pixel is read, what would be guessed is refused, and damage is always a named fault."""

import contextlib
import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from figureground.datasets import images
from figureground.datasets.images import RowFault, decode_image, decode_mask, flatten, mask_values

RNG = np.random.default_rng(7)
PHOTO = RNG.integers(0, 256, (24, 16, 3), dtype=np.uint8)

#: EXIF orientation -> what turns the stored pixels upright (EXIF 2.32, tag 0x0112).
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: np.rot90(a, 1),
}


def saved(picture, kind, **options):
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def oriented(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def png16(colour_type, channels):
    """PNG with 16 bits a channel, which Pillow cannot write in colour."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(b"\0" + np.arange(4 * channels, dtype=">u2").tobytes() for _ in range(3))
    header = struct.pack(">IIBBBBB", 4, 3, 16, colour_type, 0, 0, 0)
    chunks = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def fault(call, *args):
    with pytest.raises(RowFault) as caught:
        call(*args)
    return caught.value.reason


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_lossless_pictures_keep_every_pixel(kind):
    picture = decode_image(saved(Image.fromarray(PHOTO), kind))
    assert picture.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(picture), PHOTO)


def test_a_grey_picture_stays_grey():
    picture = decode_image(saved(Image.fromarray(PHOTO[..., 0]), "PNG"))
    assert picture.mode == "L"
    np.testing.assert_array_equal(np.asarray(picture), PHOTO[..., 0])


@pytest.mark.parametrize("value", UPRIGHT)
def test_exif_orientation_is_applied_to_images_and_masks(value):
    upright = UPRIGHT[value]
    image = decode_image(saved(Image.fromarray(PHOTO), "PNG", exif=oriented(value)))
    np.testing.assert_array_equal(np.asarray(image), upright(PHOTO))
    drawn = (PHOTO[..., 0] > 127).astype(np.uint8)
    mask = decode_mask(saved(Image.fromarray(drawn * 255), "PNG", exif=oriented(value)))
    np.testing.assert_array_equal(mask, upright(drawn))


@pytest.mark.parametrize(("colour_type", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_sixteen_bits_a_channel_are_refused(colour_type, channels):
    data = png16(colour_type, channels)
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()  # valid for Pillow: nothing but the depth is the matter
    assert fault(decode_image, data) == "image_depth"


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_deep_tiffs_are_refused(mode):
    assert fault(decode_image, saved(Image.new(mode, (4, 4)), "TIFF")) == "image_depth"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP"])
def test_a_truncated_file_opens_but_is_refused(kind):
    data = saved(Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)), kind)
    half = data[: len(data) // 2]
    if kind != "WEBP":  # its header holds the length
        with Image.open(io.BytesIO(half)) as picture:
            assert picture.size == (64, 64)
    assert fault(decode_image, half) == "image_unreadable"


@pytest.mark.parametrize("data", [b"", b"<html>404</html>", b"version https://git-lfs.github.com/spec/v1\n"])
def test_what_is_no_picture_is_refused(data):
    assert fault(decode_image, data) == "image_unreadable"
    assert fault(decode_mask, data) == "mask_unreadable"


@pytest.mark.parametrize("kind", ["EPS", "PPM", "PCX", "ICO", "TGA"])
def test_other_formats_are_never_opened_whatever_their_name(kind):
    data = saved(Image.fromarray(PHOTO), kind)
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.format == kind
    with pytest.raises(RowFault, match="not a picture in PNG") as caught:  # said before anything is decoded
        decode_image(data)
    assert caught.value.reason == "image_unreadable"


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "PNG", "WEBP"])
def test_several_frames_are_refused(kind):
    frames = [Image.fromarray(RNG.integers(0, 256, (8, 8), dtype=np.uint8)) for _ in range(3)]
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:])
    assert fault(decode_image, data) == "image_frames"
    assert fault(decode_mask, data) == "mask_frames"


def test_a_gif_of_one_frame_is_read():
    picture = decode_image(saved(Image.fromarray(PHOTO[..., 0]), "GIF"))
    np.testing.assert_array_equal(np.asarray(picture.convert("L")), PHOTO[..., 0])


def test_transparent_pixels_show_the_matte_and_not_what_is_beneath():
    pixels = np.zeros((2, 3, 4), np.uint8)
    pixels[..., 0] = 255  # red everywhere ...
    pixels[0, :, 3] = (0, 255, 128)  # ... hidden, full, half
    pixels[1, :, 3] = 255
    found = np.asarray(decode_image(saved(Image.fromarray(pixels), "PNG")))
    assert found[0, 0].tolist() == [255, 255, 255]
    assert found[0, 1].tolist() == [255, 0, 0]
    np.testing.assert_allclose(found[0, 2], [255, 127, 127], atol=1)


def test_a_transparent_palette_entry_shows_the_matte():
    palette = Image.fromarray(np.array([[0, 1]], np.uint8), mode=None).convert("P")
    palette.putpalette([10, 20, 30, 200, 100, 50])
    found = np.asarray(decode_image(saved(palette, "PNG", transparency=0)))
    assert found.tolist() == [[[255, 255, 255], [200, 100, 50]]]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_flatten_gives_grey_or_colour(mode):
    assert flatten(Image.new(mode, (3, 2))).mode in ("L", "RGB")


def test_size_is_judged_from_the_header(monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 99)
    data = saved(Image.new("1", (10, 10)), "BMP")
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("decoded"))
    assert fault(decode_image, data) == "image_too_large"
    assert fault(decode_mask, data) == "mask_too_large"


def test_a_decompression_bomb_is_a_row_fault():
    data = bytearray(saved(Image.new("1", (8, 8)), "PNG"))
    data[16:24] = struct.pack(">II", 30_000, 30_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    assert fault(decode_image, bytes(data)) in ("image_too_large", "image_unreadable")


@pytest.mark.parametrize(
    ("drawn", "expected"),
    [
        ([[0, 255]], [[0, 1]]),
        ([[0, 1]], [[0, 1]]),
        ([[0, 1, 255]], [[0, 1, 255]]),
        ([[1, 255]], [[1, 255]]),
        ([[0, 0]], [[0, 0]]),
        ([[255, 255]], [[1, 1]]),
    ],
)
def test_mask_conventions(drawn, expected):
    array = np.array(drawn, np.uint8)
    found = decode_mask(saved(Image.fromarray(array), "PNG"))
    assert found.dtype == np.uint8
    assert found.tolist() == expected
    assert mask_values(np.repeat(array[..., None], 3, axis=2)).tolist() == expected


def test_boolean_and_one_bit_masks():
    drawn = np.array([[True, False, True]])
    assert mask_values(drawn).tolist() == [[1, 0, 1]]
    assert decode_mask(saved(Image.fromarray(drawn), "PNG")).tolist() == [[1, 0, 1]]


def test_a_palette_mask_gives_its_ids_and_not_their_colours():
    ids = Image.fromarray(np.array([[0, 1, 255]], np.uint8)).convert("P")
    ids.putdata([0, 1, 255])
    ids.putpalette([0, 0, 0, 128, 0, 0] + [0] * 759 + [224, 224, 192])
    data = saved(ids, "PNG")
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.mode == "P"
        assert list(picture.convert("L").tobytes()) != [0, 1, 255]
    assert decode_mask(data).tolist() == [[0, 1, 255]]


@pytest.mark.parametrize(
    "drawn",
    [
        np.array([[0, 128, 255]], np.uint8),  # anti-aliased
        np.array([[0, 2]], np.uint8),  # class ids
        np.array([[[0, 0, 0], [128, 0, 0]]], np.uint8),  # colours
        np.array([[[0, 0, 0, 255], [255, 255, 255, 255]]], np.uint8),  # beside alpha
    ],
)
def test_masks_that_would_need_a_guess_are_refused(drawn):
    assert fault(decode_mask, saved(Image.fromarray(drawn), "PNG")) == "mask_values"


def test_masks_with_fractions_or_nan_are_refused():
    assert fault(mask_values, np.array([[0.0, 0.5]])) == "mask_values"
    assert fault(mask_values, np.array([[0.0, np.nan]])) == "mask_values"


_SEEDS = [
    saved(Image.fromarray(PHOTO), "JPEG", exif=oriented(6)),
    saved(Image.fromarray(PHOTO), "WEBP", exif=oriented(6)),
    saved(Image.fromarray(PHOTO), "PNG", exif=oriented(6)),
    saved(Image.fromarray(PHOTO), "TIFF", exif=oriented(6)),
    saved(Image.fromarray(PHOTO[..., 0]), "GIF"),
]


def survive(data):
    """Usable pixels or a named fault, from either decoder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on damaged metadata
        for decode in (decode_image, decode_mask):
            with contextlib.suppress(RowFault):
                assert np.asarray(decode(data)).size > 0


@settings(max_examples=80, deadline=None)
@given(
    seed=st.sampled_from(_SEEDS),
    flips=st.lists(st.tuples(st.integers(0, 399), st.integers(0, 255)), min_size=1, max_size=6),
    kept=st.floats(0.1, 1),
)
def test_damaged_bytes_give_pixels_or_a_row_fault(seed, flips, kept):
    data = bytearray(seed)
    for at, value in flips:
        data[at % len(data)] = value
    survive(bytes(data[: int(len(data) * kept)]))


def test_damage_that_pillow_lets_out_as_other_errors():
    tiff = bytearray(saved(Image.fromarray(PHOTO), "TIFF"))
    (directory,) = struct.unpack("<I", tiff[4:8])
    tiff[directory + 2] ^= 0x80  # the tag of the width is another now: TypeError "Missing dimensions"
    assert fault(decode_image, bytes(tiff)) == "image_unreadable"
    webp = bytearray(saved(Image.fromarray(PHOTO), "WEBP", exif=oriented(6), lossless=True))
    at = webp.index(b"EXIF")
    webp[at + 8 : at + 18] = b"\xff" * 10  # SyntaxError from exif_transpose
    assert fault(decode_image, bytes(webp)) == "image_unreadable"
    # Found by benchmarks/fuzz/masks.py: a GIF whose second frame begins nowhere, IndexError.
    drawn = "47494638376108000600810000000000ffffff0000000000002c000000000800"
    more = "06006108000600810000002c0000ffffff0600b0a1c180003b"
    gif = bytes.fromhex(drawn + more)
    assert fault(decode_mask, gif) == "mask_unreadable"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, bool])
def test_masks_of_every_depth_are_the_same_mask(dtype):
    """Fault D1: 0/1, 0/255, booleans, one bit and 16 bits are the identical mask."""
    shape = np.tril(np.ones((6, 9), dtype=bool))
    full = {np.uint8: 255, np.uint16: 65_535, np.int32: 65_535, bool: True}[dtype]
    assert (mask_values(np.where(shape, full, 0).astype(dtype)) == shape).all()
    if dtype is np.uint16:
        assert (decode_mask(saved(Image.fromarray(np.where(shape, full, 0).astype(dtype)), "PNG")) == shape).all()
    if dtype is bool:
        assert (decode_mask(saved(Image.fromarray(shape), "PNG")) == shape).all()
