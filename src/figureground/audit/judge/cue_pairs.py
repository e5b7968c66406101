"""Which images show each cue: the declared rule, applied to every cue that an intervention or a map speaks against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from figureground.audit.declared.cues import BACKGROUND
from figureground.audit.document.audit_json import STATE_ORDER, CueVerdict
from figureground.audit.judge.contrasts import Contrasted
from figureground.audit.judge.gallery import GalleryRules
from figureground.audit.judge.observations import WHOLE

#: Cues that get pictures, at most: with several findings there can be hundreds.
MAX_CUES = 12
_PICTURED = ("demonstrated", "suspected")


@dataclass(frozen=True)
class CuesOf:
    """The cues of one finding, or of the run where it has none: what was observed, and what came of it."""

    finding: str | None
    found: Mapping[str, Contrasted] = field(repr=False)
    verdicts: Sequence[CueVerdict] = field(repr=False)


def cue_pairs(parts: Sequence[CuesOf], foremost: str | None, rules: GalleryRules) -> pd.DataFrame:
    """Recipients to be shown with one cue exchanged, cue by cue, the worst first.

    Demonstrated cues come first, then suspected ones; the background of the foremost finding is shown whatever came
    of it. No more than :data:`MAX_CUES`.

    Parameters
    ----------
    parts : sequence of CuesOf
    foremost : str or None
        The finding that the other pictures of the run are about.
    rules : GalleryRules

    Returns
    -------
    pandas.DataFrame
        ``row_id``, ``pass``, ``rule``, ``rank``, ``other_level``, ``cue``, ``finding``, ``part``; empty where no
        contrast was run.
    """
    chosen = [_pairs(part, cue, rules) for part, cue in _wanted(parts, foremost)]
    known = [frame for frame in chosen if len(frame)]
    return pd.concat(known, ignore_index=True) if known else pd.DataFrame()


def _wanted(parts: Sequence[CuesOf], foremost: str | None) -> list[tuple[CuesOf, str]]:
    judged = [(part, verdict) for part in parts for verdict in part.verdicts if verdict.cue in part.found]
    judged.sort(key=lambda pair: STATE_ORDER.index(pair[1].status))
    wanted = [(part, verdict.cue) for part, verdict in judged if verdict.status in _PICTURED][:MAX_CUES]
    asked = [(part, BACKGROUND) for part in parts if part.finding == foremost and BACKGROUND in part.found]
    return wanted + [one for one in asked if not any(one[0] is part and one[1] == cue for part, cue in wanted)]


def _pairs(part: CuesOf, cue: str, rules: GalleryRules) -> pd.DataFrame:
    item = part.found[cue]
    primary = item.contrast.primary
    cell = item.observed.parts[primary.part]
    found = rules.swaps(item.observed, primary)
    return found.assign(cue=cue, finding=part.finding, part=None if cell == WHOLE else cell) if len(found) else found
