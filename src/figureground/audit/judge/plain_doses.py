"""Where in the picture a property moves the model, and how the effect grows with the change.

A tint is not a background: where it counts on the background alone, it may be the background's colour that the model
uses; where it counts on the object alone, the object's. The statistic is the donor contrast of the cue's largest effect
(class, arm, reference), once for every place and dose, with the same clustered variance.

Rows of the ``tests`` table made here (``part`` is background, object or whole; ``dose`` the share of the way to the
donor's value):

=============== ===============================================================================
dose_response   the donor contrast at this place and dose
dose_null       the same with as much white noise in the same place
dose_specific   dose_response minus dose_null, paired
dose_step       full dose minus half dose, paired
=============== ===============================================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from figureground.audit.declared.config import Policy
from figureground.audit.declared.cues import GLOBALS
from figureground.audit.declared.plain import (
    DOSE,
    DOSE_CONTROL,
    DOSE_NULL,
    DOSE_PLACES,
    DOSE_RESPONSE,
    DOSE_SPECIFIC,
    DOSE_STEP,
    DOSES,
    ON_BACKGROUND,
    ON_OBJECT,
    ON_WHOLE,
)
from figureground.audit.document.audit_json import Message
from figureground.audit.judge.clustered import multiway_mean
from figureground.audit.judge.contrast import Contrast
from figureground.audit.judge.contrasts import Contrasted, fires
from figureground.audit.judge.effects import Clusterings, Hypothesis, Scale, Which, limits
from figureground.audit.judge.intervals import Interval
from figureground.audit.judge.observations import SwapObservations, observe
from figureground.audit.judge.rows import estimate_columns, p_value

Place = Literal["background", "object", "both", "neither", "unclear"]
_AS_SWAP = {DOSE: "swap", DOSE_NULL: "control"}
_WHICH: Mapping[str, Which] = {DOSE_RESPONSE: "swapped", DOSE_CONTROL: "control", DOSE_SPECIFIC: "specific"}


@dataclass(frozen=True)
class Dosed:
    """One place and dose: the effect, the same of as much noise, and their difference."""

    effect: Interval
    null: Interval
    specific: Interval

    @property
    def shown(self) -> bool:
        """An effect beyond that of noise."""
        return self.effect.low > 0 and self.specific.low > 0


@dataclass(frozen=True)
class DoseResponse:
    """Places and doses of one cue.

    Attributes
    ----------
    scale : {"decision", "log_odds", "native"}
    by : mapping of (place, dose) to Dosed
    steps : mapping of str to Interval
        Full minus half dose, by place.
    tests : list of dict
        Rows of the ``tests`` table.
    """

    scale: Scale
    by: Mapping[tuple[str, float], Dosed]
    steps: Mapping[str, Interval]
    tests: list[dict[str, Any]] = field(repr=False)

    @property
    def place(self) -> Place | None:
        """Where the property counts at the full dose; None without object masks."""
        found = [self.by.get((part, DOSES[-1])) for part in (ON_BACKGROUND, ON_OBJECT)]
        return None if found[0] is None or found[1] is None else effect_place(found[0], found[1])


def moving(found: Mapping[str, Contrasted], policy: Policy) -> dict[str, tuple[str, str]]:
    """Global cues whose whole-picture contrast fires, with the two arms of their largest effect."""
    loud = {cue: item for cue, item in found.items() if cue in GLOBALS and fires(item.contrast, policy)}
    names = {cue: item.contrast.primary.names(item.observed) for cue, item in loud.items()}
    return {cue: (str(known["arm"]), str(known["reference"])) for cue, known in names.items()}


def effect_place(background: Dosed, figure: Dosed) -> Place:
    """Whether the background, the object, both or neither carries the property that counts.

    One of them alone only where it shows an effect, the other does not, and their intervals do not overlap.
    """
    if background.shown and figure.shown:
        return "both"
    for name, one, other in (("background", background, figure), ("object", figure, background)):
        if one.shown and one.effect.low > other.effect.high:
            return name  # type: ignore[return-value]  # mypy widens the names of the tuple to str
    return "unclear" if background.shown or figure.shown else "neither"


def place_alternatives(cue: str, place: Place | None) -> list[Message]:
    """What else may count where the effect of a property of the whole picture lies in one part of it only."""
    keys = {"background": "alt_background_property", "object": "alt_object_property"}
    return [Message(key=keys[place], args={"cue": cue})] if place in keys else []


def dose_messages(found: DoseResponse | None) -> list[Message]:
    """What places and doses show, in sentences for the cue's finding."""
    if found is None:
        return []
    suffix = {"log_odds": "_odds", "native": "_native"}.get(found.scale, "")
    full = {part: found.by[part, DOSES[-1]].effect for part in DOSE_PLACES if (part, DOSES[-1]) in found.by}
    args = {f"{part}{end}": getattr(effect, name) for part, effect in full.items() for end, name in _ENDS}
    counts = {"n": full[ON_WHOLE].n, "clusters": full[ON_WHOLE].n_clusters}
    places = "dose_places" if ON_OBJECT in full else "dose_whole"
    step = found.steps[ON_WHOLE]
    shape = "dose_rising" if step.low > 0 else "dose_falling" if step.high < 0 else "dose_flat"
    grown = {"step": step.estimate, "low": step.low, "high": step.high}
    return [
        Message(key=f"{places}{suffix}", args=_plain(args | counts)),
        Message(key=f"{shape}{suffix}", args=_plain(grown)),
    ]


_ENDS = (("", "estimate"), ("_low", "low"), ("_high", "high"))


def _plain(values: Mapping[str, float]) -> dict[str, Any]:
    return {name: value if np.isfinite(value) else None for name, value in values.items()}


@dataclass(frozen=True)
class DoseJudge:
    """Judges places and doses of the cues that were dosed.

    Attributes
    ----------
    examples, predictions, strata : pandas.DataFrame
        Tables of a run, or of a view of it.
    classes : tuple of str
    policy : Policy
    """

    examples: pd.DataFrame = field(repr=False)
    predictions: pd.DataFrame = field(repr=False)
    strata: pd.DataFrame = field(repr=False)
    classes: tuple[str, ...]
    policy: Policy

    def __call__(self, found: Mapping[str, Contrasted]) -> dict[str, DoseResponse]:
        """By cue; cues that were not dosed, and those without one complete row, are left out."""
        dosed = {cue: self._cue(cue, item) for cue, item in found.items() if cue in GLOBALS}
        return {cue: item for cue, item in dosed.items() if item is not None}

    def _cue(self, cue: str, item: Contrasted) -> DoseResponse | None:
        names = item.contrast.primary.names(item.observed)
        seen = {
            (part, dose): observed
            for part in DOSE_PLACES
            for dose in DOSES
            if (observed := self._observed(cue, part, dose)) is not None
            and len(observed)
            and {names["arm"], names["reference"]} <= set(observed.levels)
        }
        if any((ON_WHOLE, dose) not in seen for dose in DOSES):
            return None
        asked = {key: _hypothesis(item.contrast, names, observed) for key, observed in seen.items()}
        scale = item.contrast.scale
        by = {key: Dosed(*(self._mean(seen[key], h, scale, w) for w in _WHICH.values())) for key, h in asked.items()}
        both = [part for part in DOSE_PLACES if all((part, dose) in seen for dose in DOSES)]
        steps = {part: self._step([seen[part, d] for d in DOSES], asked[part, DOSES[0]], scale) for part in both}
        return DoseResponse(scale, by, steps, list(self._rows(cue, scale, names, by, steps)))

    def _observed(self, cue: str, part: str, dose: float) -> SwapObservations | None:
        """The doses of one place as if they were the swap of a cue, with the noise as its control."""
        given = self.predictions
        here = (given["cue"] == cue) & (given["part"] == part) & np.isclose(given["dose"], dose)
        rows = given[(here & given["intervention"].isin(list(_AS_SWAP))) | (given["intervention"] == "none")]
        as_swap = rows.assign(intervention=rows["intervention"].replace(_AS_SWAP), part=None)
        return observe(self.examples, as_swap, self.strata, self.classes, cue)

    def _mean(self, observed: SwapObservations, h: Hypothesis, scale: Scale, which: Which) -> Interval:
        return multiway_mean(
            h.values(observed, scale, which),
            *Clusterings.of(observed).of_hypothesis(h),
            level=1 - self.policy.alpha,
            bounds=limits(scale, which),
        )

    def _step(self, doses: Sequence[SwapObservations], h: Hypothesis, scale: Scale) -> Interval:
        half, full = (
            pd.Series(h.values(one, scale), index=pd.MultiIndex.from_arrays([one.row_id, one.number])) for one in doses
        )
        keep = half.index.isin(full.index)
        codes = Clusterings.of(doses[0]).take(np.asarray(keep)).of_hypothesis(h)
        grown = (full.reindex(half.index[keep]) - half[keep]).to_numpy()
        # A difference of two differences reaches as far as a specific effect does.
        return multiway_mean(grown, *codes, level=1 - self.policy.alpha, bounds=limits(scale, "specific"))

    def _rows(
        self,
        cue: str,
        scale: Scale,
        names: Mapping[str, str | None],
        by: Mapping[tuple[str, float], Dosed],
        steps: Mapping[str, Interval],
    ) -> Iterator[dict[str, Any]]:
        known = {"cue": cue, "scale": scale, "simultaneous": False, **names}
        for (part, dose), found in by.items():
            for test, interval in zip(_WHICH, (found.effect, found.null, found.specific), strict=True):
                yield known | self._columns(interval) | {"test": test, "part": part, "dose": dose}
        for part, step in steps.items():
            yield known | self._columns(step) | {"test": DOSE_STEP, "part": part}

    def _columns(self, interval: Interval) -> dict[str, Any]:
        more = {"p_raw": p_value(interval)}
        return estimate_columns(interval, min_clusters=self.policy.min_clusters, alpha=self.policy.alpha, **more)


def _hypothesis(contrast: Contrast, names: Mapping[str, str | None], observed: SwapObservations) -> Hypothesis:
    """The cue's largest effect, with the arms at their places among the levels of these observations."""
    arm, reference = (observed.levels.index(str(names[name])) for name in ("arm", "reference"))
    return Hypothesis(contrast.primary.class_index, arm, reference)
