"""The transfer of each cue, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor

from figureground.audit.declared.cues import BACKGROUND, CORNERS, GLOBALS, GRID, INSIDE, REGION, apart
from figureground.audit.measure.regions import border_frame, corners
from figureground.audit.measure.transfers.background import BackgroundTransfer
from figureground.audit.measure.transfers.looks import LookTransfer, Name, all_equalised
from figureground.audit.measure.transfers.objects import InsideTransfer, PositionTransfer, SizeTransfer, object_cell
from figureground.audit.measure.transfers.places import GridTransfer, PlaceTransfer, RegionTransfer, inner_frame
from figureground.audit.measure.transfers.tuples import Transfer, Tuples
from figureground.datasets import compose
from figureground.errors import UsageError

_OBJECTS: dict[str, Callable[[], Transfer]] = {
    "object_size": SizeTransfer,
    "object_position": PositionTransfer,
    INSIDE: InsideTransfer,
}


def transfer_for(
    name: str, *, height: int, width: int, held: str | None = None, held_part: str | None = None
) -> Transfer:
    """The transfer of a cue.

    Parameters
    ----------
    name : str
        A cue of :mod:`figureground.audit.declared.cues`.
    height, width : int
        Of the model's input, in pixels.
    held : str, optional
        Another cue that stays the recipient's own in every arm.
    held_part : str, optional
        The part of ``held`` that showed its effect, where it has parts.

    Raises
    ------
    UsageError
        No such cue, or one that cannot be held while this one changes.
    """
    if name == BACKGROUND:
        return _background(held, height, width)
    if name in GLOBALS and (held is None or held in GLOBALS):
        return LookTransfer(cast(Name, name), cast(Name | None, held))
    if name in GLOBALS and held is not None and (held == INSIDE or _stays(held, height, width) is not None):
        inside = held_part or InsideTransfer().parts[0] or ""
        stays = _stays(held, height, width) or (lambda tuples: object_cell(tuples, inside))
        return LookTransfer(cast(Name, name), held_region=stays)
    if name in _OBJECTS and held is None:
        return _OBJECTS[name]()
    kept = None if held is None else _built_in(held, height, width)
    if held is None or kept is not None:
        if name.startswith(REGION):
            return RegionTransfer(name.removeprefix(REGION), kept)
        if name == GRID:
            return GridTransfer(height, width, kept)
        region = _built_in(name, height, width)
        if region is not None:
            return PlaceTransfer(region, _elsewhere(name, region, height, width), kept)
    raise UsageError(
        "CUE_UNKNOWN",
        name if held is None else f"{name} with {held} held",
        found="no such test",
        expected="a cue of this version",
        fix="see figureground audit --help for the cues",
    )


def can_hold(name: str, held: str) -> bool:
    """Whether ``held`` can stay as it is while ``name`` changes.

    Examples
    --------
    >>> can_hold("background", "border"), can_hold("border", "region:tag"), can_hold("tint", "border")
    (True, False, True)
    """
    try:
        transfer_for(name, height=64, width=64, held=held)
    except UsageError:
        return False
    return True


def _built_in(name: str, height: int, width: int) -> Tensor | None:
    if name == "border":
        return torch.from_numpy(border_frame(height, width))
    if name in CORNERS:
        return torch.from_numpy(corners(height, width)[name])
    return None


def _elsewhere(name: str, region: Tensor, height: int, width: int) -> tuple[Tensor, ...]:
    """Regions of the same shape that a place is compared with."""
    if name == "border":
        return (inner_frame(region),)
    return tuple(torch.from_numpy(other) for key, other in corners(height, width).items() if key != name)


def _background(held: str | None, height: int, width: int) -> Transfer:
    if held is None:
        return BackgroundTransfer()
    looks = [cast(Name, one) for one in apart(held) if one in GLOBALS]
    regions = [_stays(one, height, width) for one in apart(held) if one not in GLOBALS]
    known = [region for region in regions if region is not None]
    if len(known) < len(regions):
        raise UsageError(
            "CUE_UNKNOWN", held, found="a cue that cannot be held", expected="a place or a look", fix="hold another cue"
        )
    return BackgroundTransfer(
        held_region=(lambda tuples: torch.stack([region(tuples) for region in known]).any(dim=0)) if known else None,
        equalise=(lambda tuples, arm: all_equalised(looks, tuples, arm)) if looks else None,
    )


def _stays(held: str, height: int, width: int) -> Callable[[Tuples], Tensor] | None:
    """Pixels of a place or a named region that stay the recipient's own; None for other cues."""
    if held.startswith(REGION):
        return lambda tuples: _region_union(tuples, held.removeprefix(REGION))
    region = _built_in(held, height, width)
    return None if region is None else lambda tuples: region.expand(len(tuples), -1, -1)


def _region_union(tuples: Tuples, name: str) -> Tensor:
    """The recipient's region stays, and the donors' do not arrive: both are the recipient's own pixels."""
    return compose.dilate(tuples.regions[name] | tuples.donor_regions[name].any(dim=1), 1)
