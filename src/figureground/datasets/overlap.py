"""What training and audit data have in common: independent units, equal pictures, and pictures that look alike.

Equal are pictures of the same pixels, whatever their files are called and however they are packed. Alike are those
whose perceptual hashes hardly differ: compressed again, resized, lighter or darker. Crops, turns and other pictures of
the same scene are not found.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from figureground.datasets.columns import MASK_PREFIX, REGION_PREFIX
from figureground.datasets.images import RowFault
from figureground.datasets.sources import Source, TableSource
from figureground.errors import DataError, UsageError

#: Side of the perceptual hash in bits, and how many of its bits may differ. JPEG 40 and half the size changed at most
#: 18 of 144 bits of 320 pictures, planted, smooth or like radiographs; unrelated ones differed in 38 at least.
#: With 64 bits radiographs of two people come too near each other, with 256 the same smooth picture too far off.
HASH_SIDE, NEAR_BITS = 12, 24
#: Bytes of a hash: its bits, filled up to whole words of 64.
_BYTES = 8 * -(-(HASH_SIDE**2) // 64)
#: Split of the training rows, where there are splits.
TRAIN = "train"
#: Rows compared at once.
_CHUNK = 256
#: Roles whose mapping holds for the training table too.
SHARED_ROLES = ("image", "label", "cluster", "split", "key")


@dataclass(frozen=True)
class Prints:
    """What pictures are compared by.

    Attributes
    ----------
    pixels : ndarray of str
        SHA-256 of mode, size and pixels, ``[N]``.
    looks : ndarray
        uint8 ``[N, 24]``: the 144 bits of the perceptual hash, and zeros.
    """

    pixels: npt.NDArray[np.str_] = field(repr=False)
    looks: npt.NDArray[np.uint8] = field(repr=False)

    @classmethod
    def of(cls, pictures: Sequence[tuple[str, npt.NDArray[np.uint8]]]) -> Prints:
        """From :func:`fingerprint` of each picture."""
        pixels = np.array([pixel for pixel, _ in pictures], dtype=np.str_)
        looks = [look for _, look in pictures]
        return cls(pixels, np.stack(looks) if looks else np.zeros((0, _BYTES), dtype=np.uint8))


@dataclass(frozen=True)
class Overlap:
    """What the rows of an audit share with the training data.

    Attributes
    ----------
    training_rows, unreadable : int
        Training rows, and those whose picture could not be read.
    rows : int
        Rows of the audit that were compared.
    shared_units : int or None
        Independent units that are in both; None where either names none.
    unit_rows, equal, alike : tuple of int
        ``row_id`` of the audit's rows of those units, of those whose picture is in the training data, and of the
        others of which a picture there looks alike.
    """

    training_rows: int
    unreadable: int
    rows: int
    shared_units: int | None
    unit_rows: tuple[int, ...]
    equal: tuple[int, ...]
    alike: tuple[int, ...]


def training_table(source: Source, same: bool) -> pd.DataFrame:
    """Rows that a model was trained on: those of the split ``train``, or all where there are no splits.

    Parameters
    ----------
    source : Source
    same : bool
        Whether it is the data that is audited as well; then only a split can tell the two apart.

    Raises
    ------
    UsageError
        ``TRAIN_SPLIT``: there are splits, but none of that name; or there have to be some.
    """
    table = source.table().reset_index(drop=True)
    splits = sorted(set(table["split"])) if "split" in table else []
    if TRAIN in splits:
        return table[table["split"] == TRAIN]
    if splits or same:
        raise UsageError(
            "TRAIN_SPLIT",
            source.where,
            found=f"splits {', '.join(map(repr, splits))}" if splits else "the data that is audited, without splits",
            expected=f"rows with split {TRAIN!r}, or a table of training rows alone",
            fix="give the table of the training data, or name its rows in a column split",
        )
    return table


@dataclass(frozen=True)
class Compare:
    """Compares the usable rows of an audit with training rows.

    Attributes
    ----------
    training, audited : Source
    """

    training: Source = field(repr=False)
    audited: Source = field(repr=False)

    def __call__(
        self,
        trained: pd.DataFrame,
        usable: pd.DataFrame,
        clusters_given: bool,
        advance: Callable[[int], None] = lambda _: None,
    ) -> Overlap:
        """What they share.

        Parameters
        ----------
        trained : pandas.DataFrame
            Training rows of ``training.table()``; the index is their position.
        usable : pandas.DataFrame
            ``row_id``, ``position`` and ``cluster`` of the audit's rows.
        clusters_given : bool
            Whether clusters of the audit were named, and are not just rows.
        advance : callable
            Told the number of rows done; both kinds count.
        """
        seen = list(_fingerprints(self.audited, usable["position"].tolist(), advance))
        usable = usable[[one is not None for one in seen]]  # a file can vanish after it was read
        ours = Prints.of([one for one in seen if one is not None])
        read = list(_fingerprints(pictures_only(self.training), trained.index.tolist(), advance))
        found = [one for one in read if one is not None]
        if not found:
            raise _no_training(self.training.where)
        theirs, ids = Prints.of(found), usable["row_id"].to_numpy()
        equal = np.isin(ours.pixels, theirs.pixels)
        alike = ~equal & (nearest(ours.looks, theirs.looks) <= NEAR_BITS)
        known = clusters_given and "cluster" in trained
        shared = set(usable["cluster"]) & set(trained["cluster"]) - {""} if known else None
        of_unit = usable["cluster"].isin(shared or ()).to_numpy()
        rows = [tuple(int(one) for one in ids[chosen]) for chosen in (of_unit, equal, alike)]
        units = None if shared is None else len(shared)
        return Overlap(len(trained), len(read) - len(found), len(usable), units, *rows)


def fingerprint(image: Image.Image) -> tuple[str, npt.NDArray[np.uint8]]:
    """SHA-256 of the pixels, and uint8 ``[24]``: the perceptual hash (phash of the package imagehash)."""
    digest = hashlib.sha256(f"{image.mode}{image.size}".encode() + image.tobytes()).hexdigest()
    bits = np.packbits(np.asarray(hashing().phash(image, hash_size=HASH_SIDE).hash))
    return digest, np.pad(bits, (0, _BYTES - len(bits)))


def nearest(ours: npt.NDArray[np.uint8], theirs: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """int64 ``[N]``: bits by which each of ``ours`` differs from the nearest of ``theirs``, both ``[., K]``.

    >>> nearest(np.array([[0], [255]], np.uint8), np.array([[1], [15]], np.uint8)).tolist()
    [1, 4]
    """
    words, others = (_words(part) for part in (ours, theirs))
    found = np.full(len(ours), 8 * ours.shape[1], dtype=np.int64)
    for start in range(0, len(ours), _CHUNK):
        differing = np.zeros((len(words[start : start + _CHUNK]), len(others)), dtype=np.int64)
        for at in range(words.shape[1]):  # word by word: the whole difference of many rows does not fit into memory
            differing += np.bitwise_count(words[start : start + _CHUNK, None, at] ^ others[None, :, at])
        found[start : start + _CHUNK] = differing.min(axis=1, initial=8 * ours.shape[1])
    return found


def hashing() -> Any:
    """The package imagehash; raises :class:`UsageError` where it is not installed."""
    try:
        return importlib.import_module("imagehash")
    except ImportError as error:
        raise UsageError(
            "EXTRA",
            "train",
            found="imagehash is not installed",
            expected="the extra overlap",
            fix="pip install 'figureground[overlap]'",
        ) from error


def pictures_only(source: Source) -> Source:
    """The source without its masks: of training rows only pictures are looked at."""
    if not isinstance(source, TableSource):
        return source
    masks = [name for name in source.frame if name == "mask" or str(name).startswith((MASK_PREFIX, REGION_PREFIX))]
    return replace(source, frame=source.frame.drop(columns=masks))


def _fingerprints(source: Source, positions: Sequence[int], advance: Callable[[int], None]) -> Any:
    for position in positions:
        try:
            yield fingerprint(source.pixels(int(position)).image)
        except RowFault:
            yield None
        advance(1)


def _words(looks: npt.NDArray[np.uint8]) -> npt.NDArray[np.unsignedinteger[Any]]:
    """The same bits in words of 64, where they fill these."""
    whole = looks.shape[1] % 8 == 0
    return np.ascontiguousarray(looks).view(np.uint64) if whole else looks


def _no_training(where: str) -> DataError:
    return DataError(
        "TRAIN_UNUSABLE",
        where,
        found="no training picture that can be read",
        expected="at least one",
        fix="check --train, and that its pictures lie below its folder",
    )
