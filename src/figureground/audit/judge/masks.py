"""Masks that people drew against masks that something else drew: a verdict must not hang on the latter."""

from __future__ import annotations

import numpy as np
import pandas as pd

from figureground.audit.declared.config import Policy
from figureground.audit.declared.cues import cue_spec
from figureground.audit.judge.clustered import multiway_mean
from figureground.audit.judge.contrasts import Contrasted
from figureground.audit.judge.effects import Clusterings, limits, material

#: Value of the column ``mask_source`` for masks that people drew.
HUMAN = "human"


def masks_disagree(item: Contrasted, examples: pd.DataFrame, policy: Policy) -> bool:
    """Whether the effect, measured again where recipient and donors have masks of people, is not material there.

    False for cues that need no masks, where all masks are of people, and where too few of them are to tell.
    """
    if "mask_source" not in examples or not cue_spec(item.observed.cue).needs_mask:
        return False
    human = examples.loc[examples["mask_source"] == HUMAN, "row_id"].to_numpy(dtype=np.int64)
    observed = item.observed
    keep = np.isin(observed.row_id, human) & np.isin(observed.donor_row, human).all(axis=1)
    if keep.all() or len(set(observed.recipient[keep])) < policy.min_clusters:
        return False
    h, scale = item.contrast.primary, item.contrast.scale
    part = observed.take(keep)
    codes, bounds = Clusterings.of(part).of_hypothesis(h), limits(scale, "swapped")
    again = multiway_mean(h.values(part, scale), *codes, level=1 - policy.alpha, bounds=bounds, weights=part.weight)
    return bool(again.estimate < material(policy, scale))
