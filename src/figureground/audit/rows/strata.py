"""Which level every row stands for in the donor contrast, in which half it is, and whether it is in the subsample.

A pure function of the ``examples`` table, the seed and, where nothing else names the backgrounds, the model's answers
to the background alone. It is stored as the table ``strata``, so that a stored run can be judged again as it was run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from figureground.audit.keeping.tables import MISSING
from figureground.audit.rows.recipients import has_environment, split_halves

Source = Literal["environment", "label", "prediction"]
#: Objects that cover less or more of the picture than this leave nothing to compare.
MIN_AREA, MAX_AREA = 0.0, 0.98


@dataclass(frozen=True)
class StrataDraw:
    """Makes the table ``strata`` once the levels are known.

    Attributes
    ----------
    subsample : int
        Rows, in whole clusters, on which the cues beyond the background are tested.
    seed : int
    """

    subsample: int
    seed: int

    def __call__(self, rows: pd.DataFrame, source: Source) -> pd.DataFrame:
        """The table, in sorted ``row_id``.

        Parameters
        ----------
        rows : pandas.DataFrame
            ``row_id``, ``cluster``, ``label``, ``stratum``, as one of the functions of this module gives them.
        source : {"environment", "label", "prediction"}
            Where the levels come from.
        """
        rows = rows.sort_values("row_id").reset_index(drop=True)
        return pd.DataFrame(
            {
                "row_id": rows["row_id"],
                "stratum": rows["stratum"].astype(str),
                "source": source,
                "half": split_halves(rows, self.seed),
                "subsample": self._chosen(rows),
            }
        )

    def _chosen(self, rows: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Whole clusters, the same share of every label and stratum, until the rows suffice."""
        if len(rows) <= self.subsample:
            return np.ones(len(rows), dtype=bool)
        first = rows.sort_values(["cluster", "row_id"]).drop_duplicates("cluster")
        size = rows["cluster"].value_counts()
        rng = np.random.default_rng(np.random.SeedSequence([self.seed, 0x5B]))
        turn = first.assign(word=rng.random(len(first))).sort_values("word")
        # Ranked within its cell and spread over (0, 1): sorted by that, every prefix has its share of every cell.
        cells = turn.groupby(["label", "stratum"])["cluster"]
        order = turn.assign(at=(cells.cumcount() + 0.5) / cells.transform("size")).sort_values(["at", "word"])
        taken = order["cluster"].to_numpy()[np.cumsum(size.loc[order["cluster"]].to_numpy()) <= self.subsample]
        return rows["cluster"].isin(taken).to_numpy()


def usable_rows(examples: pd.DataFrame) -> pd.DataFrame:
    """``row_id``, ``cluster``, ``label``, ``environment`` of the usable rows; ``masked``: it has an object.

    An object that covers nothing or (almost) everything leaves nothing to compare.
    """
    area = examples["object_area"].astype(float)
    known = examples["status"] == "ok"
    masked = (area > MIN_AREA) & (area < MAX_AREA)
    return examples.assign(masked=masked)[known][["row_id", "cluster", "label", "environment", "masked"]]


def by_environment(examples: pd.DataFrame) -> pd.DataFrame | None:
    """Rows whose stratum is their environment; None where the data has none.

    An image whose background is of unknown kind can stand for no level.
    """
    if not has_environment(examples):
        return None
    rows = usable_rows(examples)
    rows = rows.assign(stratum=rows["environment"])
    return rows[rows["stratum"].notna() & (rows["stratum"] != MISSING)]


def by_label(examples: pd.DataFrame) -> pd.DataFrame:
    """Rows whose stratum is their label: blind where labels and backgrounds are balanced, so it needs a check."""
    rows = usable_rows(examples)
    return rows.assign(stratum=rows["label"])


def by_prediction(examples: pd.DataFrame, answers: pd.Series, least: int) -> pd.DataFrame | None:
    """Rows whose stratum is the model's answer to their background alone; None where a level is hardly populated.

    Parameters
    ----------
    examples : pandas.DataFrame
    answers : pandas.Series
        Name of the predicted class by ``row_id``; null where there is none.
    least : int
        Clusters that every label must have as an answer.
    """
    rows = usable_rows(examples)
    rows = rows.assign(stratum=answers.reindex(rows["row_id"]).to_numpy(dtype=object))
    rows = rows[rows["stratum"].notna()]
    wanted = sorted(set(rows["label"]))
    populated = rows.groupby("stratum")["cluster"].nunique().reindex(wanted).fillna(0)
    return rows if len(wanted) > 1 and bool((populated >= least).all()) else None
