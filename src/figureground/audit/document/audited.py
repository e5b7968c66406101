"""Parts of ``audit.json`` that say what was audited, by which tool, at what cost."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from figureground.audit.document.base import Part
from figureground.audit.document.handed import Purged
from figureground.audit.document.supplied import Party


class Tool(Part):
    """What computed the run."""

    name: str
    version: str


class StageCost(Part):
    """What one stage of the run cost, in forward passes of one image; a forward and backward pass counts as three."""

    stage: str
    images: int = Field(description="images it was run on")
    forward_equivalents: float


class Cost(Part):
    """What the run cost, and per audited image."""

    per_image: float
    images: int
    stages: list[StageCost]


class Judged(Part):
    """A stored run that was judged again: what was measured is as it was, what was judged is new."""

    at: str
    of: str = Field(description="SHA-256 of the seal of the run that was judged again")
    first: str = Field(description="seal of the run that was measured; the same as `of` the first time")
    first_id: str
    tool: Tool
    software: dict[str, str]
    exploratory: list[str] = Field(description="subgroups that were asked for after the run")
    repeats: list[str] = Field(default_factory=list, description="seals of other runs that it was set beside")


class Audit(Part):
    """Identity and time of the run; ``id`` is derived from the inputs."""

    id: str
    started: str
    ended: str
    tool: Tool
    seed: int
    cost: Cost | None = None
    judged: Judged | None = Field(None, description="null where the run was judged as it was measured")
    supplied_by: dict[str, Party | None] = Field(
        default_factory=dict, description="who supplied each input: client, auditor or tool; null: not declared"
    )
    commitment: str | None = Field(
        None, description="SHA-256 over policy, model and manifest, as `policy seal` tells it; null without a manifest"
    )
    nonce: str | None = Field(None, description="the auditor's word that gave the seed; null: nobody's")
    exit_code: int | None = Field(None, description="what the command line answered: 0, 1 or 3, as its help says")
    purged: list[Purged] = Field(default_factory=list, description="rows that were taken out after the run was sealed")


class Optimisation(Part):
    """The faster copy of the model that was run; the probes and checks of maps ran the model as it was given."""

    asked: bool = Field(description="false: it was switched off")
    steps: list[str] = Field(
        [], description="what was done, of no_parameter_gradients, batch_norm_folded, channels_last, stem, rectified"
    )
    folded: int = Field(0, description="batch normalisations that were folded into the convolution before them")
    reason: str | None = Field(None, description="why the model itself was run")


class Subject(Part):
    """The audited model."""

    model_sha256: str | None = Field(
        description="hash over the names, types, shapes and bytes of all weights, or of the file that a program is in; "
        "null: a function, which has none"
    )
    architecture: str
    classes: list[str]
    preprocessing: dict[str, Any]
    preprocessing_source: Literal["model", "argument", "assumed"]
    target_layer: str | None
    layer_source: Literal["automatic", "named"] | None
    layer_layout: Literal["NCHW", "NHWC", "tokens"] = Field(
        "NCHW", description="how the output of the layer is read as a map: channels first, channels last, patches"
    )
    layer_calls: int = Field(1, description="how often the layer runs in a forward pass; its map is that of the last")
    code_executed: bool = Field(description="whether code of the model's owner ran")
    access: Literal["layers", "gradients", "answers"] = Field(
        "layers", description="what can be had of the model: its layers, the gradients of its answers, or these alone"
    )
    kind: Literal["multiclass", "binary", "multilabel", "scalar"] = Field(
        "multiclass",
        description="what the logits mean; multilabel: each class is a finding of its own; scalar: the answer is a "
        "number, and the classes are the sides of its cut",
    )
    spec: str | None = Field(None, description="what was built and given the weights of a file; null: nothing was")
    prefix_removed: str = Field("", description="prefix of every weight's name in the file, taken off to fit")
    allowed_globals: list[str] = Field([], description="classes that objects in the file were allowed to be of")
    nonfinite: list[str] = Field([], description="weights that are NaN or infinite, and were allowed to be")
    target: str | None = Field(None, description="scalar: function that makes the number of the model's output")
    thresholds: dict[str, float] = Field(
        default_factory=dict, description="operating thresholds as probabilities; 0.5 where none is given"
    )
    optimisation: Optimisation | None = Field(
        None, description="what was done to run the model faster; null: a run of a version that did nothing"
    )
