"""Stated probabilities beside what came true, in the bins of the calibration error."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from figureground.audit.declared.config import Policy
from figureground.audit.document import audit_json as document
from figureground.audit.judge.answers import Answers
from figureground.audit.judge.calibration import bin_edges
from figureground.audit.judge.cells import make_cells
from figureground.audit.judge.grouping import Group
from figureground.audit.judge.intervals import FloatArray, cluster_codes
from figureground.audit.judge.measures import stated_and_true
from figureground.audit.judge.performance import accuracy, estimate_of
from figureground.audit.judge.rows import as_estimate
from figureground.audit.keeping.tables import ALL

#: Groups shown beside all images: the worst calibrated, and the best.
WORST, BEST = 2, 1
_Key = tuple[str, str]


def reliability(
    rows: pd.DataFrame, groups: Sequence[Group], answers: Answers, table: pd.DataFrame, policy: Policy
) -> list[document.Reliability]:
    """All images, then the worst calibrated groups, then the best.

    Parameters
    ----------
    rows : pandas.DataFrame
        Scored usable rows, in the order of ``answers``.
    groups : sequence of Group
        Of the run; those asked for later are left aside, so that asking changes no chart.
    answers : Answers
    table : pandas.DataFrame
        Rows of :class:`~figureground.audit.judge.measures.PerformanceTable`, from which the errors are taken.
    policy : Policy
    """
    errors = _rows_of(table, "calibration_error")
    known = errors[errors["estimate"].notna() & (errors["origin"] != "exploratory")]
    nulls = _rows_of(table, "calibration_error_null")
    found = []
    for key in _chosen(known, nulls):
        member = _member(rows, groups, key)
        bins = _bins(answers.take(member), policy)
        error, null = (estimate_of(part.loc[[key]].iloc[0]) for part in (errors, nulls))
        found.append(document.Reliability(attribute=key[0], level=key[1], error=error, null=null, bins=bins))
    return found


def _rows_of(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    found = table[table["measure"] == measure]
    return found.set_index(["attribute", "level"], drop=False)


def _chosen(errors: pd.DataFrame, nulls: pd.DataFrame) -> list[_Key]:
    """Keys by how far the error exceeds that of a calibrated model, which hangs on n."""
    whole = [key for key in errors.index if key[0] == ALL]
    judged = errors[(errors["attribute"] != ALL) & (errors["status"] == "ok")]
    beyond = judged["estimate"].astype(float) - nulls["estimate"].astype(float).reindex(judged.index)
    order = list(beyond.sort_values(ascending=False, kind="stable").index)
    return [*whole, *order[:WORST], *order[WORST:][-BEST:]]


def _member(rows: pd.DataFrame, groups: Sequence[Group], key: _Key) -> npt.NDArray[np.bool_]:
    cells = make_cells(rows, groups, ())
    found = next(cell for cell in cells if (cell.attribute, cell.level) == key)
    return found.member.to_numpy(dtype=bool)


def _bins(answers: Answers, policy: Policy) -> list[document.ReliabilityBin]:
    stated, came = stated_and_true(answers)
    known = np.isfinite(stated) & np.isfinite(came)
    part = answers.take(known)
    return bins_of(stated[known], came[known], part.cluster, policy, part.weight)


def bins_of(
    stated: FloatArray, came: FloatArray, clusters: npt.ArrayLike, policy: Policy, weights: FloatArray | None = None
) -> list[document.ReliabilityBin]:
    """Bins of equal mass, as the calibration error has them; shares with Wilson intervals, widened for clusters.

    Parameters
    ----------
    stated, came : ndarray
        Stated probabilities, and 0 or 1 for what came true; float64 ``[N]``, finite.
    clusters : array_like
        ``[N]``.
    policy : Policy
    weights : ndarray, optional
        Design weights ``[N]``.
    """
    order = np.argsort(stated, kind="stable")
    codes = cluster_codes(np.asarray(clusters, dtype=object))
    found = []
    for start, end in pairwise(bin_edges(len(stated), codes).tolist()):
        at = order[start:end]
        weight = None if weights is None else weights[at]
        observed = accuracy(came[at], codes[at].astype(object), 1 - policy.alpha, weight)
        found.append(
            document.ReliabilityBin(
                low=float(stated[at].min()),
                high=float(stated[at].max()),
                stated=float(np.average(stated[at], weights=weight)),
                observed=as_estimate(observed, min_clusters=1, alpha=policy.alpha),
            )
        )
    return found
