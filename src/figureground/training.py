"""Train a classifier, from whatever an audit takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

if TYPE_CHECKING:
    from figureground.audit.classify.module import Classifier
    from figureground.audit.classify.train import TrainConfig
    from figureground.datasets.decoding import DecodingOptions
    from figureground.datasets.findings import Uncertain
    from figureground.datasets.transforms import Preprocess


def train_classifier(
    data: Any,
    *,
    out: str | Path | None = None,
    classes: Sequence[str] | None = None,
    columns: Mapping[str, str] | None = None,
    attributes: Any | None = None,
    on: str | None = None,
    dedupe: bool = False,
    normalized: tuple[Sequence[float], Sequence[float]] | None = None,
    root: str | Path | None = None,
    split: str | None = None,
    preprocess: Preprocess | None = None,
    uncertain: Uncertain | None = None,
    thresholds: Mapping[str, float] | None = None,
    config: TrainConfig | None = None,
    progress: bool = False,
    **files: Unpack[DecodingOptions],
) -> Classifier:
    """Train a Lightning classifier on the rows of a split: ``train``, or all where there is no split column.

    Data with a column ``label:NAME`` for each finding trains a multi-label classifier; a label that is unknown enters
    no loss.

    Parameters
    ----------
    data, attributes, on, dedupe, normalized
        As for :func:`run_audit`; a Dataset with integer labels needs ``classes``.
    out : path, optional
        Self-describing checkpoint to write.
    classes : sequence of str, optional
        Class names in order. Default: the labels found, sorted.
    preprocess : Preprocess, optional
        Default: pictures as they are stored, scaled to [-1, 1].
    uncertain : {"exclude", "positive", "negative"}, optional
        What an uncertain label (-1) of a finding counts as; needed where one occurs.
    thresholds : mapping of str to float, optional
        Operating threshold of each finding, or of the second of two classes, that the checkpoint remembers.
    config : TrainConfig, optional
        Architecture, epochs, learning rate, seed.
    progress : bool
        Whether a bar is drawn.
    **files
        What is declared about files of pictures, as for :func:`run_audit`.

    Returns
    -------
    Classifier
        With the weights of the epoch whose validation loss was lowest.
    """
    from figureground.audit.classify import train
    from figureground.datasets.decoding import Decoding
    from figureground.datasets.joining import Attributes
    from figureground.datasets.normalized import Normalized
    from figureground.datasets.training_sets import labelled_images

    settings = config or train.TrainConfig()
    folder = None if root is None else Path(root)
    parts = labelled_images(
        data,
        classes,
        columns,
        folder,
        split,
        preprocess,
        settings.seed,
        uncertain,
        Decoding(**files),
        attributes=Attributes.read(attributes, on),
        normalized=Normalized.of(normalized),
        dedupe=dedupe,
    )
    return train.train_classifier(
        parts.train,
        parts.validation,
        classes=parts.classes,
        preprocess=parts.preprocess,
        kind=parts.kind,
        thresholds=thresholds,
        config=settings,
        out=None if out is None else Path(out),
        progress=progress,
    )
