"""What training and audit data share: units, equal pictures, pictures that look alike, and nothing else."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from figureground.datasets import overlap
from figureground.datasets.intake import Intake
from figureground.datasets.overlap import NEAR_BITS, Compare, fingerprint, nearest, training_table
from figureground.datasets.sources import open_source
from figureground.errors import DataError, UsageError

CLASSES = ("cat", "dog")


def scene(seed):
    """A picture with a large structure, as pictures have."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    return coarse.resize((64, 64), Image.Resampling.BICUBIC)


def table(folder, pictures, clusters=None, split=None):
    """A manifest of pictures by name; what is not a picture is written as it is."""
    folder.mkdir()
    pictures = {name if "." in name else f"{name}.png": picture for name, picture in pictures.items()}
    for name, picture in pictures.items():
        if isinstance(picture, bytes):
            (folder / name).write_bytes(picture)
        else:
            picture.save(folder / name)
    rows = {"image": list(pictures), "label": ["cat"] * len(pictures)}
    rows |= {} if clusters is None else {"cluster": clusters}
    rows |= {} if split is None else {"split": split}
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    return open_source(folder, classes=CLASSES)


def compare(training, audited):
    examples = Intake(CLASSES)(audited, audited.table())
    found = Compare(training, audited)(training_table(training, False), examples.usable, examples.clusters_given)
    names = examples.frame.set_index("row_id")["path"]
    return found, {kind: sorted(names[list(getattr(found, kind))]) for kind in ("unit_rows", "equal", "alike")}


def test_units_equal_pictures_and_pictures_that_look_alike(tmp_path):
    smaller = scene(2).resize((48, 48))
    training = table(
        tmp_path / "train",
        {"x.png": scene(0), "y.bmp": scene(1), "z.jpg": scene(2), "broken.png": b"no picture", "w.png": scene(9)},
        clusters=["p1", "p2", "p3", "p4", ""],
    )
    audited = table(
        tmp_path / "audit",
        {
            "a.png": scene(0),
            "b.png": scene(1),
            "c.png": scene(2),
            "d.png": smaller,
            "e.png": scene(5),
        },
        clusters=["p7", "p8", "p1", "p9", "p4"],
    )
    found, names = compare(training, audited)
    assert names == {"unit_rows": ["c.png", "e.png"], "equal": ["a.png", "b.png"], "alike": ["c.png", "d.png"]}
    assert (found.shared_units, found.training_rows, found.unreadable, found.rows) == (2, 5, 1, 5)


def test_unrelated_pictures_and_unnamed_units_are_not_shared(tmp_path):
    training = table(tmp_path / "train", {f"{n}.png": scene(n) for n in range(20)}, clusters=["p"] * 20)
    audited = table(tmp_path / "audit", {f"{n}.png": scene(100 + n) for n in range(20)})
    found, names = compare(training, audited)
    assert names == {"unit_rows": [], "equal": [], "alike": []}
    assert found.shared_units is None


@pytest.mark.parametrize("name", ["astronaut", "coffee", "rocket", "chelsea"])
def test_photographs_look_like_their_compressed_and_smaller_selves_only(name, tmp_path):
    data = pytest.importorskip("skimage.data")
    picture = Image.fromarray(getattr(data, name)()).resize((256, 256))
    picture.save(tmp_path / "again.jpg", quality=40)
    others = [Image.open(tmp_path / "again.jpg"), picture.resize((128, 128)), picture.convert("L")]
    looks = np.stack([fingerprint(one)[1] for one in others])
    assert (nearest(looks, fingerprint(picture)[1][None]) <= NEAR_BITS).all()
    turned = np.stack([fingerprint(picture.rotate(180))[1], fingerprint(scene(3))[1]])
    assert (nearest(turned, fingerprint(picture)[1][None]) > NEAR_BITS).all()


def test_the_nearest_is_found_over_chunks():
    rng = np.random.default_rng(0)
    ours, theirs = (rng.integers(0, 256, (n, 32), dtype=np.uint8) for n in (600, 40))
    expected = [min(sum(int(a ^ b).bit_count() for a, b in zip(x, y, strict=True)) for y in theirs) for x in ours[::97]]
    assert nearest(ours, theirs)[::97].tolist() == expected


def test_training_rows_are_those_of_their_split(tmp_path):
    source = table(tmp_path / "both", {"a.png": scene(0), "b.png": scene(1)}, split=["train", "test"])
    assert training_table(source, same=True)["image"].tolist() == ["a.png"]
    plain = table(tmp_path / "plain", {"a.png": scene(0)})
    assert len(training_table(plain, same=False)) == 1
    for wrong, same in ((plain, True), (table(tmp_path / "test", {"a.png": scene(0)}, split=["test"]), False)):
        with pytest.raises(UsageError, match="TRAIN_SPLIT"):
            training_table(wrong, same)


def test_training_data_that_cannot_be_read_and_a_missing_package_are_told(tmp_path, monkeypatch):
    training = table(tmp_path / "train", {"a.png": b"no picture"})
    with pytest.raises(DataError, match="TRAIN_UNUSABLE"):
        compare(training, table(tmp_path / "audit", {"a.png": scene(0)}))

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(overlap.importlib, "import_module", missing)
    with pytest.raises(UsageError, match=r"pip install 'figureground\[overlap\]'"):
        overlap.hashing()
