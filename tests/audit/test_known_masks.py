"""Known answers where masks are missing, in part or altogether, or not all drawn by people."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from figureground.api import run_audit
from figureground.audit.classify.train import TrainConfig
from figureground.audit.selftest.truth import directional_effect
from figureground.datasets.planted_cues import PlantedCue
from figureground.datasets.transforms import Preprocess
from figureground.training import train_classifier

#: Whole audits.
pytestmark = pytest.mark.slow

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


class Meter(nn.Module):
    """Answers by one known property: how red the picture is against blue, or how bright it is."""

    def __init__(self, weights, bias):
        super().__init__()
        self.features = nn.Conv2d(3, 2, 4, stride=4)
        self.pool = nn.AdaptiveAvgPool2d(1)
        with torch.no_grad():
            colours = torch.tensor(weights)[:, None, None].expand(3, 4, 4) / 16
            self.features.weight.copy_(torch.stack([-colours, colours]))
            self.features.bias.copy_(torch.tensor([bias, -bias]))

    def forward(self, x):
        return self.pool(self.features(x)).flatten(1)


#: Reads nothing but the colour of the disc; reads nothing but how bright the grey around it is.
BY_OBJECT, BY_BACKGROUND = ([400.0, 0.0, -400.0], 0.0), ([0.0, 400.0, 0.0], 195.0)


def discs(folder, together):
    """96 pictures of red and blue discs on dark or bright noise; ``together`` is the share where both agree."""
    (folder / "img").mkdir(parents=True)
    rows, rng = [], np.random.default_rng(0)
    for at in range(96):
        red, bright = at % 2, (at % 2) if (at // 2) % 48 < together * 48 else 1 - at % 2
        picture = np.repeat(rng.integers(0, 80, (40, 40, 1)) + (150 if bright else 20), 3, axis=2)
        y, x = rng.integers(10, 30, 2)
        disc = np.hypot(*np.mgrid[-y : 40 - y, -x : 40 - x]) < 7
        picture[disc] = (200, 90, 40) if red else (40, 90, 200)
        # As a machine may err: the mask of something beside the object.
        wrong = np.roll(disc, (20, 20), (0, 1)) & ~disc
        for name, pixels in (("i", picture), ("m", disc * 255), ("w", wrong * 255)):
            Image.fromarray(pixels.astype(np.uint8)).save(folder / "img" / f"{name}{at}.png")
        site = f"site {at % 4 // 2 * 2 + at // 48 % 2}"
        rows.append((f"img/i{at}.png", f"img/m{at}.png", ("blue", "red")[red], ("dark", "bright")[bright], site))
    return pd.DataFrame(rows, columns=["image", "mask", "label", "environment", "site"])


def measured(reading, frame, folder, **more):
    model = Meter(*reading).eval()
    plain = Preprocess(mean=(0.0,) * 3, std=(1.0,) * 3)
    cues = more.pop("cues", ("background",))
    return run_audit(
        model, frame, root=folder, out=folder / "run", images=False, cues=cues,
        classes=["blue", "red"], transform=plain, **more,
    )  # fmt: skip


def test_masks_on_half_of_the_rows_carry_a_verdict_that_says_how_many(tmp_path):
    frame = discs(tmp_path, 0.5)
    frame.loc[frame["site"].isin(["site 0", "site 1"]), "mask"] = ""
    run = measured(BY_BACKGROUND, frame, tmp_path, by=["site"])
    cue, data = run.verdict.cues[0], run.document.data
    assert (cue.status, cue.n) == ("demonstrated", 48)
    assert (data.ok, data.with_mask) == (96, 48)
    (said,) = [item for item in run.findings if item.id == "masks-partial"]
    assert said.message.args == {"n": 48, "given": 96}
    page = page_of(run)
    assert "48 of 96 images have object masks; what needs masks was measured on those." in page
    covered = {(row.attribute, row.level): (row.n, row.with_mask) for row in data.mask_coverage}
    assert (
        covered.items()
        >= {
            ("(all)", "(all)"): (96, 48),
            ("label", "blue"): (48, 24),
            ("site", "site 0"): (24, 0),
            ("site", "site 2"): (24, 24),
        }.items()
    )


def test_a_subgroup_without_masks_is_not_tested_rather_than_cleared(tmp_path):
    frame = discs(tmp_path, 0.5)
    frame.loc[frame["site"].isin(["site 0", "site 1"]), "mask"] = ""
    run = measured(BY_OBJECT, frame, tmp_path, by=["site"])
    rows = run.subgroups.query("measure == 'contrast' and attribute == 'site' and label == '(all)'").set_index("level")
    for site in ("site 0", "site 1"):
        assert (rows.loc[site, "status"], rows.loc[site, "reason"]) == ("not_tested", "mask_absent")
        assert rows.loc[site, "n_rows"] == 24
        assert pd.isna(rows.loc[site, "estimate"])
        assert f"site = {site}" in {item.subject for item in run.document.not_tested}
        assert f"site = {site}" in page_of(run)
    assert rows.loc[["site 2", "site 3"], "estimate"].notna().all()


@pytest.mark.parametrize(
    ("reading", "wrong", "status", "reasons"),
    [
        (BY_BACKGROUND, False, "demonstrated", []),  # both kinds of masks agree
        (BY_OBJECT, True, "suspected", ["masks_disagree"]),  # wrong masks let the donor's object come along
    ],
)
def test_a_verdict_from_machine_masks_is_asked_again_of_those_that_people_drew(
    tmp_path, reading, wrong, status, reasons
):
    frame = discs(tmp_path, 1.0 if wrong else 0.5)
    machine = np.arange(len(frame)) % 16 < 6
    frame["mask_source"] = np.where(machine, "model", "human")
    if wrong:
        frame.loc[machine, "mask"] = frame.loc[machine, "mask"].str.replace("img/m", "img/w")
    run = measured(reading, frame, tmp_path)
    cue = run.verdict.cues[0]
    assert (cue.status, [reason.key for reason in cue.reasons]) == (status, reasons)
    if wrong:
        assert "next_better_masks" in [step.key for step in cue.next_step]
        assert "where people drew the masks, the effect is not material" in page_of(run)
