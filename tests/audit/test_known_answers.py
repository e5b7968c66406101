"""Runs whose right answer is known: what must be inconclusive, with which reason, and what must still be found."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from torch import nn

from figureground.api import run_audit


def frame_of(manifest):
    return pd.read_csv(manifest, dtype=str, keep_default_na=False)


def audited(model, manifest, frame, tmp_path, cues=("background",), **more):
    return run_audit(
        model, frame, root=manifest.parent, out=tmp_path / "run", report=False, images=False, cues=cues, **more
    )


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


def test_a_model_that_names_one_class_is_not_cleared_and_more_images_would_not_help(audit_manifest, tmp_path):
    torch.manual_seed(0)
    run = audited(Single().eval(), audit_manifest, frame_of(audit_manifest), tmp_path, classes=["coat", "pullover"])
    assert run.verdict.cues[0].status == "inconclusive"
    assert "not_competent" in reasons(run)
    assert "next_check_model" in steps(run)


@pytest.mark.parametrize("seed", [0, 1])
def test_random_weights_are_neither_demonstrated_nor_cleared(audit_manifest, tmp_path, seed):
    from figureground.audit.classify.module import Classifier
    from figureground.datasets.transforms import Preprocess

    torch.manual_seed(seed)
    half = (0.5, 0.5, 0.5)
    model = Classifier("small-cnn", ["coat", "pullover"], Preprocess(mean=half, std=half)).eval()
    run = audited(model, audit_manifest, frame_of(audit_manifest), tmp_path)
    assert run.verdict.cues[0].status in ("inconclusive", "suspected")
    assert reasons(run)


def test_without_environments_on_balanced_data_one_answer_to_all_backgrounds_leaves_nothing_to_compare(
    audit_manifest, tmp_path
):
    torch.manual_seed(0)
    frame = frame_of(audit_manifest).drop(columns=["environment", "background"])
    run = audited(Single().eval(), audit_manifest, frame, tmp_path, classes=["coat", "pullover"])
    assert (run.verdict.cues[0].status, reasons(run)) == ("inconclusive", ["no_strata"])
    assert steps(run) == ["next_name_environments"]


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
