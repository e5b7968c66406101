"""Stream batches through a model with ``Trainer.predict`` into Parquet shards; memory stays flat.

The same code runs on one core, on an accelerator, in one part of several and on many ranks. Nothing is returned to the
caller: rows go to disk, one file a shard of 512 rows, and are read back from there. A shard that an earlier start
finished is not done again. Which shards this process does is decided here and never by a sampler of Lightning's.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd
import pyarrow as pa
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import BasePredictionWriter
from torch import nn
from torch.utils.data import DataLoader, Dataset, default_collate

from figureground.audit.classify.quiet import interruptible, quiet_lightning
from figureground.audit.keeping.files import file_sha256
from figureground.audit.keeping.journal import Done, shard_name
from figureground.audit.keeping.run_folder import RunFolder
from figureground.audit.measure.backing_off import BackingOff, Step, Tables
from figureground.audit.measure.overlapping import Ahead, Pending, settled
from figureground.audit.progress import Advance


@dataclass(frozen=True)
class ShardStream:
    """Runs a step over a dataset and writes its tables.

    Attributes
    ----------
    folder : RunFolder
        Receives ``<table>/part-<prefix>-<shard>.parquet``.
    schemas : mapping of str to pyarrow.Schema
        Tables that the step returns.
    prefix : str
        Tells streams apart that write to the same table.
    spent : list of int
        Where the step enters the forward passes of every batch; those of finished shards are entered here.
    """

    folder: RunFolder = field(repr=False)
    schemas: Mapping[str, pa.Schema] = field(repr=False)
    prefix: str
    spent: list[int] = field(default_factory=list, repr=False)

    def __call__(
        self,
        module: nn.Module,
        step: Step,
        dataset: Dataset[dict[str, Any]],
        batches: Sequence[Sequence[int]],
        shards: Sequence[int],
        advance: Advance,
    ) -> None:
        """Run ``step`` on every batch of indices; ``shards[i]`` is the shard of ``batches[i]``, ascending."""
        job = StreamJob(self, module, step, dataset, tuple(batches), tuple(shards))
        if self.folder.hands is not None:
            self.folder.hands.stream(self.folder, job, advance)
            return
        left = job.left(advance)
        if left.batches:
            left.compute(advance)

    def files(self, shard: int) -> dict[str, str]:
        """Name of the file of each table."""
        return {table: f"{table}/part-{shard_name(self.prefix, shard)}.parquet" for table in self.schemas}

    def write(self, shard: int, held: Mapping[str, list[pd.DataFrame]], spent: int) -> None:
        """One shard of all tables."""
        names = self.files(shard)
        for table, parts in held.items():
            filled = [part for part in parts if len(part)] or parts[:1]
            frame = pd.concat(filled, ignore_index=True) if len(filled) > 1 else filled[0]
            self.folder.write_table(names[table], frame, self.schemas[table])
        if self.folder.journal is not None:
            files = {name: file_sha256(self.folder.path / name) for name in map(names.__getitem__, held)}
            self.folder.journal.finished(shard_name(self.prefix, shard), files, spent)

    def done(self, shard: int) -> Done | None:
        """What an earlier start, or somebody else, noted of a shard that is whole."""
        return None if self.folder.journal is None else self.folder.journal.done(shard_name(self.prefix, shard))


@dataclass(frozen=True)
class StreamJob:
    """A stream over its shards, of which any may be run alone.

    Attributes
    ----------
    stream : ShardStream
    module : nn.Module
    step : callable
    dataset : Dataset
    batches : tuple of sequence of int
        Indices into the dataset.
    shards : tuple of int
        The shard of each batch, ascending.
    """

    stream: ShardStream
    module: nn.Module = field(repr=False)
    step: Step = field(repr=False)
    dataset: Dataset[dict[str, Any]] = field(repr=False)
    batches: tuple[Sequence[int], ...] = field(repr=False)
    shards: tuple[int, ...]

    @property
    def name(self) -> str:
        """Of the stream."""
        return self.stream.prefix

    def files(self, shard: int) -> Iterable[str]:
        """Names of the files of a shard, one for each table."""
        return self.stream.files(shard).values()

    def only(self, keep: Callable[[int], bool]) -> StreamJob:
        """The same over those shards."""
        kept = [(batch, shard) for batch, shard in zip(self.batches, self.shards, strict=True) if keep(shard)]
        return replace(self, batches=tuple(batch for batch, _ in kept), shards=tuple(shard for _, shard in kept))

    def left(self, advance: Advance) -> StreamJob:
        """Over the shards that no earlier start finished; the forward passes of the others are entered."""
        done = {shard: self.stream.done(shard) for shard in dict.fromkeys(self.shards)}
        self.stream.spent.extend(found.spent for found in done.values() if found is not None)
        left = self.only(lambda shard: done[shard] is None)
        finished = self.items - left.items
        if finished:
            advance(finished)
        return left

    @property
    def items(self) -> int:
        """Number of items of the dataset in it."""
        return sum(map(len, self.batches))

    def compute(self, advance: Advance, **options: Any) -> None:
        """Run it under a Trainer with these options."""
        writer = _ShardWriter(self.stream, self.shards, advance)
        with quiet_lightning(), interruptible(), warnings.catch_warnings():
            # Batches are whole items of our own dataset; every row carries its id, so nobody needs their indices.
            warnings.filterwarnings("ignore", message="Couldn't infer the batch indices")
            ahead = Ahead(_Batches(self.dataset, self.batches))
            loader = DataLoader(ahead, batch_size=None, shuffle=False, num_workers=0)
            trainer = quiet_trainer(**{**options, "callbacks": [writer, *options.get("callbacks", ())]})
            stepper = _Stepper(self.module, BackingOff(self.step, self.stream.spent))
            with closing(ahead):
                trainer.predict(stepper, loader, return_predictions=False)


def quiet_trainer(**options: Any) -> pl.Trainer:
    """A Trainer that logs nothing, keeps no checkpoints, and leaves gradients possible in predict.

    Without ``inference_mode=False``, tensors made inside predict can never require a gradient.
    """
    fixed: dict[str, Any] = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "inference_mode": False,
    }
    return pl.Trainer(**{"accelerator": "auto", "devices": 1, **options, **fixed})


class _Batches(Dataset[dict[str, Any]]):
    """Whole batches as items: their borders are fixed here and never by a sampler.

    Where there is none, one that is empty stands for it: Lightning ends a rank that has nothing to do.
    """

    def __init__(self, dataset: Dataset[dict[str, Any]], batches: Sequence[Sequence[int]]) -> None:
        self._dataset, self._batches = dataset, batches

    def __len__(self) -> int:
        return max(1, len(self._batches))

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not self._batches:
            return {}
        batch: dict[str, Any] = default_collate([self._dataset[row] for row in self._batches[index]])
        return batch


class _Stepper(pl.LightningModule):
    """Our own module around any subject, of whichever Lightning namespace or none."""

    def __init__(self, module: nn.Module, step: Step) -> None:
        super().__init__()
        self.module, self.step = module, step

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> Tables | Pending[Tables]:
        if not batch:
            return {}
        with torch.enable_grad():
            return self.step(self.module, batch)


class _ShardWriter(BasePredictionWriter):
    def __init__(self, stream: ShardStream, shards: Sequence[int], advance: Advance) -> None:
        super().__init__(write_interval="batch")
        self._stream, self._shards, self._advance = stream, shards, advance
        self._held: list[Tables | Pending[Tables]] = []
        self._current: int | None = None
        # Forward passes up to the last shard that was written, and up to the last batch.
        self._written = self._seen = sum(stream.spent)

    def write_on_batch_end(
        self,
        trainer: Any,
        pl_module: Any,
        prediction: Any,
        batch_indices: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        if not batch:
            return
        shard = self._shards[batch_idx]
        if shard != self._current:
            self._flush()
            self._current = shard
        # The batch before this one was measured meanwhile; only one is under way at a time.
        self._held[-1:] = [settled(found) for found in self._held[-1:]]
        self._held.append(prediction)
        self._seen = sum(self._stream.spent)
        self._advance(len(batch["row_id"]))

    def on_predict_end(self, trainer: Any, pl_module: Any) -> None:
        self._flush()

    def _flush(self) -> None:
        if self._held:
            held = [settled(found) for found in self._held]
            by_name = {name: [found[name] for found in held] for name in held[0]}
            self._stream.write(int(self._current or 0), by_name, self._seen - self._written)
        self._held, self._written = [], self._seen
