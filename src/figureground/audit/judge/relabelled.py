"""The false alarms of the audit's own test, on this data: groups are made at random and tested like real ones.

Whole clusters are dealt to groups of the sizes of the run's groups. Nothing can differ between such groups but by
chance, so p should be uniform, and at most a share alpha of the relabellings should have p at or below alpha.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle, islice, zip_longest

import numpy as np
import numpy.typing as npt
import pandas as pd

from figureground.audit.declared.config import Policy
from figureground.audit.document import audit_json as document
from figureground.audit.judge.differences import Units, make_units, permute
from figureground.audit.judge.grouping import Group
from figureground.audit.judge.intervals import FloatArray, IntArray, wilson
from figureground.audit.judge.rows import as_estimate
from figureground.audit.judge.weighing import weights_of

CHECK = "false_alarms"
RELABELLINGS, PERMUTATIONS = 200, 199
#: Beyond so many clusters a seeded sample of them is relabelled.
MAX_CLUSTERS = 1000
#: Of more labels the most frequent: the cost grows with the labels, and rare ones have too few units for a test.
MAX_LABELS = 20
#: Attributes whose sizes are taken, and the levels that they may have: the cost grows with the levels.
MAX_ATTRIBUTES, MAX_LEVELS = 3, 6
#: Measures that are tested.
MAX_MEASURES = 4
#: A share is clearly above alpha where this interval lies above it: one run in thousands by chance.
CLEARLY = 0.9999

Key = tuple[str, str | None, str | None]
#: Units with random levels, and a seed, to one p for each measure, ``[Q]``.
Test = Callable[[Units, int], FloatArray]


def any_level_differs(units: Units, seed: int) -> FloatArray:
    """p of "no level differs" by the permutation test of the audit, ``[Q]``."""
    tested = range(1) if len(units.levels) == 2 else range(len(units.levels))
    return permute(units, tested, seed, PERMUTATIONS).any_level


@dataclass(frozen=True)
class Relabelled:
    """Tests random groups.

    Attributes
    ----------
    policy : Policy
    seed : int
    test : callable
        What is put to the test.
    """

    policy: Policy
    seed: int = 0
    test: Test = field(default=any_level_differs, repr=False)

    def __call__(
        self, rows: pd.DataFrame, groups: Sequence[Group], values: Mapping[Key, pd.Series]
    ) -> document.FalseAlarms | None:
        """None where there is no group, or nothing to compare.

        Parameters
        ----------
        rows : pandas.DataFrame
            Scored usable rows.
        groups : sequence of Group
        values : mapping
            Measure, method and cue to a value for each row, as the group tests compare them.
        """
        kept = {key: values[key] for key in _measured(list(values))}
        drawn = self._drawn(rows)
        groups = _tested(drawn, groups)
        if not groups or not kept:
            return None
        units = _units(drawn, kept)
        sizes = [_codes(drawn, group, units) for group in groups]
        return document.FalseAlarms(
            relabellings=RELABELLINGS,
            permutations=PERMUTATIONS,
            alpha=self.policy.alpha,
            attributes=[group.attribute for group in groups],
            clusters=len(units.level),
            sampled=len(drawn) < len(rows),
            rates=[self._rate(key, p) for key, p in zip(kept, self._p(units, sizes).T, strict=True)],
        )

    def _drawn(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Rows of at most :data:`MAX_CLUSTERS` clusters and the most frequent labels; their order does not matter."""
        if rows["label"].nunique() > MAX_LABELS:
            counts = rows["label"].astype(str).value_counts().sort_index().sort_values(ascending=False, kind="stable")
            rows = rows[rows["label"].astype(str).isin(counts.index[:MAX_LABELS])]
        clusters = np.array(sorted(rows["cluster"].astype(str).unique()), dtype=object)
        if len(clusters) <= MAX_CLUSTERS:
            return rows
        rng = np.random.default_rng(np.random.SeedSequence([self.seed, 0xFA]))
        chosen = rng.choice(clusters, MAX_CLUSTERS, replace=False)
        return rows[rows["cluster"].astype(str).isin(chosen)]

    def _p(self, units: Units, sizes: Sequence[IntArray]) -> FloatArray:
        """p of every relabelling in every measure, ``[R, Q]``."""
        rng = np.random.default_rng(np.random.SeedSequence([self.seed, 0xFB]))
        seeds = rng.integers(0, 2**31, RELABELLINGS).tolist()
        dealt = islice(cycle(sizes), RELABELLINGS)
        pairs = zip(dealt, seeds, strict=True)
        return np.stack([self.test(_dealt(units, rng.permutation(codes)), seed) for codes, seed in pairs])

    def _rate(self, key: Key, p: FloatArray) -> document.AlarmRate:
        measure, method, cue = key
        known = np.sort(p[np.isfinite(p)])
        share = wilson(int((known <= self.policy.alpha + 1e-12).sum()), len(known), 1 - self.policy.alpha)
        estimate = as_estimate(share, min_clusters=1, alpha=self.policy.alpha)
        plain = estimate.model_copy(update={"min_detectable": None, "certifiable": None})
        return document.AlarmRate(measure=measure, method=method, cue=cue, share=plain, p_values=known.tolist())


def check(found: document.FalseAlarms | None) -> document.TrustCheck:
    """Failed where a share lies clearly above alpha, measured by the interval of :data:`CLEARLY`."""
    rates = [] if found is None else [rate for rate in found.rates if rate.share.n]
    if found is None or not rates:
        return document.TrustCheck(
            check=CHECK, status="not_run", value=None, threshold=None, n=None, reason="no_group_to_relabel"
        )
    worst = max(rates, key=lambda rate: rate.share.estimate or 0.0)
    hits, n = round((worst.share.estimate or 0.0) * worst.share.n), worst.share.n
    above = hits / n > _highest(n, found.alpha)
    return document.TrustCheck(
        check=CHECK,
        status="failed" if above else "passed",
        value=worst.share.estimate,
        threshold=_highest(n, found.alpha),
        n=n,
        reason="too_many_false_alarms" if above else None,
    )


def _highest(n: int, alpha: float) -> float:
    """The highest share of n that is not clearly above alpha.

    >>> _highest(200, 0.05)
    0.105
    """
    return max(k for k in range(n + 1) if wilson(k, n, CLEARLY).low <= alpha) / n


def _measured(keys: Sequence[Key]) -> list[Key]:
    """At most :data:`MAX_MEASURES`, the first of every kind before the second of any; a share says what the LDR says.

    >>> _measured([("ldr", "a", None), ("ldr", "b", None), ("contrast", None, "tint"), ("background_share", "a", None)])
    [('ldr', 'a', None), ('contrast', None, 'tint'), ('ldr', 'b', None)]
    """
    kinds: dict[str, list[Key]] = {}
    for key in keys:
        kinds.setdefault(key[0], []).append(key)
    kinds.pop("background_share", None)
    in_turn = (key for turn in zip_longest(*kinds.values()) for key in turn if key is not None)
    return list(islice(in_turn, MAX_MEASURES))


def _tested(rows: pd.DataFrame, groups: Sequence[Group]) -> list[Group]:
    """The first attributes with few levels among these rows."""
    known = [
        group
        for group in groups
        if group.origin != "exploratory" and 2 <= group.values.loc[rows.index].nunique() <= MAX_LEVELS
    ]
    return known[:MAX_ATTRIBUTES]


def _units(rows: pd.DataFrame, values: Mapping[Key, pd.Series]) -> Units:
    """One unit for each cluster, all on one level."""
    frame = pd.DataFrame({at: series.loc[rows.index] for at, series in enumerate(values.values())})
    nowhere = pd.Series("", index=rows.index)
    return make_units(nowhere, rows["label"].astype(str), rows["cluster"].astype(str), frame, weights_of(rows))


def _codes(rows: pd.DataFrame, group: Group, units: Units) -> IntArray:
    """The level of each unit, its commonest one, as a number ``[U]``."""
    levels = group.values.loc[rows.index].astype(str)
    counts = pd.crosstab(rows["cluster"].astype(str), levels).reindex(units.cluster)
    return np.asarray(counts.to_numpy().argmax(axis=1), dtype=np.int64)


def _dealt(units: Units, codes: npt.NDArray[np.integer]) -> Units:
    return replace(units, levels=tuple(map(str, range(int(codes.max()) + 1))), level=codes.astype(np.int64))
