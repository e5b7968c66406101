"""Where the maps look, beside a cue: on it more densely than elsewhere, elsewhere, or neither.

Attribution never demonstrates and never clears; it is set beside the causal test, and where the two disagree, that
is said.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from figureground.audit.declared.cues import BACKGROUND, PLACES, REGION, cue_spec
from figureground.audit.judge.evidence import Look
from figureground.audit.judge.intervals import Interval, mean_t
from figureground.audit.judge.weighing import weights_of
from figureground.audit.methods.reported import reported_in

#: Cues that are a property of the picture or of the object, or a mark on it, and no place beside it.
NO_PLACE = ("global", "geometry", "object")
#: Keeps a share away from 0 and 1, where its log odds have no value.
_EPS = 1e-3


def look_at(
    cue: str,
    attributions: pd.DataFrame,
    rows: pd.DataFrame,
    failed_methods: Sequence[str],
    areas: dict[str, float],
    level: float = 0.95,
) -> Look:
    """The reading of all trusted methods together.

    Parameters
    ----------
    cue : str
    attributions : pandas.DataFrame
        The table.
    rows : pandas.DataFrame
        Usable rows with ``row_id`` and ``cluster``.
    failed_methods : sequence of str
        Methods that did not pass their checks; they are left out.
    areas : dict
        Share of the picture that each built-in place covers, in (0, 1).
    level : float
        Of the intervals.

    Returns
    -------
    str
        ``"cue"`` where every trusted method is denser on the cue than elsewhere (its interval above 0), ``"elsewhere"``
        where every one is less dense, ``"unclear"`` otherwise; ``"no_place"`` for properties of the picture or the
        object, which lie nowhere, so that no map can show them; ``"not_comparable"`` where nothing was measured, and
        ``"not_trusted"`` where no method passed.
    """
    if cue_spec(cue).kind in NO_PLACE:
        return "no_place"
    if cue != BACKGROUND and cue not in areas:
        return "not_comparable"
    methods = [key for key in reported_in(attributions) if key[0] not in failed_methods]
    if not methods:
        return "not_trusted"
    found = [density(cue, attributions, rows, method, sign, areas, level) for method, sign in methods]
    known = [interval for interval in found if interval.n_clusters > 1]
    if not known:
        return "not_comparable"
    if all(interval.low > 0 for interval in known):
        return "cue"
    return "elsewhere" if all(interval.high < 0 for interval in known) else "unclear"


def density(
    cue: str,
    attributions: pd.DataFrame,
    rows: pd.DataFrame,
    method: str,
    sign: str,
    areas: dict[str, float],
    level: float,
) -> Interval:
    """Mean log ratio of attribution density on the cue against elsewhere; 0 means indifferent, area-free."""
    chosen = attributions[(attributions["method"] == method) & (attributions["sign"] == sign)].set_index("row_id")
    chosen = chosen.reindex(rows["row_id"])
    if cue == BACKGROUND:
        values = chosen["ldr"].to_numpy(dtype=float)
    else:
        values = _log_odds(_region(chosen["region_shares"], cue)) - _log_odds(np.array(areas[cue]))
    known = np.where(np.isfinite(values), values, np.nan)
    return mean_t(known, rows["cluster"].to_numpy(dtype=object), level, weights=weights_of(rows))


def built_in(cue: str) -> bool:
    """Whether the cue is a place whose area is the same in every picture."""
    return cue in PLACES and not cue.startswith(REGION)


def _region(shares: pd.Series, name: str) -> np.ndarray:
    found = [np.nan if not isinstance(entry, list | dict | np.ndarray) else dict(entry).get(name) for entry in shares]
    return np.array([np.nan if value is None else value for value in found], dtype=float)


def _log_odds(share: np.ndarray) -> np.ndarray:
    kept = np.clip(share, _EPS, 1 - _EPS)
    return np.asarray(np.log(kept / (1 - kept)))
