"""The planted truth, end to end: the same pipeline that users run, on models whose answer is known."""

import json
import shutil

import jsonschema
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.metrics import accuracy_score

import figureground as fg
from figureground.api import run_audit
from figureground.audit.classify.checkpoint import save_checkpoint
from figureground.audit.document.audit_json import json_schema
from figureground.audit.exits import exit_code
from figureground.audit.keeping import run_folder

TABLES = ("examples", "attributions", "predictions", "subgroups", "tests", "gallery")


#: One cue of each plan: with masks on all rows, and without masks on the subsample.
CUES = ("background", "corner_top_left", "sharpness")


def evidence(run):
    """Bytes of every sealed file by name."""
    return {name: (run.path / name).read_bytes() for name in run_folder.read_seal(run.path)}


def test_a_shortcut_is_demonstrated_with_its_direction(shortcut_run):
    cue = shortcut_run.verdict.cues[0]
    assert (cue.cue, cue.status) == ("background", "demonstrated")
    assert {(cue.direction.class_name, cue.direction.arm)} <= {("coat", "gravel"), ("pullover", "grass")}
    assert cue.ci_low > 0.10
    assert cue.changed_other_level.estimate > cue.changed_same_level.estimate + 0.2
    assert exit_code(shortcut_run.document, fg.Policy()) == 1


@pytest.mark.slow
def test_the_balanced_twin_is_neither_accused_nor_cleared(balanced_model, audit_manifest, tmp_path):
    run = run_audit(balanced_model, audit_manifest, out=tmp_path / "run", report=False, images=False, cues=CUES)
    assert run.verdict.cues[0].status == "inconclusive"
    assert run.verdict.status == "inconclusive"
    assert exit_code(run.document, fg.Policy()) == 3


def test_the_effect_agrees_with_the_generator(shortcut_run, shortcut_model):
    """Pictures composed with the other background from the start: no swap, no hole, no mask."""
    planted = fg.Planted(association=0.5, split="test", per_label=60)
    answers = {}
    for arm, place in (("grass", 0), ("gravel", 1)):
        pictures = np.stack([planted.pair(index)[place] for index in range(len(planted.scenes))])
        images = torch.from_numpy(pictures).float().div(255)[:, None].expand(-1, 3, -1, -1)
        with torch.no_grad():
            answers[arm] = shortcut_model(shortcut_model.preprocess.normalize(images)).argmax(1).numpy()
    cue = shortcut_run.verdict.cues[0]
    wanted = shortcut_model.classes.index(cue.direction.class_name)
    truth = (answers[cue.direction.arm] == wanted).mean() - (answers[cue.direction.reference] == wanted).mean()
    # A composite with filled holes is not the scene itself, and differs from it in either direction.
    # Holes and seams that all arms share take from an effect; they do not add to it.
    assert 0.6 * truth <= cue.estimate <= truth + 0.2


@pytest.mark.fault("F6")
def test_the_folder_is_whole_private_and_valid(shortcut_run):
    names = set(run_folder.read_seal(shortcut_run.path))
    assert {
        "config.json",
        "declared.json",
        "policy.json",
        "audit.json",
        "examples.parquet",
        "subgroups.parquet",
        "tests.parquet",
    } <= names
    assert (shortcut_run.path / "COMPLETE.json").stat().st_mtime >= (shortcut_run.path / "audit.json").stat().st_mtime
    assert oct(shortcut_run.path.stat().st_mode)[-3:] == "700"
    run_folder.check_seal(shortcut_run.path)
    text = (shortcut_run.path / "audit.json").read_text()
    jsonschema.Draft202012Validator(json_schema()).validate(json.loads(text, parse_constant=pytest.fail))


def test_the_packaged_schema_is_the_one_of_the_code():
    from importlib import resources

    packaged = resources.files("figureground.audit") / "schema" / "audit.schema.json"
    assert json.loads(packaged.read_text()) == json_schema()


def test_no_path_of_this_machine_is_in_the_evidence(shortcut_run, audit_manifest):
    for name in ("audit.json", "config.json", "policy.json"):
        text = (shortcut_run.path / name).read_text()
        assert str(audit_manifest.parent) not in text
        assert str(shortcut_run.path) not in text
    assert not pd.Series(shortcut_run.examples["path"]).str.startswith("/").any()


def test_accuracies_are_those_of_scikit_learn(shortcut_run, shortcut_model):
    base = shortcut_run.predictions.query("intervention == 'none'")
    rows = shortcut_run.examples.merge(base[["row_id", "predicted"]], on="row_id")
    rows["answer"] = [shortcut_model.classes[index] for index in rows["predicted"]]
    performance = shortcut_run.document.performance
    assert performance.overall.estimate == pytest.approx(accuracy_score(rows["label"], rows["answer"]))
    worst = performance.worst_group
    cells = {"lighting": ["lighting"], "environment": ["environment"]}
    lowest = min(
        accuracy_score(cell["label"], cell["answer"])
        for columns in cells.values()
        for keys in (columns, [*columns, "label"])
        for _, cell in rows.groupby(keys)
    )
    assert worst.accuracy.estimate == pytest.approx(lowest)


def test_measures_are_captums_on_the_pictures_themselves(shortcut_run, shortcut_model, audit_manifest):
    """From the file to the share with other people's code: a flipped mask or a broken pass cannot pass."""
    from captum.attr import LayerGradCam, Saliency

    module = shortcut_model.eval()
    table = pd.read_csv(audit_manifest)
    stored = shortcut_run.attributions.set_index(["row_id", "method", "sign"])
    layer = dict(module.named_modules())[shortcut_run.document.subject.target_layer]
    by_path = shortcut_run.examples.set_index("path")["row_id"]
    for row in table.head(6).itertuples():
        pixels = np.asarray(Image.open(audit_manifest.parent / row.image).convert("RGB"), dtype=np.float32) / 255
        figure = np.asarray(Image.open(audit_manifest.parent / row.mask)) == 255
        inputs = ((torch.from_numpy(pixels).permute(2, 0, 1)[None] - 0.5) / 0.5).requires_grad_()
        target = int(module(inputs).argmax())
        saliency = Saliency(module).attribute(inputs, target=target).abs().amax(1)[0].detach().numpy()
        cam = LayerGradCam(module, layer).attribute(inputs, target=target, relu_attributions=True)
        cam = (
            torch.nn.functional.interpolate(cam, figure.shape, mode="bilinear", align_corners=False)[0, 0]
            .detach()
            .numpy()
        )
        row_id = by_path[row.image]
        for key, heat in ((("saliency", "absolute"), saliency), (("gradcam", "positive"), cam)):
            found = stored.loc[(row_id, *key)]
            if found["status"] != "ok":
                assert heat.sum() < 1e-6
                continue
            assert found["background_share"] == pytest.approx(heat[~figure].sum() / heat.sum(), abs=1e-4)
            assert found["background_area"] == pytest.approx((~figure).mean())


def test_every_level_of_every_attribute_is_a_row(shortcut_run):
    found = set(zip(shortcut_run.subgroups["attribute"], shortcut_run.subgroups["level"], strict=True))
    assert {("environment", "grass"), ("environment", "gravel"), ("lighting", "bright"), ("lighting", "dim")} <= found
    crossed = shortcut_run.subgroups.query("measure == 'contrast' and label == 'coat'")
    assert set(crossed["attribute"]) == {"(all)", "environment", "lighting"}


def test_the_report_tells_every_finding(shortcut_run):
    page = (shortcut_run.path / "report.en.html").read_text()
    assert len(shortcut_run.findings) >= 2
    for finding in shortcut_run.findings:
        assert f">{finding.id}<" in page


def frame_of(manifest):
    """The manifest as a person would load it, with keys that do not depend on the folder."""
    frame = pd.read_csv(manifest, dtype=str, keep_default_na=False)
    return frame.assign(key=frame["image"])


class AsDataset(torch.utils.data.Dataset):
    def __init__(self, manifest):
        self.frame, self.root = frame_of(manifest), manifest.parent

    def __len__(self):
        return len(self.frame)

    def __getitem__(self, index):
        row = self.frame.iloc[index].to_dict()
        with Image.open(self.root / row["image"]) as picture, Image.open(self.root / row["mask"]) as mask:
            row |= {"image": picture.copy(), "mask": np.asarray(mask)}
        return row


@pytest.mark.slow
def test_the_same_rows_give_the_same_tables_whichever_way_they_come(
    shortcut_run, shortcut_model, audit_manifest, tmp_path
):
    frame = frame_of(audit_manifest).sample(frac=1, random_state=1)
    by_frame = run_audit(
        shortcut_model, frame, root=audit_manifest.parent, out=tmp_path / "frame", report=False, cues=CUES
    )
    by_items = run_audit(shortcut_model, AsDataset(audit_manifest), out=tmp_path / "items", report=False, cues=CUES)
    whole = evidence(shortcut_run)
    for other in (by_frame, by_items):
        found = evidence(other)
        same = [name for name in whole if name.endswith(".parquet") and name != "examples.parquet"]
        assert same
        assert {name: found[name] == whole[name] for name in same} == dict.fromkeys(same, True)
    assert evidence(by_frame)["examples.parquet"] == whole["examples.parquet"]
    without = ["path", "sha256"]
    pd.testing.assert_frame_equal(by_items.examples.drop(columns=without), shortcut_run.examples.drop(columns=without))


@pytest.mark.slow
def test_a_second_run_gives_the_same_bytes(shortcut_run, shortcut_model, audit_manifest, tmp_path, monkeypatch):
    model = tmp_path / "model.ckpt"
    save_checkpoint(shortcut_model, model)
    again = run_audit(model, audit_manifest, out=tmp_path / "again", report=False, cues=CUES)
    first, second = evidence(shortcut_run), evidence(again)
    assert {name for name in first if first[name] != second.get(name)} <= {"audit.json"}
    one, two = json.loads(first["audit.json"]), json.loads(second["audit.json"])
    for found in (one, two):
        found["audit"].pop("started"), found["audit"].pop("ended")
    assert one == two
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    third = run_audit(model, audit_manifest, out=tmp_path / "third", cues=CUES)
    fourth = run_audit(model, audit_manifest, out=tmp_path / "fourth", cues=CUES)
    files = sorted(path.relative_to(third.path) for path in third.path.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(fourth.path) for path in fourth.path.rglob("*") if path.is_file())
    assert [name for name in files if (third.path / name).read_bytes() != (fourth.path / name).read_bytes()] == []


def test_broken_rows_are_set_aside_counted_and_told(shortcut_model, audit_manifest, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(audit_manifest.parent, data)
    frame = pd.read_csv(data / "manifest.csv", dtype=str)
    (data / frame.loc[0, "image"]).write_bytes(b"no picture")
    (data / frame.loc[1, "image"]).unlink()
    frame.loc[2, "label"] = ""
    frame.loc[3, "image"] = "../outside.png"
    frame.loc[4, "lighting"] = "NA"
    frame.loc[5, "lighting"] = ""
    frame.to_csv(data / "manifest.csv", index=False)
    run = run_audit(shortcut_model, data, out=tmp_path / "run", images=False, cues=CUES, keep_going=True)
    ledger = run.document.data
    assert ledger.given == ledger.ok + ledger.quarantined + ledger.filtered == 120
    assert ledger.quarantined_by_reason == {
        "label_missing": 1,
        "missing_file": 1,
        "not_an_image:text": 1,
        "path_escape": 1,
    }
    levels = set(run.subgroups.query("attribute == 'lighting'")["level"])
    assert {"NA", "(missing)"} <= levels
    assert any(finding.message.key == "quarantine_above_limit" for finding in run.findings)
    assert "the file lies outside the data root" in (run.path / "report.en.html").read_text()


def test_without_masks_the_background_is_not_tested(shortcut_model, audit_manifest, tmp_path):
    frame = frame_of(audit_manifest).drop(columns="mask")
    run = run_audit(
        shortcut_model, frame, root=audit_manifest.parent, out=tmp_path / "run", images=False, cues=["background"]
    )
    cue = run.verdict.cues[0]
    assert (cue.status, cue.reasons[0].key) == ("not_tested", "no_masks")
    assert exit_code(run.document, fg.Policy()) == 3
    assert set(run.attributions["status"]) == {"mask_absent"}
    assert run.document.performance.overall.n == 120


@pytest.mark.slow
def test_a_plain_module_with_classes_and_transform_is_audited(audit_manifest, tmp_path):
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=2),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(8, 2),
    ).train()
    run = run_audit(
        module,
        audit_manifest,
        classes=["coat", "pullover"],
        transform=fg.Preprocess(resize=(48, 48)),
        by=["lighting*environment"],
        cues=CUES,
        out=tmp_path / "run",
        images=False,
    )
    assert module.training
    assert run.document.subject.preprocessing_source == "argument"
    assert set(run.subgroups["attribute"]) == {"(all)", "lighting*environment"}
    assert run.document.policy["sha256"] == fg.Policy(subgroups=("lighting*environment",)).sha256
    assert run.verdict.cues[0].status != "demonstrated"
    assert not list((run.path).glob("assets/*"))


def test_show_and_card_speak_of_the_run(shortcut_run):
    row_id = int(shortcut_run.gallery["row_id"].iloc[0])
    assert str(row_id) in shortcut_run.show(row_id)._repr_html_()
    assert "background" in shortcut_run._repr_html_()


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_frames_with_their_columns(shortcut_run, name):
    from figureground.audit.keeping.tables import SCHEMAS

    frame = getattr(shortcut_run, name)
    assert len(frame) > 0
    assert set(SCHEMAS[name].names) <= set(frame.columns)
