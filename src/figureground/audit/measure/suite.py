"""Run the donor contrasts: every recipient with the value of each cue that a donor of every level has.

One plan of donors serves all cues of a stream. The tuples are read once per batch; then each cue changes its own part
of the picture in every arm, the control changes something else as much, and nothing but forward passes follows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import nn
from torch.utils.data import Dataset

from figureground.audit.classify.subject import Subject
from figureground.audit.keeping import tables
from figureground.audit.keeping.run_folder import read_table
from figureground.audit.measure.backing_off import take_items
from figureground.audit.measure.donors import SAME_LEVEL
from figureground.audit.measure.prediction_rows import ALL_CLASSES, prediction_rows
from figureground.audit.measure.streaming import Streaming
from figureground.audit.measure.transfers.tuples import Composite, Transfer, Tuples
from figureground.datasets.datamodule import Row, RowReader

#: Cues whose value is not read from a composite but known from the donor: where the object stands and how large it is.
_DONOR_READ = ("object_size", "object_position")


@dataclass(frozen=True)
class TupleDataset(Dataset[dict[str, Any]]):
    """One item per recipient and pass, with the pictures of its whole tuple of donors.

    Attributes
    ----------
    plan : pandas.DataFrame
        From :class:`~figureground.audit.measure.donors.DonorDraw`, wide: ``row_id``, ``pass``, ``half``, ``stratum``
        and one column of donor ids per arm.
    rows : mapping of int to Row
        Usable rows by ``row_id``.
    reader : RowReader
    levels : tuple of str
        Arms; the donors of an item come in this order, then the second donor of the own level.
    masks : bool
        Whether object masks are handed on.
    """

    plan: pd.DataFrame = field(repr=False)
    rows: Mapping[int, Row] = field(repr=False)
    reader: RowReader
    levels: tuple[str, ...]
    masks: bool = True

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, index: int) -> dict[str, Any]:
        item = self._tuple(index)
        if not self.masks:  # where only some rows have masks, none is used: one way of reading for all
            for name in ("has_mask", "donor_has_mask", "mask", "donor_masks"):
                item[name] = torch.zeros_like(item[name])
        return item

    def _tuple(self, index: int) -> dict[str, Any]:
        drawn = self.plan.iloc[index]
        donor_ids = [int(drawn[arm]) for arm in (*self.levels, SAME_LEVEL)]
        recipient = self.reader(self.rows[int(drawn["row_id"])])
        donors = [self.reader(self.rows[donor]) for donor in donor_ids]
        return {
            **{name: recipient[name] for name in ("row_id", "image", "mask", "has_mask", "regions")},
            "donor_images": torch.stack([donor["image"] for donor in donors]),
            "donor_masks": torch.stack([donor["mask"] for donor in donors]),
            "donor_has_mask": torch.stack([donor["has_mask"] for donor in donors]),
            "donor_regions": {
                name: torch.stack([donor["regions"][name] for donor in donors]) for name in recipient["regions"]
            },
            "donor_ids": torch.tensor(donor_ids),
            "pass": torch.tensor(int(drawn["pass"])),
            "own_level": torch.tensor(self.levels.index(drawn["stratum"])),
            "half": torch.tensor(0 if drawn["half"] == "a" else 1),
            "at": torch.tensor(index),
        }


@dataclass(frozen=True)
class CueStep:
    """Batch of tuples to rows of the ``predictions`` table, for all cues of a stream.

    Attributes
    ----------
    subject : Subject
    transfers : mapping of (cue, held) to Transfer
    levels : tuple of str
    seed : int
    kept : mapping of int to sequence of int, or None
        Classes whose logits are stored, by ``row_id``; None: all.
    scorers : mapping of str to scorer
        Reads a cue on composites, for the assay; see :mod:`figureground.audit.measure.scores`.
    scores : mapping of str to pandas.Series
        The same reading of unchanged images, by ``row_id``.
    grid_tuples : int
        A grid is scanned on so many of the tuples, those that come first in the plan's own order.
    spent : list of float
        One entry is added for every forward pass of a batch: how many pictures it had.
    """

    subject: Subject = field(repr=False)
    transfers: Mapping[tuple[str, str | None], Transfer]
    levels: tuple[str, ...]
    seed: int
    kept: Mapping[int, Sequence[int]] | None = field(repr=False)
    scorers: Mapping[str, Any] = field(default_factory=dict, repr=False)
    scores: Mapping[str, pd.Series] = field(default_factory=dict, repr=False)
    grid_tuples: frozenset[int] = frozenset()
    spent: list[int] = field(default_factory=list, repr=False)

    def __call__(self, module: nn.Module, items: dict[str, Any]) -> dict[str, pd.DataFrame]:
        """Table ``predictions`` of one batch."""
        parts: list[pd.DataFrame] = []
        for (cue, held), transfer in self.transfers.items():
            chosen = self._chosen(transfer, items)
            if chosen is not None:
                run = _CueRun(self, module, transfer, chosen, tuples_of(chosen, self.seed), cue, held)
                parts += list(run())
        if not parts:
            return {"predictions": pd.DataFrame(columns=tables.PREDICTIONS.names)}
        return {"predictions": pd.concat(parts, ignore_index=True)}

    def _chosen(self, transfer: Transfer, items: dict[str, Any]) -> dict[str, Any] | None:
        if len(transfer.parts) <= 16:  # an object's own cells are few enough to be tested on all rows of the stream
            return items
        keep = torch.tensor([int(at) in self.grid_tuples for at in items["at"]])
        return take_items(items, keep) if bool(keep.any()) else None


@dataclass(frozen=True)
class _CueRun:
    """One cue on one batch."""

    step: CueStep
    module: nn.Module
    transfer: Transfer
    items: dict[str, Any]
    tuples: Tuples
    cue: str
    held: str | None

    def __call__(self) -> Iterator[pd.DataFrame]:
        levels = self.step.levels
        for part in self.transfer.parts:
            for index, level in enumerate(levels):
                yield self._rows("swap", level, part, index, self.transfer.swap(self.tuples, index, part))
                # With another cue held, only what is left of the effect is asked, not what is specific in it.
                control = None if self.held else self.transfer.control(self.tuples, index, part)
                if control is not None:
                    yield self._rows("control", level, part, index, control)
        if self.held is None and len(self.transfer.parts) == 1:
            last = len(levels)
            yield self._rows("same_level", None, None, last, self.transfer.swap(self.tuples, last, None))
            reference = self.transfer.reference(self.tuples)
            if reference is not None:
                yield self._rows("reference", "own", None, None, reference)

    def _rows(
        self, intervention: str, level: str | None, part: str | None, donor: int | None, composite: Composite
    ) -> pd.DataFrame:
        passes = self.items["pass"].cpu().numpy()
        # An image's own value put back has no donor, so a second pass would be the same again.
        wanted = passes == 0 if intervention == "reference" else np.ones(len(passes), dtype=bool)
        if not wanted.any():
            return pd.DataFrame()
        status = np.array(composite.status, dtype=object)[wanted]
        images = composite.images[torch.from_numpy(wanted)]
        ids = self.items["row_id"].cpu().numpy()[wanted]
        own = [self.step.levels[index] for index in self.items["own_level"].cpu().numpy()[wanted]]
        donors = None if donor is None else self.items["donor_ids"][:, donor].cpu().numpy()[wanted]
        kept = self.step.kept
        return prediction_rows(
            self._logits(images, status == "ok"),
            kept=None if kept is None else [kept[int(row)] for row in ids],
            unusable=status,
            several=self.step.subject.task.several,
            row_id=ids,
            cue=self.cue,
            intervention=intervention,
            arm=own if level is None else level,
            part=part,
            held=self.held,
            dose=1.0,
            donor_row_id=donors,
            score=self._score(composite, wanted, donors, intervention),
            **{"pass": passes[wanted]},
        )

    def _logits(self, images: torch.Tensor, usable: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
        found = np.full((len(images), len(self.step.subject.classes)), np.nan, dtype=np.float32)
        if usable.any():
            with torch.inference_mode():
                shown = self.step.subject.preprocess.normalize(images[torch.from_numpy(usable)])
                found[usable] = self.module(shown).float().cpu().numpy()
            self.step.spent.append(int(usable.sum()))
        return found

    def _score(
        self,
        composite: Composite,
        wanted: npt.NDArray[np.bool_],
        donors: npt.NDArray[np.int64] | None,
        intervention: str,
    ) -> npt.NDArray[np.float64] | None:
        cue, items = self.cue, self.items
        if self.held is not None or cue not in self.step.scores or intervention not in ("swap", "control"):
            return None
        if cue in _DONOR_READ:
            known = donors if intervention == "swap" else items["row_id"].cpu().numpy()[wanted]
            return self.step.scores[cue].reindex(known).to_numpy(dtype=np.float64)
        at = torch.from_numpy(wanted)
        regions = {name: region[at] for name, region in items["regions"].items()}
        halves = np.array(["a", "b"], dtype=object)[items["half"].cpu().numpy()[wanted]]
        read = self.step.scorers[cue].read(
            composite.images[at], items["mask"][at], items["has_mask"][at], regions, halves
        )
        return np.asarray(read, dtype=np.float64)


def tuples_of(items: Mapping[str, Any], seed: int) -> Tuples:
    """A batch of items as :class:`Tuples`."""
    names = ("row_id", "image", "mask", "has_mask", "donor_images", "donor_masks", "donor_has_mask")
    return Tuples(
        **{name: items[name] for name in names},
        number=items["pass"],
        seed=seed,
        regions=items["regions"],
        donor_regions=items["donor_regions"],
    )


@dataclass(frozen=True)
class Suite(Streaming):
    """Streams contrasts into ``predictions/``; maps by cells are made of ``grid_rows`` of them."""

    grid_rows: int

    def __call__(
        self,
        name: str,
        plan: pd.DataFrame,
        transfers: Mapping[tuple[str, str | None], Transfer],
        scorers: Mapping[str, Any],
        scores: Mapping[str, pd.Series],
        title: str,
        *,
        masks: bool = True,
    ) -> int:
        """Run all transfers over a plan; returns the number of forward passes, one picture each.

        Parameters
        ----------
        name : str
            Tells the parts of this stream apart from those of others.
        plan : pandas.DataFrame
            As :class:`~figureground.audit.measure.donors.DonorDraw` gives it.
        transfers : mapping
            ``{(cue, held): transfer}``.
        scorers, scores : mapping
            Readings of the cues for the assay; empty for none.
        title : str
            Shown beside the bar.
        masks : bool
            Whether object masks are used; False where only some rows have them and the cues need none.
        """
        levels = levels_of(plan)
        wide = widen(plan)
        dataset = TupleDataset(wide, self.by_id, self.reader, levels, masks)
        step = CueStep(
            self.subject,
            transfers,
            levels,
            self.seed,
            self._kept(),
            scorers,
            scores,
            frozenset(self._grid(len(wide))),
        )
        self.run(step, dataset, wide["row_id"], name, step.spent, title)
        return sum(step.spent)

    def _grid(self, n: int) -> list[int]:
        rng = np.random.default_rng(np.random.SeedSequence([self.seed, 0x6D]))
        return [int(at) for at in rng.permutation(n)[: self.grid_rows]]

    def _kept(self) -> Mapping[int, Sequence[int]] | None:
        if len(self.subject.classes) <= ALL_CLASSES or self.subject.task.several:
            return None
        base = read_table(self.folder.path, "predictions")
        return dict(zip(base["row_id"], base["classes"], strict=True))


def levels_of(plan: pd.DataFrame) -> tuple[str, ...]:
    """The arms of a plan, sorted, without the second donor of the own level."""
    return tuple(sorted(arm for arm in plan["arm"].unique() if arm != SAME_LEVEL))


def widen(plan: pd.DataFrame) -> pd.DataFrame:
    """One row per recipient and pass, one column of donor ids per arm."""
    keys = ["row_id", "pass", "half", "stratum"]
    return (
        plan.pivot(index=keys, columns="arm", values="donor_row_id")
        .reset_index()
        .sort_values(["row_id", "pass"], ignore_index=True)
    )
