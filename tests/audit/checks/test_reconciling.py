"""Is this the model in use? Its own answers pass; those of another preprocessing are refused, and it is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from figureground.api import run_audit
from figureground.audit.checks import reconciling
from figureground.audit.checks.reconciling import MAX_IMAGES, Reconcile, Recorded, Variant, variants
from figureground.audit.classify.subject import as_number, as_subject
from figureground.audit.declared.target import Target
from figureground.datasets.intake import Intake
from figureground.datasets.sources import open_source
from figureground.datasets.transforms import Preprocess
from figureground.errors import ManifestError, SubjectError, UsageError
from figureground.inputs import check_inputs


class Reads(torch.nn.Module):
    """Names the class of the pixel at the centre, so that everything about the preprocessing shows in its answers."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))

    def forward(self, images):
        red, blue = images[:, 0].mean(dim=(1, 2)), images[:, 2].mean(dim=(1, 2))
        return torch.stack([red - 0.3, blue, 2 * red - blue - 0.35], 1) * self.scale


CLASSES = ("a", "b", "c")
OWN = Preprocess(resize=(40, 40))


@pytest.fixture(scope="module")
def pictures():
    """A Dataset of coloured noise with a label each."""
    rng = np.random.default_rng(0)
    tints = rng.uniform(0, 1, (120, 3))
    images = [np.clip(tint * 255 + rng.normal(0, 20, (48, 64, 3)), 0, 255).astype(np.uint8) for tint in tints]
    return [{"image": image, "label": at % 3, "key": f"p{at:03d}"} for at, image in enumerate(images)]


def setting(pictures, preprocess=OWN, **more):
    source = open_source(pictures, classes=CLASSES)
    subject = as_subject(Reads(), classes=CLASSES, transform=preprocess)
    return subject, source, Intake(CLASSES)(source, source.table())


def said(pictures, variant):
    """What the model answers where pictures are prepared in this way."""
    source = open_source(pictures, classes=CLASSES)
    images = torch.stack([variant.image(source.pixels(at).image) for at in range(len(pictures))])
    with torch.no_grad():
        return {f"p{at:03d}": CLASSES[int(best)] for at, best in enumerate(Reads()(images).argmax(1))}


def test_the_models_own_answers_pass_with_n_and_share(pictures):
    subject, source, examples = setting(pictures)
    check = Reconcile(subject, source, Recorded(said(pictures, Variant("", OWN)), "here"))(examples)
    assert (check.status, check.value, check.n) == ("passed", 1.0, 120)


ALONE = [variant for variant in variants(OWN, one_size=True) if variant.changes == 1]


@pytest.mark.parametrize("variant", ALONE, ids=lambda variant: variant.name)
def test_answers_of_another_preprocessing_are_refused_and_it_is_named(pictures, variant, monkeypatch):
    monkeypatch.setattr(reconciling, "MAX_TRIED", 20)  # enough to rank them here
    answers = said(pictures, variant)
    own = said(pictures, Variant("", OWN))
    agree = np.mean([answers[key] == own[key] for key in own])
    subject, source, examples = setting(pictures)
    reconcile = Reconcile(subject, source, Recorded(answers, "preds.csv"))
    if agree >= 0.99:  # it makes no difference to this model: then it is none to this check
        assert reconcile(examples).status == "passed"
        return
    with pytest.raises(SubjectError, match="PREDICTIONS_DIFFER") as refused:
        reconcile(examples)
    assert f"{variant.name}: 100%" in refused.value.fix
    assert f"the recorded answer in {agree:.0%} of 120 images" in refused.value.found


def test_a_preset_that_is_wrong_in_everything_is_found_with_what_was_in_use(pictures):
    """Torchvision's way was assumed, and the model was used on stored pictures in [-1, 1]: nothing alone would fit."""
    assumed = Preprocess(resize=256, crop=224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    used = Variant("", Preprocess(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)))
    subject, source, examples = setting(pictures, assumed)
    with pytest.raises(SubjectError) as refused:
        Reconcile(subject, source, Recorded(said(pictures, used), "here"))(examples)
    assert "pictures as they are stored, normalised to [-1, 1]: 100%" in refused.value.fix


def test_most_preprocessings_do_make_a_difference_here(pictures):
    own = said(pictures, Variant("", OWN))
    differ = [v.name for v in variants(OWN) if said(pictures, v) != own]
    assert {"pixels from 0 to 255", "channels in the order BGR", "normalised as ImageNet"} <= set(differ)


def test_where_nothing_fits_it_says_so_and_names_a_class_that_is_none(pictures):
    subject, source, examples = setting(pictures)
    wrong = dict.fromkeys(said(pictures, Variant("", OWN)), "z")
    with pytest.raises(SubjectError, match=r"'z' is no class of the model.*check the weights and the order"):
        Reconcile(subject, source, Recorded(wrong, "here"))(examples)


@pytest.mark.parametrize(
    ("own", "other"),
    [
        (Preprocess(resize=40, crop=32), "resized to the crop, not cropped"),
        (Preprocess(resize=40, crop=32, interpolation="bicubic"), "bilinear resizing"),
        (Preprocess(resize=(40, 40)), "shorter side resized, then cropped"),
        (Preprocess(mean=(0.5,), std=(0.5,)), "pixels from 0 to 255"),
    ],
)
def test_every_geometry_has_its_variants_and_none_is_the_own(own, other):
    found = {variant.name: variant for variant in variants(own)}
    assert other in found
    assert all(variant.reversed or variant.preprocess != own for variant in found.values())


def test_pixels_from_0_to_255_are_what_the_name_says():
    picture = np.full((8, 8, 3), 100, np.uint8)
    from PIL import Image

    wide = next(iter(variants(replace(OWN, resize=None))))
    assert wide.image(Image.fromarray(picture)).mean() == pytest.approx(100, abs=1e-3)


def test_at_most_200_images_are_compared_and_few_are_refused(pictures):
    many = [item | {"key": f"{item['key']}-{turn}"} for turn in range(2) for item in pictures]
    subject, source, examples = setting(many)
    answers = {f"{key}-{turn}": v for key, v in said(pictures, Variant("", OWN)).items() for turn in range(2)}
    assert Reconcile(subject, source, Recorded(answers, "here"))(examples).n == MAX_IMAGES
    few = dict(list(answers.items())[:9])
    with pytest.raises(UsageError, match="answers for 9 of 240 usable images, of 9 recorded"):
        Reconcile(subject, source, Recorded(few, "here"))(examples)


def test_numbers_agree_where_they_differ_by_less_than_what_is_negligible(pictures):
    target = Target(name="grade", cut=0.0, material=0.5, negligible=0.1, values={"a": 0.0, "b": 1.0, "c": 2.0})
    subject = as_number(Reads(), lambda z: z[:, 0] * 3, target, transform=OWN)
    _, source, examples = setting(pictures)
    images = torch.stack([OWN.image(source.pixels(at).image) for at in range(120)])
    with torch.no_grad():
        numbers = Reads()(images)[:, 0] * 3
    plain = target.model_copy(update={"values": {}})
    near = {f"p{at:03d}": f"{float(value) + 0.09:.4f}" for at, value in enumerate(numbers)}
    assert Reconcile(subject, source, Recorded(near, "here"), plain)(examples).status == "passed"
    far = {key: f"{float(value) + 0.3}" for key, value in near.items()}
    with pytest.raises(SubjectError, match="PREDICTIONS_DIFFER"):
        Reconcile(subject, source, Recorded(far, "here"), plain)(examples)


@pytest.mark.parametrize("columns", [{"picture": ["a"], "predicted": ["x"]}, {"image": ["a"], "answer": ["x"]}])
def test_a_table_without_names_or_answers_is_refused(columns):
    with pytest.raises(UsageError, match=r"predicted, and one of key, path, image"):
        Recorded.read(pd.DataFrame(columns))


def test_a_table_that_is_not_there_is_a_missing_table(tmp_path):
    with pytest.raises(ManifestError, match="no such table"):
        Recorded.read(tmp_path / "preds.csv")


@pytest.mark.slow
def test_an_audit_says_whether_answers_were_compared(shortcut_model, shortcut_run, audit_manifest, tmp_path):
    page = (shortcut_run.path / "report.en.html").read_text(encoding="utf-8")
    assert "its answers were not compared with recorded ones" in page
    (told,) = [check for check in shortcut_run.document.trust if check.check == "predictions_reconciled"]
    assert told.status == "not_run"
    frame = pd.read_csv(audit_manifest, dtype=str, keep_default_na=False)
    source = open_source(audit_manifest, classes=shortcut_model.classes)
    images = torch.stack([shortcut_model.preprocess.image(source.pixels(at).image) for at in range(len(frame))])
    with torch.no_grad():
        best = shortcut_model(shortcut_model.preprocess.normalize(images)).argmax(1)
    answers = pd.DataFrame({"image": frame["image"], "predicted": [shortcut_model.classes[int(at)] for at in best]})
    answers.to_csv(tmp_path / "preds.csv", index=False)
    checked = check_inputs(audit_manifest, shortcut_model, expect_predictions=tmp_path / "preds.csv")
    assert [(p.status, p.value) for p in checked.probes if p.check == "predictions_reconciled"] == [("passed", 1.0)]
    turned = answers.assign(predicted=[shortcut_model.classes[1 - int(at)] for at in best])
    with pytest.raises(SubjectError, match="PREDICTIONS_DIFFER") as refused:
        run_audit(shortcut_model, audit_manifest, out=tmp_path / "run", expect_predictions=turned)
    assert refused.value.exit_code == 4


def test_the_table_of_a_dataset_is_not_read_again(pictures, monkeypatch):
    answers = said(pictures, Variant("", OWN))
    subject, source, examples = setting(pictures)
    monkeypatch.setattr(type(source), "table", lambda _: pytest.fail("every item would be opened again"))
    assert Reconcile(subject, source, Recorded(answers, "here"))(examples).n == 120


# --- an accuracy in place of answers ---------------------------------------------------------------


def labelled(pictures, variant, right):
    """The pictures with labels that the model gives where they are prepared in this way, in so many of them."""
    answers = said(pictures, variant)
    turned = {"a": "b", "b": "c", "c": "a"}
    return [
        item | {"label": answers[item["key"]] if at < right else turned[answers[item["key"]]]}
        for at, item in enumerate(pictures)
    ]


def test_the_accuracy_that_was_promised_passes_with_n(pictures):
    subject, source, examples = setting(labelled(pictures, Variant("", OWN), 108))
    for text in ("accuracy=0.9", "accuracy=0.92±0.02", "accuracy = 0.88 +- 0.02"):
        check = Reconcile(subject, source, Recorded.scoring(text))(examples)
        assert (check.status, check.value, check.n) == ("passed", 0.9, 120)


def test_another_accuracy_is_refused_and_what_comes_nearer_is_named(pictures):
    reversed_ = next(variant for variant in ALONE if variant.reversed)
    subject, source, examples = setting(labelled(pictures, reversed_, 120))
    with pytest.raises(SubjectError, match=r"expected 100 % \(±1\)") as caught:
        Reconcile(subject, source, Recorded.scoring("accuracy=1"))(examples)
    assert caught.value.exit_code == 4
    assert f"{reversed_.name}: 100%" in caught.value.fix
    subject, source, examples = setting(labelled(pictures, Variant("", OWN), 120))
    with pytest.raises(SubjectError, match=r"found an accuracy of 100.0%.*expected 70 % \(±1\)"):  # too good is no fit
        Reconcile(subject, source, Recorded.scoring("accuracy=0.7"))(examples)


@pytest.mark.parametrize("text", ["0.93", "accuracy=93", "accuracy=0.9±2", "recall=0.9", "accuracy=0.9 0.1", ""])
def test_what_is_no_accuracy_is_a_matter_of_usage(text):
    with pytest.raises(UsageError, match="EXPECT"):
        Recorded.scoring(text)
