"""How long an audit will take: a warm-up on a few images gives the pace, the plan of the suite gives the work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import default_collate

from figureground.audit.classify.subject import Subject, evaluating
from figureground.audit.declared.config import METHODS, AuditConfig, Policy
from figureground.audit.declared.cues import BACKGROUND, cue_spec
from figureground.audit.explain.choosing import choose_explainer
from figureground.audit.explain.own import OwnMethod
from figureground.audit.explain.several import Several
from figureground.audit.measure.transfers.registry import transfer_for
from figureground.audit.measure.transfers.tuples import Tuples
from figureground.audit.stages.faster import PROBE_ROWS, faster
from figureground.datasets.datamodule import Row, RowLost, RowReader
from figureground.datasets.images import RowFault

#: Images that the warm-up reads and runs.
WARM_UP = 20
#: Of these, images that methods with passes of their own explain.
BESIDE = 4
#: Passes over a picture's files: once at the door, once to measure.
READS = 2
#: The checks of the maps explain each of their few rows about so often.
MAP_ROWS, MAP_PASSES = 64, 30
#: The same for methods that take passes of their own.
FEW_ROWS, FEW_MAP_PASSES = 16, 14
#: Plain interventions on the background and the object, on the policy's ``plain_rows``: pictures a row.
PLAIN, PLAIN_PASSES = "plain", 26
#: Cues with more parts than this are scanned on ``grid_rows`` only.
FEW_PARTS = 16
Timer = Callable[[], float]


@dataclass(frozen=True)
class Work:
    """What there is to do: pictures read, explained, and changed and shown to the model, by cue.

    ``checked`` counts pictures that the checks of the maps explain, by the model as it was given; ``beside`` counts
    pictures explained by methods that take passes of their own, where there are any.
    """

    read: int
    explained: int
    changed: Mapping[str, int]
    beside: int = 0
    checked: int = 0

    @property
    def forwards(self) -> int:
        """Forward passes of changed pictures."""
        return sum(self.changed.values())


@dataclass(frozen=True)
class Pace:
    """Seconds a picture: to read, to explain, and to change (by cue) with the forward pass that follows.

    ``beside`` is what methods with passes of their own take on top; ``check`` is what explaining takes of the model as
    it was given, where a faster copy explains all else (None: none does).
    """

    read: float
    explain: float
    change: Mapping[str, float] = field(repr=False)
    beside: float = 0.0
    check: float | None = None

    def seconds(self, work: Work) -> float:
        """Time to measure; judging and drawing come on top."""
        slowest = max(self.change.values(), default=self.explain)
        changed = sum(n * self.change.get(cue, slowest) for cue, n in work.changed.items())
        checks = (self.explain if self.check is None else self.check) * work.checked
        return self.read * work.read + self.explain * work.explained + checks + self.beside * work.beside + changed


@dataclass(frozen=True)
class Planner:
    """The suite's own plan, in numbers of pictures.

    Attributes
    ----------
    policy : Policy
    parts : mapping of str to int
        Parts of each cue that is to be tested; 1 for one that is changed as a whole.
    levels : int
        Arms of every contrast; below 2 none is run.
    masked : float
        Share of the rows that have masks, in [0, 1].
    """

    policy: Policy
    parts: Mapping[str, int]
    levels: int
    masked: float

    def work(self, rows: int) -> Work:
        """Of an audit of so many rows. Cues that are held while others change are not known beforehand."""
        checked = min(rows, MAP_ROWS) * MAP_PASSES
        changed = {cue: self._changed(cue, n, rows) for cue, n in self.parts.items() if self.levels >= 2}
        if BACKGROUND in self.parts:
            changed[PLAIN] = min(round(rows * self.masked), self.policy.plain_rows) * PLAIN_PASSES
        return Work(READS * rows, rows, changed, rows + min(rows, FEW_ROWS) * FEW_MAP_PASSES, checked)

    def _changed(self, cue: str, parts: int, rows: int) -> int:
        spec, arms = cue_spec(cue), self.levels
        there = round(rows * self.masked) if spec.needs_mask else rows
        if spec.primary:  # every arm and its control, a second donor of the own level; the own background put back once
            return there * (self.policy.passes * (2 * arms + 1) + 1)
        there = min(there, self.policy.secondary_rows)
        if parts == 1:  # an object moved or scaled is also put back where it was
            return there * (2 * arms + 1 + (spec.kind == "geometry"))
        return (there if parts <= FEW_PARTS else min(there, self.policy.grid_rows)) * parts * arms

    def fitting(self, pace: Pace, seconds: float, most: int) -> int:
        """Most rows, up to ``most``, whose work takes no longer; 0 where not even one fits."""
        low, high = 0, most + 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if pace.seconds(self.work(middle)) <= seconds else (low, middle)
        return low


@dataclass(frozen=True)
class WarmUp:
    """Times the work on a few images, on the copy of the model that an audit would run.

    Attributes
    ----------
    subject : Subject
    reader : RowReader
    cues : tuple of str
    timer : callable
        Seconds from any origin, such as :func:`time.perf_counter`.
    config : AuditConfig
        Of which the methods and their settings are looked at.
    own : tuple of OwnMethod
        Methods of the caller's.
    """

    subject: Subject = field(repr=False)
    reader: RowReader = field(repr=False)
    cues: tuple[str, ...]
    timer: Timer = field(repr=False)
    config: AuditConfig = field(default_factory=AuditConfig)
    own: tuple[OwnMethod, ...] = ()

    def __call__(self, rows: Sequence[Row]) -> Pace | None:
        """Pace on the first :data:`WARM_UP` rows that can be read; None where none can."""
        start = self.timer()
        items = list(islice(self._read(rows), WARM_UP))
        read = self.timer() - start
        alike = [item for item in items if item["image"].shape == items[0]["image"].shape]
        if not alike:
            return None
        batch = default_collate(alike)
        with evaluating(self.subject.module):
            fast = self._fast(batch["image"])
            explain = fast._explaining(batch["image"])
            check = self._explaining(batch["image"]) if fast is not self else explain
            change = {cue: fast._timed(cue, batch) / len(alike) for cue in self._possible(batch)}
            beside = fast._beside(batch["image"][:BESIDE])
        return Pace(read / len(items), explain, change, beside, check)

    def _fast(self, pictures: Tensor) -> WarmUp:
        """The same over the faster copy, where there is one; itself otherwise."""
        images = self._shown(pictures)
        chosen = choose_explainer(self.subject.module, images[:1], self.subject.access, self.config, self.own)
        seen, wanted = replace(self.subject, access=chosen.access), self.config.optimise and not chosen.as_given
        found = faster(seen, chosen.layer, images[:PROBE_ROWS], wanted)
        return replace(self, subject=found.subject) if found.what.steps else self

    def _explaining(self, pictures: Tensor) -> float:
        """Seconds a picture."""
        self._explain(pictures[:1])
        start = self.timer()
        self._explain(pictures)
        return (self.timer() - start) / len(pictures)

    def _read(self, rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
        for row in rows:
            try:
                yield self.reader(row)
            except (RowFault, RowLost):
                continue  # it is told at the door, with its reason

    def _explain(self, pictures: Tensor) -> None:
        images = self._shown(pictures)
        # Grad-CAM reads what the same two passes leave, so that it takes no time of its own.
        looking = AuditConfig(methods=("saliency",))
        explaining = choose_explainer(self.subject.module, images[:1], self.subject.access, looking)
        with torch.enable_grad():
            explaining.explainer(self.subject.module, images)

    def _beside(self, pictures: Tensor) -> float:
        """Seconds a picture that methods with passes of their own take; 0 where there are none."""
        if set(self.config.methods) <= set(METHODS) and not self.own:
            return 0.0
        images = self._shown(pictures)
        explaining = choose_explainer(self.subject.module, images[:1], self.subject.access, self.config, self.own)
        alone = explaining.parts[-1]
        if not isinstance(alone.explainer, Several):
            return 0.0
        start = self.timer()
        alone.explainer(self.subject.module, images)
        return (self.timer() - start) / len(images)

    def _shown(self, pictures: Tensor) -> Tensor:
        device = next((p.device for p in self.subject.module.parameters()), torch.device("cpu"))
        return self.subject.preprocess.normalize(pictures).to(device)

    def _possible(self, batch: Mapping[str, Any]) -> list[str]:
        grey = self.subject.preprocess.channels == 1
        masked = bool(batch["has_mask"].all())
        return [cue for cue in self.cues if (masked or not cue_spec(cue).needs_mask) and not (grey and cue == "tint")]

    def _timed(self, cue: str, batch: Mapping[str, Any]) -> float:
        height, width = batch["image"].shape[-2:]
        transfer, tuples = transfer_for(cue, height=height, width=width), neighbours(batch)
        start = self.timer()
        composite = transfer.swap(tuples, 0, transfer.parts[0])
        with torch.inference_mode():
            self.subject.module(self._shown(composite.images))
        return self.timer() - start


def neighbours(batch: Mapping[str, Any]) -> Tuples:
    """Every image with the next two of the batch as its donors: one arm, and a second donor of the own level."""
    turned = {name: _next_two(batch[name]) for name in ("image", "mask", "has_mask")}
    return Tuples(
        row_id=batch["row_id"],
        number=torch.zeros(len(batch["row_id"]), dtype=torch.int64),
        seed=0,
        image=batch["image"],
        mask=batch["mask"],
        has_mask=batch["has_mask"],
        donor_images=turned["image"],
        donor_masks=turned["mask"],
        donor_has_mask=turned["has_mask"],
        regions=batch["regions"],
        donor_regions={name: _next_two(region) for name, region in batch["regions"].items()},
    )


def _next_two(values: Tensor) -> Tensor:
    return torch.stack([torch.roll(values, turn, dims=0) for turn in (1, 2)], dim=1)


def parts_of(cues: Sequence[str]) -> dict[str, int]:
    """Number of parts of each cue; it does not depend on the size of the pictures."""
    return {cue: len(transfer_for(cue, height=64, width=64).parts) for cue in cues}


def in_words(seconds: float) -> str:
    """A duration to two digits: ``40 s``, ``12 min``, ``3.5 h``.

    Examples
    --------
    >>> in_words(41.2), in_words(725), in_words(12600)
    ('41 s', '12 min', '3.5 h')
    """
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def some_rows(candidates: Any, seed: int) -> tuple[int, ...]:
    """Positions of the rows that a warm-up tries, in a seeded order: twice as many as it needs."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0x77]))
    return tuple(int(at) for at in rng.permutation(np.asarray(candidates))[: 2 * WARM_UP])
