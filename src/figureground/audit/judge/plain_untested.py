"""Which plain interventions, doses and places were not run, and why: entries of the register of what was not tested."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from figureground.audit.declared.cues import BACKGROUND, GLOBALS
from figureground.audit.declared.plain import DOSE, INTERVENTIONS, ON_WHOLE
from figureground.audit.document.audit_json import NotTested
from figureground.audit.rows.strata import usable_rows


def plain_untested(examples: pd.DataFrame, predictions: pd.DataFrame, cues: Sequence[str]) -> list[NotTested]:
    """What is missing, each with its reason; empty where all of it was run."""
    masked = bool(usable_rows(examples)["masked"].any())
    return [*_plain(predictions, cues, masked), *_doses(predictions, cues, masked)]


def _plain(predictions: pd.DataFrame, cues: Sequence[str], masked: bool) -> Iterator[NotTested]:
    if predictions["intervention"].isin(INTERVENTIONS).any():
        return
    known = "units_exceed_sample" if masked else "no_masks"
    reason = known if BACKGROUND in cues else "background_not_asked"
    yield NotTested(subject="plain_interventions", reason=reason)


def _doses(predictions: pd.DataFrame, cues: Sequence[str], masked: bool) -> Iterator[NotTested]:
    dosed = predictions[predictions["intervention"] == DOSE]
    if dosed.empty:
        reason = "no_global_effect" if set(cues) & set(GLOBALS) else "globals_not_asked"
        yield NotTested(subject="dose_response", reason=reason)
    elif (dosed["part"] == ON_WHOLE).all():
        yield NotTested(subject="dose_places", reason="places_need_masks" if masked else "no_masks")
