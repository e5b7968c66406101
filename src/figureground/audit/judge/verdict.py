"""From evidence to a state. Pure: the same evidence and policy give the same state, with every reason that weighed.

The causal effect with its simultaneous interval and its control decides. Attribution is shown beside it; it never
demonstrates and never clears. Without an assay (a planted reliance that this audit finds on this model), a null result
stays inconclusive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, isfinite

from figureground.audit import document
from figureground.audit.config import Policy
from figureground.audit.document import CueVerdict, Direction, Message, State
from figureground.audit.judge.contrast import Contrast
from figureground.audit.judge.intervals import Interval
from figureground.audit.judge.multiplicity import tost
from figureground.audit.judge.rows import as_estimate

#: Up to this many classes, every one must be predicted now and then; beyond, only the effect's own.
FEW_CLASSES = 10


@dataclass(frozen=True)
class Setting:
    """What a verdict needs to know of the run beside the contrast.

    Attributes
    ----------
    n, n_clusters : int
        Recipients and their independent units.
    n_classes : int
    accuracy, majority : float
        Of the model, and of always naming the commonest label; competence is their difference.
    aligned_accuracy : float
        The best accuracy within one environment alignment; a fully reliant model is competent there only.
    by_environment : bool
        Strata came from an environment column; otherwise from labels.
    clusters_given : bool
    """

    n: int
    n_clusters: int
    n_classes: int
    accuracy: float
    majority: float
    aligned_accuracy: float
    by_environment: bool
    clusters_given: bool


@dataclass(frozen=True)
class CueJudge:
    """Judges the background cue under a policy."""

    policy: Policy
    cue: str = "background"

    def __call__(self, contrast: Contrast, setting: Setting, direction: Direction) -> CueVerdict:
        """The verdict on a contrast that could be run."""
        few = self._too_few(setting)
        weak = self._against_demonstration(contrast, setting)
        material = contrast.effect.low >= self.policy.delta_material
        if material and not few and not weak:
            return self._verdict("demonstrated", [], contrast, setting, direction)
        if tost(contrast.widest90, self.policy.delta_negligible, self.policy.alpha):
            reasons = [_no_assay(), *few, *self._gates(contrast, setting)]
            return self._verdict("inconclusive", reasons, contrast, setting, direction)
        gates = [*few, *self._gates(contrast, setting)]
        if gates:
            return self._verdict("inconclusive", [*gates, *weak], contrast, setting, direction)
        if contrast.effect.low > 0 and contrast.specific.low > 0:
            small = [] if material else [Message(key="small_effect")]
            return self._verdict("suspected", [*small, *weak], contrast, setting, direction)
        # An effect that is clearly there fails for want of specificity; only one that is not can want precision.
        unclear = [] if contrast.effect.low > 0 else [_imprecise(contrast.widest90, self.policy), _no_assay()]
        reasons = [*unclear, *weak]
        return self._verdict("inconclusive", reasons, contrast, setting, direction)

    def not_tested(self, reason: str, next_step: str, **args: object) -> CueVerdict:
        """The verdict where the contrast could not be run."""
        return CueVerdict(
            cue=self.cue,
            status="not_tested",
            estimate=None,
            ci_low=None,
            ci_high=None,
            scale=None,
            level=None,
            severity="info",
            evidence_level=None,
            n=0,
            n_clusters=0,
            min_detectable=None,
            direction=None,
            changed_other_level=None,
            changed_same_level=None,
            reasons=[Message(key=reason, args=dict(args))],
            does_not_show=[Message(key="not_legal")],
            next_step=[Message(key=next_step)],
        )

    def _too_few(self, setting: Setting) -> list[Message]:
        """Below the least number of independent units there are estimates and no verdict."""
        if setting.n_clusters >= self.policy.min_clusters:
            return []
        return [Message(key="too_few_clusters", args={"n": setting.n_clusters, "needed": self.policy.min_clusters})]

    def _against_demonstration(self, contrast: Contrast, setting: Setting) -> list[Message]:
        """What keeps even a material effect from being demonstrated."""
        found: list[Message] = []
        if self._rare(contrast, setting):
            found.append(Message(key="rare_class"))
        if not contrast.effect.low > 0:
            return found  # where no effect is shown, there is nothing to be specific or to be found again
        if not contrast.specific.low > 0:
            found.append(Message(key="not_specific"))
        if not all(half.low > 0 for half in contrast.replication):
            found.append(Message(key="not_replicated_halves"))
        return found

    def _rare(self, contrast: Contrast, setting: Setting) -> bool:
        if setting.n_classes <= FEW_CLASSES:
            return contrast.rarest_share < self.policy.min_class_share
        return contrast.primary_class_clusters < self.policy.min_clusters

    def _gates(self, contrast: Contrast, setting: Setting) -> list[Message]:
        """What keeps a result from being suspected or not detected; never from being demonstrated."""
        found: list[Message] = []
        best = max(setting.accuracy, setting.aligned_accuracy)
        if best < setting.majority + self.policy.min_accuracy_margin:
            found.append(Message(key="not_competent", args={"accuracy": best, "majority": setting.majority}))
        if contrast.fragility.estimate > self.policy.max_fragility:
            args = {"rate": contrast.fragility.estimate, "limit": self.policy.max_fragility}
            found.append(Message(key="fragile", args=args))
        return found

    def _verdict(
        self, status: State, reasons: Sequence[Message], contrast: Contrast, setting: Setting, direction: Direction
    ) -> CueVerdict:
        effect, policy = contrast.effect, self.policy

        def stated(interval: Interval) -> document.Estimate:
            return as_estimate(interval, min_clusters=policy.min_clusters, alpha=policy.alpha)

        return CueVerdict(
            cue=self.cue,
            status=status,
            estimate=effect.estimate,
            ci_low=effect.low,
            ci_high=effect.high,
            scale="decision",
            level=effect.level,
            severity=self._severity(status),
            evidence_level="L3" if shown_by_intervention(contrast) else None,
            n=setting.n,
            n_clusters=setting.n_clusters,
            min_detectable=stated(effect).min_detectable,
            direction=direction,
            changed_other_level=stated(contrast.changed_other),
            changed_same_level=stated(contrast.changed_same),
            reasons=list(reasons),
            does_not_show=self._does_not_show(contrast, setting),
            next_step=self._next_step(status, contrast, reasons),
        )

    def _severity(self, status: State) -> str:
        return (
            self.policy.consequence.get(self.cue, self.policy.default_consequence)
            if status == "demonstrated"
            else "info"
        )

    def _does_not_show(self, contrast: Contrast, setting: Setting) -> list[Message]:
        found = [
            Message(key="not_everyday_errors"),
            Message(key="other_cues_untested"),
            Message(key="compositing_artificial"),
        ]
        if contrast.n_donor_clusters < self.policy.min_clusters:
            found.append(Message(key="these_backgrounds_only", args={"n": contrast.n_donor_clusters}))
        if not setting.by_environment:
            found.append(Message(key="label_strata_blind"))
        if not setting.clusters_given:
            found.append(Message(key="assumes_independent_images"))
        return [*found, Message(key="attribution_alone"), Message(key="not_legal")]

    def _next_step(self, status: State, contrast: Contrast, reasons: Sequence[Message]) -> list[Message]:
        if status == "demonstrated":
            return [Message(key="next_break_association")]
        needed = {"n_needed": needed_clusters(contrast.widest90, self.policy)}
        steps = [
            (
                Message(key="next_more_data", args=needed),
                {"imprecise", "too_few_clusters", "small_effect", "not_replicated_halves"},
            ),
            (Message(key="next_check_masks"), {"fragile", "not_specific"}),
            (Message(key="next_check_model"), {"not_competent", "rare_class"}),
            (Message(key="next_assay"), {"no_assay"}),
        ]
        keys = {reason.key for reason in reasons}
        return [step for step, answers in steps if keys & answers]


def shown_by_intervention(contrast: Contrast) -> bool:
    """Evidence level L3: an effect of the intervention, beyond its control, found again in both halves.

    L4 would take a second data set or a model trained again.
    """
    return contrast.effect.low > 0 and contrast.specific.low > 0 and all(half.low > 0 for half in contrast.replication)


def needed_clusters(interval: Interval, policy: Policy) -> int:
    """Independent units at which an effect of 0 would be certified negligible with power 0.8: (2.93 SD / delta)^2.

    At least as many as there are and as any verdict needs, which is also the answer where too few leave the spread
    unknown.
    """
    least = max(interval.n_clusters, policy.min_clusters)
    if not isfinite(interval.standard_error):
        return least
    spread = interval.standard_error * interval.n_clusters**0.5
    return int(max(least, ceil((2.93 * spread / policy.delta_negligible) ** 2)))


def overall(cues: Sequence[CueVerdict], required: Sequence[str]) -> document.Verdict:
    """Counts over all cues; the status is the worst over those that the policy requires."""
    counts = {state: sum(cue.status == state for cue in cues) for state in document.STATE_ORDER}
    by_name = {cue.cue: cue.status for cue in cues}
    statuses: list[State] = (
        [by_name.get(name, "not_tested") for name in required] or [cue.status for cue in cues] or ["not_tested"]
    )
    return document.Verdict(status=min(statuses, key=document.STATE_ORDER.index), counts=counts, cues=list(cues))


def _no_assay() -> Message:
    return Message(key="no_assay")


def _imprecise(interval: Interval, policy: Policy) -> Message:
    half_width = (interval.high - interval.low) / 2
    args = {
        "half_width": half_width if isfinite(half_width) else None,
        "margin": policy.delta_negligible,
        "n_needed": needed_clusters(interval, policy),
    }
    return Message(key="imprecise", args=args)
