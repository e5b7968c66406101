"""The cues that can be tested: what each needs, what it lies within, and what can explain it.

A cue is what a model might lean on instead of the object. The names are the same on the command line, in the tables
and in the policy. ``region:NAME`` stands for any region mask of the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["place", "global", "geometry", "object", "grid"]

REGION = "region:"
CORNERS = ("corner_top_left", "corner_top_right", "corner_bottom_left", "corner_bottom_right")
PLACES = (*CORNERS, "border")
GLOBALS = ("tint", "brightness", "sharpness", "compression")
GEOMETRY = ("object_size", "object_position")
#: The object's own parts, and the grid over the whole picture, by cell.
INSIDE, GRID = "object_patch", "place"
BACKGROUND = "background"
_AND = " + "

#: Tested by default, in this order: the background first, because the others are judged beside it.
DEFAULT_CUES = (BACKGROUND, *PLACES, *GLOBALS, *GEOMETRY, INSIDE, GRID)


@dataclass(frozen=True)
class CueSpec:
    """What a test of a cue needs.

    Attributes
    ----------
    name : str
    kind : {"place", "global", "geometry", "object", "grid"}
        A region of the picture; a property of the whole picture; of the object's form; a part of the object; a cell
        of a grid over the picture.
    needs_mask : bool
        Whether the test needs object masks.
    """

    name: str
    kind: Kind
    needs_mask: bool

    @property
    def primary(self) -> bool:
        """Whether all drawn rows are tested, with several passes; the others are tested on a subsample."""
        return self.name == BACKGROUND


def cue_spec(name: str) -> CueSpec:
    """The specification of a known cue; KeyError for any other name.

    Examples
    --------
    >>> cue_spec("region:ruler")
    CueSpec(name='region:ruler', kind='place', needs_mask=False)
    """
    if name == BACKGROUND:
        return CueSpec(name, "place", needs_mask=True)
    if name in PLACES or (name.startswith(REGION) and len(name) > len(REGION)):
        return CueSpec(name, "place", needs_mask=False)
    if name in GLOBALS:
        return CueSpec(name, "global", needs_mask=False)
    if name in GEOMETRY:
        return CueSpec(name, "geometry", needs_mask=True)
    if name == INSIDE:
        return CueSpec(name, "object", needs_mask=True)
    if name == GRID:
        return CueSpec(name, "grid", needs_mask=False)
    raise KeyError(name)


def is_known(name: str) -> bool:
    """Whether a cue of this name can be tested."""
    try:
        cue_spec(name)
    except KeyError:
        return False
    return True


def default_cues(regions: Sequence[str] = ()) -> tuple[str, ...]:
    """All cues of a default audit: the built-in ones, and one for every region mask that the data brings."""
    return (*DEFAULT_CUES, *(f"{REGION}{name}" for name in regions))


def explanations(name: str, others: Sequence[str]) -> tuple[str, ...]:
    """Those of ``others`` that could explain an effect of this cue, because changing it changes them as well.

    Swapping a background brings the donor's corners, borders and marks, and its tint and sharpness too; swapping a
    cell of the grid brings what lies in it. A border and a corner overlap, so each may explain the other; so may
    two properties of the whole picture, because a stronger compression is also less sharp. A property given to the
    whole picture reaches every mark in it: blurring takes a logo away.

    Examples
    --------
    >>> explanations("background", ["background", "border", "object_size", "tint"])
    ('border', 'tint')
    >>> explanations("sharpness", ["background", "object_patch", "object_size", "tint"])
    ('object_patch', 'tint')
    """
    kind = cue_spec(name).kind
    found = [other for other in others if other != name and _contained(name, kind, other)]
    return tuple(found)


def together(names: Sequence[str]) -> str:
    """Several cues as one name, for those that are kept as they are all at once; see :func:`apart`.

    Examples
    --------
    >>> together(["corner_top_left", "border"]), apart("border + corner_top_left")
    ('border + corner_top_left', ('border', 'corner_top_left'))
    """
    return _AND.join(sorted(names))


def apart(name: str) -> tuple[str, ...]:
    """The cues of a name that :func:`together` made, or the one cue that it is."""
    return tuple(name.split(_AND))


def can_be_held(name: str, held: str) -> bool:
    """Whether ``held`` can be kept as it is while ``name`` changes, by their kinds.

    The rule of :func:`figureground.audit.measure.transfers.registry.can_hold`, without torch.

    Examples
    --------
    >>> can_be_held("background", "region:tag"), can_be_held("border", "region:tag"), can_be_held("object_size", "tint")
    (True, False, False)
    """
    kind = cue_spec(name).kind
    if name == BACKGROUND:
        return all(one in (*GLOBALS, *PLACES) or one.startswith(REGION) for one in apart(held))
    if kind == "global":
        return held in (*GLOBALS, *PLACES, INSIDE) or held.startswith(REGION)
    return kind in ("place", "grid") and held in PLACES


def _contained(name: str, kind: Kind, other: str) -> bool:
    other_kind = cue_spec(other).kind
    if name == BACKGROUND:
        return other_kind in ("place", "global")
    if kind == "grid":
        return other_kind in ("place", "object", "global")
    if kind == "place":
        return other_kind == "place" and other != BACKGROUND
    return kind == "global" and other != BACKGROUND and other_kind in ("global", "place", "object")
