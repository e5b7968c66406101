"""Is a difference in where the maps look a difference of objects? LDR differences with what may stand behind them held.

Two rows for every LDR difference whose interval leaves out 0:

- ``group_difference_correct``: the same difference among images that were answered as labelled.
- ``group_difference_adjusted``: coefficient of the level in a regression of LDR on level, label, correctness, the logit
  of the object's area, and its eccentricity where it was measured; standard error by a cluster bootstrap. Its
  ``reason`` is ``confounded_by_object_size`` where size and place take more than half of the difference away or turn
  its sign, ``confounded_by_correctness`` where correctness alone does, and ``object_size_only`` where eccentricity is
  not known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special
from sklearn.linear_model import LinearRegression

from figureground.audit.declared.config import Policy
from figureground.audit.judge.differences import Difference, Units, difference, make_units
from figureground.audit.judge.influence import welch_p
from figureground.audit.judge.intervals import FloatArray, Interval, cluster_codes, t_bounds
from figureground.audit.judge.rows import estimate_columns
from figureground.audit.judge.weighing import weights_of

REDRAWS = 300
#: A difference that keeps less than this share of itself is taken to be of something else.
_KEPT = 0.5
_EPS = 1e-4
#: Columns of the object's size and place.
_SIZE = "object_"


@dataclass(frozen=True)
class Confounders:
    """Computes both rows for the levels that differ.

    Attributes
    ----------
    policy : Policy
    seed : int
    """

    policy: Policy
    seed: int

    def __call__(
        self,
        rows: pd.DataFrame,
        levels: pd.Series,
        ldr: pd.Series,
        units: Units,
        differing: Mapping[int, Difference],
        measure: int,
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Level and columns; ``rows`` may have ``object_eccentricity``."""
        right = rows["correct"] == 1
        for level, one in differing.items():
            yield level, self._correct(rows[right], levels[right], ldr[right], units.levels[level])
            yield level, self._adjusted(rows, levels == units.levels[level], ldr, one)

    def _correct(self, rows: pd.DataFrame, levels: pd.Series, ldr: pd.Series, name: str) -> dict[str, Any]:
        found = Interval(np.nan, np.nan, np.nan, 1 - self.policy.alpha, 0, 0, np.nan, 0.0)
        if name in set(levels) and levels.nunique() > 1:
            labels, clusters = rows["label"].astype(str), rows["cluster"].astype(str)
            units = make_units(levels, labels, clusters, pd.DataFrame({0: ldr}), weights_of(rows))
            found = difference(units, units.levels.index(name), 0, 1 - self.policy.alpha).mean
        return {"test": "group_difference_correct"} | self._columns(found)

    def _adjusted(self, rows: pd.DataFrame, member: pd.Series, ldr: pd.Series, one: Difference) -> dict[str, Any]:
        held, clusters, mass = _design(rows, member, ldr)
        y = held.pop("ldr").to_numpy()
        if not 0 < held["level"].mean() < 1:  # no object size is known on one side
            nothing = Interval(np.nan, np.nan, np.nan, 1 - self.policy.alpha, 0, 0, np.nan, 0.0)
            return {"test": "group_difference_adjusted"} | self._columns(nothing)
        interval = redrawn(held.to_numpy(), y, clusters, 1 - self.policy.alpha, self.seed, mass)
        columns = self._columns(replace(interval, n_clusters=one.mean.n_clusters))
        reason = columns["reason"] or _explained(held, y, mass)
        return {"test": "group_difference_adjusted"} | columns | {"reason": reason}

    def _columns(self, interval: Interval) -> dict[str, Any]:
        p = welch_p(interval)
        return estimate_columns(interval, min_clusters=self.policy.min_clusters, alpha=self.policy.alpha, p_raw=p)


def coefficient(x: FloatArray, y: FloatArray, mass: FloatArray | None = None) -> float:
    """Coefficient of the first column in a regression with intercept, by least squares, weighted by ``mass [N]``."""
    return float(LinearRegression().fit(x, y, sample_weight=mass).coef_[0])


def redrawn(
    x: FloatArray, y: FloatArray, clusters: npt.ArrayLike, level: float, seed: int, mass: FloatArray | None = None
) -> Interval:
    """The first coefficient with t bounds on its standard error over redraws of whole clusters.

    Parameters
    ----------
    x : ndarray
        ``[N, P]``.
    y : ndarray
        ``[N]``.
    clusters : array_like
        ``[N]``.
    level : float
    seed : int
    mass : ndarray, optional
        Design weights ``[N]``.

    Notes
    -----
    A redraw gives every cluster a count; the regression with these weights needs only the sums of products of each
    cluster, so that hundreds of redraws are one matrix product.
    """
    codes = cluster_codes(clusters)
    groups = int(codes.max()) + 1 if len(codes) else 0
    if groups < 2:
        return Interval(np.nan, np.nan, np.nan, level, len(y), groups, np.nan, 0.0)
    drawn = coefficients(x, y, codes, weights(groups, seed), mass)
    error, df = float(drawn.std(ddof=1)), float(groups - 1)
    estimate = coefficient(x, y, mass)
    low, high = t_bounds(estimate, error, df, level)
    return Interval(estimate, low, high, level, len(y), groups, error, df)


@lru_cache(maxsize=4)
def weights(groups: int, seed: int) -> FloatArray:
    """How often each cluster is drawn, ``[B, G]``; the same for every level, so not to be written to."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0xCF]))
    drawn = rng.multinomial(groups, np.full(groups, 1 / groups), size=REDRAWS).astype(np.float64)
    drawn.flags.writeable = False
    return drawn


def coefficients(
    x: FloatArray, y: FloatArray, codes: npt.NDArray[np.int64], drawn: FloatArray, mass: FloatArray | None = None
) -> FloatArray:
    """First coefficients ``[B]`` of regressions with intercept in which cluster g counts ``drawn[b, g]`` times."""
    full = np.column_stack([x, np.ones(len(x)), y])
    columns = full.shape[1]
    weighed = full if mass is None else full * (mass / mass.mean())[:, None]
    products = (weighed[:, :, None] * full[:, None, :]).reshape(len(full), -1)
    by_cluster = np.zeros((drawn.shape[1], products.shape[1]))
    np.add.at(by_cluster, codes, products)
    sums = (drawn @ by_cluster).reshape(len(drawn), columns, columns)
    inverse = np.linalg.pinv(sums[:, :-1, :-1], hermitian=True)
    return np.asarray(np.einsum("bp,bp->b", inverse[:, 0], sums[:, :-1, -1]))


def _design(
    rows: pd.DataFrame, member: pd.Series, ldr: pd.Series
) -> tuple[pd.DataFrame, npt.NDArray[np.object_], FloatArray | None]:
    """Level first, then labels without the last, correctness, size and place; rows without any of them left out."""
    labels = pd.get_dummies(rows["label"].astype(str), dtype=float, prefix="label").iloc[:, :-1]
    area = special.logit(np.clip(rows["object_area"].to_numpy(dtype=float), _EPS, 1 - _EPS))
    parts: dict[str, Any] = {"level": member.astype(float)}
    parts |= {str(name): labels[name] for name in labels}
    parts |= {"correct": rows["correct"].astype(float), "object_area": area, "ldr": ldr}
    if "object_eccentricity" in rows and rows["object_eccentricity"].notna().any():
        parts["object_eccentricity"] = rows["object_eccentricity"].astype(float)
    frame = pd.DataFrame(parts, index=rows.index)
    known = frame.notna().all(axis=1)
    kept = rows[known]
    return frame[known], kept["cluster"].to_numpy(dtype=object), weights_of(kept)


def _explained(held: pd.DataFrame, y: FloatArray, mass: FloatArray | None) -> str | None:
    """What takes the difference away, if anything does."""
    correct = [name for name in held if not str(name).startswith(_SIZE)]
    labels = [name for name in correct if name != "correct"]
    plain, with_correct, with_size = (
        coefficient(held[names].to_numpy(), y, mass) for names in (labels, correct, list(held))
    )
    if _gone(with_correct, plain):
        return "confounded_by_correctness"
    if _gone(with_size, plain):
        return "confounded_by_object_size"
    return None if "object_eccentricity" in held else "object_size_only"


def _gone(value: float, before: float) -> bool:
    return value * before <= 0 or abs(value) < _KEPT * abs(before)
