"""The one function that knows the order of a comparison; needs neither a model nor torch, and changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

from figureground.audit.compare import aggregates
from figureground.audit.compare.answer_rows import group_changes, worst_group
from figureground.audit.compare.cue_changes import cue_change
from figureground.audit.compare.cue_rows import CueRows
from figureground.audit.compare.differing import Ruler, nothing, shared_level
from figureground.audit.compare.document import (
    CHANGE_ORDER,
    CommonRows,
    ComparisonDocument,
    CueChange,
    Difference,
    GroupChange,
    MeasureChange,
    group_name,
)
from figureground.audit.compare.gate import gate
from figureground.audit.compare.inputs import Key, by_key, compared, input_changes, policy_changes, untested
from figureground.audit.compare.matched import SEED, Matched, common_rows, matched, why_not
from figureground.audit.compare.pairing import Pairing
from figureground.audit.compare.side import Side
from figureground.audit.compare.states import measure_state, tested
from figureground.audit.declared.config import Policy, canonical_sha256
from figureground.audit.document.audit_json import CueVerdict
from figureground.audit.judge.effects import Scale, material, negligible
from figureground.audit.judge.summary import identity

#: Fields of the policy that decide about what a comparison says.
DECIDING = ("alpha", "power", "delta_material", "delta_negligible", "min_clusters", "required_cues", "fail_on")


@dataclass(frozen=True)
class Comparing:
    """Compares two audits.

    Attributes
    ----------
    first, second : Side
        The earlier one, and the one that is asked about.
    policy : Policy
        Its error, power, material and negligible effects, least units, required cues and ``fail_on`` decide.
    tool : str
        Version of what compares.
    """

    first: Side
    second: Side
    policy: Policy
    tool: str

    def __call__(self) -> ComparisonDocument:
        """The whole comparison; the same two audits and policy give the same document."""
        cues, measures, groups = self._cues(), self._measures(), self._groups()
        parts = [self.first.seal, self.second.seal, self.policy.declared, self.tool]
        return ComparisonDocument(
            id=canonical_sha256(parts)[:16],
            tool=self.tool,
            first=compared(self.first),
            second=compared(self.second),
            same_model=self.same_model,
            unit="" if self.policy.target is None else self.policy.target.unit,
            rows=self.common,
            policy={name: self.policy.declared[name] for name in DECIDING},
            cues=cues,
            measures=measures,
            groups=groups,
            inputs=input_changes(self.first, self.second),
            policy_changes=policy_changes(self.first, self.second),
            not_tested=untested(*self.documents),
            counts=_counts(cues),
            gate=gate(cues, measures, self.policy),
        )

    @property
    def documents(self) -> aggregates.Documents:
        """Both documents."""
        return self.first.document, self.second.document

    @property
    def same_model(self) -> bool:
        """Whether both audits are of one model, prepared in one way."""
        one, other = (document.subject for document in self.documents)
        known = one.model_sha256 is not None and one.model_sha256 == other.model_sha256
        return known and one.preprocessing == other.preprocessing

    @cached_property
    def pairing(self) -> Pairing | None:
        """The common rows; None where rows cannot be told to be common."""
        return None if why_not(self.first, self.second) else common_rows(self.first, self.second)

    @cached_property
    def matched(self) -> Mapping[str | None, Matched]:
        """Rows one by one, by finding; empty where only aggregates are compared."""
        if self.pairing is None or self.pairing.clusters < self.policy.min_clusters:
            return {}
        return dict(matched(self.first, self.second, self.pairing))

    @property
    def common(self) -> CommonRows:
        """What the two audits have in common, and why rows are not compared where they are not."""
        found, why = self.pairing, why_not(self.first, self.second)
        if found is not None and not self.matched:
            why = "too_few_common" if len(found) else "other_labels" if found.other_label else "none_common"
        return CommonRows(
            how="aggregates" if why else "paired",
            reason=why,
            common=0 if found is None else len(found),
            clusters=0 if found is None else found.clusters,
            same_mask=0 if found is None else len(found.chosen(masks=True)),
            masks_recorded=found is not None and found.masks_recorded,
            other_label=0 if found is None else found.other_label,
            only_first=self.first.document.data.ok if found is None else found.only_first,
            only_second=self.second.document.data.ok if found is None else found.only_second,
            weights="none" if found is None else found.weights,
        )

    def _ruler(self, comparisons: int, scale: Scale = "decision") -> Ruler:
        line, none = material(self.policy, scale), negligible(self.policy, scale)
        return Ruler(
            shared_level(self.policy.alpha, comparisons),
            self.policy.power,
            line,
            self.same_model,
            none,
            self.policy.min_clusters,
        )

    def _cues(self) -> list[CueChange]:
        first, second = (by_key(document) for document in self.documents)
        keys = list(dict.fromkeys([*second, *first]))
        both = sum(tested(first.get(key)) and tested(second.get(key)) for key in keys)
        found = [self._cue(key, both) for key in keys]
        return sorted(found, key=lambda cue: CHANGE_ORDER.index(cue.state))

    def _cue(self, key: Key, comparisons: int) -> CueChange:
        first, second = (by_key(document).get(key) for document in self.documents)
        rows = None
        if first is not None and second is not None and tested(first) and tested(second):
            rows = self._rows(key, comparisons, (first, second))
        binary = len(self.second.task.classes) == 2 or self.second.task.several
        return cue_change(key, first, second, rows, binary=binary, decided=self._decided(key))

    def _rows(self, key: Key, comparisons: int, cues: tuple[CueVerdict, CueVerdict]) -> CueRows:
        """Differences of a cue, row by row; of the audits as wholes where their rows do not hold it."""
        scale = cues[0].scale if cues[0].scale == cues[1].scale else "decision"
        ruler = self._ruler(comparisons, "decision" if scale is None else cast(Scale, scale))
        on = self.matched.get(key[1])
        found = None if on is None else on.cue(key[0], ruler)
        return aggregates.cue_aggregates(self.documents, cues, ruler) if found is None else found

    def _decided(self, key: Key) -> bool:
        cue = by_key(self.second.document).get(key)
        active = {item.id for item in self.second.document.findings if item.decision and item.decision.active}
        return cue is not None and identity(cue) in active

    @property
    def _findings(self) -> list[str | None]:
        first, second = (
            [part.finding for part in (whole, *whole.others)]
            for whole in (document.performance for document in self.documents)
        )
        return [name for name in second if name in first]

    def _measures(self) -> list[MeasureChange]:
        methods = aggregates.methods_of(self.documents)
        ruler = self._ruler(len(self._findings) * (2 + len(methods)))
        found: list[MeasureChange] = []
        for finding in self._findings:
            found += [self._accuracy(finding, ruler), self._worst(finding, ruler)]
            on = self.matched.get(finding)
            shares = on.shares(ruler) if on else aggregates.share_aggregates(self.documents, finding, methods, ruler)
            found += [_share(finding, method, difference) for method, difference in shares]
        return found

    @property
    def _labelled(self) -> bool:
        return all(document.data.labelled for document in self.documents)

    def _accuracy(self, finding: str | None, ruler: Ruler) -> MeasureChange:
        on, (one, other) = self.matched.get(finding), aggregates.performances(self.documents, finding)
        if not self._labelled or one is None or other is None:
            difference = nothing(self.common.how, "share", ruler, "no_labels")
        elif on is not None:
            difference = on.answers().difference(ruler)
        else:
            difference = aggregates.estimates(one.overall, other.overall, ruler)
        return _measure("accuracy", finding, difference)

    def _worst(self, finding: str | None, ruler: Ruler) -> MeasureChange:
        on, (one, other) = self.matched.get(finding), aggregates.performances(self.documents, finding)
        if not self._labelled:
            return _measure("worst_group_accuracy", finding, nothing(self.common.how, "share", ruler, "no_labels"))
        if on is not None:
            answers = on.answers()
            members = answers.members(on.groups, None, self.policy.min_clusters)
            found = worst_group(answers, members, ruler, SEED)
            if found is not None:
                names = {"first_group": found.first, "second_group": found.second}
                return _measure("worst_group_accuracy", finding, found.difference, **names)
        if one is None or other is None or one.worst_group is None or other.worst_group is None:
            return _measure("worst_group_accuracy", finding, nothing(self.common.how, "share", ruler, "no_groups"))
        difference = aggregates.estimates(one.worst_group.accuracy, other.worst_group.accuracy, ruler)
        names = {
            f"{name}_group": group_name(worst.attribute, worst.level, worst.label)
            for name, worst in (("first", one.worst_group), ("second", other.worst_group))
        }
        return _measure("worst_group_accuracy", finding, difference, **names)

    def _groups(self) -> list[GroupChange]:
        if not self._labelled:
            return []
        ruler = self._ruler(1)
        found: list[GroupChange] = []
        for finding, on in self.matched.items():
            answers = on.answers()
            members = answers.members(on.groups, None, self.policy.min_clusters)
            found += group_changes(answers, members, ruler, finding)
        return found


def _measure(name: str, finding: str | None, difference: Difference, **more: str) -> MeasureChange:
    state, reason = measure_state(difference, less_is_worse=True)
    fields = {"measure": name, "finding": finding, "state": state, "reason": reason, "difference": difference}
    return MeasureChange.model_validate(fields | more)


def _share(finding: str | None, method: tuple[str, str], difference: Difference) -> MeasureChange:
    state, reason = measure_state(difference, less_is_worse=False)
    return MeasureChange(
        measure="background_share",
        finding=finding,
        method=method[0],
        sign=method[1],
        state=state,
        reason=reason,
        difference=difference,
    )


def _counts(cues: Sequence[CueChange]) -> dict[str, int]:
    counted = Counter(cue.state for cue in cues)
    return {state: counted[state] for state in CHANGE_ORDER}
