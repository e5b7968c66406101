"""Parts of ``audit.json`` that charts rest on: calibration by bins, false alarms on random groups, associations."""

from __future__ import annotations

from pydantic import Field

from figureground.audit.document.base import Estimate, Part


class ReliabilityBin(Part):
    """Images whose stated probabilities lie next to each other."""

    low: float = Field(description="smallest stated probability in the bin")
    high: float = Field(description="largest stated probability in the bin")
    stated: float = Field(description="mean stated probability")
    observed: Estimate = Field(description="share of the images in which what was stated is true")


class Reliability(Part):
    """Stated probabilities beside what came true, for all images or one subgroup, in bins of equal mass."""

    attribute: str
    level: str
    error: Estimate = Field(description="expected calibration error over these bins")
    null: Estimate = Field(description="what a calibrated model would show at this n")
    bins: list[ReliabilityBin]


class AlarmRate(Part):
    """How often one measure was said to differ between groups that were made at random."""

    measure: str
    method: str | None = None
    cue: str | None = None
    share: Estimate = Field(description="share of relabellings with p at or below alpha; n counts relabellings")
    p_values: list[float] = Field(description="p of each relabelling, in ascending order")


class FalseAlarms(Part):
    """The test between groups, run on groups that mean nothing: what it finds there is false alarm."""

    relabellings: int
    permutations: int = Field(description="of each test; p is never below 1 / (permutations + 1)")
    alpha: float
    attributes: list[str] = Field(description="attributes whose group sizes were taken, in turn")
    clusters: int = Field(description="independent units that were relabelled")
    sampled: bool = Field(
        description="whether they are not all units of the run: a seeded sample, or those of the most frequent labels"
    )
    rates: list[AlarmRate]


class Association(Part):
    """How far an attribute and the label go together among the rows that were looked at."""

    attribute: str
    cramers_v: Estimate = Field(description="bias-corrected, in [0, 1]; 0: no association")
