"""Known answers where masks are missing, in part or altogether, or not all drawn by people."""

from __future__ import annotations

import pandas as pd
import pytest

from figureground.api import run_audit, train_classifier
from figureground.audit.classify.train import TrainConfig
from figureground.audit.selftest.truth import directional_effect
from figureground.datasets.planted_cues import PlantedCue

CUES = ("background", "corner_top_left", "corner_bottom_right", "border", "tint", "object_size")


def frame_of(manifest):
    return pd.read_csv(manifest, dtype=str, keep_default_na=False)


def audited(model, manifest, frame, out, cues=("background",), **more):
    return run_audit(model, frame, root=manifest.parent, out=out, images=False, cues=cues, **more)


def page_of(run):
    return (run.path / "report.en.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module", params=[("corner_tag", "corner_top_left"), ("tint", "tint")])
def without_masks(request, tmp_path_factory):
    """A model that relies on a planted cue, audited on pictures whose mask column is gone."""
    family, named = request.param
    folder = tmp_path_factory.mktemp(family)
    train = PlantedCue(family, 1.0, "train", per_label=240).write(folder / "train")
    model = train_classifier(train, config=TrainConfig(epochs=4, patience=4))
    truth = directional_effect(model, model.preprocess, PlantedCue(family, 0.5, "test", 7000, per_label=200))
    manifest = PlantedCue(family, 0.5, "test", 5000, per_label=60).write(folder / "audit")
    frame = frame_of(manifest).drop(columns="mask")
    return named, truth, audited(model, manifest, frame, folder / "run", CUES)


@pytest.mark.slow
def test_without_any_mask_the_right_cue_is_demonstrated_and_nothing_else(without_masks):
    named, truth, run = without_masks
    assert truth.estimate >= 0.3
    cues = {cue.cue: cue for cue in run.verdict.cues}
    assert [cue.cue for cue in run.verdict.cues if cue.status == "demonstrated"] == [named]
    assert cues[named].evidence_level == "L3"
    assert abs(cues[named].estimate - truth.estimate) < 0.15


@pytest.mark.slow
def test_without_any_mask_what_needs_masks_is_not_tested_and_says_so(without_masks):
    _, _, run = without_masks
    for cue in run.verdict.cues:
        if cue.cue in ("background", "object_size"):
            assert (cue.status, [r.key for r in cue.reasons]) == ("not_tested", ["no_masks"])
            assert [step.key for step in cue.next_step] == ["next_add_masks"]
    assert run.document.data.with_mask == 0
    assert "without object masks the background cannot be exchanged" in page_of(run)
    assert run.subgroups.query("measure == 'ldr'")["estimate"].isna().all()


@pytest.mark.slow
def test_a_property_of_the_whole_picture_is_used_and_in_no_map(without_masks):
    named, _, run = without_masks
    if named != "tint":
        pytest.skip("a corner has a place")
    cue = next(cue for cue in run.verdict.cues if cue.cue == named)
    assert cue.attribution.key == "uses_not_visible"
    (finding,) = [item for item in run.findings if item.id == "cue-tint-maps"]
    assert finding.message.key == "discordant_uses"
    assert "Uses, not visible: changing tint changes the answers" in page_of(run)
