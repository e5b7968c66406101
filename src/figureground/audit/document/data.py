"""The part ``data`` of ``audit.json``: what was given, how it was drawn, its masks, labels and groups."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from figureground.audit.document.base import Estimate, Part
from figureground.audit.document.numbers import Association


class Level(Part):
    """A level of an attribute with the number of usable rows."""

    level: str
    n: int


class Group(Part):
    """An attribute used for subgroups."""

    attribute: str
    origin: Literal["declared", "default", "exploratory"]
    levels: list[Level]
    bin_edges: list[float] | None = None


class NotUsed(Part):
    """A column of the data that makes no subgroups, and why."""

    column: str
    reason: str


class Cell(Part):
    """Data composition: usable rows of one label in one level."""

    label: str
    attribute: str
    level: str
    n: int


MaskUse = Literal["own", "shared", "none"]


class AskedFinding(Part):
    """What is asked of one finding, or of the second of two classes, over all usable rows."""

    finding: str
    present: int
    absent: int
    uncertain: int = Field(description="labels of -1; counted above too where the policy says what they count as")
    unknown: int = Field(description="rows without a label for this finding")
    prevalence: Estimate = Field(description="share present of the rows whose label is known")
    threshold: float = Field(description="operating threshold, as a probability")
    scale: Literal["decision", "log_odds"] = Field(description="on which effects are judged")
    with_mask: int = Field(description="rows with a known label and a mask")
    masks: MaskUse = Field(description="which masks say what is background to it; none: nothing does")


class SampledStratum(Part):
    """Clusters of one label, environment and kind of row, and how many of them were drawn."""

    label: str
    environment: str = Field(description="empty where the data has none; (several) where small strata were pooled")
    masked: bool
    clusters: int
    rows: int
    drawn: int
    rows_drawn: int
    weight: float | None = Field(description="clusters over drawn clusters; null where none was drawn")


class Sample(Part):
    """How the rows that were looked at were chosen: whole clusters, at random within strata."""

    rule: Literal["all", "small", "power", "max_images", "time"] = Field(
        description="all: asked for; small: fewer than the power asks for, so all; power: by default; the others: asked"
    )
    asked: str | None
    clusters: int
    clusters_drawn: int
    clusters_not_reached: int = Field(description="clusters of strata from which none was drawn")
    rows: int
    rows_drawn: int
    needed: int = Field(description="clusters at which the background can be cleared and demonstrated")
    planning_spread: float = Field(description="standard deviation per cluster that this assumes")
    weight_low: float
    weight_high: float
    effective: float = Field(description="equally weighted clusters that would be worth as much (Kish)")
    strata: list[SampledStratum]


class MaskCoverage(Part):
    """Rows of one label or level with and without an object mask."""

    attribute: str = Field(description="(all), label, or an attribute")
    level: str
    n: int
    with_mask: int
    accuracy_with: Estimate
    accuracy_without: Estimate
    finding: str | None = Field(None, description="multi-label data: among rows whose label for this finding is known")


class MaskTrouble(Part):
    """Usable rows of one label or level whose mask gives nothing to measure, and why."""

    attribute: str = Field(description="(all), label, or an attribute")
    level: str
    status: str = Field(description="as mask_status of the examples")
    n: int
    rows: int = Field(description="usable rows of the label or level")


class Joined(Part):
    """A table of attributes that was joined to the data by key, many rows to one entry."""

    on: str = Field(description="column of the key")
    columns: list[str]
    sha256: str | None = Field(description="of the file; null for a table in memory")
    entries: int
    unused: int = Field(description="entries that no row refers to")
    matched: int = Field(description="rows that have an entry")
    unmatched: int = Field(description="rows that have none; what it would say is (missing)")


class TrainingOverlap(Part):
    """What the rows that were looked at share with the data that the model was trained on."""

    training_sha256: str | None = Field(description="of the table of the training data; null where it is no file")
    training_rows: int
    unreadable: int = Field(description="training rows whose picture could not be read, and was not compared")
    rows: int = Field(description="rows of the audit that were compared")
    shared_units: int | None = Field(description="independent units in both; null where either table names none")
    unit_rows: int = Field(description="rows of the audit of those units")
    equal: int = Field(description="rows whose picture, pixel by pixel, is in the training data")
    alike: int = Field(description="other rows of which a picture there looks alike, by a perceptual hash")
    near_bits: int = Field(description="bits of 144 by which pictures that look alike may differ")
    row_ids: dict[str, list[str]] = Field(description="first rows of each kind: unit, equal, alike")


class Data(Part):
    """What was given, and the ledger: given = ok + quarantined + filtered."""

    source: str = Field(description="manifest | dataframe | dataset | datamodule | huggingface")
    sha256: str = Field(description="of the examples table: keys, labels, attributes and content hashes")
    manifest_sha256: str | None
    reading: str | None = Field(
        None, description="how the data was read, where a manifest was not UTF-8 with commas or tensors were normalised"
    )
    joined: Joined | None = None
    overlap: TrainingOverlap | None = Field(None, description="null: nobody gave the training data; leakage not tested")
    given: int
    ok: int
    quarantined: int
    filtered: int
    quarantined_by_reason: dict[str, int]
    filtered_by_reason: dict[str, int]
    with_mask: int
    mask_coverage: list[MaskCoverage] = Field(
        default_factory=list, description="masks for some rows only: who has one, and how well the model does on both"
    )
    mask_sources: dict[str, int] = Field(default_factory=dict)
    mask_troubles: list[MaskTrouble] = Field(default_factory=list)
    masks_inverted: float | None = Field(
        None, description="share of masks whose object covers most of the picture and most of its outermost pixels"
    )
    decoding: dict[str, Any] = Field(
        default_factory=dict, description="what was declared about files of pictures and masks; EXIF always"
    )
    read_notes: dict[str, int] = Field(
        default_factory=dict, description="usable rows by what was done to picture and mask beyond decoding"
    )
    duplicate_content: int = Field(0, description="usable rows whose bytes are those of another under another name")
    stratum_source: Literal["environment", "label", "prediction"] | None = None
    n_clusters: int
    clusters_given: bool
    split: str | None
    environment: str | None = Field(description="name of the column that gives the strata; null where there is none")
    labels: dict[str, int]
    labelled: bool = Field(True, description="false: labels are what the model predicts; no accuracy")
    findings: list[AskedFinding] = Field(default_factory=list)
    environments: dict[str, int]
    groups: list[Group]
    not_used: list[NotUsed]
    composition: list[Cell]
    associations: list[Association] = Field(
        default_factory=list, description="each attribute against the label; of runs of older versions: none"
    )
    sample: Sample | None = None
