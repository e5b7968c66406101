"""Every transfer: what changes, what stays, that arms are treated alike, and that batches do not matter."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from figureground.audit.declared.cues import DEFAULT_CUES, GLOBALS
from figureground.audit.measure.regions import border_frame, corners
from figureground.audit.measure.transfers.places import free_shifts, grid_cell
from figureground.audit.measure.transfers.registry import can_hold, transfer_for
from figureground.audit.measure.transfers.tuples import Tuples
from figureground.datasets import look
from figureground.errors import UsageError

SIDE, LEVELS = 32, 2


def tuples(n=4, seed=0, channels=3, size=(SIDE, SIDE), masked=True):
    rng = np.random.default_rng(seed)
    height, width = size

    def draw(*shape):
        small = rng.random((*shape, channels, height // 4, width // 4), dtype=np.float32)
        return torch.from_numpy(0.2 + 0.6 * small.repeat(4, -1).repeat(4, -2))

    def masks(*shape):
        found = torch.zeros(*shape, height, width, dtype=torch.uint8)
        for index in np.ndindex(*shape):
            top, left = rng.integers(2, height // 2 - 2), rng.integers(2, width // 2 - 2)
            high, wide = rng.integers(6, height // 2), rng.integers(6, width // 2)
            found[index][top : top + high, left : left + wide] = 1
        return found

    def marks(*shape):
        found = torch.zeros(*shape, height, width, dtype=torch.bool)
        for index in np.ndindex(*shape):
            top, left = rng.integers(0, height - 5), rng.integers(0, width - 5)
            found[index][top : top + 4, left : left + 4] = True
        return found

    return Tuples(
        row_id=torch.arange(100, 100 + n),
        number=torch.zeros(n, dtype=torch.int64),
        seed=3,
        image=draw(n),
        mask=masks(n),
        has_mask=torch.full((n,), masked),
        donor_images=draw(n, LEVELS + 1),
        donor_masks=masks(n, LEVELS + 1),
        donor_has_mask=torch.full((n, LEVELS + 1), masked),
        regions={"tag": marks(n)},
        donor_regions={"tag": marks(n, LEVELS + 1)},
    )


def one(t, at):
    fields = {name: getattr(t, name)[at : at + 1] for name in vars(t) if isinstance(getattr(t, name), torch.Tensor)}
    regions = {name: value[at : at + 1] for name, value in t.regions.items()}
    donors = {name: value[at : at + 1] for name, value in t.donor_regions.items()}
    return Tuples(**fields, seed=t.seed, regions=regions, donor_regions=donors)


def make(name, held=None, size=(SIDE, SIDE)):
    return transfer_for(name, height=size[0], width=size[1], held=held)


ALL_CUES = (*DEFAULT_CUES, "region:tag")


@pytest.mark.parametrize("name", ALL_CUES)
def test_pictures_are_valid_and_do_not_depend_on_the_batch(name):
    transfer, t = make(name), tuples()
    for part in transfer.parts[:: max(1, len(transfer.parts) // 3)]:
        for arm in range(LEVELS + 1):
            whole = transfer.swap(t, arm, part)
            assert whole.images.shape == t.image.shape
            assert torch.isfinite(whole.images).all()
            assert 0 <= whole.images.min() <= whole.images.max() <= 1
            alone = transfer.swap(one(t, 2), arm, part)
            torch.testing.assert_close(alone.images[0], whole.images[2], atol=1e-6, rtol=0)
            assert alone.status[0] == whole.status[2]
            control = transfer.control(t, arm, part)
            if control is not None:
                lone = transfer.control(one(t, 2), arm, part)
                torch.testing.assert_close(lone.images[0], control.images[2], atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ALL_CUES)
@pytest.mark.parametrize("channels", [1, 3])
def test_ragged_pictures_break_nothing(name, channels):
    size = (24, 40)
    transfer, t = make(name, size=size), tuples(3, channels=channels, size=size)
    t.mask[0] = 0  # an empty mask
    t.mask[1] = 1  # a full one
    t.donor_masks[2, 0] = 0
    for part in transfer.parts[:2]:
        assert torch.isfinite(transfer.swap(t, 0, part).images).all()


@pytest.mark.parametrize("name", ["background", "object_size", "object_position", "object_patch"])
def test_what_needs_a_mask_says_so_without(name):
    transfer = make(name)
    assert set(transfer.swap(tuples(masked=False), 0, transfer.parts[0]).status) == {"mask_absent"}


@pytest.mark.parametrize("name", ["corner_top_left", "corner_bottom_right", "border"])
def test_a_place_is_the_donors_and_nothing_else_changes(name):
    t = tuples()
    region = torch.from_numpy({**corners(SIDE, SIDE), "border": border_frame(SIDE, SIDE)}[name])
    for arm in range(LEVELS):
        made = make(name).swap(t, arm).images
        assert torch.equal(made[..., region], t.donor_images[:, arm][..., region])
        assert torch.equal(made[..., ~region], t.image[..., ~region])
        control = make(name).control(t, arm).images
        changed = (control != t.image).any(dim=1)
        assert not (changed & region).any()
        assert (changed.flatten(1).sum(dim=1) <= 1.1 * region.sum()).all()
        assert changed.any()


def test_places_for_a_control_are_whole_and_elsewhere():
    region = torch.from_numpy(corners(SIDE, SIDE)["corner_top_left"])
    assert len(free_shifts(region)) > 20
    for down, right in free_shifts(region).tolist():
        moved = region.roll((down, right), (0, 1))
        assert not (moved & region).any()
        rows, columns = torch.nonzero(moved, as_tuple=True)
        assert rows.max() - rows.min() == columns.max() - columns.min() == 4


def test_a_mark_of_a_donor_arrives_and_the_own_one_goes():
    t = tuples()
    made = make("region:tag").swap(t, 0).images
    for at in range(len(t)):
        donor = t.donor_regions["tag"][at, 0]
        assert torch.equal(made[at][:, donor], t.donor_images[at, 0][:, donor])
        own = t.regions["tag"][at]
        assert torch.equal(made[at][:, own], t.donor_images[at, 0][:, own])
    t.regions["tag"][1] = False
    t.donor_regions["tag"][1] = False
    assert make("region:tag").swap(t, 0).status == ("ok", "region_absent", "ok", "ok")


def test_cells_tile_the_picture():
    cells = torch.stack([grid_cell(part, 50, 70) for part in make("place").parts])
    assert torch.equal(cells.sum(dim=0), torch.ones(50, 70, dtype=torch.int64))
    t = tuples()
    made = make("place").swap(t, 1, "r2c3").images
    cell = grid_cell("r2c3", SIDE, SIDE)
    assert torch.equal(made[..., cell], t.donor_images[:, 1][..., cell])
    assert torch.equal(made[..., ~cell], t.image[..., ~cell])


@pytest.mark.parametrize("held", ["corner_top_left", "border", "region:tag"])
def test_what_is_held_stays_the_recipients_own(held):
    t = tuples()
    made = make("background", held).swap(t, 0).images
    kept = (
        t.regions["tag"]
        if held == "region:tag"
        else torch.from_numpy({**corners(SIDE, SIDE), "border": border_frame(SIDE, SIDE)}[held]).expand(4, -1, -1)
    )
    for at in range(len(t)):
        assert torch.equal(made[at][:, kept[at]], t.image[at][:, kept[at]])
    assert not torch.equal(make("background").swap(t, 0).images, made)


def test_a_background_with_tint_held_has_the_recipients_tint():
    t = tuples()
    cast = torch.tensor([1.25, 1.0, 0.8]).view(1, 1, 3, 1, 1)
    t.image[:] = t.image.mean(dim=1, keepdim=True)  # grey, so that all colour there is was planted
    plain = t.donor_images.mean(dim=2, keepdim=True).expand(-1, -1, 3, -1, -1).clone()
    t.donor_images[:] = (plain * cast).clamp(0, 1)
    free, held = make("background").swap(t, 0).images, make("background", "tint").swap(t, 0).images
    outside = (t.mask == 0) & (t.donor_masks == 0).all(dim=1)

    def warmth(images):
        return (look.tint_of(images, outside)[:, 0] - look.tint_of(images, outside)[:, 2]).mean()

    assert warmth(free) > 0.2
    assert abs(warmth(held)) < 0.15


@pytest.mark.parametrize("name", GLOBALS)
def test_a_look_of_another_is_read_on_its_object_and_the_control_changes_as_much(name):
    t = tuples()
    transfer = make(name)
    same = Tuples(
        **{
            **vars(t),
            "donor_images": t.image[:, None].expand(-1, 3, -1, -1, -1),
            "donor_masks": t.mask[:, None].expand(-1, 3, -1, -1),
        }
    )
    torch.testing.assert_close(transfer.swap(same, 0).images, t.image, atol=1e-5, rtol=0)
    swapped, control = transfer.swap(t, 0).images, transfer.control(t, 0).images
    amount = (swapped - t.image).square().mean(dim=(1, 2, 3)).sqrt()
    noise = (control - t.image).square().mean(dim=(1, 2, 3)).sqrt()
    np.testing.assert_allclose(noise, amount, rtol=0.1, atol=0.002)


def test_a_coloured_background_is_no_tint():
    t = tuples()
    ground = (t.donor_masks == 0)[:, :, None]
    t.donor_images[:] = torch.where(ground, t.donor_images * torch.tensor([1.2, 1.0, 0.7]).view(3, 1, 1), 0.5).clamp(
        0, 1
    )
    t.image[:] = torch.where((t.mask == 1)[:, None], torch.tensor(0.5), t.image)
    torch.testing.assert_close(make("tint").swap(t, 0).images, t.image, atol=1e-4, rtol=0)


def test_what_is_blurred_cannot_be_made_sharp():
    t = tuples(2, size=(64, 64))
    rng = torch.Generator().manual_seed(0)
    t.image[:] = torch.rand(t.image.shape, generator=rng)
    t.donor_images[:] = torch.rand(t.donor_images.shape, generator=rng)
    t.image[1] = look.blur(t.image[1:2], 2.0)[0]
    assert make("sharpness", size=(64, 64)).swap(t, 0).status == ("ok", "cannot_restore")


def test_sizes_and_places_become_those_of_the_donor():
    t = tuples(6, size=(64, 64))
    moved = make("object_position", size=(64, 64)).swap(t, 0)
    assert moved.status == ("ok",) * 6
    control = make("object_position", size=(64, 64)).control(t, 0).images
    deep = (t.mask[:, 1:-1, 1:-1] == 1) & (t.mask[:, :-2, 1:-1] == 1) & (t.mask[:, 2:, 1:-1] == 1)
    deep &= (t.mask[:, 1:-1, :-2] == 1) & (t.mask[:, 1:-1, 2:] == 1)
    inner = deep[:, 1:-1, 1:-1] & deep[:, :-2, 1:-1] & deep[:, 2:, 1:-1] & deep[:, 1:-1, :-2] & deep[:, 1:-1, 2:]
    for at in range(6):
        assert torch.equal(control[at][:, 2:-2, 2:-2][:, inner[at]], t.image[at][:, 2:-2, 2:-2][:, inner[at]])


@pytest.mark.parametrize(
    ("name", "held"), [("border", "tint"), ("object_size", "border"), ("ruler", None), ("tint", "object_size")]
)
def test_what_cannot_be_tested_is_refused_by_name(name, held):
    with pytest.raises(UsageError, match="CUE_UNKNOWN"):
        make(name, held)
    assert held is None or not can_hold(name, held)


@pytest.mark.parametrize("held", ["corner_top_left", "border", "region:tag", "object_patch"])
def test_a_look_reaches_all_but_what_is_held(held):
    t = tuples()
    free = make("brightness").swap(t, 0).images
    kept = transfer_for("brightness", height=SIDE, width=SIDE, held=held, held_part="r1c1").swap(t, 0).images
    own = (kept == t.image).all(dim=1)
    changed = (free != t.image).any(dim=1)
    assert (changed & own).any()
    assert torch.equal(kept.permute(0, 2, 3, 1)[~own], free.permute(0, 2, 3, 1)[~own])
    if held == "object_patch":
        assert not (own & changed & (t.mask != 1)).any()
    if held == "border":
        assert own[:, 0].all()
        assert own[:, -1].all()


def test_a_background_with_several_cues_held_has_none_of_the_donors_values():
    t = tuples()
    made = make("background", "border + brightness + tint").swap(t, 0).images
    frame = torch.from_numpy(border_frame(SIDE, SIDE))
    assert torch.equal(made[..., frame], t.image[..., frame])
    free = make("background").swap(t, 0).images
    assert not torch.equal(made[..., ~frame], free[..., ~frame])
    with pytest.raises(UsageError, match="CUE_UNKNOWN"):
        make("background", "border + object_size")
