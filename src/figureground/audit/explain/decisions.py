"""What logits come to: the answer, its probability, and its lead over the next one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from figureground.audit.declared.task import Task, named
from figureground.audit.document.sheets import Answer


@dataclass(frozen=True)
class Decisions:
    """Reads logits ``[B, K]`` as decisions.

    Attributes
    ----------
    task : Task
        Several classes, two with an operating threshold, or findings.
    finding : int or None
        Of findings, the one that the decisions are about.
    """

    task: Task
    finding: int | None = None

    def probabilities(self, logits: Tensor) -> Tensor:
        """float64 ``[B, K]``: a softmax, or of findings a sigmoid each."""
        precise = logits.double()
        return precise.sigmoid() if self.task.several else precise.softmax(1)

    def answers(self, logits: Tensor) -> Tensor:
        """int64 ``[B]``: the class; of a finding 1 where it is called, else 0."""
        if self.finding is not None:
            return (self._signed(logits) >= 0).long()
        if self.task.findings:
            return (self._signed(logits) >= 0).long()
        return logits.argmax(1)

    def lead(self, logits: Tensor, answer: int) -> Tensor:
        """float64 ``[B]``, in logits: how far an answer is from being another one; negative where it is another."""
        if self.finding is not None or self.task.findings:
            return self._signed(logits) if answer else -self._signed(logits)
        others = logits.double().clone()
        others[:, answer] = -torch.inf
        return logits[:, answer].double() - others.amax(1)

    def said(self, logits: Tensor) -> Answer:
        """The answer to one picture, from logits ``[K]``."""
        answer, probabilities = int(self.answers(logits[None])[0]), self.probabilities(logits[None])[0]
        if self.finding is None:
            return Answer(self.task.classes[answer], float(probabilities[answer]))
        present = float(probabilities[self.finding])
        return Answer(named(self.task.classes[self.finding], bool(answer)), present if answer else 1 - present)

    def most_probable(self, logits: Tensor, count: int) -> tuple[Answer, ...]:
        """The ``count`` most probable classes or findings of one picture, from logits ``[K]``."""
        probabilities = self.probabilities(logits[None])[0]
        order = probabilities.argsort(descending=True, stable=True)[:count].tolist()
        return tuple(Answer(self.task.classes[at], float(probabilities[at])) for at in order)

    def _signed(self, logits: Tensor) -> Tensor:
        """Distance from the operating threshold, float64 ``[B]``."""
        if self.finding is not None:
            return logits[:, self.finding].double() - self.task.offset(self.task.classes[self.finding])
        return (logits[:, 1] - logits[:, 0]).double() - self.task.offset(self.task.classes[1])
