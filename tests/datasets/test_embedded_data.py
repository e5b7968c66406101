"""The shipped pictures: what they hold, that training and auditing share nothing, that damage is found."""

import gzip
import hashlib
import importlib.util
import shutil
import struct
from collections import Counter, deque
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import skimage.data

from figureground.datasets import embedded_data
from figureground.datasets.embedded_data import load_garments, load_texture
from figureground.errors import IntegrityError, UsageError

EMBEDDED = Path(embedded_data.__file__).parent / "embedded"
SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "build_embedded.py"
ORIGINALS = Path("/usr/share/datasets/fashion-mnist")


@pytest.fixture
def copy(tmp_path, monkeypatch):
    folder = tmp_path / "embedded"
    shutil.copytree(EMBEDDED, folder)
    monkeypatch.setattr(embedded_data, "_folder", lambda: folder)
    return folder


@pytest.fixture
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_embedded", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("split", "count"), [("train", 1000), ("test", 400)])
def test_garments_are_balanced_and_fit_together(split, count):
    garments = load_garments(split)
    assert Counter(garments.labels) == {"pullover": count, "coat": count}
    assert garments.images.shape == garments.masks.shape == (2 * count, 28, 28)
    assert (garments.images.dtype, garments.masks.dtype) == (np.uint8, np.bool_)
    assert len(set(garments.ids)) == 2 * count
    assert list(garments.ids) == sorted(garments.ids)
    assert all(name.startswith(f"{split}-") for name in garments.ids)


@pytest.mark.skipif(not ORIGINALS.is_dir(), reason="Fashion-MNIST's original files are not installed")
@pytest.mark.parametrize(("split", "stem", "count"), [("train", "train", 1000), ("test", "t10k", 400)])
def test_garments_are_the_first_of_the_original_file(split, stem, count):
    content = gzip.decompress((ORIGINALS / f"{stem}-images-idx3-ubyte.gz").read_bytes())
    numbers = gzip.decompress((ORIGINALS / f"{stem}-labels-idx1-ubyte.gz").read_bytes())[8:]
    expected = {}
    for label, name in ((2, "pullover"), (4, "coat")):
        first = [position for position, number in enumerate(numbers) if number == label][:count]
        expected |= {f"{split}-{k:05d}": (name, content[16 + 784 * k : 16 + 784 * (k + 1)]) for k in first}
    garments = load_garments(split)
    pixels = [image.tobytes() for image in garments.images]
    loaded = dict(zip(garments.ids, zip(garments.labels, pixels, strict=True), strict=True))
    assert loaded == expected


def test_no_garment_serves_both_training_and_auditing():
    train, test = ({image.tobytes() for image in load_garments(split).images} for split in ("train", "test"))
    assert len(train) == 2000
    assert len(test) == 800
    assert not train & test


def flooded(image):
    """Independent of scipy: what a flood from outside, through dark pixels in 4 directions, cannot reach."""
    dark = np.pad(image <= 8, 1, constant_values=True)
    outside, queue = np.zeros_like(dark), deque([(0, 0)])
    outside[0, 0] = True
    while queue:
        y, x = queue.popleft()
        for v, u in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
            within = 0 <= v < dark.shape[0] and 0 <= u < dark.shape[1]
            if within and dark[v, u] and not outside[v, u]:
                outside[v, u] = True
                queue.append((v, u))
    return ~outside[1:-1, 1:-1]


def test_masks_are_the_bright_pixels_with_holes_filled():
    garments = load_garments("test")
    for image, mask in zip(garments.images[:60], garments.masks[:60], strict=True):
        np.testing.assert_array_equal(mask, flooded(image))
    assert garments.masks.mean(axis=(1, 2)).min() > 0.2
    assert (garments.masks & (garments.images <= 8)).any(), "no hole was filled anywhere"


@pytest.mark.parametrize("name", ["grass", "gravel"])
def test_the_halves_of_a_texture_share_no_pixel_and_make_up_the_original(name):
    left, right = load_texture(name, "train"), load_texture(name, "test")
    assert left.dtype == np.uint8
    np.testing.assert_array_equal(np.hstack([left, right]), getattr(skimage.data, name)())
    assert left.shape == right.shape == (512, 256)
    columns = [{column.tobytes() for column in half.T} for half in (left, right)]
    assert not columns[0] & columns[1]


def test_unknown_names_are_refused():
    with pytest.raises(UsageError, match="train or test"):
        load_garments("validation")
    with pytest.raises(UsageError, match="grass or gravel"):
        load_texture("sand", "train")


@pytest.mark.parametrize("name", ["test-coat.png", "positions.json"])
def test_a_changed_garment_file_is_refused(copy, name):
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(IntegrityError, match=name):
        load_garments("test")


def test_a_changed_texture_or_list_is_refused(copy):
    assert load_texture("grass", "test").shape == (512, 256)
    (copy / "grass.png").write_bytes((copy / "gravel.png").read_bytes())
    with pytest.raises(IntegrityError, match=r"grass\.png"):
        load_texture("grass", "test")
    (copy / "SHA256SUMS").write_text("")
    with pytest.raises(IntegrityError, match="an entry in SHA256SUMS"):
        load_texture("gravel", "test")


def test_every_shipped_file_is_listed_and_all_are_small():
    listed = {line.split("  ")[1] for line in (EMBEDDED / "SHA256SUMS").read_text().splitlines()}
    assert listed == {path.name for path in EMBEDDED.iterdir()} - {"SHA256SUMS", "NOTICE.md"}
    assert sum(path.stat().st_size for path in EMBEDDED.iterdir()) < 2.5e6


def test_the_notice_names_owners_and_licences():
    notice = (EMBEDDED / "NOTICE.md").read_text(encoding="utf-8")
    parts = "Copyright © 2017 Zalando SE", "Permission is hereby", "CC0", "Grass-01-434853879", "Gravel04"
    for part in parts:
        assert part in notice


@pytest.fixture
def originals(tmp_path, build, monkeypatch):
    """Small stand-ins for the idx files: 12 pictures each, of which 4 are taken of either class."""
    folder, rng = tmp_path / "idx", np.random.default_rng(0)
    folder.mkdir()
    for stem in ("train", "t10k"):
        images = rng.integers(0, 256, (12, 28, 28), dtype=np.uint8)
        labels = np.array([2, 4, 0] * 4, dtype=np.uint8)
        for name, array in ((f"{stem}-images-idx3-ubyte", images), (f"{stem}-labels-idx1-ubyte", labels)):
            header = struct.pack(f">HBB{array.ndim}i", 0, 8, array.ndim, *array.shape)
            (folder / f"{name}.gz").write_bytes(gzip.compress(header + array.tobytes()))
            digest = hashlib.sha256(header + array.tobytes()).hexdigest()
            monkeypatch.setitem(build.SOURCES, name, digest)
    monkeypatch.setattr(build, "SPLITS", {"train": ("train", 4, 2), "test": ("t10k", 4, 2)})
    return folder


def test_building_twice_gives_the_same_bytes_and_they_can_be_read(originals, build, tmp_path, monkeypatch):
    one, two = tmp_path / "one", tmp_path / "two"
    for out in (one, two):
        assert build.main(["--idx", str(originals), "--out", str(out)]) == 0
    assert {path.name: path.read_bytes() for path in one.iterdir()} == {
        path.name: path.read_bytes() for path in two.iterdir()
    }
    monkeypatch.setattr(embedded_data, "_folder", lambda: one)
    garments = load_garments("test")
    content = gzip.decompress((originals / "t10k-images-idx3-ubyte.gz").read_bytes())
    original = np.frombuffer(content, np.uint8, offset=16).reshape(12, 28, 28)
    assert garments.labels == ("pullover", "coat") * 4
    np.testing.assert_array_equal(garments.images, original[[0, 1, 3, 4, 6, 7, 9, 10]])


def test_check_finds_other_pixels(originals, build, tmp_path, capsys):
    arguments = ["--idx", str(originals), "--out", str(tmp_path / "out")]
    assert build.main(arguments) == 0
    assert build.main([*arguments, "--check"]) == 0
    shutil.copy(tmp_path / "out" / "test-coat.png", tmp_path / "out" / "train-coat.png")
    assert build.main([*arguments, "--check"]) == 1
    assert "train-coat.png: differs" in capsys.readouterr().out


def test_the_script_refuses_other_sources(originals, build, tmp_path):
    (originals / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"\0\0\x08\x01\0\0\0\x01\x02"))
    with pytest.raises(SystemExit, match="train-labels-idx1-ubyte: SHA-256"):
        build.main(["--idx", str(originals), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()
