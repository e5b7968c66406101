"""The planted generator: exact association, exact masks, one garment once, the same bytes every time."""

import dataclasses
import functools
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from figureground.datasets.embedded_data import load_garments, load_texture
from figureground.datasets.planted import Planted, compose, place
from figureground.errors import UsageError

COLUMNS = [
    "image", "mask", "label", "environment", "cluster", "split", "object", "background", "lighting"
]  # fmt: skip


@pytest.fixture(scope="module")
def small() -> Planted:
    return Planted(association=0.9, split="test", seed=3, per_label=20)


@pytest.fixture(scope="module")
def written(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    return small.write(folder)


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_folder_holds_what_the_manifest_says(small, written):
    rows = pd.read_csv(written, dtype=str)
    assert list(rows.columns) == COLUMNS
    assert len(rows) == 40
    pd.testing.assert_frame_equal(rows, small.manifest(), check_dtype=False)
    listed = {"manifest.csv", *rows["image"], *rows["mask"]}
    assert set(contents(written.parent)) == listed
    assert (rows["label"] == rows["object"]).all()
    assert (rows["environment"] == rows["background"]).all()
    assert set(rows["split"]) == {"test"}


def test_pictures_are_grey_and_masks_have_two_values(written):
    for path in written.parent.glob("*/*.png"):
        with Image.open(path) as picture:
            assert (picture.mode, picture.size) == ("L", (64, 64))
            if path.parent.name == "masks":
                assert set(np.unique(np.asarray(picture))) == {0, 255}


def test_the_written_files_are_the_rendered_arrays(small, written):
    rows = pd.read_csv(written)
    for index, row in rows.iterrows():
        image = np.asarray(Image.open(written.parent / row["image"]))
        mask = np.asarray(Image.open(written.parent / row["mask"])) == 255
        np.testing.assert_array_equal(image, small.pair(index)[("grass", "gravel").index(row["background"])])
        np.testing.assert_array_equal(image, small.render(index))
        np.testing.assert_array_equal(mask, small.mask(index))


@pytest.mark.parametrize("association", [0.0, 0.5, 0.87, 1.0])
@pytest.mark.parametrize(("split", "count"), [("train", 1000), ("test", 400)])
def test_association_and_lighting_are_met_exactly(association, split, count):
    rows = Planted(association, split).manifest()
    with_label = rows["label"].map({"pullover": "grass", "coat": "gravel"})
    paired = (rows["background"] == with_label).groupby(rows["label"]).sum()
    assert paired.to_dict() == dict.fromkeys(("coat", "pullover"), round(association * count))
    assert Counter(zip(rows["label"], rows["lighting"], strict=True)) == {
        (label, lighting): count // 2 for label in ("coat", "pullover") for lighting in ("bright", "dim")
    }
    cells = rows.groupby(["label", "background"])["lighting"].value_counts().unstack(fill_value=0)
    assert (cells["bright"] - cells["dim"]).abs().max() <= 1


@settings(max_examples=25, deadline=None)
@given(association=st.floats(0, 1), count=st.integers(1, 30), seed=st.integers(0, 2**40))
def test_association_is_exact_for_any_number(association, count, seed):
    rows = Planted(association, "test", seed=seed, per_label=count).manifest()
    coats = rows[rows["label"] == "coat"]
    assert len(coats) == count
    assert (coats["background"] == "gravel").sum() == round(association * count)
    assert (coats["lighting"] == "dim").sum() == count // 2


def test_the_pairing_can_be_turned_round(small):
    other = dataclasses.replace(small, backgrounds={"pullover": "gravel", "coat": "grass"})
    swap = {"grass": "gravel", "gravel": "grass"}
    assert list(other.manifest()["background"]) == [swap[name] for name in small.manifest()["background"]]


@pytest.mark.parametrize("split", ["train", "test"])
def test_each_garment_is_used_once_and_none_of_the_other_split(split):
    rows = Planted(0.5, split).manifest()
    garments = load_garments(split)
    assert sorted(rows["cluster"]) == list(garments.ids)
    labels = dict(zip(garments.ids, garments.labels, strict=True))
    assert list(rows["label"]) == [labels[name] for name in rows["cluster"]]


def test_the_order_of_the_files_says_nothing_about_label_background_or_lighting():
    rows = Planted(0.95, "train").manifest()
    for column in ("label", "background", "lighting"):
        first = (rows[column] == rows[column].iloc[0]).to_numpy()
        halves = first[:1000].sum(), first[1000:].sum()
        # Up to 8 standard deviations: difference of the halves, then runs (Wald and Wolfowitz 1940).
        assert abs(halves[0] - halves[1]) < 8 * np.sqrt(2000 * 0.25)
        runs = 1 + np.count_nonzero(first[1:] != first[:-1])
        assert 1000 - 8 * np.sqrt(500) < runs < 1000 + 8 * np.sqrt(500)
    assert rows["image"].is_unique
    assert rows["image"].is_monotonic_increasing


originals = functools.cache(load_garments)


def independent(data: Planted, index: int, background: str):
    """The picture pixel by pixel, from the package's files and Pillow alone."""
    scene, garments = data.scenes[index], originals(data.split)
    number = garments.ids.index(scene.cluster)
    garment = Image.fromarray(garments.images[number]).resize((42, 42), Image.Resampling.BILINEAR)
    mask = Image.fromarray(garments.masks[number].astype(np.uint8)).resize((42, 42), Image.Resampling.NEAREST)
    half = Image.fromarray(load_texture(background, data.split)).resize((170, 341), Image.Resampling.LANCZOS)
    crop = scene.crops[background]
    ground = half.crop((crop.left, crop.top, crop.left + data.size, crop.top + data.size))
    if crop.flip_rows:
        ground = ground.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    if crop.flip_columns:
        ground = ground.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    gain = data.dim if scene.lighting == "dim" else 1.0
    shown, inside = np.zeros((2, data.size, data.size), np.uint8)
    shown[scene.top : scene.top + 42, scene.left : scene.left + 42] = garment
    inside[scene.top : scene.top + 42, scene.left : scene.left + 42] = mask
    return tuple(np.rint(np.asarray(part) * gain) for part in (shown, ground)), inside == 1


@pytest.mark.parametrize("size", [42, 64, 170])
def test_inside_the_mask_is_the_garment_and_outside_the_texture(small, size):
    data = dataclasses.replace(small, size=size)
    for index in range(0, 40, 3):
        for background, picture in zip(("grass", "gravel"), data.pair(index), strict=True):
            (garment, ground), inside = independent(data, index, background)
            np.testing.assert_array_equal(data.mask(index), inside)
            np.testing.assert_array_equal(picture[inside], garment[inside])
            np.testing.assert_array_equal(picture[~inside], ground[~inside])


def test_a_pair_differs_in_the_background_only(small):
    for index in range(40):
        grass, gravel = small.pair(index)
        mask = small.mask(index)
        np.testing.assert_array_equal(grass[mask], gravel[mask])
        assert (grass[~mask] != gravel[~mask]).mean() > 0.8


def test_the_association_moves_backgrounds_and_nothing_else(small):
    balanced = dataclasses.replace(small, association=0.5)
    one, other = small.manifest(), balanced.manifest()
    assert list(one["cluster"]) == list(other["cluster"])
    assert (one["background"] != other["background"]).sum() == 2 * (18 - 10)
    for index in range(40):
        np.testing.assert_array_equal(small.mask(index), balanced.mask(index))
        ours, theirs = small.scenes[index], balanced.scenes[index]
        assert ours.crops == theirs.crops


def test_a_row_does_not_depend_on_the_other_rows(small):
    by_garment = {scene.cluster: scene for scene in Planted(0.9, "test", seed=3).scenes}
    for scene in small.scenes:
        full = by_garment[scene.cluster]
        assert (scene.top, scene.left, scene.crops) == (full.top, full.left, full.crops)


def test_the_same_settings_give_the_same_bytes(small, written, tmp_path):
    dataclasses.replace(small).write(tmp_path)
    assert contents(tmp_path) == contents(written.parent)


def test_another_seed_gives_other_places_crops_and_backgrounds(small):
    other = dataclasses.replace(small, seed=4)
    ours, theirs = ({scene.cluster: scene for scene in data.scenes} for data in (small, other))
    assert ours.keys() == theirs.keys()
    assert [s.cluster for s in small.scenes] != [s.cluster for s in other.scenes]
    for name in ("background", "lighting"):
        assert any(getattr(ours[key], name) != getattr(theirs[key], name) for key in ours)
    assert sum(ours[key].crops == theirs[key].crops for key in ours) == 0
    assert sum((ours[key].top, ours[key].left) == (theirs[key].top, theirs[key].left) for key in ours) < 5


def test_places_crops_and_flips_use_their_whole_range():
    scenes = Planted(0.5, "train").scenes
    assert {scene.top for scene in scenes} == {scene.left for scene in scenes} == set(range(23))
    for name in ("grass", "gravel"):
        crops = [scene.crops[name] for scene in scenes]
        assert (min(c.left for c in crops), max(c.left for c in crops)) == (0, 170 - 64)
        assert (min(c.top for c in crops), max(c.top for c in crops)) <= (3, 341 - 64)
        assert max(c.top for c in crops) > 341 - 64 - 4
        flips = Counter((c.flip_rows, c.flip_columns) for c in crops)
        assert min(flips.values()) > 400


def test_dim_pictures_are_darker_by_the_gain(small):
    lit = dataclasses.replace(small, dim=1.0)
    for index, scene in enumerate(small.scenes):
        full = lit.render(index).astype(float)
        expected = np.rint(full * 0.7) if scene.lighting == "dim" else full
        np.testing.assert_array_equal(small.render(index), expected)


def test_writing_over_a_data_set_is_refused(small, written):
    before = contents(written.parent)
    with pytest.raises(UsageError, match="a folder without a manifest"):
        small.write(written.parent)
    assert contents(written.parent) == before


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"association": 1.01}, "association"),
        ({"association": float("nan")}, "association"),
        ({"split": "validation"}, "split"),
        ({"seed": -1}, "seed"),
        ({"size": 41}, "size"),
        ({"size": 171}, "size"),
        ({"per_label": 0}, "per_label"),
        ({"dim": 0.0}, "dim"),
        ({"backgrounds": {"pullover": "grass"}}, "backgrounds"),
        ({"backgrounds": {"pullover": "grass", "coat": "grass"}}, "backgrounds"),
        ({"backgrounds": {"pullover": "grass", "coat": "sand"}}, "backgrounds"),
    ],
)
def test_values_out_of_range_are_refused(small, change, name):
    with pytest.raises(UsageError, match=f"PLANTED {name}: "):
        dataclasses.replace(small, **change)


def test_rendering_on_an_unknown_background_is_refused(small):
    with pytest.raises(UsageError, match="grass or gravel"):
        small.render(0, "sand")


@given(data=st.data(), gain=st.floats(0.01, 1))
def test_compose_takes_each_pixel_from_one_of_the_two(data, gain):
    height, width = data.draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    top, left = data.draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    size = max(height + top, width + left)
    garment = data.draw(hnp.arrays(np.uint8, (height, width)))
    mask = data.draw(hnp.arrays(np.bool_, (height, width)))
    ground = data.draw(hnp.arrays(np.uint8, (size, size)))
    kept = ground.copy()
    picture, placed = compose(garment, mask, ground, top, left, gain), place(mask, size, top, left)
    np.testing.assert_array_equal(ground, kept)
    assert picture.dtype == np.uint8
    for y in range(size):
        for x in range(size):
            inside = top <= y < top + height and left <= x < left + width and mask[y - top, x - left]
            assert placed[y, x] == inside
            source = garment[y - top, x - left] if inside else ground[y, x]
            assert picture[y, x] == round(float(source) * gain)
