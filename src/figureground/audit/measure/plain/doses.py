"""Doses and places of the properties of the whole picture: how much it takes, and on what.

A tint is not a background. Where a property of the whole picture moves the model, it is given in two doses to the whole
picture, to the background alone and to the object alone; the null is as much white noise in the same place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pandas as pd
from torch import Tensor, nn

from figureground.audit.declared import plain
from figureground.audit.document import audit_json as document
from figureground.audit.measure.plain.forward import Forward, kept_logits
from figureground.audit.measure.plain.regions import places_of
from figureground.audit.measure.streaming import Streaming
from figureground.audit.measure.suite import TupleDataset, levels_of, tuples_of, widen
from figureground.audit.measure.transfers.looks import Name, noise_of, part_of_the_way
from figureground.audit.measure.transfers.tuples import Composite, Tuples, statuses
from figureground.datasets import compose


@dataclass(frozen=True)
class DoseStep:
    """Batch of tuples to rows of the ``predictions`` table.

    Attributes
    ----------
    forward : Forward
    arms : mapping of str to sequence of str
        Arms that each cue is given in: those of its largest effect.
    levels : tuple of str
        All arms of the plan, in order.
    places : sequence of str
        Of :data:`figureground.audit.declared.plain.DOSE_PLACES`.
    seed : int
    """

    forward: Forward
    arms: Mapping[str, Sequence[str]]
    levels: tuple[str, ...]
    places: Sequence[str]
    seed: int

    def __call__(self, module: nn.Module, items: dict[str, Any]) -> dict[str, pd.DataFrame]:
        """Table ``predictions`` of one batch."""
        tuples, ids = tuples_of(items, self.seed), items["row_id"].cpu().tolist()
        rows = []
        for cue, arm, dose, place, intervention, made in self._composed(tuples):
            donors = items["donor_ids"][:, self.levels.index(arm)].cpu().numpy()
            keys = {"cue": cue, "intervention": intervention, "arm": arm, "part": place, "dose": dose}
            keys |= {"pass": items["pass"].cpu().numpy(), "donor_row_id": donors}
            rows.append(self.forward(module, made.images, made.status, ids, **keys))
        return {"predictions": pd.concat(rows, ignore_index=True)}

    def _composed(self, tuples: Tuples) -> Iterator[tuple[str, str, float, str, str, Composite]]:
        for cue, arms in self.arms.items():
            for arm in arms:
                for dose in plain.DOSES:
                    given = part_of_the_way(cast(Name, cue), tuples, self.levels.index(arm), dose)
                    for place in self.places:
                        yield cue, arm, dose, place, plain.DOSE, in_place(tuples, given, place)
                        yield cue, arm, dose, place, plain.DOSE_NULL, noise_in_place(tuples, given, place)


def in_place(tuples: Tuples, given: Composite, place: str) -> Composite:
    """The changed picture within a place, the recipient's own outside it."""
    where, status = _place(tuples, given, place)
    return Composite(compose.paste(given.images, where, tuples.image), status)


def noise_in_place(tuples: Tuples, given: Composite, place: str) -> Composite:
    """White noise of the same root mean square as the change within the place, in the same place."""
    where, status = _place(tuples, given, place)
    inside = where[:, None].expand_as(tuples.image)
    square = ((given.images - tuples.image).square() * inside).sum(dim=(1, 2, 3))
    amount = (square / inside.sum(dim=(1, 2, 3)).clamp(min=1)).sqrt()
    noisy = (tuples.image + noise_of(tuples) * amount[:, None, None, None]).clamp(0, 1)
    return Composite(compose.paste(noisy, where, tuples.image), status)


def _place(tuples: Tuples, given: Composite, place: str) -> tuple[Tensor, tuple[str, ...]]:
    places, faults = places_of(tuples.mask, tuples.has_mask)
    found = () if place == plain.ON_WHOLE else statuses(*faults, n=len(tuples))
    status = tuple(b if a == "ok" else a for a, b in zip(given.status, found, strict=True)) if found else given.status
    return places[place], status


@dataclass(frozen=True)
class DoseStage(Streaming):
    """Streams doses and places into ``predictions/``."""

    def __call__(self, plan: pd.DataFrame, arms: Mapping[str, Sequence[str]], *, masks: bool) -> document.StageCost:
        """Run them over a plan of donors.

        Parameters
        ----------
        plan : pandas.DataFrame
            As :class:`~figureground.audit.measure.donors.DonorDraw` gives it, for the rows of the sample only.
        arms : mapping
            The arms of each cue that moves the model.
        masks : bool
            Whether there are object masks; without them only the whole picture is changed.
        """
        forward = Forward(self.subject, kept_logits(self.subject, self.folder))
        if len(plan) and arms:
            self._stream(plan, arms, masks, forward)
        images = plan["row_id"].nunique() if arms else 0
        return document.StageCost(stage="dose response", images=images, forward_equivalents=float(sum(forward.spent)))

    def _stream(self, plan: pd.DataFrame, arms: Mapping[str, Sequence[str]], masks: bool, forward: Forward) -> None:
        wide, levels = widen(plan), levels_of(plan)
        dataset = TupleDataset(wide, self.by_id, self.reader, levels, masks)
        step = DoseStep(forward, arms, levels, plain.DOSE_PLACES if masks else (plain.ON_WHOLE,), self.seed)
        self.run(step, dataset, wide["row_id"], "dose", forward.spent, "Doses and places")
