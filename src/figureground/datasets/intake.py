"""The door: every row is read once, pixel by pixel; what is broken is set aside with a reason and counted.

The ledger closes: rows given = ok + quarantined + filtered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd

from figureground.datasets.columns import (
    IGNORE,
    LABEL_PREFIX,
    MASK_PREFIX,
    NUMBER,
    OBJECT,
    REGION_PREFIX,
)
from figureground.datasets.findings import (
    Uncertain,
    check_findings,
    joint_label,
    label_columns,
    mask_columns,
    present_of,
)
from figureground.datasets.images import MAX_PIXELS, MIN_SIDE
from figureground.datasets.known_rows import (
    MASK_SOURCE,
    MISSING,
    TABLE_COLUMNS,
    attribute_columns,
    check_kind,
    identified,
    known_rows,
)
from figureground.datasets.manifest import levels_of
from figureground.datasets.masks import border_share
from figureground.datasets.own_transform import OwnTransform
from figureground.datasets.pixels import Pixels, mask_status
from figureground.datasets.reading import Reading, Reads
from figureground.datasets.readings import Readings, completed
from figureground.datasets.refusals import REPEATED, check_known, check_repeated, repetitions
from figureground.datasets.row_faults import RowFault
from figureground.datasets.sampling import SAMPLED_OUT, Drawn
from figureground.datasets.sources import Source
from figureground.errors import DataError, UsageError

if TYPE_CHECKING:
    from figureground.datasets.transforms import Preprocess

IN_PROCESS = Reading()


class Numbered(Protocol):
    """Labels that stand for numbers, where the model's answer is one."""

    def number(self, label: str) -> float | None:
        """The number that a label stands for; None where it stands for none."""

    def side(self, value: float) -> str:
        """The one of two classes in which a number lies."""


@dataclass(frozen=True)
class Intake:
    """Reads a source into the ``examples`` table.

    Attributes
    ----------
    classes : sequence of str
        The model's classes; a row with another label is quarantined.
    split : str or None
        Use rows of this split; None: ``default_split`` where the column exists, else all.
    sample : callable or None
        Given the rows that could be read (columns of ``examples`` known from the table, and ``masked``), says which
        are; the others are filtered as ``sampled_out`` and never opened. None: all are read.
    several : bool
        Whether the classes are findings that may each be present, with a column ``label:NAME`` for each.
    uncertain : {"exclude", "positive", "negative"} or None
        What an uncertain label (-1) counts as; None: nobody has decided, and one that occurs is refused.
    numbered : Numbered or None
        How labels are numbers; None: they are names.
    preprocess : Preprocess or None
        What the model expects of its input, so that an object that it crops away is told; None: nobody knows.
    decode : callable or None
        Given a position, whether that row is decoded; others whose files are plainly there count as usable, without
        size, area and hash. None: all are.
    dedupe : bool
        Whether rows that repeat another one in every cell are filtered; otherwise they are refused.
    reading : callable
        In this process, or in others; see :class:`~figureground.datasets.reading.Reading`.
    """

    classes: Sequence[str]
    split: str | None = None
    default_split: str = "test"
    sample: Callable[[pd.DataFrame], Drawn] | None = None
    several: bool = False
    uncertain: Uncertain | None = None
    numbered: Numbered | None = None
    preprocess: Preprocess | None = None
    decode: Callable[[int], bool] | None = None
    dedupe: bool = False
    reading: Reads = IN_PROCESS

    def __call__(
        self, source: Source, table: pd.DataFrame, advance: Callable[[int], None] = lambda _: None
    ) -> Examples:
        """Read the rows of ``table``, which is ``source.table()``; raises :class:`DataError` if none is usable."""
        levels, (table, wanted) = levels_of(table), self._checked(table, source.where)
        attributes = attribute_columns(table)
        frame, drawn = self._chosen(self._known(table, attributes), wanted)
        left_out = frame["status"].notna()
        if left_out.any():
            advance(int(left_out.sum()))
        wanted_rows = frame.index[~left_out].tolist()
        there = self._looked_up(source, frame, wanted_rows)
        if there:
            frame.loc[there, "status"] = "ok"
            advance(len(there))
        read = Readings()
        task = _Task(replace(self, sample=None, decode=None, reading=IN_PROCESS), source, _label_cells(table))
        for position, found in self.reading(task, sorted(set(wanted_rows).difference(there))):
            read.add(position, found)
            advance(1)
        frame = completed(frame, read.frame())
        frame = frame.sort_values("row_id", kind="stable").reset_index(drop=True)
        if not (frame["status"] == "ok").any():
            raise _nothing_usable(frame, source.where)
        regions = tuple(n.removeprefix(REGION_PREFIX) for n in table.columns if n.startswith(REGION_PREFIX))
        return Examples(
            frame,
            attributes,
            regions,
            "cluster" in table.columns,
            drawn,
            findings=label_columns(table),
            masked_findings=mask_columns(table),
            levels={name: found for name, found in levels.items() if name in (*attributes, "environment")},
        )

    def candidates(self, table: pd.DataFrame, where: str) -> pd.DataFrame:
        """Rows of the wanted split as far as the table alone knows them, by position; with ``masked``."""
        table, wanted = self._checked(table, where)
        known = self._known(table, attribute_columns(table))
        known = known if wanted is None else known[known["split"] == wanted]
        return known[~repetitions(known)]

    def _checked(self, table: pd.DataFrame, where: str) -> tuple[pd.DataFrame, str | None]:
        """The table with ``row_id``, and the split that is wanted; whatever rules it out as a whole is refused."""
        self._check_labels(table, where)
        table = identified(table, where)
        wanted = self._wanted_split(table, where)
        rows = table if wanted is None else table[table["split"] == wanted]
        if not self.several and self.numbered is None:
            check_known(rows["label"], self.classes, where)
        check_repeated(rows, where, dedupe=self.dedupe)
        return table, wanted

    def _check_labels(self, table: pd.DataFrame, where: str) -> None:
        check_kind(table, self.several, where)
        if self.several:
            check_findings(table, self.classes, self.uncertain, where)

    def _known(self, table: pd.DataFrame, attributes: Sequence[str]) -> pd.DataFrame:
        """What the table says of each row; of several findings the names of those present, and a number for each."""
        if self.numbered is not None:
            return self._known_numbers(table, attributes, self.numbered)
        if not self.several:
            return known_rows(table, attributes, table["label"])
        given = _labels_of(table)
        present = [self._present(given(position)) for position in range(len(table))]
        label = [None if found is None else joint_label(found, self.classes) for found in present]
        known = known_rows(table, attributes, pd.Series(label, index=table.index, dtype=object))
        return known.assign(present=pd.Series(present, index=table.index, dtype=object))

    def _known_numbers(self, table: pd.DataFrame, attributes: Sequence[str], numbered: Numbered) -> pd.DataFrame:
        """The numbers beside the classes in which they lie; a label that is none stays as it is, and is told later."""
        numbers = [numbered.number(label) for label in table["label"]]
        named = [
            label if number is None else numbered.side(number)
            for label, number in zip(table["label"], numbers, strict=True)
        ]
        known = known_rows(table, attributes, pd.Series(named, index=table.index, dtype=object))
        written = [None if number is None else repr(number) for number in numbers]
        return known.assign(**{NUMBER: pd.Series(written, index=table.index, dtype=object)})

    def _present(self, row: Mapping[str, str]) -> tuple[float, ...] | None:
        try:
            return present_of(row, self.classes, self.uncertain)
        except RowFault:  # told when the row is read
            return None

    def _chosen(self, frame: pd.DataFrame, wanted: str | None) -> tuple[pd.DataFrame, Drawn | None]:
        """Rows with the status ``filtered`` and a reason where they are not to be read, and their weights."""
        frame = frame.assign(status=None, reason=None, weight=1.0)
        if wanted is not None:
            other = frame["split"] != wanted
            frame.loc[other, "status"], frame.loc[other, "weight"] = "filtered", float("nan")
            frame.loc[other, "reason"] = "split:" + frame.loc[other, "split"].replace("", MISSING)
        copies = repetitions(frame[frame["status"].isna()]).reindex(frame.index, fill_value=False)
        frame.loc[copies, ["status", "reason"]] = ["filtered", REPEATED]
        frame.loc[copies, "weight"] = float("nan")
        if self.sample is None:
            return frame.drop(columns="masked"), None
        candidates = frame["status"].isna()
        drawn = self.sample(frame[candidates])
        frame.loc[candidates, "weight"] = drawn.weight
        out = candidates & frame["weight"].isna()
        frame.loc[out, ["status", "reason"]] = ["filtered", SAMPLED_OUT]
        return frame.drop(columns="masked"), drawn

    def _looked_up(self, source: Source, known: pd.DataFrame, positions: Sequence[int]) -> list[int]:
        """Rows that need not be decoded: their labels are in order, and their files plainly there."""
        if self.decode is None:
            return []
        if self.several or self.numbered is not None:
            labelled = known["present" if self.several else NUMBER].notna().tolist()
        else:
            labelled = known["label"].isin(list(self.classes)).tolist()
        return [at for at in positions if labelled[at] and not self.decode(at) and source.there(at)]

    def read(self, source: Source, given: Mapping[str, str], position: int) -> dict[str, object]:
        """What reading the files of one row gives, its labels given: columns of ``examples``."""
        try:
            self._check_label(given)
            pixels = source.pixels(position)
            self._check_size(pixels)
            status = self._at_input(pixels)
        except RowFault as fault:
            return {"status": "quarantined", "reason": fault.reason, "detail": fault.detail, "sha256": fault.sha256}
        return {
            "status": "ok",
            "reason": None,
            "detail": None if pixels.trouble is None else pixels.trouble[1],
            "sha256": pixels.sha256,
            "mask_sha256": pixels.mask_sha256,
            "object_area": _object_area(pixels),
            "width": pixels.image.width,
            "height": pixels.image.height,
            "mask_status": status,
            "read_notes": ";".join(pixels.notes) or None,
            "border": None if pixels.mask is None else border_share(pixels.mask),
        }

    def _at_input(self, pixels: Pixels) -> str:
        """Status of the mask at the model's input; a transform of the user's own is tried on every row."""
        if pixels.mask is None and isinstance(self.preprocess, OwnTransform):
            self.preprocess.image(pixels.image)
        return mask_status(pixels, self.preprocess)

    def _check_size(self, pixels: Pixels) -> None:
        size = pixels.image.size
        if min(size) < MIN_SIDE:
            raise RowFault("too_small", f"{size[0]}x{size[1]} pixels; the limit is {MIN_SIDE} a side", pixels.sha256)
        if self.preprocess is not None and self.preprocess.resized_pixels(size) > MAX_PIXELS:
            detail = f"{size[0]}x{size[1]} pixels become more than {MAX_PIXELS} when the shorter side is resized"
            raise RowFault("pixel_cap", detail, pixels.sha256)

    def _check_label(self, given: Mapping[str, str]) -> None:
        if self.several:
            present_of(given, self.classes, self.uncertain)
            return
        label = str(given["label"])
        if self.numbered is not None and label != "":
            if self.numbered.number(label) is None:
                raise RowFault("label_unknown", f"{label!r} is no number, nor a label that the target gives one")
        elif label == "":
            raise RowFault("label_missing", f"an empty cell; expected one of {', '.join(self.classes[:8])}")

    def _wanted_split(self, table: pd.DataFrame, where: str) -> str | None:
        if "split" not in table.columns:
            if self.split is not None:
                raise _no_split(where, "no split column", self.split)
            return None
        wanted = self.split or self.default_split
        if wanted not in set(table["split"]):
            raise _no_split(where, f"splits {', '.join(sorted(set(table['split'])))}", wanted)
        return wanted


@dataclass(frozen=True)
class Examples:
    """The examples table in sorted ``row_id``, with what only this process needs beside it.

    Attributes
    ----------
    frame : pandas.DataFrame
        Columns of ``audit.tables.EXAMPLES`` and the attributes, plus ``position`` (in the source), ``key`` and
        ``image`` as they were given, ``detail``, ``width`` and ``height``, which are not stored.
    attributes : tuple of str
        Names of the attribute columns.
    regions : tuple of str
        Names of the region masks that some rows may have.
    clusters_given : bool
        Whether independent units were named; otherwise every row is its own.
    drawn : Drawn or None
        How the rows were chosen that were read; None where nothing was left out by a draw.
    findings : tuple of str
        Findings that the data has labels for; empty where it has one label a row.
    masked_findings : tuple of str
        Findings that it has masks of their own for.
    levels : mapping of str to tuple of str
        Levels that the data declares for columns, whether a row has them or not.
    """

    frame: pd.DataFrame = field(repr=False)
    attributes: tuple[str, ...]
    regions: tuple[str, ...]
    clusters_given: bool
    drawn: Drawn | None = field(default=None, repr=False)
    findings: tuple[str, ...] = ()
    masked_findings: tuple[str, ...] = ()
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def usable(self) -> pd.DataFrame:
        """Rows with status ok, index from 0."""
        return self.frame[self.frame["status"] == "ok"].reset_index(drop=True)

    @property
    def masks_inverted(self) -> float | None:
        """Share of masks whose object covers most of the picture and most of its outermost pixels; None without any."""
        masked = self.usable[self.usable["object_area"].notna()]
        if masked.empty:
            return None
        area, border = masked["object_area"].astype(float), masked["border"].astype(float)
        return float(((area > 0.5) & (border > 0.5)).mean())

    @property
    def stored(self) -> pd.DataFrame:
        """What goes into ``examples.parquet``."""
        labels = [f"{LABEL_PREFIX}{name}" for name in self.findings]
        masks = [f"{MASK_PREFIX}{name}" for name in self.masked_findings]
        known = [name for name in (*TABLE_COLUMNS, MASK_SOURCE, NUMBER) if name in self.frame]
        return self.frame[[*known, *labels, *masks, *self.attributes]]

    def sizes(self) -> Mapping[tuple[int, int], int]:
        """Number of usable rows by (height, width) in pixels, commonest first."""
        sizes = zip(self.usable["height"].tolist(), self.usable["width"].tolist(), strict=True)
        return dict(Counter((int(height), int(width)) for height, width in sizes).most_common())


def _object_area(pixels: Pixels) -> float | None:
    """Share of the valid pixels that are object; of a soft mask its mean; None without mask or valid pixel."""
    mask = pixels.mask
    if mask is None or not (mask != IGNORE).any():
        return None
    figure = (mask == OBJECT) if pixels.soft is None else pixels.soft
    return float(figure[mask != IGNORE].mean(dtype=np.float64))


def _labels_of(table: pd.DataFrame) -> Callable[[int], Mapping[str, str]]:
    """The label of a row, or its label of each finding, by position; a Series for each of a million rows is slow."""
    columns = _label_cells(table)
    return lambda position: {name: cells[position] for name, cells in columns.items()}


def _label_cells(table: pd.DataFrame) -> dict[str, list[str]]:
    names = [name for name in table.columns if name == "label" or name.startswith(LABEL_PREFIX)]
    return {str(name): table[name].tolist() for name in names}


@dataclass(frozen=True)
class _Task:
    """Reads one row, in whichever process."""

    intake: Intake
    source: Source
    labels: Mapping[str, list[str]] = field(repr=False)

    def __call__(self, position: int) -> Mapping[str, object]:
        return self.intake.read(self.source, {name: cells[position] for name, cells in self.labels.items()}, position)


def _no_split(where: str, found: str, wanted: str) -> UsageError:
    return UsageError(
        "SPLIT", where, found=found, expected=f"rows with split {wanted!r}", fix="name the split: --split NAME"
    )


def _nothing_usable(frame: pd.DataFrame, where: str) -> DataError:
    first = frame.iloc[0]
    reasons = ", ".join(f"{reason} ({n})" for reason, n in frame["reason"].value_counts().items())
    return DataError(
        "DATA_UNUSABLE",
        f"{where}:{int(first['position']) + 2}",
        found=f"no usable row: {reasons}",
        expected="at least one",
        fix=str(first["detail"] or "see the reasons"),
    )
