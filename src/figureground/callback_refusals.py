"""What the audit inside a Trainer refuses, and what it fails a run for."""

from __future__ import annotations

from typing import Any, Literal, get_args

from figureground.errors import FiguregroundError, FindingError, UnassessedError, UsageError
from figureground.logged import Outcome

OnFinding = Literal["log", "stop", "fail"]


def check_arguments(every_n_epochs: int, on_finding: str) -> None:
    """Raise for what an ``AuditCallback`` cannot be made with."""
    if on_finding not in get_args(OnFinding):
        expected = f"one of {', '.join(get_args(OnFinding))}"
        raise UsageError("ON_FINDING", "on_finding", found=repr(on_finding), expected=expected, fix="name one of these")
    if isinstance(every_n_epochs, bool) or not isinstance(every_n_epochs, int) or every_n_epochs < 1:
        found = repr(every_n_epochs)
        raise UsageError("EVERY_N_EPOCHS", "every_n_epochs", found=found, expected="1 or more", fix="give a number")


def sharded(strategy: str) -> UsageError:
    """The refusal of a strategy under which no process has the whole network."""
    return UsageError(
        "CALLBACK_STRATEGY",
        strategy,
        found="a network of which every process has a part",
        expected="one process that has all of it, as under ddp",
        fix="save a checkpoint and run figureground audit on it",
    )


def several() -> UsageError:
    """The refusal of a second callback in the same Trainer."""
    return UsageError(
        "CALLBACK_TWICE",
        "callbacks",
        found="two of AuditCallback, whose numbers would be averaged under the same keys",
        expected="one in a Trainer",
        fix="audit the other data after training, with figureground audit",
    )


def own_data(loaders: Any) -> Any:
    """The dataset of the Trainer's one loader; raises where there is none, or more than one."""
    found = loaders if isinstance(loaders, list | tuple) else [loaders]
    if len(found) == 1 and getattr(found[0], "dataset", None) is not None:
        return found[0].dataset
    told = "none" if found == [None] else f"{len(found)} loaders" if len(found) != 1 else type(found[0]).__name__
    raise UsageError(
        "CALLBACK_DATA",
        "data",
        found=f"{told} in the Trainer",
        expected="one DataLoader with a dataset, or data of the callback's own",
        fix="give AuditCallback(data=...)",
    )


def failure_of(outcome: Outcome) -> FiguregroundError | None:
    """The error by which an audit fails the run; None where the policy is met."""
    if outcome.exit_code == FindingError.exit_code:
        return FindingError(
            "FINDING",
            outcome.run,
            found=f"relies on {', '.join(outcome.shown)}: shown by intervention",
            expected="no finding at or above the policy's severity",
            fix="read the report in that folder",
        )
    if outcome.exit_code == UnassessedError.exit_code:
        return UnassessedError(
            "UNASSESSED",
            outcome.run,
            found="a required cue that could not be assessed, or too many rows set aside",
            expected="an answer for every cue that the policy requires",
            fix="read the report in that folder",
        )
    return None
