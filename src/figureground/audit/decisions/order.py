"""The order of explaining single decisions: read, probe, make the sheets, look inside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product

from figureground.audit.checks.probing import probed
from figureground.audit.classify.subject import Subject, evaluating
from figureground.audit.decisions.inside import InsideView
from figureground.audit.decisions.single import SheetMaker, Shown, named_classes, read_shown
from figureground.audit.declared.config import AuditConfig, Layout, Policy
from figureground.audit.declared.outputs import declared_task
from figureground.audit.document.sheets import Inside, ModelFacts, SetAside, Sheet
from figureground.audit.explain.units import unit_layer
from figureground.audit.progress import Progress
from figureground.datasets.row_faults import RowFault
from figureground.datasets.sources import Source
from figureground.datasets.table_source import TableSource
from figureground.errors import UsageError


@dataclass(frozen=True)
class Asked:
    """What was asked of the pictures.

    Attributes
    ----------
    config : AuditConfig
        Of which ``methods``, ``layer`` (that of Grad-CAM) and ``layout`` are looked at.
    about : tuple of str or int
        Classes or findings that are explained, by name or place, a sheet for each; empty: what the model predicts.
    layer, layout, channel, top
        As for :class:`~figureground.audit.decisions.inside.InsideView`; None: the inside is not looked at.
    """

    config: AuditConfig
    about: tuple[str | int, ...] = ()
    layer: str | None = None
    layout: Layout | None = None
    channel: int | None = None
    top: int = 9


@dataclass(frozen=True)
class Found:
    """Sheets, pictures without one, and the inside where it was asked for."""

    sheets: tuple[Sheet, ...] = field(repr=False)
    set_aside: tuple[SetAside, ...]
    inside: Inside | None = field(repr=False)
    model: ModelFacts


def explained(
    subject: Subject, policy: Policy, pictures: TableSource, asked: Asked, over: Source | None, progress: Progress
) -> Found:
    """Explain every picture of a source that can be read.

    Raises
    ------
    SubjectError
        The probes say that nothing can be computed.
    UsageError
        A class, a layer or a channel is named that the model does not have; or the inside is asked for of a model of
        which only answers can be had.
    """
    subject = replace(subject, thresholds=declared_task(subject.task, policy).thresholds)
    about = named_classes(asked.about, subject.classes) or (None,)
    read = list(_read(pictures, subject))
    shown = [each for each in read if isinstance(each, Shown)]
    lost = [each for each in read if isinstance(each, SetAside)]
    if not shown:
        return Found((), tuple(lost), None, _facts(subject))
    with evaluating(subject.module):
        seen = probed(subject, subject.preprocess.normalize(shown[0].image[None]), asked.config)
        _check_layers(asked.layer, seen.subject)
        makers = [SheetMaker(seen.subject, seen.explaining.explainer, one) for one in about]
        made = list(_made(makers, shown, progress))
        inside = None if asked.layer is None else _inside(seen.subject, shown, asked, asked.layer, over, progress)
    sheets = tuple(each for each in made if isinstance(each, Sheet))
    lost += dict.fromkeys(each for each in made if isinstance(each, SetAside))  # once, for however many classes
    return Found(sheets, tuple(lost), inside, _facts(seen.subject))


def _read(source: TableSource, subject: Subject) -> Iterator[Shown | SetAside]:
    for at, name in enumerate(source.table()["path"].tolist()):
        try:
            yield read_shown(source, at, name, subject)
        except RowFault as fault:
            yield SetAside(name, fault.reason, fault.detail)


def _made(makers: list[SheetMaker], shown: list[Shown], progress: Progress) -> Iterator[Sheet | SetAside]:
    with progress("sheets", len(shown) * len(makers)) as advance:
        for each, make in product(shown, makers):
            try:
                yield make(each)
            except RowFault as fault:
                yield SetAside(each.name, fault.reason, fault.detail)
            advance(1)


def _inside(
    subject: Subject, shown: list[Shown], asked: Asked, layer: str, over: Source | None, progress: Progress
) -> Inside:
    view = InsideView(subject, unit_layer(subject.module, layer, asked.layout), asked.channel, asked.top)
    return view(shown, over, progress)


def _check_layers(layer: str | None, subject: Subject) -> None:
    if layer is None or subject.access == "layers":
        return
    had = "its answers alone" if subject.access == "answers" else "its answers and their gradients"
    raise UsageError(
        "LAYER_NONE",
        f"layer {layer}",
        found=f"a model of which {had} can be had",
        expected="a torch module, whose layers can be looked at",
        fix="leave --layer out, or give the weights and --model-class",
    )


def _facts(subject: Subject) -> ModelFacts:
    return ModelFacts(
        subject.architecture, subject.sha256, subject.classes, subject.access, subject.preprocessing_source
    )
