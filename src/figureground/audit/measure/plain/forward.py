"""One forward pass over composed pictures, counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from figureground.audit.classify.subject import Subject
from figureground.audit.keeping.run_folder import RunFolder, read_table
from figureground.audit.measure.prediction_rows import ALL_CLASSES, prediction_rows


@dataclass(frozen=True)
class Forward:
    """Pictures to rows of the ``predictions`` table.

    Attributes
    ----------
    subject : Subject
    kept : mapping of int to sequence of int, or None
        Classes whose logits are stored, by ``row_id``; None: all.
    spent : list of int
        One entry is added for every forward pass of a batch: how many pictures it had.
    """

    subject: Subject = field(repr=False)
    kept: Mapping[int, Sequence[int]] | None = field(default=None, repr=False)
    spent: list[int] = field(default_factory=list, repr=False)

    def __call__(
        self, module: nn.Module, images: Tensor, status: Sequence[str], ids: Sequence[int], **keys: Any
    ) -> pd.DataFrame:
        """Rows of pictures that are a test (``status`` is ``"ok"``), and of those that are none, with the reason."""
        given = np.array(status, dtype=object)
        usable = given == "ok"
        logits = np.full((len(images), len(self.subject.classes)), np.nan, dtype=np.float32)
        if usable.any():
            with torch.inference_mode():
                shown = self.subject.preprocess.normalize(images[torch.from_numpy(usable).to(images.device)])
                logits[usable] = module(shown).float().cpu().numpy()
            self.spent.append(int(usable.sum()))
        kept = None if self.kept is None else [self.kept[int(row)] for row in ids]
        several, row_id = self.subject.task.several, np.asarray(ids, dtype=np.int64)
        return prediction_rows(logits, kept=kept, unusable=given, several=several, row_id=row_id, **keys)


def kept_logits(subject: Subject, folder: RunFolder) -> Mapping[int, Sequence[int]] | None:
    """Classes whose logits were stored for the unchanged images; None where all were."""
    if len(subject.classes) <= ALL_CLASSES or subject.task.several:
        return None
    base = read_table(folder.path, "predictions")
    base = base[base["intervention"] == "none"]
    return dict(zip(base["row_id"], base["classes"], strict=True))
