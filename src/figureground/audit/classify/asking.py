"""What a caller says of the model to be audited, in one piece, and the subject that it comes to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from figureground.audit.classify.named_code import name_of
from figureground.audit.classify.origins import UNSAID, Origin
from figureground.audit.classify.own_transforms import own_transform
from figureground.audit.classify.subject import Subject, as_number, as_subject, load_subject
from figureground.audit.declared.config import Policy
from figureground.audit.declared.outputs import declared_target
from figureground.audit.declared.task import Kind
from figureground.datasets.own_transform import OwnTransform
from figureground.errors import UsageError


@dataclass(frozen=True)
class AskedModel:
    """A model in memory, in a file or by name, with what was said of it.

    Attributes
    ----------
    model : nn.Module, path or str
    classes, transform, kind, output_key
        As for :func:`~figureground.audit.classify.subject.as_subject`.
    target : str, callable or None
        What makes a number of its output: see :func:`~figureground.audit.classify.subject.as_number`.
    origin : Origin
        What a file of weights is of.
    """

    model: Any = field(repr=False)
    classes: Sequence[str] | None = None
    transform: Any = None
    kind: Kind | None = None
    output_key: str | None = None
    target: str | Callable[[Any], Any] | None = None
    origin: Origin = UNSAID

    @property
    def target_name(self) -> str | None:
        """How the settings of a run name the function that makes the number."""
        return self.target if self.target is None or isinstance(self.target, str) else name_of(self.target)

    def subject(self, policy: Policy) -> Subject:
        """The audited model; raises what its parts raise, and :class:`UsageError` where they contradict each other."""
        stored = isinstance(self.model, str | Path)
        if not stored and self.origin != UNSAID:
            raise _in_memory()
        transform = own_transform(self.transform, self.origin.python_path)
        subject = self._read(policy, stored, {"transform": transform, "output_key": self.output_key})
        return replace(subject, code_executed=True) if isinstance(transform, OwnTransform) else subject

    def _read(self, policy: Policy, stored: bool, known: dict[str, Any]) -> Subject:
        if self.target is not None:
            # The outputs of an architecture may have names; a number has none.
            named = None if stored else self.classes
            return as_number(
                self.model,
                self.target,
                declared_target(policy, named, self.kind),
                origin=self.origin,
                outputs=None if self.classes is None else len(self.classes),
                **known,
            )
        known |= {"classes": self.classes, "kind": self.kind}
        return load_subject(self.model, origin=self.origin, **known) if stored else as_subject(self.model, **known)


def _in_memory() -> UsageError:
    return UsageError(
        "MODEL_SPEC",
        "model",
        found="a file of weights or its class beside a model in memory",
        expected="one of both",
        fix="load the weights into the module, or give its name instead",
    )
