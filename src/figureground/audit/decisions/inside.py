"""Inside a network: filters, feature maps, and what a channel answers to over a data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import torch
from torch import Tensor

from figureground.audit.classify.subject import Subject
from figureground.audit.decisions.single import Shown, read_shown
from figureground.audit.document.sheets import FeatureMaps, Inside, Strongest
from figureground.audit.explain.filters import first_filters
from figureground.audit.explain.strongest import Surveyed, patch_of
from figureground.audit.explain.units import UnitLayer
from figureground.audit.progress import Progress
from figureground.datasets.row_faults import RowFault
from figureground.datasets.sources import Source
from figureground.errors import DataError, UsageError

#: Channels whose maps are shown of one picture, where none is named.
SHOWN_CHANNELS = 16


@dataclass(frozen=True)
class InsideView:
    """What is looked at inside a network.

    Attributes
    ----------
    subject : Subject
        Its module in evaluation mode.
    layer : UnitLayer
    channel : int or None
        None: the strongest channels of each picture, and no patches.
    top : int
        Patches.
    batch : int
        Pictures in one forward pass over the data set.
    """

    subject: Subject = field(repr=False)
    layer: UnitLayer
    channel: int | None = None
    top: int = 9
    batch: int = 32

    def __call__(self, pictures: Sequence[Shown], over: Source | None, progress: Progress) -> Inside:
        """Everything that was asked for; the first picture shows which convolution runs first."""
        module = self.subject.module
        first = self.subject.preprocess.normalize(pictures[0].image[None])
        features = tuple(self.features(shown) for shown in pictures)
        return Inside(
            self.layer.name,
            self.channel,
            first_filters(module, first),
            features,
            None if over is None else self.strongest(over, progress),
        )

    def features(self, shown: Shown) -> FeatureMaps:
        """Maps of the named channel for one picture, or of the channels that answer most strongly."""
        values = self._values(shown.image[None])[0]
        self._check_channel(len(values))
        order = values.flatten(1).amax(1).argsort(descending=True, stable=True)[:SHOWN_CHANNELS].tolist()
        chosen = tuple(order) if self.channel is None else (self.channel,)
        return FeatureMaps(shown.name, chosen, values[list(chosen)].numpy(), len(values))

    def strongest(self, source: Source, progress: Progress) -> Strongest:
        """One pass over all pictures of a source; at most ``top`` of them stay in memory.

        Raises
        ------
        DataError
            Not one picture could be read.
        """
        seen, lost = Surveyed(self.channel, self.top), 0
        with progress("strongest patches", len(source.table())) as advance:
            for batch in self._batches(source):
                good = [(at, found) for at, found in batch if isinstance(found, Shown)]
                lost += len(batch) - len(good)
                # One size at a time: a model without a resize has pictures of many.
                for _, same in groupby(good, key=lambda pair: pair[1].image.shape):
                    part = list(same)
                    values = self._values(torch.stack([shown.image for _, shown in part]))
                    self._check_channel(values.shape[1])
                    seen.add(values, [(at, shown.name, shown.image) for at, shown in part])
                advance(len(batch))
        if not seen.n:
            raise _nothing_read(source, lost)
        return self._told(seen, lost)

    def _told(self, seen: Surveyed, lost: int) -> Strongest:
        if self.channel is None:
            return Strongest(seen.n, lost, seen.channels, seen.dead)
        made = [
            patch_of(self.subject.module, self.layer, self.subject.preprocess, self.channel, spot)
            for spot in seen.spots()
        ]
        met = made[0][1]
        return Strongest(
            seen.n, lost, seen.channels, seen.dead, tuple(patch for patch, _ in made), met.relus, met.switches
        )

    def _batches(self, source: Source) -> Iterator[list[tuple[int, Shown | RowFault]]]:
        names = source.table()["key"].tolist()
        for start in range(0, len(names), self.batch):
            yield [(at, self._read(source, at, names[at])) for at in range(start, min(start + self.batch, len(names)))]

    def _read(self, source: Source, at: int, name: str) -> Shown | RowFault:
        try:
            return read_shown(source, at, str(name), self.subject)
        except RowFault as fault:
            return fault

    def _values(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            return self.layer.values(self.subject.module, self.subject.preprocess.normalize(images)).float()

    def _check_channel(self, channels: int) -> None:
        if self.channel is not None and not 0 <= self.channel < channels:
            raise UsageError(
                "CHANNEL",
                f"layer {self.layer.name}",
                found=f"channel {self.channel}",
                expected=f"0 to {channels - 1}",
                fix="name one of these",
            )


def _nothing_read(source: Source, lost: int) -> DataError:
    return DataError(
        "NOTHING_USABLE",
        source.where,
        found=f"{lost} pictures, none of which could be read",
        expected="one that can",
        fix="`figureground check` says what is wrong with each",
    )
