"""What a check of the inputs found: plain data, so that it can be told without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from figureground.audit.declared.target import Target
from figureground.audit.document import audit_json as document
from figureground.audit.judge.grouping import Grouping


@dataclass(frozen=True)
class Checked:
    """What a check found.

    Attributes
    ----------
    given, ok, quarantined, filtered : int
    decoded : int
        Usable rows whose pictures were decoded; the files of the others were only looked up.
    faults : pandas.DataFrame
        Quarantined rows: ``row`` (line of a manifest, header = 1), ``reason``, ``detail``.
    troubles : pandas.DataFrame
        Usable rows whose mask gives nothing to measure, likewise.
    grouping : Grouping
    masked, clusters : int
        Usable rows with masks, independent units.
    stratum : str or None
        ``environment``, ``label``, or None where no swap is possible.
    levels : dict
        Usable masked rows by level of the stratum.
    smallest_effect : float or None
        Smallest effect of the background on the decision that these rows would show with power 0.8.
    probes : tuple of TrustCheck
        Empty without a model.
    layer : str or None
    repeating : dict
        Where no cluster is mapped: identifier-like columns whose values repeat, with their number of values.
    target : Target or None
        What the number is, where the answer is one; ``smallest_effect`` is in its unit then, and assumes that it
        spreads as much, against its material effect, as decisions do.
    overlap : TrainingOverlap or None
        What the training data shares with the usable rows, where it was given.
    labelled : bool
        Whether labels were given; the model's own answers stand for them otherwise.
    reach : pandas.DataFrame
        Which states this n can reach, by cue and subgroup: see :class:`~figureground.audit.judge.reach.Reach`.
    """

    given: int
    ok: int
    quarantined: int
    filtered: int
    decoded: int
    faults: pd.DataFrame
    troubles: pd.DataFrame
    grouping: Grouping
    masked: int
    clusters: int
    stratum: str | None
    levels: Mapping[str, int]
    smallest_effect: float | None
    probes: tuple[document.TrustCheck, ...]
    layer: str | None
    repeating: Mapping[str, int]
    reach: pd.DataFrame
    target: Target | None = None
    overlap: document.TrainingOverlap | None = None
    labelled: bool = True
