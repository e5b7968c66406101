"""One cue in two audits: which hypotheses are looked at, what their intervals show, and the state that follows."""

from __future__ import annotations

from dataclasses import dataclass

from figureground.audit.compare.cue_rows import CueRows, Names, direction_of, names_of
from figureground.audit.compare.document import CueChange, Difference
from figureground.audit.compare.inputs import Key
from figureground.audit.compare.states import Moved, cue_state, falls, negligible, powered, rises
from figureground.audit.document.audit_json import CueVerdict
from figureground.audit.document.base import Message
from figureground.audit.judge.repeat import same_direction

Bounds = tuple[float, float]


@dataclass(frozen=True)
class Looked:
    """The largest effect of each audit, as its verdict names it, and the difference of each."""

    first: Names | None
    second: Names | None
    of_first: Difference | None
    of_second: Difference | None
    sum_first: Bounds | None = None
    sum_second: Bounds | None = None

    @classmethod
    def at(cls, rows: CueRows | None, first: CueVerdict | None, second: CueVerdict | None) -> Looked:
        """What the verdicts name; where the other audit does not know it, the largest effect of what both know."""
        if rows is None:
            return cls(None, None, None, None)
        names = [_known(rows, cue, which) for cue, which in ((first, "first"), (second, "second"))]
        found = [None if name is None else rows.turned(name) for name in names]
        sums = [None if name is None else rows.together(name) for name in names]
        return cls(names[0], names[1], found[0], found[1], sums[0], sums[1])

    @property
    def why(self) -> str | None:
        """Why a difference carries no verdict; None where both do."""
        return next((one.reason for one in (self.of_second, self.of_first) if one is not None and one.reason), None)

    def moved(self, *, binary: bool) -> Moved:
        """What the intervals show."""
        return Moved(
            rose=rises(self.of_second),
            grew=rises(self.of_second) and _above(self.sum_second),
            shrank=falls(self.of_first) and _above(self.sum_first),
            turned=self._turned(binary=binary),
            powered=powered(self.of_first) and powered(self.of_second),
        )

    def _turned(self, *, binary: bool) -> bool:
        if self.first is None or self.second is None:
            return False
        (one, part), (other, there) = direction_of(self.first), direction_of(self.second)
        same_levels = {one.arm, one.reference} == {other.arm, other.reference}
        return not (same_levels and part == there and same_direction(one, other, binary=binary))


def _above(bounds: Bounds | None) -> bool:
    return bounds is not None and bounds[0] > 0


def _known(rows: CueRows, cue: CueVerdict | None, which: str) -> Names | None:
    named = None if cue is None else names_of(cue)
    return named if named is not None and rows.turned(named) is not None else rows.largest(which)


def cue_change(
    key: Key,
    first: CueVerdict | None,
    second: CueVerdict | None,
    rows: CueRows | None,
    *,
    binary: bool,
    decided: bool,
) -> CueChange:
    """What changed about one cue.

    Parameters
    ----------
    key : tuple
        Cue and finding.
    first, second : CueVerdict or None
        None where an audit does not list the cue.
    rows : CueRows or None
        Differences of the whole family; None where there are none.
    binary : bool
        Whether the answer is one of two.
    decided : bool
        Whether a person's decision about the second audit's finding is in force.
    """
    looked = Looked.at(rows, first, second)
    moved = looked.moved(binary=binary)
    why = "nothing_in_common" if rows is None or not rows.family else looked.why
    state, reason = cue_state(first, second, moved, why)
    names, difference = _told(looked, moved, first, second)
    if state in ("worse", "better") and negligible(difference):
        reason = "negligible"
    direction, part = (None, None) if names is None else direction_of(names)
    return CueChange(
        cue=key[0],
        finding=key[1],
        state=state,
        reason=reason,
        first_status=None if first is None else first.status,
        second_status=None if second is None else second.status,
        first_reason=_reason(first),
        second_reason=_reason(second),
        first_changed=None if first is None else first.changed_other_level,
        second_changed=None if second is None else second.changed_other_level,
        severity=None if second is None else second.severity,
        direction=direction,
        part=part,
        difference=difference,
        decided=decided,
    )


def _reason(cue: CueVerdict | None) -> Message | None:
    return cue.reasons[0] if cue is not None and cue.reasons else None


def _told(
    looked: Looked, moved: Moved, first: CueVerdict | None, second: CueVerdict | None
) -> tuple[Names | None, Difference | None]:
    """The effect that decides the state; where nothing is shown, the one that is demonstrated, the second's first."""
    before = first is not None and first.status == "demonstrated"
    after = second is not None and second.status == "demonstrated"
    grown = moved.grew or (after and moved.rose)
    if not grown and (moved.shrank or (before and not after)):
        return looked.first, looked.of_first
    return looked.second, looked.of_second
