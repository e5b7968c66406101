"""Is this the model that was deployed? Its answers against recorded ones, and which other preprocessing would fit.

A checkpoint that is audited with another order of channels, another range or another normalisation than in use still
answers, plausibly and wrongly, and its audit would be of another model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from figureground.audit.checks.expected import Expected
from figureground.audit.classify.subject import Subject, evaluating
from figureground.audit.declared.target import Target
from figureground.audit.document.audit_json import TrustCheck
from figureground.datasets import manifest
from figureground.datasets.columns import NUMBER
from figureground.datasets.intake import Examples
from figureground.datasets.sources import Source
from figureground.datasets.transforms import Interpolation, Preprocess
from figureground.errors import SubjectError, UsageError

CHECK = "predictions_reconciled"
#: Share of answers that must be the recorded ones: other libraries resize a little otherwise.
LEAST_AGREEMENT = 0.99
#: Images that are compared, and the fewest that say anything.
MAX_IMAGES, MIN_IMAGES = 200, 10
#: Images on which every other preprocessing is tried: enough to rank them.
MAX_TRIED = 50
_BATCH, _TOLD = 32, 3
_NAMES, _ANSWER = ("key", "path", "image"), "predicted"
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_PLAIN, _HALF = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclass(frozen=True)
class Recorded:
    """Answers that a model is known to have given.

    Attributes
    ----------
    answers : mapping of str to str
        Name of a class, or a number, by the key or path of a row.
    where : str
        For errors.
    expected : Expected or None
        In place of answers: how many of the labels the model is said to give.
    """

    answers: Mapping[str, str] = field(repr=False)
    where: str
    expected: Expected | None = None

    @classmethod
    def scoring(cls, text: str) -> Recorded:
        """No answers, but what the model is said to score: see :meth:`Expected.parse`."""
        return cls({}, "expect", Expected.parse(text))

    @classmethod
    def read(cls, given: str | Path | pd.DataFrame) -> Recorded:
        """From a table with a column ``predicted`` and one of ``key``, ``path``, ``image``."""
        if isinstance(given, pd.DataFrame):
            where, table = "DataFrame", manifest.as_strings(given)
        else:
            where, table = str(given), manifest.read_manifest(manifest.find_manifest(Path(given)))
        names = [name for name in _NAMES if name in table]
        if not names or _ANSWER not in table:
            raise UsageError(
                "RECORDED",
                where,
                found=f"the columns {', '.join(map(str, table.columns[:8]))}",
                expected=f"{_ANSWER}, and one of {', '.join(_NAMES)}",
                fix="rename the columns",
            )
        known = table[table[_ANSWER] != ""]
        return cls(dict(zip(known[names[0]], known[_ANSWER], strict=True)), where)


@dataclass(frozen=True)
class Variant:
    """Another way to prepare a picture, how it is called, and in how many things it differs from the declared one."""

    name: str
    preprocess: Preprocess
    reversed: bool = False
    changes: int = 1

    def image(self, picture: Any) -> Tensor:
        """What the model would be given, ``[C, H, W]``."""
        pixels = self.preprocess.image(picture)
        return self.preprocess.normalize((pixels.flip(0) if self.reversed else pixels)[None])[0]


def variants(own: Preprocess, *, one_size: bool = False) -> Iterator[Variant]:
    """What differs between a model and its use most often: the pixels, the geometry, or both.

    ``one_size``: all pictures have the same size, so that they can go in as they are stored.
    """
    for geometry, sized in (("", own), *_geometries(own, one_size=one_size)):
        for pixels, read, reversed_ in (("", sized, False), *_pixels(sized)):
            if geometry or pixels:
                names = [name for name in (geometry, pixels) if name]
                yield Variant(", ".join(names), read, reversed_, len(names))


def _pixels(own: Preprocess) -> Iterator[tuple[str, Preprocess, bool]]:
    """Other ranges, normalisations and orders of channels: how they are called, and whether channels are reversed."""
    wide = replace(own, mean=tuple(0.0 for _ in own.mean), std=tuple(1 / 255 for _ in own.std))
    yield "pixels from 0 to 255", wide, False
    if own.channels == 3:
        yield "channels in the order BGR", own, True
        yield "channels in the order BGR, pixels from 0 to 255", wide, True
        for name, (mean, std) in (
            ("pixels in [0, 1], not normalised", _PLAIN),
            ("normalised as ImageNet", _IMAGENET),
            ("normalised to [-1, 1]", _HALF),
        ):
            if (mean, std) != (own.mean, own.std):
                yield name, replace(own, mean=mean, std=std), False


def _geometries(own: Preprocess, *, one_size: bool) -> Iterator[tuple[str, Preprocess]]:
    if own.resize is None:
        return
    if one_size:
        yield "pictures as they are stored", replace(own, resize=None, crop=None)
    other: Interpolation = "bilinear" if own.interpolation == "bicubic" else "bicubic"
    yield f"{other} resizing", replace(own, interpolation=other)
    if isinstance(own.resize, tuple) and own.crop is None:
        yield "shorter side resized, then cropped", replace(own, resize=min(own.resize), crop=own.resize)
    elif own.crop is not None:
        size = (own.crop, own.crop) if isinstance(own.crop, int) else own.crop
        yield "resized to the crop, not cropped", replace(own, resize=size, crop=None)


@dataclass(frozen=True)
class Reconcile:
    """Compares the answers of a subject with recorded ones.

    Attributes
    ----------
    subject : Subject
    source : Source
    recorded : Recorded
    target : Target or None
        Where the answer is a number: it agrees where it differs by less than what is negligible.
    seed : int
        Of the draw of images.
    """

    subject: Subject = field(repr=False)
    source: Source = field(repr=False)
    recorded: Recorded
    target: Target | None = None
    seed: int = 0

    def __call__(self, examples: Examples) -> TrustCheck:
        """The check, passed; raises :class:`SubjectError` where the answers differ, with what would fit better."""
        if self.subject.task.several:
            raise _several(self.recorded.where)
        positions, wanted = self._matched(examples)
        with evaluating(self.subject.module):
            own = self._agreement(Variant("as declared", self.subject.preprocess), positions, wanted)
            if not self._fits(own):
                others = variants(self.subject.preprocess, one_size=len(examples.sizes()) == 1)
                raise self._differ(own, positions, wanted, tuple(others))
        expected, n = self.recorded.expected, len(positions)
        least = LEAST_AGREEMENT if expected is None else expected.accuracy - expected.tolerance
        return TrustCheck(check=CHECK, status="passed", value=own, threshold=least, n=n, reason=None)

    def _fits(self, share: float) -> bool:
        expected = self.recorded.expected
        return share >= LEAST_AGREEMENT if expected is None else expected.holds(share)

    def _matched(self, examples: Examples) -> tuple[list[int], list[str]]:
        """Positions of usable rows with a recorded answer, at most :data:`MAX_IMAGES`, and the answers.

        Where an accuracy is expected, all usable rows and their labels: a share of few is a rough one.
        """
        answers, usable = self.recorded.answers, examples.usable
        if self.recorded.expected is not None:
            labels = usable[NUMBER if self.target is not None else "label"].tolist()
            return usable["position"].astype(int).tolist(), labels
        names = usable[list(_NAMES)].to_numpy(dtype=object)
        given = [next((answers[name] for name in row if name in answers), None) for row in names]
        positions = usable["position"].astype(int).tolist()
        found = [(at, answer) for at, answer in zip(positions, given, strict=True) if answer is not None]
        if len(found) < MIN_IMAGES:
            raise UsageError(
                "RECORDED",
                self.recorded.where,
                found=f"answers for {len(found)} of {len(usable)} usable images, of {len(answers)} recorded",
                expected=f"answers for {MIN_IMAGES} or more, named by key or path as in the data",
                fix="name the images as the manifest does",
            )
        rng = np.random.default_rng(np.random.SeedSequence([self.seed, 0x4E]))
        chosen = [found[at] for at in rng.permutation(len(found))[:MAX_IMAGES]]
        return [position for position, _ in chosen], [answer for _, answer in chosen]

    def _agreement(self, variant: Variant, positions: list[int], wanted: list[str]) -> float:
        """Share of the answers that are the recorded ones, in [0, 1]."""
        hits = 0
        for start in range(0, len(positions), _BATCH):
            part = slice(start, start + _BATCH)
            images = torch.stack([variant.image(self.source.pixels(position).image) for position in positions[part]])
            with torch.no_grad():
                logits = self.subject.module(images).double()
            hits += sum(self._agrees(*pair) for pair in zip(logits, wanted[part], strict=True))
        return hits / len(positions)

    def _agrees(self, logits: Tensor, wanted: str) -> bool:
        task = self.subject.task
        if self.target is not None:
            number = self.target.number(wanted)
            said = float(logits[1] - logits[0]) + self.target.cut
            return number is not None and abs(said - number) < self.target.negligible
        if task.findings:
            return task.classes[int(logits[1] - logits[0] >= task.offset(task.classes[1]))] == wanted
        return task.classes[int(logits.argmax())] == wanted

    def _differ(self, own: float, positions: list[int], wanted: list[str], others: Sequence[Variant]) -> SubjectError:
        part = positions[:MAX_TRIED], wanted[:MAX_TRIED]
        tried = [(self._agreement(variant, *part), variant) for variant in others]
        # Of those that fit as well, the ones that differ in fewer things come first.
        expected = self.recorded.expected
        if expected is None:
            best = sorted((one for one in tried if one[0] > own), key=lambda one: (-one[0], one[1].changes))[:_TOLD]
        else:
            distance = abs(own - expected.accuracy)
            near = [one for one in tried if abs(one[0] - expected.accuracy) < distance]
            best = sorted(near, key=lambda one: (abs(one[0] - expected.accuracy), one[1].changes))[:_TOLD]
        ranked = "; ".join(f"{variant.name}: {share:.0%}" for share, variant in best)
        strangers = sorted(set(wanted) - set(self.subject.classes)) if self.target is None else []
        foreign = f"; {strangers[0]!r} is no class of the model" if strangers else ""
        found = f"the recorded answer in {own:.0%} of {len(positions)} images{foreign}"
        wanted_share = f"in {LEAST_AGREEMENT:.0%} or more: the model as it is in use"
        if expected is not None:
            found = f"an accuracy of {own:.1%} on {len(positions)} images"
            wanted_share = f"{expected.told}: the model as it is in use, on this data"
        return SubjectError(
            "PREDICTIONS_DIFFER",
            self.recorded.where,
            found=found,
            expected=wanted_share,
            fix=f"what would fit better: {ranked}"
            if ranked
            else f"none of {len(tried)} other preprocessings fits "
            "better: check the weights and the order of the classes",
        )


def not_reconciled() -> TrustCheck:
    """The check where nobody gave recorded answers."""
    reason = "no recorded answers were given"
    return TrustCheck(check=CHECK, status="not_run", value=None, threshold=LEAST_AGREEMENT, n=None, reason=reason)


def _several(where: str) -> UsageError:
    return UsageError(
        "RECORDED",
        where,
        found="a model with several findings",
        expected="one answer for each image",
        fix="compare multi-label models finding by finding, outside; leave --expect-predictions out",
    )
