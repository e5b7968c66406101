"""The model in a check of the inputs: its probes, and whether its answers are the recorded ones."""

from __future__ import annotations

from collections.abc import Sequence

from torch.utils.data import default_collate

from figureground.audit.checks.probing import probed
from figureground.audit.checks.reconciling import Reconcile, Recorded, not_reconciled
from figureground.audit.classify.subject import Subject
from figureground.audit.declared.config import AuditConfig
from figureground.audit.declared.target import Target
from figureground.audit.document.audit_json import TrustCheck
from figureground.audit.explain.own import OwnMethod
from figureground.datasets.datamodule import RowReader, rows_of
from figureground.datasets.intake import Examples
from figureground.datasets.sources import Source

#: Images that the probes run on.
_ROWS = 4


def try_model(
    subject: Subject,
    source: Source,
    examples: Examples,
    recorded: Recorded | None,
    target: Target | None,
    looking: AuditConfig,
    own: Sequence[OwnMethod] = (),
) -> tuple[str | None, tuple[TrustCheck, ...]]:
    """The layer that Grad-CAM would look at, and what the probes found on the first usable rows that were decoded."""
    reader = RowReader(source, subject.preprocess, subject.classes)
    rows = rows_of(examples.usable[examples.usable["sha256"].notna()].head(_ROWS))
    sample = subject.preprocess.normalize(default_collate([reader(row) for row in rows])["image"])
    found = probed(subject, sample, looking, own)
    layer = found.explaining.layer
    told = not_reconciled() if recorded is None else Reconcile(subject, source, recorded, target)(examples)
    return None if layer is None else layer.described, (*found.checks, told)
