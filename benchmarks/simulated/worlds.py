"""Data sets whose true effects are known: clusters, the real draw of donors, answers with crossed random effects."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pandas as pd
from numpy.polynomial.hermite_e import hermegauss

from figureground.audit.measure.donors import SAME_LEVEL, DonorDraw
from figureground.audit.rows.recipients import split_halves

LEVELS = ("grass", "gravel", "sand")
#: Images per cluster and intraclass correlation of the differences between arms.
DESIGNS = {
    "1 image": ("one", 0.0),
    "4 images, ICC 0": ("four", 0.0),
    "4 images, ICC 0.5": ("four", 0.5),
    "1 to 12 images, ICC 0.5": ("unequal", 0.5),
}
#: Logits per standard deviation of the latent answer.
STEEP = 3.0
#: Variance of the latent answer: the object, how it takes to a level, the donor, and the rest.
OBJECT, REACTION, DONOR, REST = 0.30, 0.35, 0.15, 0.20


@dataclass(frozen=True)
class Plan:
    """Who lends to whom, as positions of rows.

    Attributes
    ----------
    cluster : ndarray of int64, [n]
    recipient : ndarray of int64, [N]
    donor : ndarray of int64, [N, E]
    half : ndarray of bool, [N]
    """

    n_clusters: int
    cluster: np.ndarray = field(repr=False)
    recipient: np.ndarray = field(repr=False)
    donor: np.ndarray = field(repr=False)
    half: np.ndarray = field(repr=False)

    def codes(self, arm: int, reference: int, keep: np.ndarray) -> list[np.ndarray]:
        """Clusters of recipients and of the donors of both arms."""
        parts = (self.recipient, self.donor[:, arm], self.donor[:, reference])
        return [self.cluster[part][keep] for part in parts]


def cluster_sizes(kind: str, groups: int, rng: np.random.Generator) -> np.ndarray:
    """Images per cluster."""
    if kind == "unequal":
        return np.minimum(rng.geometric(0.35, groups), 12)
    return np.full(groups, 4 if kind == "four" else 1)


@cache
def draw_plan(groups: int, kind: str, seed: int, levels: int = 2) -> Plan | None:
    """The plan that the audit itself would draw; None where so few clusters leave no full tuple of donors."""
    rng = np.random.default_rng([seed, groups, levels])
    cluster = np.repeat(np.arange(groups), cluster_sizes(kind, groups, rng))
    rows = pd.DataFrame(
        {
            "row_id": np.sort(rng.choice(2**62, len(cluster), replace=False)),
            "cluster": [f"c{code:04d}" for code in cluster],
            "label": ((cluster // levels) % 2).astype(str),
            "stratum": np.array(LEVELS)[cluster % levels],
        }
    )
    rows["half"] = split_halves(rows, seed)
    table = DonorDraw(passes=3, max_reuse=5, seed=seed)(rows)
    if table.empty:
        return None
    swaps = table[table["arm"] != SAME_LEVEL]
    wide = swaps.pivot(index=["row_id", "pass"], columns="arm", values="donor_row_id")[list(LEVELS[:levels])]
    place = pd.Series(np.arange(len(rows)), index=rows["row_id"])
    recipient = place[wide.index.get_level_values("row_id")].to_numpy()
    donor = place[wide.to_numpy().ravel()].to_numpy().reshape(wide.shape)
    return Plan(groups, cluster, recipient, donor, (rows["half"] == "b").to_numpy()[recipient])


def latent(plan: Plan, copies: int, icc: float, rng: np.random.Generator) -> np.ndarray:
    """Standard normal latent answers of ``copies`` data sets, ``[N, copies, E]``.

    An object takes to a level in its own way; a donor's strength is shared by all whom it serves. With ``icc`` all
    of a reaction belongs to the cluster, which makes the intraclass correlation of differences 0.5.
    """
    n, arms = len(plan.cluster), plan.donor.shape[1]

    def nested(variance: float, share: float, *shape: int) -> np.ndarray:
        common = rng.standard_normal((plan.n_clusters, copies, *shape))[plan.cluster] * np.sqrt(variance * share)
        return common + rng.standard_normal((n, copies, *shape)) * np.sqrt(variance * (1 - share))

    things, reaction = nested(OBJECT, icc), nested(REACTION, float(icc > 0), arms)
    lent = nested(DONOR, icc)
    rest = rng.standard_normal((len(plan.recipient), copies, arms)) * np.sqrt(REST)
    donors = np.stack([lent[plan.donor[:, arm]] for arm in range(arms)], axis=2)
    return things[plan.recipient][:, :, None] + reaction[plan.recipient] + donors + rest


def mean_probability(threshold: float) -> float:
    """Mean of the model's probability where its log-odds are ``STEEP (threshold - z)``, z standard normal."""
    points, weights = hermegauss(80)
    return float((weights / (1 + np.exp(-STEEP * (threshold - points)))).sum() / weights.sum())
