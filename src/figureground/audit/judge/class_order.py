"""Are the names of the classes in another order than the model's outputs? Then it is wrong nearly always, and how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from figureground.audit.declared.config import Policy
from figureground.audit.document import audit_json as document
from figureground.audit.judge.intervals import wilson
from figureground.audit.keeping.tables import ALL


def suspected_order(
    performance: document.Performance, classes: Sequence[str], policy: Policy
) -> Mapping[str, str] | None:
    """By what is predicted, the label that it would have to mean, where that alone makes the model a good one.

    None where there are hardly any independent units, where the answers as named are not clearly worse than always
    naming the commonest label, or where no other order is clearly better than that: both by Wilson intervals. Under the
    best order the most images are answered as labelled (an assignment problem: Kuhn, Naval Research Logistics Quarterly
    2 (1955) 83-97). Names that stay are left out.
    """
    whole = next((one for one in performance.confusion if (one.attribute, one.level) == (ALL, ALL)), None)
    if whole is None or len(whole.counts) != len(classes):
        return None
    counts = np.array(whole.counts, dtype=np.int64)
    total, commonest = int(counts.sum()), int(counts.sum(axis=1).max(initial=0))
    if not total or performance.overall.n_clusters < policy.min_clusters:
        return None
    labels, predicted = (at.tolist() for at in linear_sum_assignment(counts, maximize=True))
    share, level = commonest / total, 1 - policy.alpha
    as_named = wilson(float(np.trace(counts)), total, level)
    reordered = wilson(float(counts[labels, predicted].sum()), total, level)
    if not as_named.high < share < reordered.low:
        return None
    return {classes[said]: classes[meant] for meant, said in zip(labels, predicted, strict=True) if meant != said}
