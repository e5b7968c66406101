"""What is compared in a donor contrast: a class, two arms, a part of the cue, and the scale of the difference."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp, softmax

from figureground.audit.declared.config import Policy
from figureground.audit.declared.target import Target
from figureground.audit.declared.task import named
from figureground.audit.judge.intervals import cluster_codes
from figureground.audit.judge.observations import WHOLE, Reals, SwapObservations

Scale = Literal["decision", "probability", "log_odds", "native"]
#: Scales without a largest effect.
UNBOUNDED: tuple[Scale, ...] = ("log_odds", "native")
Which = Literal["swapped", "control", "specific"]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Hypothesis:
    """A class, two arms and a part, as indices; turned so that its effect is positive, once it is known."""

    class_index: int
    arm: int
    reference: int
    part: int = 0

    def names(self, observed: SwapObservations) -> dict[str, str | None]:
        """Key columns of the ``tests`` table."""
        part = observed.parts[self.part]
        return {
            "class_name": observed.classes[self.class_index],
            "arm": observed.levels[self.arm],
            "reference": observed.levels[self.reference],
            "part": None if part == WHOLE else part,
        }

    def turned(self) -> Hypothesis:
        """The same with the arms exchanged."""
        return Hypothesis(self.class_index, self.reference, self.arm, self.part)

    def values(self, observed: SwapObservations, scale: Scale, which: Which = "swapped") -> Reals:
        """One difference per observation, float64 ``[N]``: arm minus reference.

        In {-1, 0, 1} on the decision scale, in [-1, 1] for probabilities, in nats without bounds for log-odds, in the
        unit of the answer where that is a number. With ``which="specific"``, the difference in the control is
        subtracted.
        """
        if which == "specific":
            return self.values(observed, scale, "swapped") - self.values(observed, scale, "control")
        # A number is stored as its distance from the cut, between the two logits: the same difference.
        read = {"decision": self._decided, "probability": self._probability}.get(scale, self._log_odds)
        return read(observed, which, self.arm) - read(observed, which, self.reference)

    def _decided(self, observed: SwapObservations, which: Which, arm: int) -> Reals:
        predicted = observed.swapped if which == "swapped" else observed.control
        return np.asarray(predicted[:, self.part, arm] == self.class_index, dtype=np.float64)

    def _logits(self, observed: SwapObservations, which: Which, arm: int) -> Reals:
        found = observed.logits if which == "swapped" else observed.control_logits
        assert found is not None  # noqa: S101  (scales() offers these scales only where logits are kept)
        return found[:, self.part, arm]

    def _probability(self, observed: SwapObservations, which: Which, arm: int) -> Reals:
        return np.asarray(softmax(self._logits(observed, which, arm), axis=1)[:, self.class_index])

    def _log_odds(self, observed: SwapObservations, which: Which, arm: int) -> Reals:
        logits = self._logits(observed, which, arm)
        others = np.delete(logits, self.class_index, axis=1)
        return np.asarray(logits[:, self.class_index] - logsumexp(others, axis=1))


@dataclass(frozen=True)
class Clusterings:
    """Clusters as integer codes, made once: recipients ``[N]`` and donors ``[N, E]``."""

    recipient: Codes
    donor: Codes

    @classmethod
    def of(cls, observed: SwapObservations) -> Clusterings:
        """Codes of all names in the observations."""
        donor = observed.donor
        codes = cluster_codes(donor.ravel()).reshape(donor.shape) if donor.size else donor.astype(np.int64)
        return cls(cluster_codes(observed.recipient), codes)

    def take(self, keep: npt.NDArray[np.bool_]) -> Clusterings:
        """Those of the observations where ``keep``."""
        return Clusterings(self.recipient[keep], self.donor[keep])

    def of_hypothesis(self, h: Hypothesis) -> tuple[Codes, Codes, Codes]:
        """Recipients, donors of the arm, donors of the reference."""
        return self.recipient, self.donor[:, h.arm], self.donor[:, h.reference]


def hypotheses(observed: SwapObservations, scale: Scale) -> Iterator[Hypothesis]:
    """The family: every class that is predicted under some arm, every pair of levels, every part.

    On the scale of log-odds, and of a number, the two classes are mirror images; the second one is asked, as it is
    wherever the first is but the absence of a finding.
    """
    two = len(observed.classes) == 2
    mirrored = two and (scale in UNBOUNDED or observed.classes[0] == named(observed.classes[1], False))
    classes = [1] if mirrored else np.unique(observed.swapped).tolist()
    for part in range(len(observed.parts)):
        for class_index in classes:
            for arm, reference in combinations(range(len(observed.levels)), 2):
                yield Hypothesis(int(class_index), arm, reference, part)


def scales(observed: SwapObservations, wanted: Scale) -> tuple[Scale, ...]:
    """The scale that judges, first, and those that must agree before an effect is called negligible."""
    if observed.logits is None:
        return ("decision",)
    if wanted == "native":
        return ("native",)
    return ("log_odds", "decision") if wanted == "log_odds" else ("decision", "probability")


def span(scale: Scale, which: Which) -> float:
    """Largest possible effect; a difference of two differences reaches further; some have no bound."""
    if scale in UNBOUNDED:
        return float("inf")
    return 2.0 if which == "specific" else 1.0


def limits(scale: Scale, which: Which) -> tuple[float, float] | None:
    """Smallest and largest possible effect; None where there is no bound."""
    reach = span(scale, which)
    return None if math.isinf(reach) else (-reach, reach)


def material(policy: Policy, scale: Scale) -> float:
    """The effect that matters, on this scale."""
    if scale == "native":
        return declared_number(policy).material
    return policy.delta_material_log_odds if scale == "log_odds" else policy.delta_material


def negligible(policy: Policy, scale: Scale) -> float:
    """The effect that does not, on this scale."""
    if scale == "native":
        return declared_number(policy).negligible
    return policy.delta_negligible_log_odds if scale == "log_odds" else policy.delta_negligible


def declared_number(policy: Policy) -> Target:
    """What the policy says of the number that is the answer; only such a run is judged on the native scale."""
    assert policy.target is not None  # noqa: S101  (checked by declared_task before anything is measured or judged)
    return policy.target
