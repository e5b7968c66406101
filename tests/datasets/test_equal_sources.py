"""The same rows give the same tables and pixels, whichever way they come; what would make them differ is refused."""

import lightning.pytorch
import numpy as np
import pandas as pd
import pytest
import pytorch_lightning
import torch
from PIL import Image
from torch.utils.data import DataLoader

import datasets as library
from figureground.datasets.huggingface import load_saved
from figureground.datasets.intake import Intake
from figureground.datasets.joining import Attributes
from figureground.datasets.manifest import levels_of
from figureground.datasets.normalized import Normalized
from figureground.datasets.sampling import ClusterDraw
from figureground.datasets.sources import open_source
from figureground.errors import IntegrityError, ManifestError, UsageError

CLASSES = ("cat", "dog")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
COLUMNS = {"environment": "scanner", "mask": "outline"}
WAYS = ("parquet", "frame", "dataset", "normalised", "pytorch_lightning", "lightning.pytorch", "memory", "saved")


class Rows:
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Six pictures, three masks and three fifths of the attributes, in every form."""
    folder = tmp_path_factory.mktemp("rows")
    rows, rng = [], np.random.default_rng(0)
    for n in range(6):
        Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).save(folder / f"p{n}.png")
        mask = np.zeros((6, 8), np.uint8)
        mask[1:4, 2:5] = 255
        Image.fromarray(mask).save(folder / f"m{n}.png")
        rows.append({
            "image": f"p{n}.png", "outline": f"m{n}.png" if n % 2 else "", "label": CLASSES[n % 2], "key": f"p{n}.png",
            "scanner": ("A", "", "NA")[n % 3], "site": ("01", "", "null")[n % 3], "cluster": f"c{n // 2}",
            "split": "test" if n < 5 else "train",
        })  # fmt: skip
    frame = pd.DataFrame(rows, dtype=object)
    frame.to_csv(folder / "manifest.csv", index=False)
    frame.to_parquet(folder / "twin.parquet")
    _huggingface(frame, folder).save_to_disk(folder / "saved")
    return folder


def _huggingface(frame, folder):
    cells = {name: frame[name].tolist() for name in ("key", "scanner", "site", "cluster", "split")}
    cells["label"] = [CLASSES.index(label) for label in frame["label"]]
    for name in ("image", "outline"):
        cells[name] = [None if cell == "" else {"bytes": (folder / cell).read_bytes(), "path": None}
                       for cell in frame[name]]  # fmt: skip
    values = {name: library.Value("string") for name in cells}
    values |= {"image": library.Image(), "outline": library.Image(), "label": library.ClassLabel(names=list(CLASSES))}
    return library.Dataset.from_dict(cells, library.Features(values))


def _items(frame, folder, normalise=False):
    items = frame.to_dict("records")
    for item in items:
        pixels = np.asarray(Image.open(folder / item["image"]))
        if normalise:
            item["image"] = torch.from_numpy(((pixels / 255 - MEAN) / STD).astype(np.float32)).permute(2, 0, 1)
        else:
            item["image"] = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
        item["outline"] = None if item["outline"] == "" else np.asarray(Image.open(folder / item["outline"]))
        item["label"] = CLASSES.index(item["label"])
    return Rows(items)


def _module(library_, dataset, hook="test_dataloader"):
    def loader(self):
        return DataLoader(self.rows, batch_size=4, shuffle=True, drop_last=True)

    def setup(self, stage):
        self.rows = {hook.partition("_")[0]: dataset}[stage]

    return type("Ours", (library_.LightningDataModule,), {"setup": setup, hook: loader})()


def source_of(root, way):
    frame = pd.read_csv(root / "manifest.csv", dtype=str, keep_default_na=False)
    data = {
        "manifest": lambda: root,
        "parquet": lambda: root / "twin.parquet",
        "frame": lambda: frame.replace("", None),
        "dataset": lambda: _items(frame, root),
        "normalised": lambda: _items(frame, root, normalise=True),
        "pytorch_lightning": lambda: _module(pytorch_lightning, _items(frame, root)),
        "lightning.pytorch": lambda: _module(lightning.pytorch, _items(frame, root), "predict_dataloader"),
        "memory": lambda: _huggingface(frame, root),
        "saved": lambda: root / "saved",
    }[way]()
    normalized = Normalized(MEAN, STD) if way == "normalised" else None
    given = root if way == "frame" else None
    return open_source(data, classes=CLASSES, columns=COLUMNS, root=given, normalized=normalized)


def stored(source, **options):
    examples = Intake(CLASSES, **options)(source, source.table())
    return examples.stored.drop(columns=["path", "sha256"])


@pytest.mark.parametrize("way", WAYS)
def test_tables_are_equal(root, way):
    expected = stored(source_of(root, "manifest"))
    assert expected["status"].tolist().count("ok") == 5
    assert expected["object_area"].notna().sum() == 2
    assert set(expected["environment"]) == set(expected["scanner"]) == {"A", "NA", "(missing)"}
    columns = list(expected.columns)
    pd.testing.assert_frame_equal(stored(source_of(root, way))[columns], expected)
    draw = ClusterDraw(0, None, max_rows=3)
    pd.testing.assert_frame_equal(
        stored(source_of(root, way), sample=draw)[columns], stored(source_of(root, "manifest"), sample=draw)
    )


@pytest.mark.parametrize("way", WAYS)
def test_pixels_are_equal(root, way):
    left, right = source_of(root, "manifest"), source_of(root, way)
    for position in range(6):
        ours, theirs = left.pixels(position), right.pixels(position)
        np.testing.assert_array_equal(np.asarray(theirs.image), np.asarray(ours.image))
        assert (theirs.mask is None) == (ours.mask is None) == (position % 2 == 0)
        np.testing.assert_array_equal(theirs.mask if position % 2 else 0, ours.mask if position % 2 else 0)


def test_kinds_are_told(root):
    kinds = {way: source_of(root, way).kind for way in WAYS}
    assert {kinds[way] for way in ("memory", "saved")} == {"huggingface"}
    assert {kinds[way] for way in ("pytorch_lightning", "lightning.pytorch")} == {"datamodule"}
    assert "normalised with mean" in source_of(root, "normalised").reading


def test_attributes_join_and_take_roles_in_every_kind_of_source(root):
    entries = pd.DataFrame({"cluster": ["c0", "c1"], "maker": ["X", "Y"]})
    frame = pd.read_csv(root / "manifest.csv", dtype=str, keep_default_na=False)
    for data in (root, frame, _items(frame, root), _huggingface(frame, root)):
        source = open_source(
            data,
            classes=CLASSES,
            root=root,
            columns={"environment": "maker", "mask": "outline"},
            attributes=Attributes.read(entries, "cluster"),
        )
        assert source.table()["environment"].tolist() == ["X", "X", "Y", "Y", "", ""]
        assert source.joined["unmatched"] == 2


# --- normalised tensors ---------------------------------------------------------------------------


def test_normalised_tensors_that_nobody_declared_are_refused(root):
    frame = pd.read_csv(root / "manifest.csv", dtype=str, keep_default_na=False)
    with pytest.raises(UsageError, match=r"normalized=\(mean, std\)") as caught:
        open_source(_items(frame, root, normalise=True), classes=CLASSES, columns=COLUMNS).table()
    assert caught.value.code == "DATASET_SCALE"
    with pytest.raises(UsageError, match="divide by 255"):
        open_source(Rows([(torch.full((3, 4, 4), 200.0), 0)]), classes=CLASSES).table()


def test_a_declaration_that_does_not_fit_is_refused(root):
    frame = pd.read_csv(root / "manifest.csv", dtype=str, keep_default_na=False)
    wrong = Normalized((0.5, 0.5, 0.5), (1.0, 1.0, 1.0))
    for data, normalized, code in (
        (_items(frame, root, normalise=True), wrong, "DATASET_SCALE"),
        (_items(frame, root), Normalized(MEAN, STD), "NORMALIZED"),
        (_items(frame, root, normalise=True), Normalized((0.5,), (0.5,)), "NORMALIZED"),
    ):
        source = open_source(data, classes=CLASSES, columns=COLUMNS, normalized=normalized)
        with pytest.raises(UsageError, match=code):
            source.table()
    with pytest.raises(UsageError, match="NORMALIZED"):
        open_source(root, classes=CLASSES, normalized=Normalized(MEAN, STD))
    for given in ((0.5, 0.0), ((0.5,), (0.5, 0.5)), "mean"):
        with pytest.raises(UsageError, match="NORMALIZED"):
            Normalized.of(given)


# --- data modules ---------------------------------------------------------------------------------


def test_a_data_module_without_one_dataset_of_rows_is_refused():
    base = pytorch_lightning.LightningDataModule
    empty = base()
    several = type("Two", (base,), {"test_dataloader": lambda _: [DataLoader([1]), DataLoader([2])]})()
    stream = type("Stream", (torch.utils.data.IterableDataset,), {"__iter__": lambda _: iter(())})()
    streamed = type("Streams", (base,), {"test_dataloader": lambda _: DataLoader(stream)})()
    for module, found in ((empty, "neither"), (several, "2 loaders"), (streamed, "Stream")):
        with pytest.raises(UsageError, match=found) as caught:
            open_source(module, classes=CLASSES)
        assert caught.value.code == "DATAMODULE"
    one = type("One", (base,), {"test_dataloader": lambda _: [DataLoader([1, 2, 3])]})()
    assert len(open_source(one, classes=CLASSES).dataset) == 3


# --- Hugging Face datasets ------------------------------------------------------------------------


def picture():
    return Image.fromarray(np.arange(60, dtype=np.uint8).reshape(4, 5, 3))


def test_splits_of_a_dictionary_are_one_table(root):
    part = library.Dataset.from_dict({"image": [picture()], "label": ["cat"]}).cast_column("image", library.Image())
    both = library.DatasetDict({"train": part, "test": part})
    table = open_source(both, classes=CLASSES).table()
    assert table["split"].tolist() == ["train", "test"]
    assert table["key"].tolist() == ["000000000", "000000001"]


def test_formats_and_transforms_do_not_touch_the_rows(root):
    frame = pd.read_csv(root / "manifest.csv", dtype=str, keep_default_na=False)
    plain = _huggingface(frame, root).select([4, 0])
    changed = plain.with_transform(lambda batch: {name: [None] * len(cells) for name, cells in batch.items()})
    left, right = (open_source(data, classes=CLASSES, columns=COLUMNS) for data in (plain, changed))
    pd.testing.assert_frame_equal(left.table(), right.table())
    assert left.table()["key"].tolist() == ["p4.png", "p0.png"]
    np.testing.assert_array_equal(np.asarray(right.pixels(0).image), np.asarray(Image.open(root / "p4.png")))


def test_labels_without_a_name_and_findings(root):
    one = library.Image()
    names = library.ClassLabel(names=["cat", "dog"])
    given = {"image": [picture()] * 3, "label": [-1, 0, None], "kind": [1, -1, 0]}
    features = library.Features({"image": one, "label": names, "kind": library.ClassLabel(names=["x", "y", "z"])})
    table = open_source(library.Dataset.from_dict(given, features), classes=CLASSES).table()
    assert table["label"].tolist() == ["", "cat", ""]
    assert table["kind"].tolist() == ["y", "", "x"]
    assert levels_of(table)["kind"] == ("x", "y", "z")
    several = library.Features({"image": one, "found": library.List(names)})
    data = library.Dataset.from_dict({"image": [picture()] * 2, "found": [[1], []]}, several)
    table = open_source(data, classes=CLASSES, columns={"label": "found"}).table()
    assert table["label:cat"].tolist() == ["0", "0"]
    assert table["label:dog"].tolist() == ["1", "0"]
    plain = library.Features({"image": one, "label": library.Value("int64")})
    data = library.Dataset.from_dict({"image": [picture()] * 2, "label": [1, 7]}, plain)
    assert open_source(data, classes=CLASSES).table()["label"].tolist() == ["dog", "7"]


def test_pictures_that_are_paths_stay_below_the_root(root, tmp_path):
    Image.new("RGB", (3, 3)).save(tmp_path / "secret.png")
    cells = {"image": [str(root / "p0.png"), str(tmp_path / "secret.png")], "label": ["cat", "dog"]}
    features = library.Features({"image": library.Image(), "label": library.Value("string")})
    source = open_source(library.Dataset.from_dict(cells, features), classes=CLASSES, root=root)
    assert source.table()["path"].tolist()[0] == "p0.png"
    assert source.pixels(0).image.size == (8, 6)
    with pytest.raises(IntegrityError, match="PATH_ESCAPE"):
        source.pixels(1)


def test_columns_that_are_no_single_values_are_refused(root):
    data = library.Dataset.from_dict({"image": [picture()], "label": ["cat"], "depth": [picture()]})
    data = data.cast_column("image", library.Image()).cast_column("depth", library.Image())
    with pytest.raises(ManifestError, match="HUGGINGFACE_COLUMN"):
        open_source(data, classes=CLASSES)
    data = library.Dataset.from_dict({"image": [picture()], "label": ["cat"], "box": [[1.0, 2.0]]})
    with pytest.raises(ManifestError, match="HUGGINGFACE_COLUMN"):
        open_source(data.cast_column("image", library.Image()), classes=CLASSES)


def test_a_damaged_folder_and_a_missing_library_are_told(root, tmp_path, monkeypatch):
    (tmp_path / "state.json").write_text("{}")
    with pytest.raises(ManifestError, match="save_to_disk"):
        open_source(tmp_path, classes=CLASSES)

    def missing():
        raise ImportError

    monkeypatch.setattr("figureground.datasets.huggingface._library", missing)
    with pytest.raises(UsageError, match=r"pip install 'figureground\[huggingface\]'"):
        load_saved(root / "saved")
