"""Against the generator's own intervention: what a transfer makes of a picture is near the picture as it would be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from figureground.audit.measure.transfers.registry import transfer_for
from figureground.audit.measure.transfers.tuples import Tuples
from figureground.datasets.columns import OBJECT
from figureground.datasets.place_object import centroids
from figureground.datasets.planted_cues import PlantedCue

N, SIDE = 24, 64
PLAIN, MARKED = (False,), (True,)
GLOBAL = {"tint": "tint", "sharpness": "blur", "compression": "jpeg"}


def scenes(family):
    """Plain recipients with a plain and a marked donor, and each recipient's two true pictures: [2, N, 3, H, W]."""
    data = PlantedCue(family, 0.5, "test", seed=3, per_label=20)
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(data.scenes), size=(N, 3)).tolist()

    def pictures(rows, level):
        return torch.from_numpy(np.stack([data.render(row, level) for row in rows])).permute(0, 3, 1, 2) / 255

    def masks(rows, level):
        return torch.from_numpy(np.stack([data.mask(row, level) for row in rows])).to(torch.uint8)

    levels = (PLAIN, MARKED, PLAIN)
    columns = list(zip(*drawn, strict=True))
    truth = torch.stack([pictures(range(N), level) for level in (PLAIN, MARKED)])
    tuples = Tuples(
        row_id=torch.arange(N),
        number=torch.zeros(N, dtype=torch.int64),
        seed=0,
        image=truth[0],
        mask=masks(range(N), PLAIN),
        has_mask=torch.ones(N, dtype=torch.bool),
        donor_images=torch.stack([pictures(rows, on) for rows, on in zip(columns, levels, strict=True)], dim=1),
        donor_masks=torch.stack([masks(rows, on) for rows, on in zip(columns, levels, strict=True)], dim=1),
        donor_has_mask=torch.ones(N, 3, dtype=torch.bool),
    )
    return tuples, truth


def without_masks(tuples):
    nothing = {"mask": torch.zeros_like(tuples.mask), "donor_masks": torch.zeros_like(tuples.donor_masks)}
    return replace(tuples, has_mask=torch.zeros_like(tuples.has_mask), **nothing)


def distance(images, truth):
    return (images - truth).abs().mean().item()


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("cue", sorted(GLOBAL))
def test_a_look_that_was_planted_arrives_with_its_level(cue, masked):
    tuples, truth = scenes(GLOBAL[cue])
    tuples = tuples if masked else without_masks(tuples)
    transfer = transfer_for(cue, height=SIDE, width=SIDE)
    plain, marked = (transfer.swap(tuples, arm).images for arm in (0, 1))
    unchanged = distance(truth[0], truth[1])
    assert distance(plain, truth[0]) < 0.4 * unchanged
    # A strong JPEG of a JPEG at another quality is not the same picture, but it comes nearer than nothing does.
    assert distance(marked, truth[1]) < (0.9 if cue == "compression" else 0.4) * unchanged


@pytest.mark.parametrize("cue", ["sharpness", "compression"])
def test_what_the_recipient_has_lost_is_not_restored(cue):
    tuples, truth = scenes(GLOBAL[cue])
    made = transfer_for(cue, height=SIDE, width=SIDE).swap(replace(tuples, image=truth[1]), 0)
    assert made.status.count("cannot_restore") >= 0.8 * N


def test_an_object_gets_the_donors_size():
    tuples, _ = scenes("object_size")
    white = replace(tuples, image=(tuples.mask == OBJECT)[:, None].expand(-1, 3, -1, -1).float())
    for arm in (0, 1):
        made = transfer_for("object_size", height=SIDE, width=SIDE).swap(white, arm)
        assert made.status == ("ok",) * N
        ratio = made.images[:, 0].sum(dim=(1, 2)) / (tuples.donor_masks[:, arm] == OBJECT).sum(dim=(1, 2))
        # The seam lets the ground through, so an object of white on black is a little less than its mask.
        assert 0.8 < ratio.min() <= ratio.max() < 1.1


def test_an_object_gets_the_donors_place():
    tuples, _ = scenes("object_position")
    white = replace(tuples, image=(tuples.mask == OBJECT)[:, None].expand(-1, 3, -1, -1).float())
    for arm in (0, 1):
        made = transfer_for("object_position", height=SIDE, width=SIDE).swap(white, arm)
        reached, wanted = centroids(made.images[:, 0] > 0.2), centroids(tuples.donor_masks[:, arm] == OBJECT)
        assert ((reached - wanted)[:, 1].abs() <= 1.5).float().mean() > 0.9


@pytest.mark.parametrize("corner", [(0, 0), (SIDE - 20, SIDE - 20)])
def test_an_object_at_the_frame_gets_no_dark_rim(corner):
    tuples, _ = scenes("object_size")
    mask = torch.zeros_like(tuples.mask)
    mask[:, corner[0] : corner[0] + 20, corner[1] : corner[1] + 20] = OBJECT
    white = replace(tuples, image=torch.ones_like(tuples.image), mask=mask)
    transfer = transfer_for("object_size", height=SIDE, width=SIDE)
    for arm in (0, 1):
        for made in (transfer.swap(white, arm), transfer.control(white, arm)):
            torch.testing.assert_close(made.images, white.image, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(8, 8), (9, 13), (16, 8)])
@pytest.mark.parametrize(
    "cue",
    [
        "background",
        "corner_top_left",
        "border",
        "place",
        "tint",
        "sharpness",
        "compression",
        "object_size",
        "object_patch",
    ],
)
def test_tiny_pictures_break_nothing(cue, size):
    rng = np.random.default_rng(0)
    mask = torch.zeros(2, *size, dtype=torch.uint8)
    mask[:, 2:5, 3:6] = OBJECT
    tuples = Tuples(
        row_id=torch.arange(2),
        number=torch.zeros(2, dtype=torch.int64),
        seed=0,
        image=torch.from_numpy(rng.random((2, 3, *size), dtype=np.float32)),
        mask=mask,
        has_mask=torch.ones(2, dtype=torch.bool),
        donor_images=torch.from_numpy(rng.random((2, 3, 3, *size), dtype=np.float32)),
        donor_masks=mask[:, None].expand(-1, 3, -1, -1),
        donor_has_mask=torch.ones(2, 3, dtype=torch.bool),
    )
    transfer = transfer_for(cue, height=size[0], width=size[1])
    for part in transfer.parts:
        made = [transfer.swap(tuples, 0, part), transfer.control(tuples, 0, part)]
        for composite in filter(None, made):
            assert torch.isfinite(composite.images).all()
            assert 0 <= composite.images.min() <= composite.images.max() <= 1
