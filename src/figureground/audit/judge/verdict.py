"""From evidence to a state. Pure: the same evidence and policy give the same state, with every reason that weighed.

The causal effect with its simultaneous interval and its control decides. Attribution is shown beside it; it never
demonstrates and never clears. A null result counts only where a reliance of known size, implanted into this very
model, would have been found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, isfinite
from typing import Any

from scipy import stats

from figureground.audit.declared.config import Policy
from figureground.audit.declared.cues import GLOBALS, cue_spec
from figureground.audit.document import audit_json as document
from figureground.audit.document.audit_json import CueVerdict, Message, State
from figureground.audit.judge.contrast import Contrast
from figureground.audit.judge.effects import declared_number, material, negligible
from figureground.audit.judge.evidence import Evidence, Setting
from figureground.audit.judge.intervals import Interval
from figureground.audit.judge.plain_doses import dose_messages, place_alternatives
from figureground.audit.judge.rows import as_estimate
from figureground.audit.judge.severity import consequence_of, severity_of, times_material

#: Up to this many classes, every one must be predicted now and then; beyond, only the effect's own.
FEW_CLASSES = 10


@dataclass(frozen=True)
class CueJudge:
    """Judges one cue under a policy."""

    policy: Policy
    cue: str

    def __call__(self, evidence: Evidence, setting: Setting) -> CueVerdict:
        """The verdict on a contrast that could be run."""
        status, reasons = self.state(evidence, setting)
        return self._verdict(status, reasons, evidence, setting)

    def state(self, evidence: Evidence, setting: Setting) -> tuple[State, list[Message]]:
        """The state, and every reason that weighed for it."""
        contrast, few = evidence.contrast, self._too_few(evidence.contrast)
        weak = self._against_demonstration(evidence, setting)
        if self._material(evidence) and not few and not weak:
            explained = self._explained(evidence)
            return ("suspected", explained) if explained else ("demonstrated", [])
        gates = self._gates(evidence, setting)
        if contrast.negligible(self.policy.alpha):
            doubts = [*few, *gates, *self._unknown_contrast(evidence), *self._assay(evidence), *self._gap(setting)]
            doubts += self._by_label(contrast)
            return ("inconclusive", doubts) if doubts else ("not_detected", [])
        if few or gates:
            return "inconclusive", [*few, *gates, *weak]
        if contrast.effect.low > 0 and contrast.specific.low > 0:
            return "suspected", [*self._short(evidence), *weak]
        # An effect that is clearly there fails for want of specificity; only one that is not can want precision.
        unclear = [] if contrast.effect.low > 0 else [_imprecise(contrast, self.policy), *self._assay(evidence)]
        return "inconclusive", [*unclear, *weak]

    def not_tested(
        self, reason: str, next_step: str | Message, finding: str | None = None, **args: object
    ) -> CueVerdict:
        """The verdict where the contrast could not be run."""
        return self._without_contrast("not_tested", reason, next_step, finding, **args)

    def inconclusive(
        self, reason: str, next_step: str | Message, finding: str | None = None, **args: object
    ) -> CueVerdict:
        """The verdict where a test of the data said beforehand that no contrast would mean anything."""
        return self._without_contrast("inconclusive", reason, next_step, finding, **args)

    def failed(self, error: str, finding: str | None = None) -> CueVerdict:
        """The verdict where the computation itself went wrong."""
        return self._without_contrast("error", "cue_failed", "next_report_failure", finding, error=error)

    def _without_contrast(
        self, status: State, reason: str, next_step: str | Message, finding: str | None, **args: object
    ) -> CueVerdict:
        return CueVerdict(
            cue=self.cue,
            finding=finding,
            status=status,
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
            next_step=[next_step if isinstance(next_step, Message) else Message(key=next_step)],
        )

    def _material(self, evidence: Evidence) -> bool:
        limit = material(self.policy, evidence.contrast.scale)
        return evidence.contrast.effect.low >= limit

    def _too_few(self, contrast: Contrast) -> list[Message]:
        """Below the least number of independent units there are estimates and no verdict."""
        if contrast.n_clusters >= self.policy.min_clusters:
            return []
        return [Message(key="too_few_clusters", args={"n": contrast.n_clusters, "needed": self.policy.min_clusters})]

    def _against_demonstration(self, evidence: Evidence, setting: Setting) -> list[Message]:
        """What keeps even a material effect from being demonstrated."""
        contrast, found = evidence.contrast, list(self._rare(evidence.contrast, setting))
        if not contrast.effect.low > 0:
            return found  # where no effect is shown, there is nothing to be specific or to be found again
        if not contrast.specific.low > 0:
            found.append(Message(key="not_specific"))
        if not contrast.replicated:
            found.append(Message(key="not_replicated_halves"))
        if evidence.p_adjusted > self.policy.alpha and self._material(evidence):
            found.append(Message(key="not_simultaneous", args={"p": evidence.p_adjusted}))
        if evidence.masks_disagree:
            found.append(Message(key="masks_disagree"))
        if self._material(evidence) and contrast.hardly_moves(self.policy.alpha):
            found.append(Message(key="probability_negligible"))
        if evidence.unheld:
            found.append(Message(key="held_not_measured", args={"cues": list(evidence.unheld)}))
        return found

    def _rare(self, contrast: Contrast, setting: Setting) -> list[Message]:
        if contrast.scale == "native":
            return []  # a number has no class that could be rare
        if contrast.scale == "log_odds":
            args = {"n": contrast.n_positive_clusters, "needed": self.policy.min_clusters}
            few = contrast.n_positive_clusters < self.policy.min_clusters
            return [Message(key="few_positive", args=args)] if few else []
        if setting.n_classes <= FEW_CLASSES:
            rare = contrast.rarest_share < self.policy.min_class_share
        else:
            rare = contrast.primary_class_clusters < self.policy.min_clusters
        return [Message(key="rare_class")] if rare else []

    def _explained(self, evidence: Evidence) -> list[Message]:
        """Another cue accounts for (nearly) all of the effect."""
        return [
            Message(key="explained_by", args={"cue": other.by, "share": other.share}) for other in evidence.yields_to
        ]

    def _gates(self, evidence: Evidence, setting: Setting) -> list[Message]:
        """What keeps a result from being suspected or not detected; never from being demonstrated."""
        found: list[Message] = []
        best = max(setting.accuracy, setting.aligned_accuracy)
        needed = setting.majority + self.policy.min_accuracy_margin
        if not isfinite(setting.accuracy):
            found.append(Message(key="competence_unknown"))
        elif not best >= needed and setting.measure == "auroc":
            found.append(Message(key="not_competent_auroc", args={"auroc": best, "needed": needed}))
        elif not best >= needed:
            found.append(Message(key="not_competent", args={"accuracy": best, "majority": setting.majority}))
        if evidence.check is not None and _failed(evidence):
            found.append(
                Message(key="no_contrast", args={"auroc": evidence.check.value, "limit": self.policy.min_contrast})
            )
        fragility = evidence.contrast.fragility
        if fragility.n and not fragility.estimate <= self.policy.max_fragility:
            args = {"rate": fragility.estimate, "limit": self.policy.max_fragility}
            found.append(Message(key="fragile", args=args))
        return found

    def _unknown_contrast(self, evidence: Evidence) -> list[Message]:
        """Whether the levels differ in the cue must be known before a null result says anything."""
        known = evidence.check is not None and evidence.check.status in ("passed", "failed")
        return [] if known else [Message(key="contrast_unknown")]

    def _assay(self, evidence: Evidence) -> list[Message]:
        """A null result means something only if an implanted reliance of the material size would have been found."""
        assay = evidence.assay
        if assay is None or not assay.power:
            return [Message(key="assay_not_run")]
        limit = material(self.policy, evidence.contrast.scale)
        if assay.smallest_found is not None and assay.smallest_found <= limit + 1e-9:
            return []
        size, power = _power_at_material(evidence, self.policy)
        args: dict[str, Any] = {"size": size, "power": power, "wanted": self.policy.power}
        if evidence.contrast.scale == "native":
            own = declared_number(self.policy).written(size)
            return [Message(key="assay_missed_native", args=args | {"size": own})]
        if evidence.contrast.scale == "log_odds":
            return [Message(key="assay_missed_odds", args=args)]
        return [Message(key="assay_missed", args=args)]

    def _gap(self, setting: Setting) -> list[Message]:
        if setting.gap is None or setting.gap < self.policy.delta_material:
            return []
        return [Message(key="gap_unexplained", args={"gap": setting.gap})]

    def _by_label(self, contrast: Contrast) -> list[Message]:
        """An effect that is negligible on average can be more than that on the images of one label."""
        found = []
        if self._more(contrast, contrast.on_positives):
            found.append(Message(key="more_on_positives"))
        if self._more(contrast, contrast.on_negatives):
            found.append(Message(key="more_on_negatives"))
        return found

    def _more(self, contrast: Contrast, part: Interval | None) -> bool:
        enough = part is not None and part.n_clusters >= self.policy.min_clusters
        return part is not None and enough and max(part.low, -part.high) > negligible(self.policy, contrast.scale)

    def _short(self, evidence: Evidence) -> list[Message]:
        return [] if self._material(evidence) else [Message(key="small_effect")]

    def _verdict(self, status: State, reasons: Sequence[Message], evidence: Evidence, setting: Setting) -> CueVerdict:
        contrast, policy = evidence.contrast, self.policy
        effect = contrast.effect

        def stated(interval: Interval) -> document.Estimate | None:
            if interval.n == 0:
                return None
            return as_estimate(interval, min_clusters=policy.min_clusters, alpha=policy.alpha)

        shown = as_estimate(effect, min_clusters=policy.min_clusters, alpha=policy.alpha)
        part = contrast.part
        return CueVerdict(
            cue=self.cue,
            finding=setting.finding,
            status=status,
            estimate=shown.estimate,
            ci_low=shown.ci_low,
            ci_high=shown.ci_high,
            scale=contrast.scale,
            level=effect.level,
            severity=self._severity(status, contrast),
            consequence=consequence_of(policy, self.cue),
            times_material=times_material(effect.low, policy, contrast.scale) if status == "demonstrated" else None,
            evidence_level=self._level(evidence, setting),
            n=contrast.n_recipients,
            n_clusters=contrast.n_clusters,
            min_detectable=shown.min_detectable,
            direction=evidence.direction,
            changed_other_level=stated(contrast.changed_other),
            changed_same_level=stated(contrast.changed_same),
            reasons=list(reasons),
            does_not_show=self._does_not_show(evidence, setting),
            next_step=self._next_step(status, evidence, reasons),
            p_adjusted=evidence.p_adjusted if isfinite(evidence.p_adjusted) else None,
            part=part,
            bound=contrast.bound if status == "not_detected" else None,
            explained=list(evidence.explained),
            alternatives=self._alternatives(evidence, setting),
            attribution=self._attribution(evidence, setting),
            assay=evidence.assay,
            placebo_p=evidence.placebo_p,
            tested_on="subsample" if evidence.subsampled else "all",
            dose_response=dose_messages(evidence.doses),
            on_positives=None if contrast.on_positives is None else stated(contrast.on_positives),
            on_negatives=None if contrast.on_negatives is None else stated(contrast.on_negatives),
        )

    def _severity(self, status: State, contrast: Contrast) -> str:
        """Effect times declared consequence, for what is demonstrated."""
        if status != "demonstrated":
            return "info"
        return severity_of(self.policy, self.cue, times_material(contrast.effect.low, self.policy, contrast.scale))

    def _level(self, evidence: Evidence, setting: Setting) -> str | None:
        """The strongest kind of evidence that there is for the cue; L4 takes other data or another training."""
        if evidence.contrast.shown:
            return "L3"
        if evidence.look == "cue":
            return "L2"
        return "L1" if setting.gap is not None and setting.gap > 0 and self.cue == "background" else None

    def _does_not_show(self, evidence: Evidence, setting: Setting) -> list[Message]:
        contrast = evidence.contrast
        found = [Message(key="not_everyday_errors"), Message(key="compositing_artificial")]
        if contrast.n_donor_clusters < self.policy.min_clusters:
            found.append(Message(key="these_backgrounds_only", args={"n": contrast.n_donor_clusters}))
        if setting.strata == "label":
            found.append(Message(key="label_strata_blind"))
        if not setting.clusters_given:
            found.append(Message(key="assumes_independent_images"))
        unseen = contrast.on_positives
        if unseen is not None and unseen.n_clusters < self.policy.min_clusters:
            found.append(Message(key="few_with_finding", args={"n": unseen.n_clusters}))
        if evidence.subsampled:
            found.append(Message(key="subsample", args={"n": contrast.n_recipients}))
        if cue_spec(self.cue).kind == "grid":
            found.append(Message(key="grid_coarse"))
        if evidence.whole_picture:
            found.append(Message(key="global_whole_picture"))
        return [*found, Message(key="attribution_alone"), Message(key="not_legal")]

    def _alternatives(self, evidence: Evidence, setting: Setting) -> list[Message]:
        """Other readings of an effect that this audit does not rule out; none where there is no effect."""
        if not evidence.contrast.effect.low > 0:
            return []
        found = [
            Message(key="alt_correlated", args={"cue": other.by})
            for other in evidence.explained
            if 0.2 < other.share < self.policy.explains
        ]
        if self.cue in GLOBALS and evidence.whole_picture:
            found += [Message(key="alt_background_carries"), Message(key="alt_legitimate_colour")]
        if evidence.doses is not None:
            found += place_alternatives(self.cue, evidence.doses.place)
        if setting.strata == "label":
            found.append(Message(key="alt_label_strata"))
        if self.cue == "background":
            found.append(Message(key="alt_inside_background"))
        return [*found, Message(key="alt_compositing")]

    def _attribution(self, evidence: Evidence, setting: Setting) -> Message | None:
        """Whether the maps and the causal test agree; where they do not, that is a finding of its own."""
        if evidence.look == "not_comparable":
            return Message(key="not_comparable")
        if evidence.look == "not_trusted":
            return Message(key="maps_not_trusted", args={"methods": list(setting.failed_methods)})
        contrast = evidence.contrast
        limit = material(self.policy, contrast.scale)
        unseen = evidence.look in ("elsewhere", "no_place")
        if unseen and contrast.shown and contrast.effect.low >= limit:
            return Message(key="uses_not_visible")
        if evidence.look == "no_place":
            return Message(key="not_comparable")
        idle = contrast.negligible(self.policy.alpha) or (not contrast.shown and contrast.effect.high < limit)
        # Where the levels do not differ in the cue, or too few were asked, silence is no answer to set beside the maps.
        idle = idle and not self._too_few(contrast) and not _failed(evidence)
        if evidence.look == "cue" and idle:
            return Message(key="looks_does_not_use")
        agree = (evidence.look == "cue" and contrast.shown) or (evidence.look == "elsewhere" and idle)
        return Message(key="agrees") if agree else None

    def _next_step(self, status: State, evidence: Evidence, reasons: Sequence[Message]) -> list[Message]:
        if status == "demonstrated":
            return [Message(key="next_break_association")]
        keys = {reason.key for reason in reasons}
        needed = self._more_images(evidence, keys)
        steps = [
            (Message(key="next_check_masks"), {"fragile", "not_specific"}),
            (Message(key="next_better_masks"), {"masks_disagree"}),
            (
                Message(key="next_check_model"),
                {"not_competent", "not_competent_auroc", "rare_class", "probability_negligible"},
            ),
            (Message(key="next_add_labels"), {"competence_unknown"}),
            (Message(key="next_name_environments"), {"no_contrast", "no_strata"}),
        ]
        found = [step for step, answers in steps if keys & answers]
        if needed is not None:
            return [Message(key="next_more_data", args={"n_needed": needed}), *found]
        # Said where it is true, so that nobody collects images for nothing.
        return [*found, Message(key="more_images_no_help")] if status == "inconclusive" else found

    def _more_images(self, evidence: Evidence, keys: set[str]) -> int | None:
        """Independent units that would settle what these reasons leave open; None where no number would."""
        contrast = evidence.contrast
        if "no_contrast" in keys and "too_few_clusters" not in keys:
            return None  # levels that look alike in the cue look alike in any number of images
        found = []
        if keys & _SETTLED_BY_PRECISION:
            found.append(needed_clusters(contrast, self.policy))
        if "few_positive" in keys:
            share = contrast.n_positive_clusters / max(contrast.n_clusters, 1)
            found.append(ceil(self.policy.min_clusters / share) if share > 0 else self.policy.min_clusters)
        if keys & {"assay_missed", "assay_missed_odds", "assay_missed_native"}:
            found.append(_needed_for_assay(evidence, self.policy) or 0)
        return max(found) if any(found) else None


#: Reasons that a narrower interval would take away.
_SETTLED_BY_PRECISION = frozenset(
    {"imprecise", "imprecise_odds", "too_few_clusters", "small_effect", "not_replicated_halves"}
)


def _failed(evidence: Evidence) -> bool:
    return evidence.check is not None and evidence.check.status == "failed"


def _needed_for_assay(evidence: Evidence, policy: Policy) -> int | None:
    """Units at which the implanted reliance of the material size would be found with the power wanted.

    By the normal approximation the power at n units is ``Phi(d sqrt(n) - z)`` with z the two-sided critical value:
    the power measured gives d. None where the implant is found no more often than by chance: then nothing of it
    arrives, in however many images.
    """
    power = _power_at_material(evidence, policy)[1]
    critical = stats.norm.ppf(1 - policy.alpha / 2)
    if power <= policy.alpha or power >= policy.power:
        return None
    ratio = (critical + stats.norm.ppf(policy.power)) / (critical + stats.norm.ppf(power))
    return ceil(evidence.contrast.n_clusters * ratio**2)


def _power_at_material(evidence: Evidence, policy: Policy) -> tuple[float, float]:
    """The largest implanted size that is not above the material one, and its power."""
    limit = material(policy, evidence.contrast.scale)
    power = evidence.assay.power if evidence.assay is not None else {}
    return max(((float(s), p) for s, p in power.items() if float(s) <= limit + 1e-9), default=(limit, 0.0))


def needed_clusters(contrast: Contrast, policy: Policy) -> int:
    """Independent units that would settle the question with power 0.8: ``(2.93 SD / distance)^2``.

    Without an effect in sight the distance is the margin: an effect of 0 would be certified negligible. An effect that
    is there is to be told from the material one, so that the distance is what lies between, the margin at least. Never
    fewer units than there are and than any verdict needs, which is also the answer where too few leave the spread
    unknown.
    """
    least = max(contrast.n_clusters, policy.min_clusters)
    seen = contrast.effect.low > 0
    beyond = contrast.effect.estimate - material(policy, contrast.scale) if seen else 0.0
    asked = contrast.equivalence[:1] if seen else contrast.equivalence
    found = [least]
    for item in asked:
        if isfinite(item.widest.standard_error):
            spread = item.widest.standard_error * item.widest.n_clusters**0.5
            found.append(ceil((2.93 * spread / max(item.margin, beyond)) ** 2))
    return max(found)


def overall(cues: Sequence[CueVerdict], required: Sequence[str]) -> document.Verdict:
    """Counts over all cues; the status is the worst over those that the policy requires.

    A cue that is demonstrated counts whether it was required or not: what was found is found.
    """
    counts = {state: sum(cue.status == state for cue in cues) for state in document.STATE_ORDER}
    asked: list[State] = []
    for name in required:
        found = [cue.status for cue in cues if cue.cue == name]
        asked += found or ["not_tested"]
    asked += [cue.status for cue in cues if cue.status == "demonstrated"]
    statuses: list[State] = asked or [cue.status for cue in cues] or ["not_tested"]
    run = {cue.cue for cue in cues if cue.n > 0}
    return document.Verdict(
        status=min(statuses, key=document.STATE_ORDER.index),
        counts=counts,
        cues=list(cues),
        tested=[name for name in dict.fromkeys(cue.cue for cue in cues) if name in run],
        not_tested=[name for name in dict.fromkeys([*(cue.cue for cue in cues), *required]) if name not in run],
    )


def _imprecise(contrast: Contrast, policy: Policy) -> Message:
    widest = contrast.equivalence[0]
    half_width = (widest.widest.high - widest.widest.low) / 2
    args = {
        "half_width": half_width if isfinite(half_width) else None,
        "margin": widest.margin,
        "n_needed": needed_clusters(contrast, policy),
    }
    if contrast.scale == "log_odds":
        return Message(key="imprecise_odds", args=args)
    if contrast.scale == "native":
        return Message(key="imprecise_native", args=args | {"unit": declared_number(policy).unit})
    return Message(key="imprecise", args=args)
