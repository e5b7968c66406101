"""What a verdict on one cue rests on, gathered in one place before any state is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from figureground.audit.document import audit_json as document
from figureground.audit.judge.contrast import Contrast
from figureground.audit.judge.plain_doses import DoseResponse
from figureground.audit.rows.strata import Source


@dataclass(frozen=True)
class Setting:
    """What verdicts need to know of the run, the same for all cues of a view.

    Attributes
    ----------
    finding : str or None
        Multi-label data: which finding is judged.
    n_classes : int
    accuracy, majority : float
        Of the model, and of always naming the commonest label; competence is their difference.
    aligned_accuracy : float
        The best accuracy within one environment alignment; a fully reliant model is competent there only.
    strata : {"environment", "label", "prediction"}
        Where the levels come from.
    clusters_given : bool
    gap : float or None
        Lower bound of the performance gap between environments; None where it cannot be estimated.
    failed_methods : tuple of str
        Attribution methods that did not pass their checks on this model.
    measure : {"accuracy", "auroc"}
        What ``accuracy``, ``majority`` and ``aligned_accuracy`` are of: see :mod:`figureground.audit.judge.competence`.
    """

    finding: str | None
    n_classes: int
    accuracy: float
    majority: float
    aligned_accuracy: float
    strata: Source
    clusters_given: bool
    gap: float | None = None
    failed_methods: tuple[str, ...] = ()
    measure: Literal["accuracy", "auroc"] = "accuracy"


Look = Literal["cue", "elsewhere", "unclear", "no_place", "not_comparable", "not_trusted"]


@dataclass(frozen=True)
class Evidence:
    """Everything that is known about one cue.

    Attributes
    ----------
    contrast : Contrast
    direction : document.Direction
    p_adjusted : float
        Of an effect no larger than the material one, by Holm over all cues and findings.
    check : document.TrustCheck or None
        Whether the levels differ in this cue at all; None where that was not looked at.
    assay : document.Assay or None
    placebo_p : float or None
    explained : sequence of document.Explained
        Other cues with an effect, with what is left of this one when they are held.
    yields_to : sequence of document.Explained
        Those of them that this cue yields to: the name of the effect is theirs.
    look : str
        Where the maps look: on the cue more densely than elsewhere, elsewhere, or neither.
    subsampled : bool
        Whether only the subsample was tested.
    masks_disagree : bool
        Whether the verdict from all masks differs from the one from masks that people drew.
    whole_picture : bool
        A global cue whose value was estimated on whole pictures, because there are no masks.
    unheld : sequence of str
        Cues that might explain the effect and were not held when the run was measured, because the policy of that
        time saw no reason to.
    doses : DoseResponse or None
        Places and doses of a property of the whole picture that moves the model.
    """

    contrast: Contrast
    direction: document.Direction
    p_adjusted: float
    check: document.TrustCheck | None = None
    assay: document.Assay | None = None
    placebo_p: float | None = None
    explained: Sequence[document.Explained] = field(default=())
    yields_to: Sequence[document.Explained] = field(default=())
    look: Look = "not_comparable"
    subsampled: bool = False
    masks_disagree: bool = False
    whole_picture: bool = False
    unheld: Sequence[str] = field(default=())
    doses: DoseResponse | None = None
