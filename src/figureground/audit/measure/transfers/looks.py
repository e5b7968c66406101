"""Properties of the whole picture: tint, brightness, sharpness, compression.

A donor's value is read on its object, where there are masks: a tint lies on the object too, a coloured background does
not, so nothing of the background is taken for a property of the picture. The value is given to the whole recipient.
The control is white noise of the same size as the change in that arm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor

from figureground.audit.measure.transfers.tuples import Composite, Transfer, Tuples, statuses
from figureground.datasets import compose, look
from figureground.datasets.columns import GROUND, OBJECT

Name = Literal["tint", "brightness", "sharpness", "compression"]
_NOISE = 0x52
#: A recipient whose value is worse than the best arm's by more than this cannot be given that arm's value.
TOLERANCE = {"sharpness": 0.25, "compression": 0.15}


@dataclass(frozen=True)
class LookTransfer(Transfer):
    """Gives the recipient a donor's value of one property.

    Attributes
    ----------
    name : {"tint", "brightness", "sharpness", "compression"}
    held : str or None
        Another property, which all arms are given alike.
    held_region : callable or None
        Pixels, bool ``[B, H, W]``, that stay the recipient's own because they belong to another cue.
    """

    name: Name
    held: Name | None = None
    held_region: Callable[[Tuples], Tensor] | None = field(default=None, repr=False)

    @property
    def parts(self) -> tuple[str | None, ...]:
        """The picture as a whole."""
        return (None,)

    def swap(self, tuples: Tuples, arm: int, part: str | None = None) -> Composite:
        """The donor's value, on the whole picture."""
        given = _given(self.name, tuples, arm)
        images = given if self.held is None else self._levelled(tuples, given)
        if self.held_region is not None:
            images = compose.paste(tuples.image, self.held_region(tuples), images)
        return Composite(images, statuses(*self._faults(tuples), n=len(tuples)))

    def control(self, tuples: Tuples, arm: int, part: str | None = None) -> Composite:
        """Noise that changes the picture as much as the swap does in this arm."""
        changed = _given(self.name, tuples, arm)
        amount = (changed - tuples.image).square().mean(dim=(1, 2, 3)).sqrt()
        images = look.with_noise(tuples.image, amount, noise_of(tuples))
        return Composite(images, statuses(*self._faults(tuples), n=len(tuples)))

    def reference(self, tuples: Tuples) -> None:
        """None: a picture's own value given back is the picture itself."""
        return

    def _levelled(self, tuples: Tuples, given: Tensor) -> Tensor:
        """All arms at the same value of the held property: the lowest of the tuple, since detail cannot be added."""
        arms = [_given(self.name, tuples, at) for at in range(tuples.donor_images.shape[1] - 1)]
        whole = torch.ones_like(tuples.mask, dtype=torch.bool)
        if self.held == "sharpness":
            lowest = torch.stack([look.sharpness_of(images, whole) for images in arms]).amin(dim=0)
            return look.blurred_to(given, whole, lowest)
        if self.held == "compression":
            highest = torch.stack([look.blockiness_of(images, whole) for images in arms]).amax(dim=0)
            return look.compressed_to(given, whole, highest)
        if self.held == "tint":
            return look.retint(given, look.tint_of(given, whole), look.tint_of(tuples.image, whole))
        return look.relight(given, look.brightness_of(given, whole), look.brightness_of(tuples.image, whole))

    def _faults(self, tuples: Tuples) -> list[tuple[Tensor, str]]:
        if self.name not in TOLERANCE:
            return []
        own, *arms = tuples.once(("quality", self.name), lambda: _qualities(self.name, tuples))
        best = torch.stack(arms[:-1]).amax(dim=0)
        return [(own < best - TOLERANCE[self.name], "cannot_restore")]


def equalised(name: Name, tuples: Tuples, arm: int) -> Tensor:
    """The donor's picture, given the recipient's value of a property; for backgrounds with that property held.

    What cannot be added is taken from all: every arm is blurred or compressed to the worst value of the tuple.
    """
    regions = _regions(tuples)
    donor, where = tuples.donor_images[:, arm], regions[arm % tuples.donor_images.shape[1] + 1]
    if name == "tint":
        return look.retint(donor, look.tint_of(donor, where), look.tint_of(tuples.image, regions[0]))
    if name == "brightness":
        return look.relight(donor, look.brightness_of(donor, where), look.brightness_of(tuples.image, regions[0]))
    worst = torch.stack(tuples.once(("quality", name), lambda: _qualities(name, tuples))).amin(dim=0)
    if name == "sharpness":
        return look.blurred_to(donor, where, worst)
    return look.compressed_to(donor, where, -worst)


def all_equalised(names: Sequence[Name], tuples: Tuples, arm: int) -> Tensor:
    """:func:`equalised` in one property after the other; the last one holds exactly."""
    for name in names[:-1]:
        donors = [equalised(name, tuples, at) for at in range(tuples.donor_images.shape[1])]
        tuples = replace(tuples, donor_images=torch.stack(donors, dim=1), memo={})
    return equalised(names[-1], tuples, arm)


def part_of_the_way(name: Name, tuples: Tuples, arm: int, dose: float) -> Composite:
    """The recipient's value moved a share of the way to the donor's: ``own + dose * (donor - own)``, dose in [0, 1]."""
    images = _given(name, tuples, arm, dose)
    return Composite(images, statuses(*LookTransfer(name)._faults(tuples), n=len(tuples)))


def _given(name: Name, tuples: Tuples, arm: int, dose: float = 1.0) -> Tensor:
    return tuples.once(("given", name), lambda: _with_value(name, tuples, arm, dose), (arm, dose))


def _with_value(name: Name, tuples: Tuples, arm: int, dose: float) -> Tensor:
    regions = _regions(tuples)
    image, own = tuples.image, regions[0]
    donor, where = tuples.donor_images[:, arm], regions[arm % tuples.donor_images.shape[1] + 1]
    read = {
        "tint": look.tint_of,
        "brightness": look.brightness_of,
        "sharpness": look.sharpness_of,
        "compression": look.blockiness_of,
    }[name]
    value = read(image, own)
    wanted = torch.lerp(value, read(donor, where), dose)
    if name == "tint":
        return look.retint(image, value, wanted)
    if name == "brightness":
        return look.relight(image, value, wanted)
    return (look.blurred_to if name == "sharpness" else look.compressed_to)(image, own, wanted)


def _qualities(name: Name, tuples: Tuples) -> list[Tensor]:
    """Of the recipient, then of each donor."""
    pictures = [tuples.image, *tuples.donor_images.unbind(1)]
    return [_quality(name, image, region) for image, region in zip(pictures, _regions(tuples), strict=True)]


def _quality(name: Name, images: Tensor, region: Tensor) -> Tensor:
    """Higher is better: sharper, or less blocky."""
    return look.sharpness_of(images, region) if name == "sharpness" else -look.blockiness_of(images, region)


def _regions(tuples: Tuples) -> list[Tensor]:
    """Where values are read: the recipient's object and each donor's; everywhere in tuples that are not all masked."""
    return tuples.once("where looks are read", lambda: _all_inside(tuples))


def _all_inside(tuples: Tuples) -> list[Tensor]:
    masks = [tuples.mask, *tuples.donor_masks.unbind(1)]
    return [_inside(mask) & tuples.masked[:, None, None] for mask in masks]


def _inside(mask: Tensor) -> Tensor:
    """The object without its edge, which shows the background through; all of a small object."""
    inner = ~compose.dilate(mask != OBJECT, 1)
    thin = inner.flatten(1).sum(dim=1) < 16
    return torch.where(thin[:, None, None], mask == OBJECT, inner) & (mask != GROUND)


def noise_of(tuples: Tuples) -> Tensor:
    """Standard normal noise ``[B, C, H, W]``, each row its own."""
    shape = tuple(tuples.image.shape[1:])
    drawn = [torch.from_numpy(rng.standard_normal(shape)) for rng in tuples.rngs(_NOISE)]
    return torch.stack(drawn).to(tuples.image.device, tuples.image.dtype)
