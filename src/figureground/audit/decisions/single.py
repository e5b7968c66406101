"""One decision: read, explained, and asked what would change it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

import torch
from torch import Tensor

from figureground.audit.classify.subject import Subject
from figureground.audit.document.sheets import ILLUSTRATIONS, Covering, MapShown, Sheet
from figureground.audit.explain.agreement import agreements
from figureground.audit.explain.covering import FILLS, Coverer, pixels
from figureground.audit.explain.decisions import Decisions
from figureground.audit.explain.explanation import Explainer, Explanation
from figureground.audit.methods.reported import REPORTED
from figureground.datasets.columns import OBJECT
from figureground.datasets.intake import Intake
from figureground.datasets.pixels import mask_status
from figureground.datasets.row_faults import RowFault
from figureground.datasets.sources import Source
from figureground.errors import UsageError

#: What the map of the blurred grid is called: it needs answers alone, so that every model has a second map.
COVERED = "blurred_cells"


@dataclass(frozen=True)
class Shown:
    """A picture as the model is shown it: float ``[C, H, W]`` in [0, 1], with its mask uint8 ``[H, W]`` if any."""

    name: str
    sha256: str
    image: Tensor = field(repr=False)
    mask: Tensor | None = field(repr=False)
    mask_status: str
    notes: tuple[str, ...] = ()


def read_shown(source: Source, position: int, name: str, subject: Subject) -> Shown:
    """A picture by the audit's own reading; raises :class:`RowFault` where the audit would set it aside."""
    found = Intake(subject.classes, preprocess=subject.preprocess).read(source, {"label": "unasked"}, position)
    if found["status"] != "ok":
        raise RowFault(str(found["reason"]), str(found["detail"]))
    read = source.pixels(position)
    status = mask_status(read, subject.preprocess)
    mask = subject.preprocess.mask(read.mask) if read.mask is not None and status == "ok" else None
    image = subject.preprocess.image(read.image)
    return Shown(name, read.sha256, image, mask, status, read.notes)


@dataclass(frozen=True)
class SheetMaker:
    """Makes the sheet of one picture.

    Attributes
    ----------
    subject : Subject
        Its module in evaluation mode.
    explainer : Explainer
        Any: what it hands over is shown, one sign of each method.
    about : str or None
        The class or finding that is explained; by default the predicted class, or the most probable finding.
    answers : int
        How many of the most probable classes are listed.
    """

    subject: Subject
    explainer: Explainer
    about: str | None = None
    answers: int = 5

    def __call__(self, shown: Shown) -> Sheet:
        """The sheet; raises :class:`RowFault` where the model gives no numbers for the picture."""
        subject, inputs = self.subject, self.subject.preprocess.normalize(shown.image[None])
        coverer = Coverer(subject.module, subject.preprocess, Decisions(subject.task))
        logits = coverer.ask(shown.image[None])
        if not bool(logits.isfinite().all()):
            raise RowFault("nonfinite_logits", "the model gives NaN or infinity for this picture")
        target = self._target(logits[0])
        decisions = Decisions(subject.task, target if subject.task.several else None)
        coverer = Coverer(subject.module, subject.preprocess, decisions)
        explained = self.explainer(subject.module, inputs, torch.tensor([target]))
        coverings = tuple(coverer.cover(shown.image, fill) for fill in FILLS)
        maps = (*shown_maps(explained), _covered_map(coverings[-1], shown.image))
        return Sheet(
            shown.name,
            shown.sha256,
            pixels(shown.image),
            subject.task.several,
            decisions.said(logits[0]),
            decisions.most_probable(logits[0], self.answers),
            subject.classes[target],
            maps,
            agreements(maps),
            coverings,
            () if shown.mask is None else coverer.parts(shown.image, shown.mask),
            None if shown.mask is None else (shown.mask == OBJECT).numpy(),
            shown.mask_status,
            shown.notes,
        )

    def _target(self, logits: Tensor) -> int:
        if self.about is None:
            decisions = Decisions(self.subject.task)
            if self.subject.task.several:
                return int(decisions.probabilities(logits[None])[0].argmax())
            return int(decisions.answers(logits[None])[0])
        return self.subject.classes.index(self.about)


def named_classes(about: Sequence[str | int], classes: Sequence[str]) -> tuple[str, ...]:
    """The classes or findings that are meant, each once, in the order in which they were named.

    Each is given by its name or by its place among the outputs, from 0. A text is taken for a name first, and for a
    place where no class has that name; an integer is a place.

    Raises
    ------
    UsageError
        The model has no such class; the nearest names are told.

    Examples
    --------
    >>> named_classes(["dog", 0, "1"], ("cat", "dog"))
    ('dog', 'cat')
    """
    return tuple(dict.fromkeys(_named(one, classes) for one in about))


def _named(about: str | int, classes: Sequence[str]) -> str:
    if isinstance(about, str) and about in classes:
        return about
    if str(about).isdecimal() and int(about) < len(classes):
        return classes[int(about)]
    near = get_close_matches(str(about), classes, n=3, cutoff=0.4)
    some = f"{', '.join(classes[:12])}{', ...' if len(classes) > 12 else ''}"
    raise UsageError(
        "ABOUT",
        "about",
        found=repr(about),
        expected=f"one of {some}, or its place from 0 to {len(classes) - 1}",
        fix=f"did you mean {', '.join(map(repr, near))}?" if near else "name one of the model's classes",
    )


def shown_maps(explained: Explanation) -> tuple[MapShown, ...]:
    """One map for each method, in the sign that reports show, else in the first that there is."""
    chosen: dict[str, tuple[str, str]] = {}
    for key in explained.maps:
        if key in REPORTED or key[0] not in chosen:
            chosen[key[0]] = key
    return tuple(_shown(explained, key) for key in chosen.values())


def _shown(explained: Explanation, key: tuple[str, str]) -> MapShown:
    method, sign = key
    signed = explained.native[method][0].float()
    cells = (signed.abs() if sign == "absolute" else signed.clamp(min=0)).numpy()
    layer = explained.layers.get(method, "input")
    return MapShown(method, explained.maps[key][0].float().numpy(), cells, layer, method in ILLUSTRATIONS)


def _covered_map(covering: Covering, image: Tensor) -> MapShown:
    cells = torch.from_numpy(covering.falls).clamp(min=0)
    grown = torch.nn.functional.interpolate(cells[None, None], size=image.shape[-2:], mode="bilinear")[0, 0]
    return MapShown(COVERED, grown.clamp(min=0).numpy(), cells.numpy(), "input")
