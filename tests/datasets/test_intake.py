"""The ledger closes over every mix of faults, and no row's fate depends on its neighbours or on the order."""

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from figureground.audit.keeping import tables
from figureground.datasets.columns import IGNORE, OBJECT
from figureground.datasets.decoding import Decoding
from figureground.datasets.images import RowFault
from figureground.datasets.intake import TABLE_COLUMNS, Intake
from figureground.datasets.sampling import ClusterDraw
from figureground.datasets.schema import row_id
from figureground.datasets.sources import Pixels, TableSource, open_source
from figureground.errors import DataError, ManifestError, UsageError

CLASSES = ("cat", "dog")


def bytes_of(seed, size=(6, 5), kind="PNG"):
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Files of which some can be used."""
    folder = tmp_path_factory.mktemp("data")
    for n in range(12):
        (folder / f"ok{n}.png").write_bytes(bytes_of(n))
    for n in ("", *range(12)):
        (folder / f"cut{n}.jpg").write_bytes(bytes_of(1, (64, 64), "JPEG")[:800])
        (folder / f"page{n}.png").write_bytes(b"<html></html>")
        Image.new("I;16", (6, 5)).save(folder / f"deep{n}.png")
    mask = np.zeros((5, 6), np.uint8)
    mask[1:3, 1:4] = 255
    Image.fromarray(mask).save(folder / "mask.png")
    Image.fromarray(mask.T).save(folder / "turned.png")
    Image.fromarray(mask // 2).save(folder / "soft.png")
    return folder


def read(frame, root, **options):
    decoding = Decoding(keep_going=True, mask_mode="binary")
    source = TableSource("dataframe", "DataFrame", frame.reset_index(drop=True), root, decoding=decoding)
    return Intake(CLASSES, **options)(source, source.table())


def at_most(limit, seed=0):
    return None if limit is None else ClusterDraw(seed, None, max_rows=limit)


def frame_of(*rows, columns=("image", "label")):
    return pd.DataFrame(list(rows), columns=list(columns), dtype=object)


KINDS = {
    "ok": ({"image": "ok{n}.png"}, None),
    "missing": ({"image": "none{n}.png"}, "missing_file"),
    "empty": ({"image": ""}, "missing_file"),
    "cut": ({"image": "cut{n}.jpg"}, "truncated"),
    "page": ({"image": "page{n}.png"}, "not_an_image:html"),
    "deep": ({"image": "deep{n}.png"}, "bit_depth"),
    "outside": ({"image": "../x{n}.png"}, "path_escape"),
    "unlabelled": ({"image": "ok{n}.png", "label": ""}, "label_missing"),
    "turned": ({"image": "ok{n}.png", "mask": "turned.png"}, None),
    "soft": ({"image": "ok{n}.png", "mask": "soft.png"}, None),
    "masked": ({"image": "ok{n}.png", "mask": "mask.png"}, None),
    "other": ({"image": "ok{n}.png", "split": "train"}, "split:train"),
}


def mix(kinds):
    rows = []
    for n, kind in enumerate(kinds):
        row = {"image": "", "label": CLASSES[n % 2], "mask": "", "split": "test", "site": f"s{n % 3}"}
        rows.append(row | {name: cell.format(n=n) for name, cell in KINDS[kind][0].items()})
    return pd.DataFrame(rows, dtype=object)


@settings(max_examples=25, deadline=None)
@given(
    kinds=st.lists(st.sampled_from(sorted(KINDS)), max_size=11),
    limit=st.none() | st.integers(1, 4),
    data=st.data(),
)
def test_the_ledger_closes_and_order_does_not_matter(root, kinds, limit, data):
    kinds = ["ok", *kinds]
    frame = mix(kinds)
    examples = read_or_refused(frame, root, limit)
    if examples is None:  # the only rows drawn are broken
        return
    found = examples.frame.set_index("position").sort_index()
    counts = found["status"].value_counts()
    assert len(found) == len(kinds) == counts.sum()
    assert set(counts.index) <= {"ok", "quarantined", "filtered"}
    assert found["status"].eq("ok").eq(found["reason"].isna()).all()
    out = found["reason"] == "sampled_out"
    assert out.eq(False).all() or found["status"].ne("filtered").sum() <= limit
    assert found["weight"].isna().eq(found["status"] == "filtered").all()
    expected = pd.Series([KINDS[kind][1] for kind in kinds], dtype=object)
    assert [r for r in found["reason"][~out] if isinstance(r, str)] == [r for r in expected[~out] if r]
    masks = {"turned": "size_mismatch", "soft": "mask_values", "masked": "ok"}
    used = found["status"] == "ok"
    wanted = [masks.get(kind, "mask_absent") for kind in pd.Series(kinds)[used[used].index]]
    assert found["mask_status"][used].tolist() == wanted
    assert found["mask_status"][~used].isna().all()
    assert found["object_area"].notna().eq(found["mask_status"] == "ok").all()  # no mask here is empty
    assert examples.frame["row_id"].is_monotonic_increasing
    assert examples.frame["row_id"].is_unique
    shuffled = frame.loc[data.draw(st.permutations(range(len(frame))))]
    pd.testing.assert_frame_equal(read(shuffled, root, sample=at_most(limit)).stored, examples.stored)


def read_or_refused(frame, root, limit):
    try:
        return read(frame, root, sample=at_most(limit))
    except (DataError, UsageError) as error:  # a limit may also be smaller than the first cluster that was drawn
        if limit is None or error.code not in ("DATA_UNUSABLE", "SAMPLE_SIZE"):
            raise
        return None


def test_the_stored_table_fits_its_schema(root):
    examples = read(mix(["ok", "cut", "masked", "other"]), root)
    table = tables.conform(examples.stored, tables.EXAMPLES)
    assert table.column_names == [*tables.EXAMPLES.names, "site"]
    assert tuple(tables.EXAMPLES.names) == TABLE_COLUMNS
    assert set(table.to_pandas()["status"]) == {"ok", "quarantined", "filtered"}


def test_what_is_told_of_a_row(root):
    frame = frame_of(("ok0.png", "cat", "mask.png", "", "01"), ("ok1.png", "", "", "NA", ""),
                     columns=("image", "label", "mask", "environment", "site"))  # fmt: skip
    found = read(frame, root).frame.set_index("path")
    good, bad = found.loc["ok0.png"], found.loc["ok1.png"]
    assert good["row_id"] == row_id("ok0.png")
    assert (good["status"], good["environment"], good["site"], good["cluster"]) == (
        "ok",
        "(missing)",
        "01",
        "ok0.png",
    )
    assert good["object_area"] == pytest.approx(6 / 30)
    assert (good["width"], good["height"]) == (6, 5)
    assert (bad["status"], bad["environment"], bad["site"]) == ("quarantined", "NA", "(missing)")
    assert "cat, dog" in bad["detail"]


def test_ignored_pixels_are_not_in_the_object_area():
    class Fixed:
        kind = where = "test"

        def pixels(self, position):
            mask = np.array([[OBJECT, OBJECT, 0, IGNORE], [0, IGNORE, IGNORE, IGNORE]], np.uint8)
            return Pixels(Image.new("L", (4, 2)), mask if position == 0 else np.full_like(mask, IGNORE), {}, "0")

    table = frame_of(("a", "cat"), ("b", "cat"), columns=("key", "label"))
    area = Intake(CLASSES)(Fixed(), table).frame.set_index("position")["object_area"]
    assert area[0] == 0.5
    assert np.isnan(area[1])


def test_sampling_is_seeded(root):
    frame = frame_of(*[(f"ok{n}.png", "cat") for n in range(12)])

    def drawn(seed):
        return tuple(read(frame, root, sample=at_most(5, seed)).usable["path"])

    assert len(drawn(0)) == 5
    assert drawn(0) == drawn(0)
    assert len({drawn(seed) for seed in range(6)}) > 1
    whole = read(frame, root, sample=at_most(12))
    assert len(whole.usable) == 12
    assert whole.frame["weight"].eq(1.0).all()


def test_rows_that_are_not_drawn_are_never_opened(root):
    class Counted:
        kind = where = "test"

        def __init__(self):
            self.seen = []

        def pixels(self, position):
            self.seen.append(position)
            return Pixels(Image.new("L", (4, 2)), None, {}, "0")

    n = 20_000
    table = frame_of(*[(f"k{i}", CLASSES[i % 2], f"p{i // 4}") for i in range(n)], columns=("key", "label", "cluster"))
    source, steps = Counted(), []
    found = Intake(CLASSES, sample=at_most(60))(source, table, steps.append)
    assert sum(steps) == n
    assert len(source.seen) == len(found.usable) == 60
    assert found.usable["cluster"].nunique() == 15  # whole clusters
    assert found.frame["reason"].value_counts().to_dict() == {"sampled_out": n - 60}
    assert found.usable["weight"].sum() == pytest.approx(n)


def test_splits(root):
    frame = frame_of(("ok1.png", "cat", "train"), ("ok2.png", "dog", "test"), ("ok3.png", "dog", ""),
                     columns=("image", "label", "split"))  # fmt: skip
    found = read(frame, root).frame.set_index("path")
    assert found["status"].to_dict() == {"ok1.png": "filtered", "ok2.png": "ok", "ok3.png": "filtered"}
    assert found.loc["ok1.png", "reason"] == "split:train"
    assert found.loc["ok3.png", "reason"] == "split:(missing)"
    assert read(frame, root, split="train").usable["path"].tolist() == ["ok1.png"]
    assert read(frame, root, default_split="train").usable["path"].tolist() == ["ok1.png"]
    with pytest.raises(UsageError, match="splits , test, train"):
        read(frame, root, split="val")
    with pytest.raises(UsageError, match="no split column"):
        read(frame.drop(columns="split"), root, split="test")
    assert len(read(frame.drop(columns="split"), root).usable) == 3


@pytest.mark.parametrize(
    "name", ["row_id", "status", "reason", "sha256", "object_area", "position", "detail", "width", "height"]
)
def test_an_attribute_with_a_name_of_ours_is_refused(root, name):
    with pytest.raises(ManifestError, match=f"my_{name}"):
        read(frame_of(("ok1.png", "cat", "left"), columns=("image", "label", name)), root)


def test_attributes_are_every_column_without_a_role(root):
    columns = ("image", "label", "mask", "mask_source", "cluster", "key", "region:tag", "site", "trap")
    examples = read(frame_of(("ok1.png", "cat", "", "human", "c", "k", "", "s", "t"), columns=columns), root)
    assert examples.attributes == ("site", "trap")
    assert examples.regions == ("tag",)
    assert examples.clusters_given
    assert list(examples.stored.columns)[-2:] == ["site", "trap"]
    assert examples.frame["cluster"].tolist() == ["c"]
    assert not read(frame_of(("ok1.png", "cat")), root).clusters_given


def test_an_empty_cluster_is_its_own_unit(root):
    frame = frame_of(("ok1.png", "cat", ""), ("ok2.png", "cat", ""), columns=("image", "label", "cluster"))
    assert read(frame, root).frame["cluster"].nunique() == 2


def test_nothing_usable_is_told_with_the_reasons(root):
    with pytest.raises(DataError, match=r"truncated \(1\), not_an_image:html \(1\), missing_file \(1\)") as caught:
        read(frame_of(("cut.jpg", "cat"), ("page.png", "cat"), ("none.png", "cat")), root)
    assert caught.value.exit_code == 4
    with pytest.raises(ManifestError, match="MANIFEST_EMPTY"):
        read(frame_of(), root)


def test_every_row_is_read_once_and_reported(root):
    class Counted:
        kind = where = "test"

        def __init__(self):
            self.seen = []

        def pixels(self, position):
            self.seen.append(position)
            if position == 1:
                raise RowFault("image_unreadable", "for the test")
            return Pixels(Image.new("L", (4, 2)), None, {}, "0")

    steps = []
    table = frame_of(*[(f"k{n}", "cat") for n in range(4)], columns=("key", "label"))
    source = Counted()
    Intake(CLASSES)(source, table, steps.append)
    assert source.seen == [0, 1, 2, 3]
    assert steps == [1, 1, 1, 1]


def test_sizes_are_counted_over_usable_rows(root):
    for name, size in (("w1.png", (9, 4)), ("w2.png", (9, 4))):
        (root / name).write_bytes(bytes_of(3, size))
    frame = frame_of(("ok1.png", "cat"), ("w1.png", "cat"), ("w2.png", "dog"), ("cut.jpg", "cat"))
    assert list(read(frame, root).sizes().items()) == [((4, 9), 2), ((5, 6), 1)]


def test_a_manifest_on_disk(root):
    text = "image,label,site\nok1.png,cat,NA\nok2.png,dog,\nnone.png,cat,x\n"
    (root / "manifest.csv").write_text(text, encoding="utf-8-sig")
    source = open_source(root, classes=CLASSES)
    found = Intake(CLASSES)(source, source.table()).frame.set_index("path")
    assert found["site"].to_dict() == {"ok1.png": "NA", "ok2.png": "(missing)", "none.png": "x"}
    assert found["reason"].dropna().to_dict() == {"none.png": "missing_file"}
