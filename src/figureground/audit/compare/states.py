"""From two states and a difference to what changed. A flip of a state is no change by itself: the interval decides.

================ =====================================================================================================
new              demonstrated in the second audit, and its effect is shown to be larger than in the first, where it was
                 not demonstrated, or was in another direction; or not tested in the first
worse            the effect is shown to have grown, whatever its direction was
better           the effect is shown to have shrunk, whatever its direction is
resolved         demonstrated in the first, shown to have shrunk, and not detected in the second
unchanged        no difference is shown, and one that matters would probably have been
not_comparable   no difference is shown, and one that matters might well have been missed: below the power line
lost_coverage    tested in the first, not tested in the second; never "resolved"
gained_coverage  tested in the second only, and not demonstrated
not_tested       tested in neither
================ =====================================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeGuard

from figureground.audit.compare.document import ChangeState, Difference
from figureground.audit.document.audit_json import CueVerdict

#: States of a cue whose test did not come to an end.
_UNTESTED = ("not_tested", "error")


@dataclass(frozen=True)
class Moved:
    """What the intervals show of one cue.

    Attributes
    ----------
    rose : bool
        The largest effect of the second audit is shown to be larger, with its sign, than in the first.
    grew : bool
        It is shown to be larger than the first one's was in either direction.
    shrank : bool
        The largest effect of the first audit is shown to be larger than the second one's is in either direction.
    turned : bool
        The two largest effects are of different classes, levels or parts, or point the other way.
    powered : bool
        A difference that matters would probably have been shown.
    """

    rose: bool = False
    grew: bool = False
    shrank: bool = False
    turned: bool = False
    powered: bool = False


def tested(cue: CueVerdict | None) -> bool:
    """Whether an audit tested a cue: its test ended, with a number."""
    return cue is not None and cue.status not in _UNTESTED and cue.estimate is not None


def _carries(found: Difference | None) -> TypeGuard[Difference]:
    """Whether a difference carries a verdict: there is one, on enough independent units."""
    return found is not None and found.reason is None


def rises(found: Difference | None) -> bool:
    """Whether the second is shown to be larger."""
    return _carries(found) and found.ci_low is not None and found.ci_low > 0


def falls(found: Difference | None) -> bool:
    """Whether the second is shown to be smaller."""
    return _carries(found) and found.ci_high is not None and found.ci_high < 0


def powered(found: Difference | None) -> bool:
    """Whether a difference as large as the power line would probably have been shown."""
    return _carries(found) and found.smallest is not None and found.smallest <= found.line


def negligible(found: Difference | None) -> bool:
    """Whether a difference, shown or not, is shown to be no larger than what does not matter."""
    if found is None or found.ci_low is None or found.ci_high is None:
        return False
    return max(-found.ci_low, found.ci_high) <= found.negligible


def cue_state(
    first: CueVerdict | None, second: CueVerdict | None, moved: Moved, why: str | None = None
) -> tuple[ChangeState, str | None]:
    """The state of a cue, and what to know of it; ``why`` says why there is no difference, where there is none."""
    if first is None or second is None or not tested(first) or not tested(second):
        return _coverage(first, second)
    demonstrated = first.status == "demonstrated", second.status == "demonstrated"
    state = _shown(demonstrated, moved, second.status)
    if state is not None:
        return state, "other_direction" if state == "new" and demonstrated[0] else None
    if not moved.powered:
        return "not_comparable", why or "below_power_line"
    return "unchanged", "state_flipped" if demonstrated[0] != demonstrated[1] else None


def _shown(demonstrated: tuple[bool, bool], moved: Moved, now: str) -> ChangeState | None:
    """What an interval shows; None where none excludes 0."""
    before, after = demonstrated
    if after and moved.rose and (not before or moved.turned):
        return "new"
    if moved.grew:
        return "worse"
    if moved.shrank:
        return "resolved" if before and now == "not_detected" else "better"
    return None


def _coverage(first: CueVerdict | None, second: CueVerdict | None) -> tuple[ChangeState, str | None]:
    if tested(first):
        return "lost_coverage", "no_longer_listed" if second is None else None
    if not tested(second):
        return "not_tested", None
    assert second is not None  # noqa: S101  (tested above)
    if second.status == "demonstrated":
        return "new", "not_tested_before"
    return "gained_coverage", None


def measure_state(found: Difference, *, less_is_worse: bool) -> tuple[ChangeState, str | None]:
    """The state of a number that both audits have."""
    up, down = rises(found), falls(found)
    if up or down:
        return ("worse" if down == less_is_worse else "better"), "negligible" if negligible(found) else None
    if found.estimate is None or not powered(found):
        return "not_comparable", found.reason or "below_power_line"
    return "unchanged", None
