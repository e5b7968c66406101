"""How much more, or less, a model follows a cue than another one: recipients that both audits have, one by one.

For a class, two levels and a part, every common recipient and pass gives the contrast of the second audit minus that
of the first. Their mean has the variance of all clusterings that are in it: recipients, and the donors of both arms of
both audits; where both drew the same donors, those count once. The intervals cover all classes, pairs of levels and
parts at once, so that the one that is looked at may be chosen after the fact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

from figureground.audit.compare.differing import Ruler, of_rows
from figureground.audit.compare.document import Difference
from figureground.audit.document.audit_json import CueVerdict, Direction
from figureground.audit.judge.clustered import cluster_influence, multiway_mean
from figureground.audit.judge.effects import Hypothesis, Scale, limits, scales
from figureground.audit.judge.intervals import Interval
from figureground.audit.judge.multiplicity import max_t
from figureground.audit.judge.observations import WHOLE, Reals, SwapObservations

Codes = npt.NDArray[np.int64]
#: A hypothesis by its names: class, arm, reference, part.
Names = tuple[str, str, str, str]


@dataclass(frozen=True)
class CommonContrast:
    """The contrast of one cue in two audits, on recipients and passes that both have, in the same order.

    Attributes
    ----------
    first, second : SwapObservations
    recipient : ndarray of int64, [N]
        Independent unit.
    first_donor, second_donor : ndarray of int64, [N, E]
        Independent unit of the donor in each arm, in codes that both share.
    weight : ndarray of float64, [N], or None
    """

    first: SwapObservations
    second: SwapObservations
    recipient: Codes = field(repr=False)
    first_donor: Codes = field(repr=False)
    second_donor: Codes = field(repr=False)
    weight: Reals | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls,
        observed: tuple[SwapObservations, SwapObservations],
        rows: pd.DataFrame,
        units: tuple[pd.Series, pd.Series],
    ) -> CommonContrast:
        """Match the observations by the common rows and the number of the pass."""
        places = [
            pd.DataFrame({name: item.row_id, "pass": item.number, f"at_{name}": np.arange(len(item))})
            for item, name in zip(observed, ("first", "second"), strict=True)
        ]
        joined = rows.merge(places[0], on="first").merge(places[1], on=["second", "pass"], suffixes=("", "_second"))
        kept = [
            item.take(joined[name].to_numpy(dtype=np.int64))
            for item, name in zip(observed, ("at_first", "at_second"), strict=True)
        ]
        donors = [_donors(item, unit) for item, unit in zip(kept, units, strict=True)]
        weight = joined["weight"].to_numpy(dtype=np.float64)
        known = None if np.isnan(weight).any() or not len(weight) or np.ptp(weight) == 0 else weight
        recipient = joined["cluster"].to_numpy(dtype=np.int64)
        return cls(kept[0], kept[1], recipient, donors[0], donors[1], known)

    def family(self, scale: Scale) -> Iterator[Names]:
        """Classes, pairs of levels and parts that both audits know; of two classes that are mirror images, one."""
        levels = sorted({*self.first.levels} & {*self.second.levels})
        parts = sorted({*self.first.parts} & {*self.second.parts})
        for part in parts:
            for name in self._classes(scale):
                for arm, reference in combinations(levels, 2):
                    yield name, arm, reference, part

    def _classes(self, scale: Scale) -> list[str]:
        shared = [name for name in self.second.classes if name in self.first.classes]
        if scale in ("log_odds", "native"):
            return shared[1:] if len(self.second.classes) == 2 else shared
        called = {item.classes[at] for item in (self.first, self.second) for at in np.unique(item.swapped) if at >= 0}
        return [name for name in shared if name in called]

    def contrasts(self, names: Names, scale: Scale) -> tuple[Reals, Reals]:
        """The contrast in both audits, float64 ``[N]`` each."""
        one, other = (_hypothesis(item, names).values(item, scale) for item in (self.first, self.second))
        return one, other

    def clusterings(self, names: Names) -> list[Codes]:
        """Recipients, and donors of both arms in both audits; the same donors once."""
        found = [self.recipient]
        for item, donor in ((self.first, self.first_donor), (self.second, self.second_donor)):
            h = _hypothesis(item, names)
            for column in (donor[:, h.arm], donor[:, h.reference]):
                if not any(np.array_equal(column, known) for known in found):
                    found.append(column)
        return found


@dataclass(frozen=True)
class CueRows:
    """Differences of a whole family, with intervals that hold together.

    Attributes
    ----------
    scale : str
    family : tuple of Names
    found : tuple of Difference
        Second minus first, in the family's own orientation.
    sums : tuple of pairs of float
        Bounds of second plus first: an effect is larger than another one whatever the sign of that, where both their
        difference and their sum are above 0.
    """

    scale: Scale
    family: tuple[Names, ...]
    found: tuple[Difference, ...] = field(repr=False)
    sums: tuple[tuple[float, float], ...] = field(repr=False)

    def turned(self, names: Names) -> Difference | None:
        """The difference of a hypothesis in its own orientation; None where it is not in the family."""
        name, arm, reference, part = names
        for known, difference in zip(self.family, self.found, strict=True):
            if known == names:
                return difference
            if known == (name, reference, arm, part):
                return reversed_difference(difference)
        return None

    def together(self, names: Names) -> tuple[float, float] | None:
        """Bounds of the sum of both effects in the orientation of a hypothesis; None where it is not in the family."""
        name, arm, reference, part = names
        for known, (low, high) in zip(self.family, self.sums, strict=True):
            if known == names:
                return low, high
            if known == (name, reference, arm, part):
                return -high, -low
        return None

    def largest(self, which: str) -> Names | None:
        """The hypothesis with the largest effect in one audit ("first" or "second"), turned to be positive."""
        sizes = [getattr(item, which) for item in self.found]
        if not sizes or all(size is None for size in sizes):
            return None
        at = int(np.argmax([abs(size) if size is not None else -1 for size in sizes]))
        name, arm, reference, part = self.family[at]
        return (name, arm, reference, part) if sizes[at] >= 0 else (name, reference, arm, part)


def compare_cue(common: CommonContrast, wanted: Scale, ruler: Ruler, seed: int) -> CueRows:
    """Differences of the whole family of one cue, on the scale wanted or, where logits were not kept, of decisions."""
    both = [scales(item, wanted)[0] for item in (common.first, common.second)]
    scale: Scale = wanted if both == [wanted, wanted] else "decision"
    family = tuple(common.family(scale))
    if not family or not len(common.recipient):
        return CueRows(scale, (), (), ())
    pairs = [common.contrasts(names, scale) for names in family]
    intervals, critical = _simultaneous(common, family, [b - a for a, b in pairs], scale, ruler.level, seed)
    found = [
        of_rows(interval, _means(pair, common.weight), scale, ruler, critical)
        for interval, pair in zip(intervals, pairs, strict=True)
    ]
    added, beyond = _simultaneous(common, family, [b + a for a, b in pairs], scale, ruler.level, seed)
    sums = [item.bounds_at(beyond) if beyond and item.standard_error > 0 else (item.low, item.high) for item in added]
    return CueRows(scale, family, tuple(found), tuple(sums))


def names_of(cue: CueVerdict) -> Names | None:
    """The hypothesis that a verdict names; None where it names none."""
    way = cue.direction
    return None if way is None else (way.class_name, way.arm, way.reference, cue.part or WHOLE)


def direction_of(names: Names) -> tuple[Direction, str | None]:
    """A hypothesis as parts of the document."""
    name, arm, reference, part = names
    return Direction(class_name=name, arm=arm, reference=reference), part if part != WHOLE else None


def reversed_difference(found: Difference) -> Difference:
    """The same with the arms exchanged: every number changes its sign, and the bounds their places."""
    ends = {"first": found.first, "second": found.second, "estimate": found.estimate}
    signs = {name: None if value is None else 0.0 - value for name, value in ends.items()}
    low, high = (None if value is None else 0.0 - value for value in (found.ci_high, found.ci_low))
    return found.model_copy(update={**signs, "ci_low": low, "ci_high": high})


def _donors(observed: SwapObservations, units: pd.Series) -> Codes:
    flat = units.reindex(observed.donor_row.ravel())
    return flat.to_numpy(dtype=np.int64, na_value=-1).reshape(observed.donor_row.shape)


def _hypothesis(observed: SwapObservations, names: Names) -> Hypothesis:
    name, arm, reference, part = names
    return Hypothesis(
        observed.classes.index(name),
        observed.levels.index(arm),
        observed.levels.index(reference),
        observed.parts.index(part),
    )


def _simultaneous(
    common: CommonContrast, family: Sequence[Names], values: Sequence[Reals], scale: Scale, level: float, seed: int
) -> tuple[list[Interval], float | None]:
    """Means of the whole family, and the critical value of the largest of them; None where nothing varies."""
    # A difference, or sum, of two contrasts, each of which lies in [-1, 1].
    bounds = limits(scale, "specific")
    intervals = [
        multiway_mean(one, *common.clusterings(names), level=level, bounds=bounds, weights=common.weight)
        for names, one in zip(family, values, strict=True)
    ]
    varied = [at for at, interval in enumerate(intervals) if interval.standard_error > 0]
    if not varied:
        return intervals, None
    influence = np.column_stack([cluster_influence(values[at], common.recipient, common.weight) for at in varied])
    df = min(intervals[at].df for at in varied)
    return intervals, max_t(influence, df, level, seed).critical


def _means(pair: tuple[Reals, Reals], weight: Reals | None) -> tuple[float, float]:
    first, second = (float(np.average(values, weights=weight)) for values in pair)
    return first, second
