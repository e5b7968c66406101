"""What a check measured, and the limit it was held to, in words: nobody should have to guess a bare number's unit."""

from __future__ import annotations

from collections.abc import Callable

from figureground.audit.document.audit_json import TrustCheck
from figureground.reports import numbers
from figureground.reports.scales import EffectScale
from figureground.reports.sections.context import Context, scale_of

#: Checks whose number is a share of something.
_SHARES = (
    "false_alarms",
    "fragility",
    "maps_not_empty",
    "outputs_are_logits",
    "predictions_reconciled",
    "share_intervals",
)
#: Checks whose number counts something.
_COUNTS = (
    "donor_reuse",
    "eval_mode_holds",
    "finite",
    "gradient_nonzero",
    "hooks_restored",
    "map_shape",
    "nothing_kept",
    "output_shape",
)
#: Checks whose number is an effect, on the scale of the cue that it is about.
_EFFECTS = ("assay", "placebo", "replication")
#: Checks whose number is a coefficient or a ratio without a unit.
_PLAIN = (
    "agreement",
    "batch_invariant",
    "contrast_check",
    "mask_sensitivity",
    "randomised_weights",
    "repeatability",
    "second_layer",
    "transform_moves_together",
)


def told(context: Context, check: TrustCheck) -> str:
    """The number with what it is and its limit; a dash where the check has none."""
    if check.value is None:
        return numbers.NONE
    kind = _kind(check.check)
    write = _writer(context, check, kind)
    return context.words.say(f"measured.check.{kind}", value=write(check.value), limit=write(check.threshold))


def _kind(name: str) -> str:
    """The kind of a check that may be named with the method or cue that it is of; ``other`` where none is known."""
    kinds = (*_SHARES, *_COUNTS, *_EFFECTS, *_PLAIN)
    return next((kind for kind in kinds if name == kind or name.startswith(f"{kind}_")), "other")


def _writer(context: Context, check: TrustCheck, kind: str) -> Callable[[float | None], str]:
    if kind in _SHARES:
        return numbers.percent
    if kind in _COUNTS:
        return numbers.count
    return _scale(context, check, kind).stated if kind in _EFFECTS else numbers.coefficient


def _scale(context: Context, check: TrustCheck, kind: str) -> EffectScale:
    """The scale of the cue that the check is about, which is the background where it names none."""
    cue = check.check.removeprefix(kind).removeprefix("_") or "background"
    mine = (one.scale for one in context.cues if (one.cue, one.finding) == (cue, check.finding))
    return scale_of(context, next(mine, None))
