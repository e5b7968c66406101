"""The measuring stage: one forward and one backward per image give prediction, maps and their measures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from figureground.audit.classify.subject import Subject
from figureground.audit.explain.explanation import Explainer, Explanation
from figureground.audit.explain.several import Several
from figureground.audit.keeping import tables
from figureground.audit.keeping.run_folder import RunFolder
from figureground.audit.measure.attribution_rows import attribution_rows
from figureground.audit.measure.backing_off import Tables
from figureground.audit.measure.overlapping import Pending
from figureground.audit.measure.prediction_rows import ALL_CLASSES, kept_classes, prediction_rows
from figureground.audit.measure.regions import border_frame, corners
from figureground.audit.measure.stream import ShardStream
from figureground.audit.progress import Progress
from figureground.datasets.columns import MASK_STATUSES, SHARD_ROWS
from figureground.datasets.datamodule import ExampleDataset, as_batch, shard_batches
from figureground.datasets.schema import Batch


@dataclass(frozen=True)
class MeasureStep:
    """Batch to rows: predictions of the unchanged images, and the measures of their maps."""

    subject: Subject
    explainer: Explainer

    def __call__(self, module: nn.Module, items: dict[str, Any]) -> Tables | Pending[Tables]:
        """Tables ``predictions`` and ``attributions`` of one batch; they are made while the next one is explained."""
        batch, task = as_batch(items), self.subject.task
        inputs = self.subject.preprocess.normalize(batch.image)
        # Of several findings each is explained by itself: here only the logits are wanted, and maps cost passes.
        explain = self.explainer.first if task.several and isinstance(self.explainer, Several) else self.explainer
        explained = explain(module, inputs)
        if not task.several:
            return Pending(lambda: self._tables(batch, explained, [(batch, explained, None)]))
        # Maps of one finding at a time: those of all of them at once may be more than memory holds.
        return self._tables(batch, explained, self._by_finding(module, batch, inputs, explained))

    def _tables(
        self, batch: Batch, explained: Explanation, explanations: Iterable[tuple[Batch, Explanation, str | None]]
    ) -> dict[str, pd.DataFrame]:
        logits = explained.logits.float().cpu().numpy()
        kept = None if self.subject.task.several else kept_classes(logits, batch.label.cpu().numpy())
        parts = [_measured(*one) for one in explanations]
        found = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=tables.ATTRIBUTIONS.names)
        return {"predictions": self._rows(logits, kept, batch.row_id), "attributions": found}

    def unanswered(self, items: dict[str, Any]) -> dict[str, pd.DataFrame]:
        """Rows of images for which memory does not suffice: no prediction, no map, and the reason."""
        n = len(items["row_id"])
        logits = np.full((n, len(self.subject.classes)), np.nan, dtype=np.float32)
        status = np.full(n, "out_of_memory", dtype=object)
        many = len(self.subject.classes) > ALL_CLASSES and not self.subject.task.several
        kept = [[int(label)] for label in items["label"]] if many else None
        rows = self._rows(logits, kept, items["row_id"], status)
        return {"predictions": rows, "attributions": pd.DataFrame(columns=tables.ATTRIBUTIONS.names)}

    def _rows(
        self, logits: Any, kept: Sequence[Sequence[int]] | None, row_id: Tensor, status: Any | None = None
    ) -> pd.DataFrame:
        """Rows of ``predictions`` for unchanged images."""
        first: dict[str, Any] = {"pass": 0}  # a keyword of Python, so it cannot be written as an argument
        return prediction_rows(
            logits,
            kept=kept,
            unusable=status,
            several=self.subject.task.several,
            row_id=row_id.cpu().numpy(),
            cue="none",
            intervention="none",
            arm="own",
            dose=0.0,
            **first,
        )

    def _by_finding(
        self, module: nn.Module, batch: Batch, inputs: Tensor, explained: Explanation
    ) -> Iterator[tuple[Batch, Explanation, str]]:
        """Each finding's own logit, explained for the images that have the finding or are called to have it."""
        task = self.subject.task
        for index, finding in enumerate(task.classes):
            called = explained.logits[:, index].cpu() >= task.offset(finding)
            chosen = torch.nonzero(called | (batch.label[:, index].cpu() == 1)).flatten()
            if len(chosen):
                target = torch.full((len(chosen),), index)
                yield taken(batch, chosen), self.explainer(module, inputs[chosen], target), finding


def taken(batch: Batch, rows: Tensor) -> Batch:
    """The images of a batch at these positions, int64 ``[M]``."""
    return Batch(
        row_id=batch.row_id[rows],
        image=batch.image[rows],
        label=batch.label[rows],
        mask=batch.mask[rows],
        has_mask=batch.has_mask[rows],
        regions={name: mask[rows] for name, mask in batch.regions.items()},
        mask_status=None if batch.mask_status is None else batch.mask_status[rows],
        soft=None if batch.soft is None else batch.soft[rows],
    )


def _measured(batch: Batch, explained: Explanation, finding: str | None) -> pd.DataFrame:
    """Rows of ``attributions`` for the maps of a batch."""
    return attribution_rows(
        batch.row_id.cpu().numpy(),
        {key: _numpy(value) for key, value in explained.maps.items()},
        _numpy(batch.mask),
        _numpy(batch.has_mask),
        layers=explained.layers,
        map_shapes={name: (native.shape[-2], native.shape[-1]) for name, native in explained.native.items()},
        regions=_regions(batch.regions, batch.image),
        finite=np.isfinite(_numpy(explained.logits)).all(axis=1),
        target=finding or "predicted",
        mask_status=None if batch.mask_status is None else [MASK_STATUSES[at] for at in batch.mask_status.tolist()],
        soft=None if batch.soft is None else _numpy(batch.soft),
    )


def measure_images(
    subject: Subject,
    explainer: Explainer,
    dataset: ExampleDataset,
    folder: RunFolder,
    batch_size: int,
    progress: Progress,
) -> None:
    """Stream all usable rows into ``predictions/`` and ``attributions/``."""
    batches = shard_batches(len(dataset), batch_size)
    stream = ShardStream(folder, {name: tables.SCHEMAS[name] for name in ("predictions", "attributions")}, "measure")
    with progress("Explaining images", len(dataset)) as advance:
        stream(
            subject.module,
            MeasureStep(subject, explainer),
            dataset,
            batches,
            [batch[0] // SHARD_ROWS for batch in batches],
            advance,
        )


def _regions(named: Mapping[str, Tensor], images: Tensor) -> dict[str, Any]:
    height, width = images.shape[-2:]
    built_in = {"border": border_frame(height, width), **corners(height, width)}
    return built_in | {name: _numpy(mask) for name, mask in named.items()}


def _numpy(tensor: Tensor) -> Any:
    return tensor.detach().to("cpu", torch.float32 if tensor.is_floating_point() else tensor.dtype).numpy()
