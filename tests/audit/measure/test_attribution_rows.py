"""Rows of the attributions table: the measures under their names, and the edge rules with their reasons."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from figureground.audit.keeping import tables
from figureground.audit.measure import shares
from figureground.audit.measure.attribution_rows import attribution_rows
from figureground.errors import UsageError

SIDE, CAM = 20, (4, 5)
MEASURES = [
    "background_share",
    "background_area",
    "bleed_floor",
    "object_eccentricity",
    "ldr",
    "auc_background",
    "rank_share_1",
    "rank_share_5",
    "ring_share",
    "far_share",
]


def batch(size=6):
    """Maps of two methods and masks of squares that are large enough for both."""
    rng = np.random.default_rng(0)
    masks = np.zeros((size, SIDE, SIDE), np.uint8)
    masks[:, 4:15, 6:17] = 1
    masks[:, :, 0] = 255
    maps = {
        ("saliency", "absolute"): rng.gamma(1.0, size=masks.shape).astype(np.float32),
        ("gradcam", "positive"): np.maximum(rng.normal(size=masks.shape), 0).astype(np.float32),
    }
    return {
        "row_ids": np.arange(size) * 7 + 2**62,
        "maps": maps,
        "masks": masks,
        "has_mask": np.ones(size, bool),
        "layers": {"saliency": "input", "gradcam": "layer4.1"},
        "map_shapes": {"saliency": (SIDE, SIDE), "gradcam": CAM},
        "regions": {
            "top": np.arange(SIDE)[:, None] * np.ones(SIDE) < 5,
            "tag": np.zeros((size, SIDE, SIDE), bool),
        },
        "finite": np.ones(size, bool),
    }


def rows(**changes):
    return attribution_rows(**{**batch(), **changes})


def of(frame, method):
    return frame[frame["method"] == method].reset_index(drop=True)


def changed(name, row, value):
    given = batch()
    array = given[name] = given[name].copy()
    array[row] = value
    return given


def test_every_measure_stands_under_its_own_name():
    given = batch()
    for (method, sign), maps in given["maps"].items():
        found, shape = of(rows(), method), given["map_shapes"][method]
        masks = given["masks"]
        expected = {
            "background_share": shares.background_share(maps, masks),
            "background_area": shares.background_area(masks),
            "bleed_floor": shares.bleed_floor(masks, shape),
            "object_eccentricity": shares.object_eccentricity(masks),
            "ldr": shares.log_density_ratio(maps, masks),
            "auc_background": shares.background_auc(maps, masks),
            "rank_share_1": shares.background_rank_share(maps, masks, 0.01),
            "rank_share_5": shares.background_rank_share(maps, masks, 0.05),
            "ring_share": shares.ring_share(maps, masks, shape),
            "far_share": shares.far_share(maps, masks, shape),
        }
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values, err_msg=name)
        assert set(found["sign"]) == {sign}
        top = shares.region_share(maps, given["regions"]["top"], masks)
        assert [dict(pairs)["top"] for pairs in found["region_shares"]] == top.tolist()


def test_columns_keys_and_constants():
    found = rows()
    assert list(found.columns) == tables.ATTRIBUTIONS.names
    assert found["row_id"].tolist() == batch()["row_ids"].tolist() * 2
    assert found["method"].tolist() == ["saliency"] * 6 + ["gradcam"] * 6
    assert set(found["target"]) == {"predicted"}
    assert set(found["mask_variant"]) == {"object"}
    for method, expected in {"gradcam": ["layer4.1", 4, 5], "saliency": ["input", 20, 20]}.items():
        where = of(found, method)[["layer", "map_height", "map_width"]]
        assert where.drop_duplicates().to_numpy().tolist() == [expected]


def test_an_ordinary_batch_is_ok_and_survives_arrow():
    found = rows()
    assert set(found["status"]) == {"ok"}
    assert found["reason"].isna().all()
    table = tables.conform(found, tables.ATTRIBUTIONS)
    assert table.schema.equals(tables.ATTRIBUTIONS)
    assert table.column("region_shares")[0].as_py() == found["region_shares"][0]
    assert table.column("reason").null_count == len(found)


def test_a_region_without_pixels_has_no_share():
    assert all(dict(pairs)["tag"] is None for pairs in rows()["region_shares"])
    assert all(pairs == [] for pairs in rows(regions={})["region_shares"])


def test_outputs_that_are_not_finite_silence_all_methods():
    found = attribution_rows(**changed("finite", 2, False))
    for method in ("saliency", "gradcam"):
        assert of(found, method)["status"].tolist() == ["ok", "ok", "not_finite", "ok", "ok", "ok"]
        assert of(found, method).loc[2, MEASURES].isna().all()
        assert of(found, method).loc[2, "region_shares"] is None


@pytest.mark.fault("B14", better="The status is degenerate, its reason zero_map.")
@pytest.mark.parametrize(
    ("value", "reason"),
    [(0.0, "zero_map"), (1e-13, "zero_map"), (np.nan, "map_not_finite"), (np.inf, "map_not_finite")],
)
def test_a_degenerate_map_silences_its_own_method_only(value, reason):
    given = batch()
    given["maps"]["gradcam", "positive"][3] = value
    found = attribution_rows(**given)
    dead = of(found, "gradcam").loc[3]
    assert (dead["status"], dead["reason"]) == ("degenerate", reason)
    assert dead[MEASURES].isna().all()
    assert dead["region_shares"] is None
    assert of(found, "saliency").equals(of(rows(), "saliency"))
    assert of(found, "gradcam").drop(3).equals(of(rows(), "gradcam").drop(3))


def test_one_bad_pixel_makes_a_map_degenerate_unless_it_is_ignored():
    given = batch()
    given["maps"]["saliency", "absolute"][0, 3, 3] = np.nan
    given["maps"]["saliency", "absolute"][1, 3, 0] = np.nan  # column 0 is ignored
    found = of(attribution_rows(**given), "saliency")
    assert found["status"].tolist() == ["degenerate"] + ["ok"] * 5


def test_an_absent_mask_leaves_the_region_shares():
    given = changed("has_mask", 1, False)
    found = attribution_rows(**given)
    row = of(found, "saliency").loc[1]
    assert (row["status"], row["reason"]) == ("mask_absent", None)
    assert row[MEASURES].isna().all()
    assert dict(row["region_shares"]) == dict(of(rows(), "saliency").loc[1, "region_shares"])


def test_what_stands_in_an_absent_mask_stands_for_nothing():
    given = changed("has_mask", 1, False)
    given["masks"][1, 4:15, 6:17] = 0
    assert attribution_rows(**given).equals(attribution_rows(**changed("has_mask", 1, False)))


@pytest.mark.fault("D7")
@pytest.mark.parametrize("value", [0, 255], ids=["ground", "all ignored"])
def test_an_empty_mask(value):
    found = of(attribution_rows(**changed("masks", 4, value)), "gradcam").loc[4]
    assert found["status"] == "no_object"
    assert found[MEASURES].isna().all()
    assert (dict(found["region_shares"])["top"] is None) == (value == 255)


def _square(given, row, side):
    given["masks"][row] = 0
    given["masks"][row, :side, :side] = 1
    return given


def test_a_tiny_object_has_no_density_ratio_on_a_coarse_map():
    """Two cells of the 4 x 5 map on 20 px are 40 pixels; two of saliency are 2."""
    found = attribution_rows(**_square(_square(batch(), 0, 6), 1, 7))
    cam, saliency = of(found, "gradcam"), of(found, "saliency")
    assert cam.loc[0, "reason"] == "object_too_small"
    assert np.isnan(cam.loc[0, "ldr"])
    assert cam.loc[0, [name for name in MEASURES if name != "ldr"]].notna().all()
    assert cam["status"].tolist() == ["ok"] * 6
    assert cam.loc[1, "reason"] is None
    assert np.isfinite(cam.loc[1, "ldr"])
    assert np.isfinite(saliency.loc[0, "ldr"])


@pytest.mark.fault("D13", better="the reason says which extreme it is: object_too_small or object_too_large")
def test_a_single_pixel_is_too_small_even_for_saliency():
    found = of(attribution_rows(**_square(_square(batch(), 0, 1), 1, 2)), "saliency")
    assert found["reason"].tolist()[:2] == ["object_too_small", None]


@pytest.mark.fault("D13", better="the reason says which extreme it is: object_too_small or object_too_large")
@pytest.mark.parametrize(("background", "kept"), [(7, False), (8, True), (0, False)])
def test_a_full_mask_has_no_density_ratio(background, kept):
    """400 valid pixels: 2 % are 8."""
    given = changed("masks", 5, 1)
    given["masks"][5].flat[:background] = 0
    found = of(attribution_rows(**given), "saliency").loc[5]
    assert found["status"] == "ok"
    assert np.isfinite(found["ldr"]) == kept
    assert found["reason"] == (None if kept else "object_too_large")
    assert found["background_share"] >= 0
    assert np.isnan(found["auc_background"]) == (background == 0)


@pytest.mark.fault("D3")
def test_soft_masks_weigh_every_share():
    given, rng = batch(), np.random.default_rng(5)
    shares = np.where(
        given["masks"] == 1, rng.uniform(0.5, 1, given["masks"].shape), rng.uniform(0, 0.49, given["masks"].shape)
    )
    found = of(attribution_rows(**given, soft=shares), "saliency")
    flipped = given | {"masks": np.where(given["masks"] == 255, 255, 1 - given["masks"] % 2).astype(np.uint8)}
    other = of(attribution_rows(**flipped, soft=1 - shares), "saliency")
    heat = given["maps"]["saliency", "absolute"].astype(float)
    valid = given["masks"] != 255
    for i in range(6):
        weight, map_ = shares[i][valid[i]], heat[i][valid[i]]
        assert found.loc[i, "background_share"] == pytest.approx((map_ * (1 - weight)).sum() / map_.sum(), abs=1e-9)
        assert found.loc[i, "background_area"] == pytest.approx(1 - weight.mean(), abs=1e-9)
    np.testing.assert_allclose(found["background_share"] + other["background_share"], 1, atol=1e-6)
    np.testing.assert_allclose(found["ring_share"] + found["far_share"], found["background_share"], atol=1e-9)
    hard = of(attribution_rows(**given, soft=(given["masks"] == 1).astype(float)), "saliency")
    pd.testing.assert_frame_equal(hard, of(rows(), "saliency"), rtol=1e-9)


def test_a_soft_mask_that_reaches_one_half_nowhere_holds_no_object():
    given = changed("masks", 0, 0)
    soft = np.where(given["masks"] == 1, 1.0, 0.3)
    found = of(attribution_rows(**given, soft=soft), "saliency").loc[0]
    assert found["status"] == "no_object"
    assert found[MEASURES].isna().all()
    with pytest.raises(UsageError, match="MASK_VALUE"):
        attribution_rows(**given, soft=soft + 1)


@pytest.mark.fault("D9")
def test_why_a_mask_gives_nothing_is_told():
    given = changed("masks", 0, 0)
    given["has_mask"][1] = False
    status = ["object_cropped_out", "size_mismatch", "ok", "ok", "ok", "ok"]
    found = of(attribution_rows(**given, mask_status=status), "gradcam")
    assert found["status"].tolist() == status
    assert found.loc[:1, MEASURES].isna().all(axis=None)
    assert found.loc[:1, "region_shares"].notna().all()


def test_causes_are_named_in_a_fixed_order():
    given = changed("masks", 0, 0)
    given["has_mask"][0], given["finite"][0] = False, False
    given["maps"]["gradcam", "positive"][0] = 0
    assert of(attribution_rows(**given), "gradcam").loc[0, "status"] == "not_finite"
    given["finite"][0] = True
    assert of(attribution_rows(**given), "gradcam").loc[0, "status"] == "degenerate"
    given["maps"]["gradcam", "positive"][0] = 1
    assert of(attribution_rows(**given), "gradcam").loc[0, "status"] == "mask_absent"
    given["has_mask"][0] = True
    assert of(attribution_rows(**given), "gradcam").loc[0, "status"] == "no_object"


def test_a_batch_does_not_change_its_rows():
    """The same images one by one give the same rows, to the last bit."""
    given, whole = batch(), rows()
    for i in range(6):
        one = {
            **given,
            "regions": {"top": given["regions"]["top"], "tag": given["regions"]["tag"][i : i + 1]},
        }
        one |= {name: given[name][i : i + 1] for name in ("row_ids", "masks", "has_mask", "finite")}
        one["maps"] = {key: maps[i : i + 1] for key, maps in given["maps"].items()}
        assert attribution_rows(**one).equals(whole.iloc[[i, i + 6]].reset_index(drop=True))


def test_a_flipped_mask_changes_the_rows():
    given = batch()
    given["masks"] = given["masks"][:, :, ::-1].copy()
    given["maps"]["saliency", "absolute"][:, :, 14:17] += 5
    straight = batch()
    straight["maps"]["saliency", "absolute"][:, :, 14:17] += 5
    found = [of(attribution_rows(**data), "saliency")["ldr"] for data in (given, straight)]
    assert np.all(np.abs(found[0] - found[1]) > 0.05)


def test_nothing_in_nothing_out():
    assert len(rows(maps={})) == 0
    assert list(rows(maps={}).columns) == tables.ATTRIBUTIONS.names
    assert tables.conform(rows(maps={}), tables.ATTRIBUTIONS).num_rows == 0
    none = {name: batch()[name][:0] for name in ("row_ids", "masks", "has_mask", "finite")}
    none["maps"] = {key: maps[:0] for key, maps in batch()["maps"].items()}
    assert len(rows(**none, regions={})) == 0


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"layers": {"saliency": "input"}}, "METHOD_UNKNOWN"),
        ({"map_shapes": {"saliency": (20, 20)}}, "METHOD_UNKNOWN"),
        ({"row_ids": np.arange(5)}, "BATCH_LENGTH"),
        ({"has_mask": np.ones(1, bool)}, "BATCH_LENGTH"),
        ({"finite": np.ones((6, 2), bool)}, "BATCH_LENGTH"),
        ({"maps": {("saliency", "absolute"): np.ones((6, 4, 4))}}, "ATTRIBUTION_SHAPE"),
        ({"regions": {"tag": np.ones((4, 4), bool)}}, "REGION_SHAPE"),
    ],
)
def test_other_inputs_are_refused(changes, code):
    with pytest.raises(UsageError) as caught:
        rows(**changes)
    assert caught.value.code == code
