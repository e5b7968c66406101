"""How much more, or less, of the attribution lies on the background: the same pictures under the same masks.

A model that looks at the background more is not shown to use it more: attribution demonstrates nothing and clears
nothing, and no gate rests on it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from figureground.audit.compare.differing import Ruler, of_rows
from figureground.audit.compare.document import Difference
from figureground.audit.judge.intervals import FloatArray, mean_t
from figureground.audit.methods.reported import reported_in

#: Attribution method and sign.
Method = tuple[str, str]


def shared_methods(first: pd.DataFrame, second: pd.DataFrame) -> list[Method]:
    """Methods that are reported, with their sign, that both tables have."""
    known = [set(zip(table["method"], table["sign"], strict=True)) for table in (first, second)]
    return [method for method in reported_in(second) if all(method in there for there in known)]


def share_differences(
    first: pd.DataFrame, second: pd.DataFrame, common: pd.DataFrame, ruler: Ruler
) -> Iterator[tuple[Method, Difference]]:
    """Share of attribution on the background, second minus first, for each method: t over means of clusters.

    Parameters
    ----------
    first, second : pandas.DataFrame
        ``attributions`` tables.
    common : pandas.DataFrame
        Rows with the same picture and mask.
    """
    for method in shared_methods(first, second):
        sides = [_shares(table, method, common[name]) for table, name in ((first, "first"), (second, "second"))]
        known = np.isfinite(sides[0]) & np.isfinite(sides[1])
        weight = common["weight"].to_numpy(dtype=np.float64)[known]
        weights = None if np.isnan(weight).any() else weight
        interval = mean_t(
            (sides[1] - sides[0])[known],
            common["cluster"].to_numpy()[known],
            ruler.level,
            bounds=(-1.0, 1.0),
            weights=weights,
        )
        means = [_mean(side[known], weights) for side in sides]
        yield method, of_rows(interval, (means[0], means[1]), "share", ruler)


def _shares(table: pd.DataFrame, method: Method, rows: pd.Series) -> FloatArray:
    chosen = table[(table["method"] == method[0]) & (table["sign"] == method[1])]
    shares = chosen.drop_duplicates("row_id").set_index("row_id")["background_share"]
    return shares.reindex(rows).to_numpy(dtype=np.float64)


def _mean(values: FloatArray, weights: FloatArray | None) -> float:
    return float(np.average(values, weights=weights)) if len(values) else float("nan")
