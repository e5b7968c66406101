"""The model that all stages run, where it may be a faster copy of the one that was given."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from figureground.audit.classify.subject import Subject
from figureground.audit.document.audit_json import Optimisation
from figureground.audit.explain.layers import CamLayer
from figureground.audit.explain.optimised import optimised

_SWITCHED_OFF = "switched off"
_NO_LAYERS = "of the model its layers cannot be had"

#: Images on which a model is probed, and a copy's answers are compared with its own.
PROBE_ROWS = 4


@dataclass(frozen=True)
class Faster:
    """A subject whose module may be a faster copy, and what was done.

    Attributes
    ----------
    subject : Subject
        All else is that of the model as it was given: its hash, its name, its classes.
    what : Optimisation
    """

    subject: Subject
    what: Optimisation


def faster(subject: Subject, layer: CamLayer | None, sample: Tensor, optimise: bool) -> Faster:
    """What explaining, changing cues and drawing run: one module for all, so that their logits can be compared.

    Parameters
    ----------
    subject : Subject
        After the probes, in evaluation mode; its module is left as it is.
    layer : CamLayer or None
        Where Grad-CAM looks.
    sample : Tensor
        Float ``[B, C, H, W]``, normalised: images on which the copy's answers are compared with the model's.
    optimise : bool
        False: the model itself.
    """
    if not optimise or subject.access != "layers":
        reason = _NO_LAYERS if optimise else _SWITCHED_OFF
        return Faster(subject, Optimisation(asked=optimise, reason=reason))
    found = optimised(subject.module, sample, () if layer is None else (layer.name,))
    what = Optimisation(asked=True, steps=list(found.steps), folded=found.folded, reason=found.reason)
    return Faster(replace(subject, module=found.module), what)
