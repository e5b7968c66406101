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
from figureground.datasets.decoding import Decoding
from figureground.datasets.images import RowFault, array_picture, decode_image, flatten, read_picture
from figureground.datasets.masks import decode_mask

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


@pytest.mark.fault("C6")
@pytest.mark.parametrize("value", UPRIGHT)
def test_exif_orientation_is_applied_to_images_and_masks(value):
    upright = UPRIGHT[value]
    image = decode_image(saved(Image.fromarray(PHOTO), "PNG", exif=oriented(value)))
    np.testing.assert_array_equal(np.asarray(image), upright(PHOTO))
    drawn = (PHOTO[..., 0] > 127).astype(np.uint8)
    mask = decode_mask(saved(Image.fromarray(drawn * 255), "PNG", exif=oriented(value)))
    np.testing.assert_array_equal(mask.values, upright(drawn))
    left = Decoding(exif="ignore")
    np.testing.assert_array_equal(decode_image(saved(Image.fromarray(PHOTO), "PNG", exif=oriented(value)), left), PHOTO)
    data = saved(Image.fromarray(drawn * 255), "PNG", exif=oriented(value))
    np.testing.assert_array_equal(decode_mask(data, left).values, drawn)


@pytest.mark.parametrize(("colour_type", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_sixteen_bits_a_channel_are_refused(colour_type, channels):
    data = png16(colour_type, channels)
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()  # valid for Pillow: nothing but the depth is the matter
    assert fault(decode_image, data) == "bit_depth"


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_deep_tiffs_are_refused(mode):
    assert fault(decode_image, saved(Image.new(mode, (4, 4)), "TIFF")) == "bit_depth"


@pytest.mark.fault("C3")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP"])
def test_a_truncated_file_opens_but_is_refused(kind):
    data = saved(Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)), kind)
    half = data[: len(data) // 2]
    if kind != "WEBP":  # its header holds the length
        with Image.open(io.BytesIO(half)) as picture:
            assert picture.size == (64, 64)
    assert fault(decode_image, half) == ("image_unreadable" if kind == "WEBP" else "truncated")


@pytest.mark.fault("C2")
@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "empty"),
        (b"\n<!DOCTYPE html><p>404", "html"),
        (b"<html>404</html>", "html"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "git_lfs"),
        (b"see elsewhere", "text"),
    ],
)
def test_what_is_no_picture_is_refused_and_called_what_it_is(data, what):
    assert fault(decode_image, data) == f"not_an_image:{what}"
    assert fault(decode_mask, data) == "mask_unreadable"


@pytest.mark.parametrize("kind", ["EPS", "PPM", "PCX", "ICO", "TGA"])
def test_other_formats_are_never_opened_whatever_their_name(kind):
    data = saved(Image.fromarray(PHOTO), kind)
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.format == kind
    with pytest.raises(RowFault, match="expected a picture in PNG") as caught:  # said before anything is decoded
        decode_image(data)
    assert caught.value.reason == "format_not_allowed"


@pytest.mark.fault("C11")
@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"%PDF-1.7\n%\xe2\xe3", "PDF"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (saved(Image.fromarray(PHOTO), "EPS"), "EPS"),
    ],
)
def test_foreign_formats_are_named_and_no_interpreter_runs(data, name, monkeypatch):
    import subprocess

    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started"))
    with pytest.raises(RowFault, match=name) as caught:
        decode_image(data)
    assert caught.value.reason == "format_not_allowed"


@pytest.mark.fault("C10")
@pytest.mark.parametrize("kind", ["GIF", "TIFF", "PNG", "WEBP"])
def test_several_frames_are_refused_unless_one_is_named(kind):
    frames = [Image.fromarray(RNG.integers(0, 256, (8, 8), dtype=np.uint8)) for _ in range(3)]
    lossless = {"lossless": True} if kind == "WEBP" else {}
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:], **lossless)
    assert fault(decode_image, data) == "multi_frame"
    assert fault(decode_mask, data) == "mask_frames"
    assert fault(decode_image, data, Decoding(frame=3)) == "multi_frame"
    for frame in range(3):
        found = read_picture(data, Decoding(frame=frame))
        np.testing.assert_array_equal(np.asarray(found.image.convert("L")), np.asarray(frames[frame]))
        assert "frame_chosen" in found.notes


def test_a_gif_of_one_frame_is_read():
    picture = decode_image(saved(Image.fromarray(PHOTO[..., 0]), "GIF"))
    np.testing.assert_array_equal(np.asarray(picture.convert("L")), PHOTO[..., 0])


@pytest.mark.fault("C9")
def test_transparent_pixels_show_the_matte_and_not_what_is_beneath():
    pixels = np.zeros((2, 3, 4), np.uint8)
    pixels[..., 0] = 255  # red everywhere ...
    pixels[0, :, 3] = (0, 255, 128)  # ... hidden, full, half
    pixels[1, :, 3] = 255
    found = np.asarray(decode_image(saved(Image.fromarray(pixels), "PNG")))
    assert found[0, 0].tolist() == [255, 255, 255]
    assert found[0, 1].tolist() == [255, 0, 0]
    np.testing.assert_allclose(found[0, 2], [255, 127, 127], atol=1)
    on_blue = read_picture(saved(Image.fromarray(pixels), "PNG"), Decoding(alpha_bg=(0, 0, 200)))
    assert np.asarray(on_blue.image)[0, 0].tolist() == [0, 0, 200]
    assert on_blue.notes == ("alpha_flattened",)
    pixels[..., 3] = 255
    assert read_picture(saved(Image.fromarray(pixels), "PNG")).notes == ()


@pytest.mark.fault("C8")
def test_a_transparent_palette_entry_shows_the_matte():
    palette = Image.fromarray(np.array([[0, 1]], np.uint8), mode=None).convert("P")
    palette.putpalette([10, 20, 30, 200, 100, 50])
    found = np.asarray(decode_image(saved(palette, "PNG", transparency=0)))
    assert found.tolist() == [[[255, 255, 255], [200, 100, 50]]]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_flatten_gives_grey_or_colour(mode):
    assert flatten(Image.new(mode, (3, 2))).mode in ("L", "RGB")


def _jpeg_in(mode, colour):
    return saved(Image.new(mode, (8, 8), colour), "JPEG", quality=100, subsampling=0)


def _ycck():
    """Cyan as photo tools write it: Adobe's YCCK, luminance and colour differences of the inks, all inverted."""
    # The planes of RGB(255, 0, 0) in YCbCr, and no black; Pillow inverts what it writes, and leaves the planes alone.
    data = bytearray(_jpeg_in("CMYK", (255 - 76, 255 - 85, 255 - 255, 0)))
    transform = data.index(b"Adobe") + 11
    assert data[transform] == 0  # "as they are"
    data[transform] = 2  # YCCK
    return bytes(data)


@pytest.mark.fault("C8")
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (_jpeg_in("CMYK", (255, 0, 0, 0)), [0, 255, 255]),
        (_jpeg_in("CMYK", (0, 128, 255, 51)), [204, 102, 0]),
        (_ycck(), [0, 255, 255]),
        (_jpeg_in("YCbCr", (76, 85, 255)), [254, 0, 0]),
        (saved(Image.new("LAB", (8, 8), (128, 128, 128)), "TIFF"), [119, 119, 119]),
        (saved(Image.new("LA", (8, 8), (40, 0)), "PNG"), [255, 255, 255]),
        (saved(Image.new("LA", (8, 8), (40, 255)), "PNG"), [40, 40, 40]),
        (saved(Image.new("1", (8, 8), 1), "PNG"), [255, 255, 255]),
        (saved(Image.new("1", (8, 8), 1), "TIFF"), [255, 255, 255]),
    ],
)
def test_every_kind_of_colour_has_its_golden_pixels(data, expected):
    found = np.asarray(decode_image(data).convert("RGB"))
    np.testing.assert_allclose(found[3, 3], expected, atol=2)


@pytest.mark.fault("C7")
def test_more_than_eight_bits_are_scaled_by_a_declared_range():
    ramp = np.linspace(0, 4095, 40).astype(np.uint16).reshape(4, 10)  # 12 bits in 16
    expected = ramp / 4095 * 255
    deep = [
        saved(Image.fromarray(ramp), "PNG"),
        saved(Image.fromarray(ramp), "TIFF"),
        saved(Image.fromarray(ramp.astype(np.int32)), "TIFF"),
        saved(Image.fromarray(ramp.astype(np.float32)), "TIFF"),
    ]
    for data in deep:
        assert fault(decode_image, data) == "bit_depth"
        found = read_picture(data, Decoding(range=(0, 4095)))
        np.testing.assert_allclose(np.asarray(found.image, dtype=float), expected, atol=1)
        assert found.notes == ("range_scaled",)
    clipped = np.asarray(decode_image(deep[0], Decoding(range=(1000, 2000))))
    assert (clipped[ramp <= 1000] == 0).all()
    assert (clipped[ramp >= 2000] == 255).all()
    np.testing.assert_allclose(array_picture(ramp, Decoding(range=(0, 4095))).image, expected, atol=1)
    assert fault(array_picture, ramp) == "bit_depth"
    assert (
        fault(decode_image, saved(Image.new("F", (4, 4), float("nan")), "TIFF"), Decoding(range=(0, 1))) == "bit_depth"
    )
    assert fault(decode_image, png16(2, 3), Decoding(range=(0, 4095))) == "bit_depth"  # Pillow has cut them already


@pytest.mark.fault("C4")
def test_damaged_chunks_are_refused_and_quiet_damage_is_counted():
    data = bytearray(saved(Image.fromarray(PHOTO), "PNG"))
    data[data.index(b"IDAT") + 20] ^= 0xFF  # its checksum is wrong now
    assert fault(decode_image, bytes(data)) == "image_unreadable"
    exif = oriented(1)
    exif[0x010E] = "x" * 40
    jpeg = bytearray(saved(Image.fromarray(PHOTO), "JPEG", exif=exif, quality=95))
    order = ">" if jpeg[jpeg.index(b"Exif") + 6 :][:2] == b"MM" else "<"
    at = jpeg.index(struct.pack(order + "HH", 0x010E, 2))
    jpeg[at + 4 : at + 8] = b"\x00\x40\x40\x00"  # its text is said to be longer than the file
    found = read_picture(bytes(jpeg))
    assert "decoder_warning" in found.notes
    jpeg[-40] ^= 0x55  # within the compressed pixels: nothing tells this but the hash
    assert np.asarray(read_picture(bytes(jpeg)).image).shape == PHOTO.shape


def test_size_is_judged_from_the_header(monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 99)
    data = saved(Image.new("1", (10, 10)), "BMP")
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("decoded"))
    assert fault(decode_image, data) == "pixel_cap"
    assert fault(decode_mask, data) == "mask_too_large"


@pytest.mark.fault("C5")
@pytest.mark.parametrize("side", [11_000, 20_000, 30_000])  # Pillow warns of the first and refuses the others
def test_a_decompression_bomb_is_told_by_its_header(side, monkeypatch):
    data = bytearray(saved(Image.new("1", (8, 8)), "PNG"))
    data[16:24] = struct.pack(">II", side, side)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("decoded"))
    assert fault(decode_image, bytes(data)) == "pixel_cap"


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
                found = decode(data)
                assert np.asarray(found.values if decode is decode_mask else found).size > 0


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
    assert fault(decode_mask, gif) in ("mask_unreadable", "multi_frame")


def test_a_photograph_with_a_preview_behind_it_is_the_photograph():
    """Telephones write such files: a JPEG, and after it a preview or a gain map that no viewer shows."""
    taken, preview = Image.new("RGB", (64, 48), (200, 10, 10)), Image.new("RGB", (32, 24))
    stream = io.BytesIO()
    taken.save(stream, "MPO", save_all=True, append_images=[preview])
    found = read_picture(stream.getvalue())
    assert found.image.size == (64, 48)
    assert found.image.getpixel((5, 5))[0] > 190
    assert "further_pictures" in found.notes


def test_an_orientation_that_is_no_number_turns_nothing():
    # Found by benchmarks/fuzz/masks.py: the type of the field was damaged.
    whole = saved(Image.fromarray(PHOTO), "JPEG", exif=oriented(6))
    assert whole.count(b"\x01\x12\x00\x03") == 1
    odd = whole.replace(b"\x01\x12\x00\x03", b"\x01\x12\x00\x07")
    assert decode_image(odd).size == decode_image(saved(Image.fromarray(PHOTO), "JPEG")).size
