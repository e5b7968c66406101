"""Masks: values that have one meaning are read, those that have several are asked about, colours are never summed."""

import io

import numpy as np
import pytest
from PIL import Image

from figureground.datasets.decoding import Decoding
from figureground.datasets.masks import Mask, array_mask, border_share, decode_mask, fitting
from figureground.datasets.pixels import Pixels
from figureground.datasets.row_faults import MaskQuestion, RowFault
from figureground.errors import UsageError


def saved(picture, kind, **options):
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def fault(call, *args):
    with pytest.raises(RowFault) as caught:
        call(*args)
    return caught.value.reason


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
    found = decode_mask(saved(Image.fromarray(array), "PNG")).values
    assert found.dtype == np.uint8
    assert found.tolist() == expected
    assert array_mask(np.repeat(array[..., None], 3, axis=2)).values.tolist() == expected


def test_boolean_and_one_bit_masks():
    drawn = np.array([[True, False, True]])
    assert array_mask(drawn).values.tolist() == [[1, 0, 1]]
    assert decode_mask(saved(Image.fromarray(drawn), "PNG")).values.tolist() == [[1, 0, 1]]


def test_a_palette_mask_gives_its_ids_and_not_their_colours():
    ids = Image.fromarray(np.array([[0, 1, 255]], np.uint8)).convert("P")
    ids.putdata([0, 1, 255])
    ids.putpalette([0, 0, 0, 128, 0, 0] + [0] * 759 + [224, 224, 192])
    data = saved(ids, "PNG")
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.mode == "P"
        assert list(picture.convert("L").tobytes()) != [0, 1, 255]
    assert decode_mask(data).values.tolist() == [[0, 1, 255]]


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
    assert fault(array_mask, np.array([[0.0, 0.5]])) == "mask_values"
    assert fault(array_mask, np.array([[0.0, np.nan]])) == "mask_values"


@pytest.mark.fault("D1")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, bool])
def test_masks_of_every_depth_are_the_same_mask(dtype):
    """0/1, 0/255, booleans, one bit and 16 bits are the identical mask."""
    shape = np.tril(np.ones((6, 9), dtype=bool))
    full = {np.uint8: 255, np.uint16: 65_535, np.int32: 65_535, bool: True}[dtype]
    assert (array_mask(np.where(shape, full, 0).astype(dtype)).values == shape).all()
    if dtype is np.uint16:
        assert (
            decode_mask(saved(Image.fromarray(np.where(shape, full, 0).astype(dtype)), "PNG")).values == shape
        ).all()
    if dtype is bool:
        assert (decode_mask(saved(Image.fromarray(shape), "PNG")).values == shape).all()


@pytest.mark.fault("D2")
def test_in_between_values_are_a_question_until_somebody_says_what_they_mean():
    soft = np.array([[0, 128, 255]], np.uint8)
    noisy = Image.fromarray(np.kron(np.eye(4, dtype=np.uint8) * 255, np.ones((5, 5), np.uint8)))
    for data in (saved(Image.fromarray(soft), "PNG"), saved(noisy, "JPEG", quality=30)):
        with pytest.raises(MaskQuestion):
            decode_mask(data)
        assert not isinstance(_caught(decode_mask, data, Decoding(mask_mode="binary")), MaskQuestion)
    assert array_mask(soft, Decoding(mask_mode="threshold")).values.tolist() == [[0, 1, 1]]
    assert array_mask(soft, Decoding(mask_mode="threshold", mask_threshold=200)).values.tolist() == [[0, 0, 1]]
    found = decode_mask(saved(noisy, "JPEG", quality=30), Decoding(mask_mode="threshold")).values
    assert (found == np.asarray(noisy) // 255).all()


def _caught(call, *args):
    with pytest.raises(RowFault) as caught:
        call(*args)
    return caught.value


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_soft_masks_keep_the_share_of_each_pixel(dtype):
    share = np.array([[0.0, 0.2, 0.6, 1.0]])
    full = {np.uint8: 255, np.uint16: 65_535, np.float32: 1}[dtype]
    raw = np.rint(share * full) if full > 1 else share
    found = array_mask(raw.astype(dtype), Decoding(mask_mode="soft"))
    np.testing.assert_allclose(found.soft, share, atol=1 / 255)
    assert found.values.tolist() == [[0, 0, 1, 1]]
    dark = array_mask(raw.astype(dtype), Decoding(mask_mode="soft", mask_polarity="object-dark"))
    np.testing.assert_allclose(dark.soft, 1 - share, atol=1 / 255)
    assert fault(array_mask, np.array([[0.5, 1.5]]), Decoding(mask_mode="soft")) == "mask_values"


def _voc():
    """A palette as Pascal VOC's: class numbers, and 255 for pixels that nobody decided about."""
    ids = Image.new("P", (5, 1))
    ids.putdata([0, 3, 15, 255, 3])
    ids.putpalette([0, 0, 0] + [64, 128, 0] * 254 + [224, 224, 192])
    return saved(ids, "PNG")


@pytest.mark.fault("D4", "D5")
@pytest.mark.parametrize(
    ("options", "label", "expected"),
    [
        ({"mask_object": "any"}, "", [0, 1, 1, 255, 1]),
        ({"mask_object": "ids", "mask_ids": (15,)}, "", [0, 0, 1, 255, 0]),
        ({"mask_object": "label", "mask_ids": {"cat": 3, "dog": 15}}, "cat", [0, 1, 0, 255, 1]),
        ({"mask_object": "label", "mask_ids": {"cat": 3, "dog": 15}}, "dog", [0, 0, 1, 255, 0]),
        ({"mask_object": "ids", "mask_ids": (3,), "mask_ignore": 15}, "", [0, 1, 255, 0, 1]),
    ],
)
def test_class_numbers_of_a_palette_are_kept_and_the_void_is_ignored(options, label, expected):
    assert decode_mask(_voc(), Decoding(mask_mode="class-ids", **options), label).values.tolist() == [expected]


@pytest.mark.fault("D5")
def test_class_numbers_are_asked_about_and_an_absent_object_is_told():
    assert _caught(decode_mask, _voc()).__class__ is MaskQuestion
    chosen = Decoding(mask_mode="class-ids", mask_object="label", mask_ids={"cat": 3, "eel": 9})
    absent = _caught(decode_mask, _voc(), chosen, "eel")
    assert (absent.reason, type(absent)) == ("object_absent", RowFault)
    assert type(_caught(decode_mask, _voc(), chosen, "cow")) is MaskQuestion  # no number for this label


@pytest.mark.fault("D6")
def test_colours_are_listed_and_alpha_is_read_only_where_that_is_said():
    colours = np.array([[[0, 0, 0], [128, 0, 0], [0, 128, 0]]], np.uint8)
    question = _caught(decode_mask, saved(Image.fromarray(colours), "PNG"))
    assert isinstance(question, MaskQuestion)
    assert "(0, 0, 0), (0, 128, 0), (128, 0, 0)" in question.detail
    drawn = np.zeros((1, 3, 4), np.uint8)
    drawn[0, :, 3] = (0, 255, 130)
    data = saved(Image.fromarray(drawn), "PNG")
    assert isinstance(_caught(decode_mask, data), MaskQuestion)
    assert decode_mask(data, Decoding(mask_mode="alpha")).values.tolist() == [[0, 1, 1]]
    assert decode_mask(data, Decoding(mask_mode="alpha", mask_threshold=200)).values.tolist() == [[0, 1, 0]]
    assert fault(decode_mask, saved(Image.fromarray(colours), "PNG"), Decoding(mask_mode="alpha")) == "mask_values"


@pytest.mark.fault("D8")
def test_another_scale_is_resized_and_another_shape_is_somebody_elses():
    mask = np.zeros((20, 30), np.uint8)
    mask[5:10, 6:18] = 1
    half = fitting(Mask(mask), (15, 10))
    assert half.notes == ("mask_resized",)
    assert half.values[3:5, 3:9].all()
    assert half.values.sum() <= 18
    assert fitting(Mask(mask), (59, 40)).values.shape == (40, 59)  # within a pixel of the larger
    assert fitting(Mask(mask), (30, 20)).values is mask
    for size, hint in (((20, 30), "transposed"), ((30, 24), "expected"), ((60, 43), "expected")):
        wrong = _caught(fitting, Mask(mask), size)
        assert wrong.reason == "size_mismatch"
        assert hint in wrong.detail


@pytest.mark.fault("D11")
def test_dark_objects_are_declared_and_a_border_of_object_is_seen():
    mask = np.ones((8, 8), np.uint8)
    mask[2:6, 2:6] = 0
    found = array_mask(mask * 255, Decoding(mask_polarity="object-dark")).values
    assert found.tolist() == (1 - mask).tolist()
    assert border_share(mask) == 1
    assert border_share(found) == 0
    void = np.array([[0, 1, 255]], np.uint8)
    assert array_mask(void, Decoding(mask_polarity="object-dark")).values.tolist() == [[1, 0, 255]]


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"mask_mode": "class-ids"}, "mask_object"),
        ({"mask_object": "any"}, "mask_object"),
        ({"mask_mode": "class-ids", "mask_object": "label"}, "mask_ids"),
        ({"mask_mode": "class-ids", "mask_object": "label", "mask_ids": (3,)}, "mask_ids"),
        ({"mask_mode": "class-ids", "mask_object": "any", "mask_ids": (3,)}, "mask_ids"),
        ({"mask_threshold": 3}, "mask_threshold"),
        ({"mask_mode": "sharp"}, "mask_mode"),
        ({"exif": "no"}, "exif"),
        ({"range": (5, 5)}, "range"),
        ({"frame": -1}, "frame"),
        ({"alpha_bg": (0, 0, 300)}, "alpha_bg"),
    ],
)
def test_declarations_that_mean_nothing_are_refused_by_name(options, name):
    with pytest.raises(UsageError) as caught:
        Decoding(**options)
    assert caught.value.where == name
    assert caught.value.exit_code == 2


def test_what_is_declared_is_told_and_nothing_else():
    assert Decoding().declared == {}
    given = Decoding(mask_mode="class-ids", mask_object="ids", mask_ids=(3, 4), range=(0, 4095))
    assert given.declared == {
        "mask_mode": "class-ids", "mask_object": "ids", "mask_ids": [3, 4], "range": [0, 4095],
    }  # fmt: skip
    assert given.for_regions == Decoding(range=(0, 4095))


def pixels_of(values, soft=None):
    picture = Image.new("RGB", (values.shape[1], values.shape[0])) if values is not None else Image.new("RGB", (4, 4))
    return Pixels(picture, values, {}, "hash of the picture", soft=soft)


def test_a_mask_is_known_by_its_pixels_however_it_was_stored():
    values = np.array([[0, 1, 1, 0], [0, 1, 255, 0]], np.uint8)
    drawn = [Image.fromarray(((values == 1) * bright).astype(np.uint8)) for bright in (1, 255)]
    ones, bright = (decode_mask(saved(image, "PNG")) for image in drawn)
    assert pixels_of(ones.values).mask_sha256 == pixels_of(bright.values).mask_sha256
    assert pixels_of(values).mask_sha256 not in (None, pixels_of(ones.values).mask_sha256)
    assert pixels_of(values.reshape(4, 2)).mask_sha256 != pixels_of(values).mask_sha256
    shares = np.full(values.shape, 0.5, np.float32)
    assert pixels_of(values, shares).mask_sha256 != pixels_of(values).mask_sha256
    assert pixels_of(None).mask_sha256 is None
