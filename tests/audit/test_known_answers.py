"""Runs whose right answer is known: what must be inconclusive, with which reason, and what must still be found."""

from __future__ import annotations

import copy

import pandas as pd
import pytest
import torch
from scipy.special import softmax
from torch import nn

from figureground.api import run_audit
from figureground.reports import catalogue

#: Whole audits.
pytestmark = pytest.mark.slow


def frame_of(manifest):
    return pd.read_csv(manifest, dtype=str, keep_default_na=False)


def audited(model, manifest, frame, tmp_path, cues=("background",), **more):
    return run_audit(model, frame, root=manifest.parent, out=tmp_path / "run", images=False, cues=cues, **more)


def page_of(run):
    return (run.path / "report.en.html").read_text(encoding="utf-8")


def reasons(run):
    return [reason.key for reason in run.verdict.cues[0].reasons]


def steps(run):
    return [step.key for step in run.verdict.cues[0].next_step]


class Single(nn.Module):
    """Names one class whatever it is shown, with logits that still have gradients."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=4)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).mean(dim=(2, 3))) + torch.tensor([5.0, 0.0])


class Faint(nn.Module):
    """The decisions of another model, with logits that differ as little as those of untrained weights."""

    def __init__(self, model):
        super().__init__()
        self.network = copy.deepcopy(model.network)

    def forward(self, x):
        return 1e-3 * self.network(x)


@pytest.mark.parametrize("n", [8, 15])
def test_a_handful_of_images_gives_no_verdict_but_the_number_it_would_take(shortcut_model, audit_manifest, tmp_path, n):
    frame = frame_of(audit_manifest)
    few = frame.groupby(["label", "environment"]).head(-(-n // 4)).head(n)
    run = audited(shortcut_model, audit_manifest, few, tmp_path)
    cue = run.verdict.cues[0]
    assert cue.status == "inconclusive"
    assert "too_few_clusters" in reasons(run)
    (more,) = [step for step in cue.next_step if step.key == "next_more_data"]
    assert more.args["n_needed"] >= 20
    assert "more_images_no_help" not in steps(run)
    page = page_of(run)
    (few,) = [reason for reason in cue.reasons if reason.key == "too_few_clusters"]
    words = catalogue.load("en")
    assert words.message(few) in page
    assert words.message(more) in page
    assert "More images would not help here." not in page


def test_a_model_that_names_one_class_is_not_cleared_and_more_images_would_not_help(audit_manifest, tmp_path):
    torch.manual_seed(0)
    run = audited(Single().eval(), audit_manifest, frame_of(audit_manifest), tmp_path, classes=["coat", "pullover"])
    assert run.verdict.cues[0].status == "inconclusive"
    # One answer to everything leaves the decisions nothing to show: the order of the log-odds is asked instead.
    assert "not_competent_auroc" in reasons(run)
    assert steps(run) == ["next_check_model", "more_images_no_help"]
    page = page_of(run)
    assert "the model hardly ranks images with the finding, or of the second class, above the others" in page
    assert "More images would not help here." in page
    assert "Repeat the audit with about" not in page


@pytest.mark.parametrize(
    ("architecture", "seed"), [("small-cnn", 0), ("small-cnn", 1), ("small-cnn", 2), ("shufflenet_v2_x0_5", 0)]
)
def test_random_weights_are_neither_demonstrated_nor_cleared(audit_manifest, tmp_path, architecture, seed):
    from figureground.audit.classify.module import Classifier
    from figureground.datasets.transforms import Preprocess

    torch.manual_seed(seed)
    half = (0.5, 0.5, 0.5)
    model = Classifier(architecture, ["coat", "pullover"], Preprocess(mean=half, std=half)).eval()
    run = audited(model, audit_manifest, frame_of(audit_manifest), tmp_path)
    assert run.verdict.cues[0].status in ("inconclusive", "suspected")
    assert set(reasons(run)) & {
        "not_competent",
        "not_competent_auroc",
        "probability_negligible",
        "small_effect",
        "rare_class",
    }
    swaps = run.predictions.query("intervention == 'swap' and cue == 'background' and status == 'ok'")
    chance = pd.Series([softmax(logits)[0] for logits in swaps["logits"]], index=swaps.index)
    by_arm = chance.groupby(swaps["arm"]).mean()
    assert by_arm.max() - by_arm.min() < 0.05


def test_decisions_at_the_boundary_fail_on_the_size_of_the_effect_in_probability(
    shortcut_model, audit_manifest, tmp_path
):
    model, frame = Faint(shortcut_model).eval(), frame_of(audit_manifest)
    half = shortcut_model.preprocess
    run = audited(model, audit_manifest, frame, tmp_path, classes=["coat", "pullover"], transform=half)
    cue = run.verdict.cues[0]
    assert cue.ci_low >= 0.1
    assert (cue.status, reasons(run)) == ("suspected", ["probability_negligible"])
    assert steps(run) == ["next_check_model"]
    assert "as untrained weights would" in page_of(run)


def test_without_environments_on_balanced_data_one_answer_to_all_backgrounds_leaves_nothing_to_compare(
    audit_manifest, tmp_path
):
    torch.manual_seed(0)
    frame = frame_of(audit_manifest).drop(columns=["environment", "background"])
    run = audited(Single().eval(), audit_manifest, frame, tmp_path, classes=["coat", "pullover"])
    assert (run.verdict.cues[0].status, reasons(run)) == ("inconclusive", ["no_strata"])
    assert "next_name_environments" in steps(run)
    assert "more images would not help" in page_of(run)


def test_without_environments_a_reliant_model_names_its_levels_itself(shortcut_model, audit_manifest, tmp_path):
    frame = frame_of(audit_manifest).drop(columns=["environment", "background"])
    run = audited(shortcut_model, audit_manifest, frame, tmp_path)
    assert run.document.data.stratum_source == "prediction"
    assert run.verdict.cues[0].status == "demonstrated"


def test_donors_without_contrast_are_no_reason_to_clear(balanced_model, audit_manifest, tmp_path):
    frame = frame_of(audit_manifest).drop(columns="background")
    frame["environment"] = [f"kind {i % 2}" for i in range(len(frame))]  # names that mean nothing
    run = audited(balanced_model, audit_manifest, frame, tmp_path)
    assert run.verdict.cues[0].status == "inconclusive"
    assert "no_contrast" in reasons(run)
    assert "next_name_environments" in steps(run)
    assert "more_images_no_help" in steps(run)
    page = page_of(run)
    assert "the levels can hardly be told apart by this cue" in page
    assert "More images would not help here." in page


@pytest.mark.slow
def test_classes_in_the_wrong_order_raise_an_alarm_before_everything(balanced_model, audit_manifest, tmp_path):
    frame = frame_of(audit_manifest)
    turned = tuple(reversed(balanced_model.classes))
    run = audited(
        balanced_model.network, audit_manifest, frame, tmp_path, classes=turned, transform=balanced_model.preprocess
    )
    first = run.document.findings[0]
    assert first.id == "class-order"
    assert run.document.performance.overall.estimate < 0.5
    page = page_of(run)
    assert 'role="alert"' in page
    assert f"{turned[0]} → {turned[1]}" in page
