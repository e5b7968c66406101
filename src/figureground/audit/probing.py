"""The probes of a model together with the layer that Grad-CAM will look at, on the first images."""

from __future__ import annotations

from torch import Tensor

from figureground.audit.classify.probes import check_auditable
from figureground.audit.classify.subject import Subject, evaluating
from figureground.audit.config import AuditConfig
from figureground.audit.document import TrustCheck
from figureground.audit.explain.layers import CamLayer, find_layer


def probed(subject: Subject, sample: Tensor, config: AuditConfig) -> tuple[CamLayer | None, list[TrustCheck]]:
    """The layer, None where Grad-CAM is left out, and the outcome of every probe.

    Parameters
    ----------
    subject : Subject
    sample : Tensor
        Float ``[B, C, H, W]``, normalised as the model expects.
    config : AuditConfig
        Of which ``methods``, ``layer`` and ``layout`` are looked at.

    Raises
    ------
    SubjectError
        Nothing could be measured: see :func:`~figureground.audit.classify.probes.check_auditable`.
    UsageError
        No layer gives a map, or the named one does not.
    """
    with evaluating(subject.module):
        layer = None
        if "gradcam" in config.methods:
            layer = find_layer(subject.module, sample[:1], config.layer, config.layout)
        if layer is None:
            return None, check_auditable(subject, sample)
        return layer, check_auditable(subject, sample, layer.name, layer.layout)
