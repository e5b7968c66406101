"""What files do to an audit: masks that give nothing, the same bytes twice, files that vanish, what was declared."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import figureground as fg
from figureground.api import run_audit
from figureground.cli import app
from figureground.datasets.decoding import Decoding
from figureground.datasets.intake import Intake
from figureground.datasets.sources import TableSource, open_source
from figureground.datasets.transforms import Preprocess
from figureground.inputs import check_inputs

CLASSES = ("cat", "dog")
SIDE = 24


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 6, 3, stride=2), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
        torch.nn.Linear(6, 2),
    )  # fmt: skip


def data(folder, n=24, mask=lambda _: "disc"):
    """Pictures with two labels and two sites; a mask of the kind that ``mask`` says for each."""
    rng, rows = np.random.default_rng(0), []
    place = np.hypot(*(np.mgrid[:SIDE, :SIDE] - SIDE / 2))
    drawn = {
        "disc": (place < 6) * 255,
        "soft": np.clip(255 * (8 - place) / 4, 0, 255),
        "empty": place * 0,
        "corner": (np.add(*np.mgrid[:SIDE, :SIDE]) < 3) * 255,
        "inverted": (place >= 6) * 255,
        "turned": (place < 6)[:, :16] * 255,
    }
    for kind, values in drawn.items():
        Image.fromarray(values.astype(np.uint8)).save(folder / f"{kind}.png")
    for at in range(n):
        Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(folder / f"p{at}.png")
        cell = mask(at)
        row = {"image": f"p{at}.png", "label": CLASSES[at % 2], "environment": f"e{at // 2 % 2}"}
        rows.append(row | {"site": f"s{at % 3}", "mask": f"{cell}.png" if cell else ""})
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    return folder / "manifest.csv"


def audit(manifest, tmp_path, **more):
    more = {"transform": Preprocess(resize=SIDE), "cues": ["background"], "out": tmp_path / "run"} | more
    return run_audit(network(), manifest, classes=list(CLASSES), images=False, **more)


def taken(folder, preprocess=None, decoding=Decoding(), **cells):  # noqa: B008  (frozen)
    frame = pd.DataFrame({"label": ["cat"], **{name: [cell] for name, cell in cells.items()}}, dtype=object)
    source = TableSource("dataframe", "DataFrame", frame, folder, decoding=decoding)
    return Intake(CLASSES, preprocess=preprocess)(source, source.table()).frame.iloc[0]


@pytest.mark.slow
@pytest.mark.fault("D7", "D9", "C16")
def test_masks_that_give_nothing_are_counted_and_their_rows_stay(tmp_path):
    kinds = {0: "empty", 1: "turned", 2: "empty", 3: "none", 4: "corner", 6: "empty"}
    manifest = data(tmp_path, mask=lambda n: kinds.get(n, "empty" if n % 2 == 0 and n < 16 else "disc"))
    (tmp_path / "p9.png").write_bytes((tmp_path / "p8.png").read_bytes())
    run = audit(manifest, tmp_path, transform=Preprocess(resize=SIDE, crop=SIDE - 8))
    assert run.document.data.ok == run.document.performance.overall.n == 24
    status = run.examples["mask_status"].value_counts().to_dict()
    assert status == {"ok": 14, "no_object": 7, "size_mismatch": 1, "mask_missing": 1, "object_cropped_out": 1}
    measured = run.attributions.drop_duplicates("row_id").set_index("row_id")["status"]
    assert measured.to_dict() == run.examples.set_index("row_id")["mask_status"].to_dict()
    told = {(item.attribute, item.level, item.status): item.n for item in run.document.data.mask_troubles}
    assert told["(all)", "(all)", "object_cropped_out"] == told["label", "cat", "object_cropped_out"] == 1
    assert told["site", "s1", "object_cropped_out"] == 1
    keys = {finding.message.key: finding.message.args for finding in run.findings}
    assert keys["masks_missing"] == {"labels": ["cat"]}
    assert keys["duplicate_content"] == {"n": 1}
    page = (run.path / "report.en.html").read_text()
    for words in ("removes the object", "More than half of the masks", "same bytes"):
        assert words in page


ODD = "<img src=x onerror=alert(1)>\n'\"&%41#\u202e\U0001f98a.png"


@pytest.mark.slow
@pytest.mark.fault("D3", "C12")
def test_soft_masks_are_declared_measured_and_told_whatever_files_are_called(tmp_path):
    frame = pd.read_csv(data(tmp_path, mask=lambda _: "soft"), dtype=str)
    (tmp_path / "p2.png").rename(tmp_path / ODD)
    frame.loc[2, "image"] = ODD
    frame.to_csv(tmp_path / "manifest.csv", index=False)
    run = audit(tmp_path / "manifest.csv", tmp_path, mask_mode="soft")
    assert ODD in run.examples["path"].tolist()
    assert run.examples["status"].eq("ok").all()
    assert "<img src=x" not in (run.path / "report.en.html").read_text()
    row = run.examples.set_index("path").loc[ODD, "row_id"]
    assert "<img src=x" not in run.show(int(row))._repr_html_()
    share = np.asarray(Image.open(tmp_path / "soft.png")) / 255
    np.testing.assert_allclose(run.examples["object_area"], share.mean(), atol=1e-6)
    np.testing.assert_allclose(run.attributions["background_area"], 1 - share.mean(), atol=1e-6)
    assert run.document.data.decoding == {"exif": "apply", "mask_mode": "soft"}
    assert json.loads((run.path / "config.json").read_text())["decoding"] == {"mask_mode": "soft"}
    page = (run.path / "report.en.html").read_text()
    assert "mask_mode = soft" in page
    assert "Masks are soft" in page
    swapped = run.predictions.query("intervention == 'swap'")
    assert (swapped["status"] == "ok").any()


@pytest.mark.slow
@pytest.mark.fault("C15")
def test_a_file_that_vanishes_while_the_audit_runs_is_set_aside(tmp_path, monkeypatch):
    from figureground.audit.pipeline import Pipeline

    manifest, begun = data(tmp_path), []

    def take_in(self, folder):
        examples = original(self, folder)
        begun.append(len(examples.usable))
        (tmp_path / "p5.png").unlink(missing_ok=True)
        return examples

    original = Pipeline._take_in
    monkeypatch.setattr(Pipeline, "_take_in", take_in)
    run = audit(manifest, tmp_path)
    assert begun == [24, 23]
    assert run.document.data.quarantined_by_reason == {"missing_file": 1}
    fg.load_run(run.path)  # sealed as a whole


@pytest.mark.slow
@pytest.mark.fault("D11")
def test_masks_that_look_inverted_raise_a_banner_that_the_declaration_ends(tmp_path):
    manifest = data(tmp_path, mask=lambda _: "inverted")
    run = audit(manifest, tmp_path)
    assert {"masks_inverted"} <= {finding.message.key for finding in run.findings}
    assert "--mask-polarity object-dark" in (run.path / "report.en.html").read_text()
    source = open_source(manifest, classes=CLASSES, decoding=Decoding(mask_polarity="object-dark"))
    assert Intake(CLASSES)(source, source.table()).masks_inverted == 0


@pytest.mark.fault("D9")
def test_an_object_that_the_crop_removes_is_told_and_the_row_stays(tmp_path):
    data(tmp_path, 1)
    row = taken(tmp_path, Preprocess(resize=SIDE, crop=SIDE - 8), image="p0.png", mask="corner.png")
    assert (row["status"], row["mask_status"]) == ("ok", "object_cropped_out")
    assert row["object_area"] > 0
    assert taken(tmp_path, Preprocess(resize=SIDE), image="p0.png", mask="corner.png")["mask_status"] == "ok"


@pytest.mark.fault("D7")
def test_an_empty_mask_is_a_status_and_no_fault(tmp_path):
    data(tmp_path, 1)
    row = taken(tmp_path, image="p0.png", mask="empty.png")
    assert (row["status"], row["mask_status"], row["object_area"]) == ("ok", "no_object", 0)


@pytest.mark.fault("C14")
@pytest.mark.parametrize(
    ("size", "reason"),
    [((1, 1), "too_small"), ((1, 30_000), "too_small"), ((2, 30_000), "pixel_cap"), ((4, 4), None)],
)
def test_tiny_and_extreme_pictures_have_a_defined_end(tmp_path, size, reason):
    Image.new("RGB", size, (9, 8, 7)).save(tmp_path / "a.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "b.png")
    steps = Preprocess(resize=224, crop=224)
    frame = pd.DataFrame({"label": ["cat", "dog"], "image": ["a.png", "b.png"]}, dtype=object)
    source = TableSource("dataframe", "DataFrame", frame, tmp_path)
    found = Intake(CLASSES, preprocess=steps)(source, source.table()).frame.set_index("position").loc[0]
    assert found["reason"] == reason
    assert len(found["sha256"]) == 64  # kept of what was set aside as well
    if reason is None:
        assert steps.image(source.pixels(0).image).shape == (3, 224, 224)


@pytest.mark.fault("C1", "C4")
def test_rows_that_are_set_aside_keep_their_hash_and_end_the_check_with_3(tmp_path):
    manifest = data(tmp_path, 6)
    (tmp_path / "p3.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"damaged" * 9)
    (tmp_path / "p4.png").unlink()
    found = check_inputs(manifest)
    assert found.faults[["row", "reason"]].to_numpy().tolist() == [[5, "image_unreadable"], [6, "missing_file"]]
    source = open_source(manifest, classes=CLASSES)
    frame = Intake(CLASSES)(source, source.table()).frame.set_index("path")
    assert frame.loc["p3.png", "sha256"] is not None
    assert frame["sha256"].isna().sum() == 1
    assert CliRunner().invoke(app, ["check", str(manifest)]).exit_code == 3


@pytest.mark.fault("C13")
def test_a_path_out_of_the_root_ends_the_command_with_6_or_is_set_aside(tmp_path):
    manifest = data(tmp_path, 4)
    text = manifest.read_text().replace("p2.png", "../../etc/passwd")
    manifest.write_text(text)
    with pytest.raises(fg.errors.IntegrityError, match=r"manifest\.csv:4:image"):
        check_inputs(manifest)
    found = CliRunner().invoke(app, ["check", str(manifest), "--keep-going"])
    assert found.exit_code == 3
    assert "row 4: path_escape" in found.output


@pytest.mark.fault("D1")
def test_every_way_to_write_two_values_gives_the_identical_mask(tmp_path):
    data(tmp_path, 1)
    disc = np.asarray(Image.open(tmp_path / "disc.png")) > 0
    written = {
        "ones": disc.astype(np.uint8), "full": disc.astype(np.uint8) * 255, "bit": disc,
        "deep": disc.astype(np.uint16) * 65_535, "ones16": disc.astype(np.uint16),
    }  # fmt: skip
    areas = []
    for name, values in written.items():
        Image.fromarray(values).save(tmp_path / f"{name}.png")
        areas.append(taken(tmp_path, image="p0.png", mask=f"{name}.png")["object_area"])
    assert areas == [disc.mean()] * len(written)


def test_options_of_the_command_line_reach_the_files(tmp_path):
    manifest = data(tmp_path, 6)
    ids = np.zeros((SIDE, SIDE), np.uint8)
    ids[4:12, 4:12], ids[12:, 12:] = 3, 7
    Image.fromarray(ids).save(tmp_path / "disc.png")
    bare = CliRunner().invoke(app, ["check", str(manifest)])
    assert isinstance(bare.exception, fg.errors.UsageError)
    assert "--mask-mode" in str(bare.exception)
    chosen = ["--mask-mode", "class-ids", "--mask-object", "label", "--mask-ids", "cat=3,dog=9"]
    found = CliRunner().invoke(app, ["check", str(manifest), *chosen])
    assert found.exit_code == 0
    assert "masks: 3 of 6 usable rows" in found.output
    assert "row 3: object_absent: none of [9] in it; it holds [3, 7]" in found.output
    wrong = CliRunner().invoke(app, ["check", str(manifest), "--range", "white"])
    assert wrong.exit_code == 2
