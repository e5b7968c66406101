"""Which layer Grad-CAM would look at if not at the one that it does: what the choice itself changes in the maps."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from torch import nn

from figureground.audit.explain.layers import CamLayer
from figureground.audit.forward.layouts import Size

_NUMBERED = re.compile(r"(.*?)(\d+)")


def second_choice(model: nn.Module, layer: CamLayer, usable: Sequence[tuple[CamLayer, Size]]) -> CamLayer | None:
    """The last layer before ``layer`` with another resolution; where there is none, its like one block earlier.

    Of the layers of that resolution it is the last whole stage: a part of a block that changes the resolution itself
    is passed over. A vision transformer keeps one resolution from its first block to its last; there the same part
    of the block before is taken.

    Parameters
    ----------
    model : nn.Module
    layer : CamLayer
        Where Grad-CAM looks.
    usable : sequence of (CamLayer, (int, int))
        From :func:`~figureground.audit.explain.layers.usable_layers`, ``layer`` kept.

    Returns
    -------
    CamLayer or None
        None where ``layer`` is not among them, or nothing before it will do.
    """
    names = [each.name for each, _ in usable]
    if layer.name not in names:
        return None
    at = names.index(layer.name)
    return _other_resolution(usable, at) or _one_block_earlier(model, layer, usable[:at])


def _other_resolution(usable: Sequence[tuple[CamLayer, Size]], at: int) -> CamLayer | None:
    known = {each.name: cells for each, cells in usable}
    wanted = next((cells for _, cells in reversed(usable[:at]) if cells != usable[at][1]), None)
    alike = [each for each, cells in reversed(usable[:at]) if cells == wanted]
    return min(alike, key=lambda each: _inside(each.name, known), default=None)


def _inside(name: str, known: dict[str, Size]) -> int:
    """In how many blocks it lies whose map has another resolution; a block has a number, as a container has not."""
    parts = name.split(".")
    above = [".".join(parts[: end + 1]) for end, part in enumerate(parts[:-1]) if re.search(r"\d", part)]
    return sum(known.get(each, known[name]) != known[name] for each in above)


def _one_block_earlier(model: nn.Module, layer: CamLayer, before: Sequence[tuple[CamLayer, Size]]) -> CamLayer | None:
    known = {each.name: each for each, _ in before}
    for name in (layer.name, *reversed(known)):
        for like in _numbered_before(name):
            if like in known and type(model.get_submodule(like)) is type(model.get_submodule(name)):
                return known[like]
    return None


def _numbered_before(name: str) -> Iterator[str]:
    """The name with a number in it counted down, the outermost first.

    >>> list(_numbered_before("blocks.2.norm1"))
    ['blocks.1.norm1', 'blocks.0.norm1', 'blocks.2.norm0']
    """
    parts = name.split(".")
    for place, part in enumerate(parts):
        found = _NUMBERED.fullmatch(part)
        for number in range(int(found[2]) - 1, -1, -1) if found else ():
            yield ".".join([*parts[:place], f"{found[1] if found else ''}{number}", *parts[place + 1 :]])
