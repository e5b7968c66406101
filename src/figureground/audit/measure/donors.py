"""Who lends a background to whom: the plan of the donor contrast, drawn before any forward pass.

A plan is a table, a pure function of the usable rows and the seed; order, batch size and ranks do not matter.
Recipients and donors are split into two disjoint halves of clusters, and a recipient borrows from its own half only,
so that the effect can be replicated on halves that share no picture at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from figureground.audit.rows.recipients import HALVES

#: Arm of the second donor from the recipient's own level: a new background, but no other kind.
SAME_LEVEL = "(same level)"
#: Columns of a plan.
PLAN = ("row_id", "pass", "half", "stratum", "arm", "donor_row_id")


@dataclass(frozen=True)
class DonorDraw:
    """Draws a donor from every level of the stratum for every recipient and pass.

    Attributes
    ----------
    passes : int
        Independent repetitions, averaged later.
    max_reuse : int
        A donor serves at most this often per half, arm and pass; where a level has too few, recipients are
        subsampled.
    seed : int
    """

    passes: int = 3
    max_reuse: int = 5
    seed: int = 0

    def __call__(self, rows: pd.DataFrame, recipients: pd.Series | None = None) -> pd.DataFrame:
        """The plan.

        Parameters
        ----------
        rows : pandas.DataFrame
            Usable rows that may lend: ``row_id``, ``cluster``, ``label``, ``stratum``, ``half``.
        recipients : pandas.Series of bool, optional
            Which of them may borrow; by default all.

        Returns
        -------
        pandas.DataFrame
            One row per recipient, pass and arm: ``row_id``, ``pass``, ``half``, ``stratum`` (the recipient's own
            level), ``arm`` (a level, or :data:`SAME_LEVEL`), ``donor_row_id``. Recipients without a full tuple of
            donors are left out. Empty with fewer than two levels.
        """
        borrows = pd.Series(True, index=rows.index) if recipients is None else recipients
        rows = rows.assign(borrows=borrows).sort_values("row_id").reset_index(drop=True)
        levels = sorted(rows["stratum"].unique())
        if len(levels) < 2:
            return pd.DataFrame(columns=list(PLAN))
        parts = [
            self._half(rows[rows["half"] == name].reset_index(drop=True), name, code, levels)
            for code, name in enumerate(HALVES)
        ]
        found = pd.concat([part for part in parts if len(part)] or [pd.DataFrame(columns=list(PLAN))])
        return found.sort_values(["row_id", "pass", "arm"], ignore_index=True)

    def _half(self, rows: pd.DataFrame, name: str, code: int, levels: list[str]) -> pd.DataFrame:
        recipients = self._affordable(rows, code, levels)
        if recipients.empty:
            return pd.DataFrame()
        tuples = [
            self._tuple(rows, recipients, code, number, levels).assign(half=name) for number in range(self.passes)
        ]
        return pd.concat(tuples, ignore_index=True)

    def _affordable(self, rows: pd.DataFrame, code: int, levels: list[str]) -> pd.DataFrame:
        """As many recipients as the rarest level can lend to, without one donor serving too often."""
        borrowing = rows[rows["borrows"]].reset_index(drop=True)
        fewest = min(int((rows["stratum"] == level).sum()) for level in levels)
        limit = self.max_reuse * fewest
        if len(borrowing) <= limit:
            return borrowing
        kept = self._rng(code, 0xFF, 0).permutation(len(borrowing))[:limit]
        return borrowing.iloc[np.sort(kept)].reset_index(drop=True)

    def _tuple(
        self, rows: pd.DataFrame, recipients: pd.DataFrame, code: int, number: int, levels: list[str]
    ) -> pd.DataFrame:
        clusters = recipients["cluster"].to_numpy()
        drawn: dict[str, npt.NDArray[np.int64]] = {}
        for index, level in enumerate(levels):
            pool = rows[rows["stratum"] == level]
            drawn[level] = assign(pool, clusters, self._rng(code, number, index))
        drawn[SAME_LEVEL] = self._second_donor(rows, recipients, drawn, code, number)
        complete = np.all([column >= 0 for column in drawn.values()], axis=0)
        base = recipients.loc[complete, ["row_id", "stratum"]].assign(**{"pass": number})
        return pd.concat(
            [base.assign(arm=arm, donor_row_id=column[complete]) for arm, column in drawn.items()], ignore_index=True
        )

    def _second_donor(
        self,
        rows: pd.DataFrame,
        recipients: pd.DataFrame,
        drawn: dict[str, npt.NDArray[np.int64]],
        code: int,
        number: int,
    ) -> npt.NDArray[np.int64]:
        second = np.full(len(recipients), -1, dtype=np.int64)
        cluster_of = rows.set_index("row_id")["cluster"]
        for index, level in enumerate(sorted(drawn)):
            own = np.flatnonzero((recipients["stratum"] == level).to_numpy())
            first = drawn[level][own]
            taken = np.array([cluster_of.get(donor, "") for donor in first], dtype=object)
            pool = rows[rows["stratum"] == level]
            rng = self._rng(code, number, 0x80 + index)
            second[own] = assign(pool, recipients["cluster"].to_numpy()[own], rng, avoid=taken)
        return second

    def _rng(self, *words: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence([self.seed, 0xD0, *words]))


def assign(
    pool: pd.DataFrame,
    clusters: npt.NDArray[np.object_],
    rng: np.random.Generator,
    avoid: npt.NDArray[np.object_] | None = None,
) -> npt.NDArray[np.int64]:
    """A donor of ``pool`` for each recipient, used as evenly as can be; -1 where none fits.

    Parameters
    ----------
    pool : pandas.DataFrame
        ``row_id`` and ``cluster`` of the donors.
    clusters : ndarray of object, [N]
        The recipients' clusters: nobody borrows from its own.
    avoid : ndarray of object, [N], optional
        One more cluster that each recipient must not borrow from.
    """
    n = len(clusters)
    if n == 0 or pool.empty:
        return np.full(n, -1, dtype=np.int64)
    order = np.concatenate([rng.permutation(len(pool)) for _ in range(-(-n // len(pool)))])[:n]
    donor_clusters = pool["cluster"].to_numpy(dtype=object)

    def clash(at: int, donor: int) -> bool:
        found = donor_clusters[donor]
        return bool(found == clusters[at] or (avoid is not None and found == avoid[at]))

    for at in range(n):
        if clash(at, order[at]):
            # Exchange with the next recipient for whom both would do: the donors' counts stay as they are.
            for step in range(1, n):
                other = (at + step) % n
                if not clash(at, order[other]) and not clash(other, order[at]):
                    order[at], order[other] = order[other], order[at]
                    break
    ids = pool["row_id"].to_numpy(dtype=np.int64)[order]
    clashing = np.array([clash(at, order[at]) for at in range(n)])
    return np.where(clashing, np.int64(-1), ids)
