"""Whole audits through every kind of source, and with everything that can be given beside the data."""

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader
from typer.testing import CliRunner

import datasets as library
from figureground.api import judge_again, run_audit
from figureground.audit.declared.config import Policy
from figureground.audit.exits import exit_code
from figureground.audit.keeping.run_folder import read_table
from figureground.cli import app
from figureground.datasets.own_transform import OwnTransform
from figureground.datasets.transforms import Preprocess
from figureground.errors import ManifestError, UsageError

CLASSES = ("cat", "dog")
SIZE, N = 24, 48
TABLES = ("examples", "attributions", "predictions", "strata", "scores", "subgroups", "tests")
pytestmark = pytest.mark.slow


class Rows:
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


def tiny():
    """The same weights each time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
        )


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder, rng, rows = tmp_path_factory.mktemp("rows"), np.random.default_rng(0), []
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[6:16, 8:18] = 255
    for n in range(N):
        pixels = np.full((SIZE, SIZE, 3), 60 if n % 4 < 2 else 190) + rng.integers(-30, 30, (SIZE, SIZE, 3))
        pixels[6:16, 8:18, n % 2] += 40
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"p{n:02d}.png")
        Image.fromarray(mask).save(folder / f"m{n:02d}.png")
        rows.append({
            "image": f"p{n:02d}.png", "mask": f"m{n:02d}.png" if n % 8 else "", "label": CLASSES[n % 2],
            "key": f"p{n:02d}.png", "environment": ("dark", "light")[n % 4 // 2], "site": ("01", "", "NA")[n % 3],
            "patient": f"{n // 2:03d}", "age": str(10 + n),
        })  # fmt: skip
    pd.DataFrame(rows, dtype=object).to_csv(folder / "manifest.csv", index=False)
    return folder


def frame_of(root):
    return pd.read_csv(root / "manifest.csv", dtype=str, keep_default_na=False)


def items_of(root):
    items = frame_of(root).to_dict("records")
    for item in items:
        item["image"] = Image.fromarray(np.asarray(Image.open(root / item["image"])))
        item["mask"] = None if item["mask"] == "" else np.asarray(Image.open(root / item["mask"]))
    return Rows(items)


def huggingface_of(root):
    cells = {name: column.tolist() for name, column in frame_of(root).items()}
    for name in ("image", "mask"):
        cells[name] = [
            None if cell == "" else {"bytes": (root / cell).read_bytes(), "path": None} for cell in cells[name]
        ]
    cells["label"] = [CLASSES.index(label) for label in cells["label"]]
    features = {name: library.Value("string") for name in cells}
    features |= {name: library.Image() for name in ("image", "mask")} | {
        "label": library.ClassLabel(names=list(CLASSES))
    }
    return library.Dataset.from_dict(cells, library.Features(features))


class Module(pytorch_lightning.LightningDataModule):
    def __init__(self, rows):
        super().__init__()
        self.rows = rows

    def test_dataloader(self):
        return DataLoader(self.rows, batch_size=7, shuffle=True)


def audited(data, tmp_path, name, **more):
    said = {"classes": CLASSES, "cues": ["background"], "images": False, "report": False}
    return run_audit(tiny(), data, out=tmp_path / name, **(said | more))


@pytest.mark.fault("E10")
def test_exchanged_names_of_classes_raise_a_banner_with_the_map_that_would_fit(root, tmp_path):
    colours = nn.Conv2d(3, 2, 1, bias=False)
    with torch.no_grad():
        colours.weight.copy_(torch.tensor([[5.0, -5.0, 0.0], [-5.0, 5.0, 0.0]])[..., None, None])
    knows = nn.Sequential(colours, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    said = {"cues": ["background"], "images": False, "columns": {"cluster": "patient"}}
    right = run_audit(knows, root, out=tmp_path / "right", classes=CLASSES, report=False, **said)
    assert right.document.performance.overall.estimate > 0.9
    run = run_audit(knows, root, out=tmp_path / "exchanged", classes=CLASSES[::-1], **said)
    assert run.document.performance.overall.estimate < 0.1
    first = run.findings[0].message
    assert first.key == "class_order"
    assert sorted(first.args["pairs"]) == ["cat → dog", "dog → cat"]
    assert exit_code(run.document, Policy()) == 3
    page = (run.path / "report.en.html").read_text()
    assert all(pair in page for pair in first.args["pairs"])


def test_every_kind_of_source_gives_identical_tables(root, tmp_path):
    expected = audited(root, tmp_path, "manifest", columns={"cluster": "patient"}, report=True)
    assert expected.document.data.ok == N
    unseen = [item.reason for item in expected.document.not_tested if "leakage" in item.subject]
    assert unseen == ["no_training_data"]
    assert "The training data was not given" in (expected.path / "report.en.html").read_text()
    ways = {
        "dataframe": frame_of(root),
        "dataset": items_of(root),
        "datamodule": Module(items_of(root)),
        "huggingface": huggingface_of(root),
    }
    for kind, data in ways.items():
        given = root if kind == "dataframe" else None
        run = audited(data, tmp_path, kind, columns={"cluster": "patient"}, root=given)
        assert run.document.data.source == kind
        for name in TABLES:
            left, right = (read_table(path, name) for path in (expected.path, run.path))
            without = ["path", "sha256"] if name == "examples" and kind != "dataframe" else []
            pd.testing.assert_frame_equal(right[left.columns].drop(columns=without), left.drop(columns=without))
        assert run.verdict.model_dump() == expected.verdict.model_dump()


@pytest.mark.fault("E7", "E8", "E14")
def test_what_is_given_beside_the_data_stands_in_document_and_report(root, tmp_path):
    frame = frame_of(root)
    frame.loc[len(frame)] = frame.loc[3]
    patients = pd.DataFrame({"patient": [f"{n:03d}" for n in range(1, 30)], "sex": ["F", "M", "NA"] * 9 + ["F", "M"]})
    train = frame_of(root).loc[[0, 1, 2]].assign(image=[str(root / f"p{n:02d}.png") for n in range(3)], patient="t")
    run = audited(
        frame,
        tmp_path,
        "beside",
        root=root,
        report=True,
        columns={"cluster": "patient"},
        attributes=patients.rename(columns={"patient": "id"}).assign(patient=patients["patient"]).drop(columns="id"),
        on="patient",
        dedupe=True,
        train=train,
        supplied_by={"data": "client", "model": "auditor"},
        by=["age:20,40", "sex"],
    )
    data = run.document.data
    assert data.filtered_by_reason == {"row_repeated": 1}
    assert (data.joined.matched, data.joined.unmatched, data.joined.unused) == (N - 1, 2, 6)
    groups = {group.attribute: {one.level: one.n for one in group.levels} for group in data.groups}
    assert groups["age:20,40"] == {"< 20": 10, "[20, 40)": 20, ">= 40": 18}
    assert groups["sex"]["(missing)"] == 2
    assert (data.overlap.equal, data.overlap.shared_units) == (3, 0)
    assert run.document.audit.supplied_by == {
        "model": "auditor", "data": "client", "labels": None, "masks": None, "attributes": None, "train": None,
        "policy": "tool",
    }  # fmt: skip
    assert any(finding.message.key == "training_overlap" for finding in run.findings)
    assert not any("leakage" in item.subject for item in run.document.not_tested)
    page = (run.path / "report.en.html").read_text()
    for said in ("Joined by patient: sex", "3 have a picture that is in the training data", "[20, 40)", "Supplied by"):
        assert said in page


@pytest.mark.fault("E16", better="Refused unless --no-labels says so: a misspelt column is no missing one.")
def test_without_labels_groups_go_by_what_is_predicted_and_accuracy_is_not_available(root, tmp_path):
    frame = frame_of(root).drop(columns="label")
    with pytest.raises(ManifestError, match="--no-labels"):
        audited(frame, tmp_path, "refused", root=root)
    run = audited(frame, tmp_path, "unlabelled", root=root, labels=False, report=True, by=["site"])
    known = audited(frame_of(root), tmp_path, "labelled", root=root, by=["site"])
    data, answers = run.document.data, run.predictions.query("intervention == 'none'")
    predicted = answers.set_index("row_id")["predicted"]
    assert (data.labelled, data.ok, data.findings) == (False, N, [])
    said = run.examples.set_index("row_id")["label"]
    assert said.to_dict() == {row: CLASSES[int(at)] for row, at in predicted.items()}
    performance = run.document.performance
    assert (performance.overall.estimate, performance.overall.reason) == (None, "no_labels")
    assert performance.worst_group is None
    assert all(group.accuracy.estimate is None for group in performance.by_group)
    table = run.subgroups
    needs = table["measure"].isin(["accuracy", "balanced_accuracy", "auroc", "brier", "sensitivity"])
    assert needs.any()
    assert table.loc[needs, "estimate"].isna().all()
    assert set(table.loc[needs, "reason"]) == {"no_labels"}
    assert run.tests.query("test == 'performance_gap'")["estimate"].isna().all()
    assert data.stratum_source == "environment"
    cue, other = run.verdict.cues[0], known.verdict.cues[0]
    assert cue.estimate == pytest.approx(other.estimate, abs=0.01)  # donors are drawn by label
    assert "competence_unknown" in {reason.key for reason in cue.reasons}
    page = (run.path / "report.en.html").read_text()
    assert "The data has no labels" in page
    assert "Accuracy is not available" in page
    again = judge_again(run.path, out=tmp_path / "again", by=["age:20,40"], report=False)
    assert again.document.performance.overall.reason == "no_labels"
    for wrong in (frame_of(root), frame_of(root).rename(columns={"label": "label:cat"})):
        with pytest.raises(UsageError, match="NO_LABELS"):
            audited(wrong, tmp_path, "wrong", root=root, labels=False)


def test_without_labels_or_environments_levels_come_from_backgrounds_alone_or_not_at_all(root, tmp_path):
    bare = frame_of(root).drop(columns=["label", "environment"])
    run = audited(bare.drop(columns="mask"), tmp_path, "bare", root=root, labels=False)
    assert run.verdict.cues[0].status == "not_tested"
    left_out = ("label", "environment")
    kept = [{name: cell for name, cell in item.items() if name not in left_out} for item in items_of(root).items]
    run = audited(Rows(kept), tmp_path, "items", labels=False)
    assert (run.document.data.ok, run.document.data.labelled) == (N, False)
    cue = run.verdict.cues[0]  # this model answers every background alike
    assert (cue.status, [reason.key for reason in cue.reasons]) == ("not_tested", ["one_level"])


def test_a_transform_of_ones_own_gives_the_tables_of_the_same_geometry_in_words(root, tmp_path):
    (tmp_path / "prepare.py").write_text(
        "import numpy as np\n"
        "from PIL import Image\n"
        "def evaluation(image, mask):\n"
        "    pixels = np.asarray(image.resize((16, 16), Image.Resampling.BILINEAR), dtype=np.float32) / 255\n"
        "    normal = (pixels - np.float32(0.5)) / np.float32(0.25)\n"
        "    return np.moveaxis(normal, -1, 0), mask.resize((16, 16), Image.Resampling.NEAREST)\n"
    )
    mean, std = (0.5,) * 3, (0.25,) * 3
    words = Preprocess(resize=(16, 16), mean=mean, std=std)
    named = OwnTransform(spec=f"{tmp_path / 'prepare.py'}:evaluation", mean=mean, std=std)
    runs = [audited(root, tmp_path, name, transform=one) for name, one in (("words", words), ("named", named))]
    for name in ("attributions", "predictions"):
        first, second = (read_table(run.path, name).drop(columns=["region_shares"], errors="ignore") for run in runs)
        pd.testing.assert_frame_equal(first, second, rtol=1e-4, atol=1e-5)
    assert runs[1].document.subject.code_executed
    assert runs[1].document.subject.preprocessing["transform"].endswith("prepare.py:evaluation")
    assert len(runs[1].document.subject.preprocessing["source_sha256"]) == 64
    checks = {check.check: check.status for check in runs[1].document.trust}
    assert checks["transform_moves_together"] == "passed"


def test_a_transform_that_is_named_on_the_command_line(root, tmp_path):
    (tmp_path / "turn.py").write_text(
        "import numpy as np\n"
        "def turned(image, mask):\n"
        "    return np.moveaxis(np.asarray(image.rotate(180)).copy(), -1, 0), mask\n"
    )
    given = ["--transform", f"{tmp_path / 'turn.py'}:turned", "--classes", "cat,dog"]
    said = CliRunner().invoke(app, ["check", str(root), "--model", "torchvision:resnet18", *given])
    assert isinstance(said.exception, UsageError)
    assert "pixels away from a lit square" in str(said.exception)
