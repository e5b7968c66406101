"""What a policy declares about the outputs of a model: thresholds, uncertain labels, whose masks they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from figureground.audit.declared.config import Policy
from figureground.audit.declared.target import Target
from figureground.audit.declared.task import Task, check_thresholds
from figureground.errors import UsageError


def declared_task(task: Task, policy: Policy) -> Task:
    """The task of a model with what the policy declares about labels; refuses names that the model does not have."""
    _check_target(task, policy)
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


def declared_target(policy: Policy | None, classes: Sequence[str] | None, kind: str | None) -> Target:
    """What the policy says of the number that a target makes; raises :class:`UsageError` where it says nothing.

    ``classes`` and ``kind`` are those of the call: a number has none.
    """
    for name, given in (("classes", classes), ("kind", kind)):
        if given is not None:
            raise UsageError(
                "TARGET", name, found=f"{name} beside a target", expected="one of both", fix=f"leave {name} out"
            )
    if policy is not None and policy.target is not None:
        return policy.target
    raise UsageError("TARGET", "policy:target", found="no [target]", expected="what the number means", fix=_FIX_SCALAR)


def _check_target(task: Task, policy: Policy) -> None:
    """The number that a model gives and the one that the policy declares must be the same."""
    declared = policy.target
    if task.scalar == (declared is not None) and (declared is None or task.classes == declared.classes):
        return
    raise UsageError(
        "TARGET",
        "policy:target",
        found="no [target]" if declared is None else " and ".join(declared.classes),
        expected=" and ".join(task.classes) if task.scalar else "none: the model's answer is no number",
        fix=_FIX_SCALAR if task.scalar else _FIX_CLASSES,
    )


_FIX_SCALAR = (
    "declare name, unit, cut, material and negligible under [target]; the first three stay as they were measured"
)
_FIX_CLASSES = "name the function that makes the number: --target package.module:function; or leave [target] out"
