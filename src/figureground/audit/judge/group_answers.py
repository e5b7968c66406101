"""What becomes of the answers of every subgroup when only one cue differs: rows of the ``subgroups`` table.

For all images and every level, absent ones included. All images, and the levels of the attributes that are to be
crossed with the label, are also told label by label: a model that follows a cue may lose with one label what it gains
with another.

Measures (column ``measure``):

===================== ===============================================================================================
changed_other_level   share in [0, 1] of answers that differ between a donor of another level and one of the own level
changed_same_level    its control: between two donors of the own level
changed_minus_same    the first minus the second, paired by image and pass, in [-1, 1]
accuracy_<arm>        share of answers as labelled; the arms are ``unchanged``, ``same_level``, ``other_level``,
                      ``object_only`` and ``background_only``
<arm>_minus_unchanged the same minus that of the unchanged picture, paired by image and pass, in [-1, 1]
===================== ===============================================================================================

Changes are told of every cue that is followed into the subgroups, accuracies of the background alone. The object alone
and the background alone stand on the sample of the plain interventions (object before its background's mean colour;
object and its outline filled), so that their n is another one; each difference is taken on the rows of its own arm.
Nothing here is tested: the verdict rests on the donor contrast.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from figureground.audit.declared import plain
from figureground.audit.declared.config import Policy
from figureground.audit.declared.cues import BACKGROUND
from figureground.audit.judge.cells import Cell, make_cells
from figureground.audit.judge.changes import row_changes
from figureground.audit.judge.contrasts import Contrasted
from figureground.audit.judge.grouping import Group
from figureground.audit.judge.intervals import Interval, logit_t, mean_t
from figureground.audit.judge.observations import Ints, Names, Reals, SwapObservations
from figureground.audit.judge.plain_answers import PlainAnswers, plain_answers
from figureground.audit.judge.rows import estimate_columns
from figureground.audit.keeping.tables import ALL

CHANGES = ("changed_other_level", "changed_same_level", "changed_minus_same")
ARMS = ("same_level", "other_level", "object_only", "background_only")
#: Measures that need labels.
LABELLED = ("accuracy_unchanged", *(f"accuracy_{arm}" for arm in ARMS), *(f"{arm}_minus_unchanged" for arm in ARMS))
#: The plain interventions of two arms: kind, place and dose.
_PLAIN = {
    "object_only": (plain.BLANK, plain.ON_BACKGROUND, 1.0),
    "background_only": (plain.REMOVED, plain.DILATED, 1.0),
}


@dataclass(frozen=True)
class Paired:
    """Answers as labelled under one arm beside those to the unchanged picture, 1.0 or 0.0; NaN where there is none."""

    row_id: Ints = field(repr=False)
    recipient: Names = field(repr=False)
    arm: Reals = field(repr=False)
    unchanged: Reals = field(repr=False)
    weight: Reals | None = field(default=None, repr=False)

    def take(self, ids: Ints) -> Paired:
        """Those of these rows."""
        kept = np.isin(self.row_id, ids)
        weight = None if self.weight is None else self.weight[kept]
        return Paired(self.row_id[kept], self.recipient[kept], self.arm[kept], self.unchanged[kept], weight)


@dataclass(frozen=True)
class AnswerTable:
    """Computes the rows.

    Attributes
    ----------
    policy : Policy
    followed : mapping of str to Contrasted
        By cue, the contrasts that are followed into the subgroups.
    crossed : tuple of str
        Attributes whose levels are also told label by label.
    """

    policy: Policy
    followed: Mapping[str, Contrasted] = field(default_factory=dict, repr=False)
    crossed: tuple[str, ...] = ()

    def __call__(
        self,
        rows: pd.DataFrame,
        groups: Sequence[Group],
        labels: Sequence[str],
        examples: pd.DataFrame,
        predictions: pd.DataFrame,
        classes: Sequence[str],
    ) -> pd.DataFrame:
        """Rows of ``subgroups`` for usable ``rows``; no rows where no cue is followed."""
        arms: dict[str, Paired] = {}
        if BACKGROUND in self.followed:
            arms = swapped_answers(self.followed[BACKGROUND].observed)
            arms |= plain_arms(plain_answers(examples, predictions, classes))
        told = (ALL, *self.crossed)
        every = make_cells(rows, groups, labels) if self.followed else ()
        cells = [cell for cell in every if cell.label == ALL or cell.attribute in told]
        return pd.DataFrame([line for cell in cells for line in self._cell(rows[cell.member], cell, arms)])

    def _cell(self, members: pd.DataFrame, cell: Cell, arms: Mapping[str, Paired]) -> Iterator[dict[str, Any]]:
        names = {"attribute": cell.attribute, "level": cell.level, "label": cell.label, "origin": cell.origin}
        keys, ids = names | {"n_rows": len(members)}, members["row_id"].to_numpy()
        for cue, item in self.followed.items():
            part = item.observed.take(np.isin(item.observed.row_id, ids))
            for measure, found in self._changes(item, part).items():
                yield keys | {"cue": cue, "measure": measure} | self._columns(found)
        for measure, found in self._accuracies({arm: seen.take(ids) for arm, seen in arms.items()}):
            yield keys | {"cue": BACKGROUND, "measure": measure} | self._columns(found)

    def _changes(self, item: Contrasted, observed: SwapObservations) -> dict[str, Interval]:
        least = None if self.policy.target is None else self.policy.target.material
        seen = row_changes(observed, item.contrast.primary.part, least)
        known: dict[str, Any] = {"level": 1 - self.policy.alpha, "weights": seen.weight}
        found = [logit_t(values, seen.recipient, **known) for values in (seen.other, seen.same)]
        more = mean_t(seen.other - seen.same, seen.recipient, bounds=(-1.0, 1.0), **known)
        return dict(zip(CHANGES, (*found, more), strict=True))

    def _accuracies(self, arms: Mapping[str, Paired]) -> Iterator[tuple[str, Interval]]:
        level = 1 - self.policy.alpha
        for arm, seen in arms.items():
            known: dict[str, Any] = {"level": level, "weights": seen.weight}
            if arm == "other_level":
                yield "accuracy_unchanged", logit_t(seen.unchanged, seen.recipient, **known)
            yield f"accuracy_{arm}", logit_t(seen.arm, seen.recipient, **known)
            change = mean_t(seen.arm - seen.unchanged, seen.recipient, bounds=(-1.0, 1.0), **known)
            yield f"{arm}_minus_unchanged", change

    def _columns(self, interval: Interval) -> dict[str, Any]:
        return estimate_columns(interval, min_clusters=self.policy.min_clusters, alpha=self.policy.alpha)


def swapped_answers(observed: SwapObservations) -> dict[str, Paired]:
    """Answers with a donor of the own level, and the mean over those of the other levels."""
    there = observed.take(observed.own >= 0)
    right = np.asarray(there.swapped[:, 0] == there.label[:, None], dtype=np.float64)
    own = np.take_along_axis(right, there.own[:, None], axis=1)[:, 0]
    other = (right.sum(axis=1) - own) / max(len(observed.levels) - 1, 1)
    known = there.label >= 0
    unchanged = np.where(known & (there.original >= 0), there.original == there.label, np.nan)
    arms = {"same_level": own, "other_level": other}
    return {
        name: Paired(there.row_id, there.recipient, np.where(known, values, np.nan), unchanged, there.weight)
        for name, values in arms.items()
    }


def plain_arms(answers: PlainAnswers) -> dict[str, Paired]:
    """Answers to the object alone and to the background alone; arms that were not run are left out."""
    found = {}
    for arm, key in _PLAIN.items():
        lines = answers.of(*key)
        if len(lines):
            values = (lines[name].to_numpy(dtype=np.float64) for name in ("correct", "own_correct"))
            found[arm] = Paired(lines.index.to_numpy(dtype=np.int64), lines["cluster"].to_numpy(dtype=object), *values)
    return found
