"""What a policy declares about the outputs of a model: thresholds, uncertain labels, whose masks they are."""

from __future__ import annotations

from dataclasses import replace

from figureground.audit.config import Policy
from figureground.audit.task import Task, check_thresholds
from figureground.errors import UsageError


def declared_task(task: Task, policy: Policy) -> Task:
    """The task of a model with what the policy declares about labels; refuses names that the model does not have."""
    thresholds = {**task.thresholds, **policy.thresholds}
    check_thresholds(thresholds, task, "policy:thresholds")
    strangers = [name for name in policy.background_findings if not task.several or name not in task.classes]
    if strangers:
        raise UsageError(
            "FINDING",
            "policy:background_findings",
            found=repr(strangers[0]),
            expected=f"findings of the model: {', '.join(task.classes)}" if task.several else "a multi-label model",
            fix="correct the name, or leave it out",
        )
    return replace(
        task, thresholds=thresholds, uncertain=policy.uncertain, background_findings=policy.background_findings
    )
