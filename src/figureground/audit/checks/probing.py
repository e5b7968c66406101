"""The probes of a model together with how it will be explained, on the first images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from figureground.audit.classify.own_transforms import moves_together
from figureground.audit.classify.probes import check_auditable
from figureground.audit.classify.subject import Subject, evaluating
from figureground.audit.declared.config import AuditConfig
from figureground.audit.document.audit_json import TrustCheck
from figureground.audit.explain.choosing import Explaining, choose_explainer
from figureground.audit.explain.own import OwnMethod


@dataclass(frozen=True)
class Probed:
    """What was seen of a model.

    Attributes
    ----------
    subject : Subject
        With what can be had of it, as it showed itself.
    explaining : Explaining
        How it is explained.
    checks : list of TrustCheck
        The outcome of every probe.
    """

    subject: Subject
    explaining: Explaining
    checks: list[TrustCheck]


def probed(subject: Subject, sample: Tensor, config: AuditConfig, own: Sequence[OwnMethod] = ()) -> Probed:
    """Look at a model before anything is computed.

    Parameters
    ----------
    subject : Subject
    sample : Tensor
        Float ``[B, C, H, W]``, normalised as the model expects.
    config : AuditConfig
        Of which ``methods`` and their settings, ``layer`` and ``layout`` are looked at.
    own : sequence of OwnMethod
        Methods of the caller's.

    Raises
    ------
    SubjectError
        Nothing could be measured: see :func:`~figureground.audit.classify.probes.check_auditable`.
    UsageError
        No layer gives a map, or the named one does not, or the model has none that could be looked at.
    """
    with evaluating(subject.module):
        explaining = choose_explainer(subject.module, sample[:1], subject.access, config, own)
        seen, layer = replace(subject, access=explaining.access), explaining.layer
        at = () if layer is None else (layer.name, layer.layout)
        return Probed(seen, explaining, [*check_auditable(seen, sample, *at), *moves_together(subject.preprocess)])
