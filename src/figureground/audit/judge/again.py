"""What a stored run can be asked anew, and what only another measurement could answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from figureground.audit.declared.config import MEASURED_FIELDS, Policy
from figureground.audit.declared.cues import can_be_held
from figureground.audit.document.audit_json import Deviation, OtherRun, TrustCheck
from figureground.audit.judge.contrasts import Contrasted, to_hold
from figureground.errors import UsageError


@dataclass(frozen=True)
class Again:
    """What makes a later judgement differ from the first.

    Attributes
    ----------
    exploratory : tuple of str
        Columns and crossings that were asked for after the run.
    deviations : tuple of Deviation
        Fields of the policy that differ from those that were hashed before the first image.
    repeats : tuple of OtherRun
        Runs on other data or of another training that this one is set beside.
    """

    exploratory: tuple[str, ...] = ()
    deviations: tuple[Deviation, ...] = field(default=())
    repeats: tuple[OtherRun, ...] = field(default=(), repr=False)


def deviations(declared: Policy, now: Policy) -> tuple[Deviation, ...]:
    """Every declared field that differs, in the order of the policy; decisions are none.

    Examples
    --------
    >>> [item.field for item in deviations(Policy(), Policy(alpha=0.01))]
    ['alpha']
    """
    before, after = declared.declared, now.declared
    pairs = ((name, before.get(name), after.get(name)) for name in Policy.model_fields)
    return tuple(Deviation(field=name, declared=one, now=other) for name, one, other in pairs if one != other)


def check_measured(
    declared: Policy, now: Policy, strata: pd.DataFrame, checks: Sequence[TrustCheck], where: str
) -> None:
    """Refuse, by name, a policy under which something else would have been measured.

    Parameters
    ----------
    declared, now : Policy
        The policy that the run was measured under, and the one that it is to be judged under.
    strata : pandas.DataFrame
        ``stratum``, ``source`` and ``cluster`` of the rows: which levels were chosen, and from where.
    checks : sequence of TrustCheck
        Made where there was a model; ``strata`` holds the AUROC that decided about the levels.
    where : str
        Named in the error.

    Raises
    ------
    UsageError
        ``JUDGE_MEASURED``, with the first field that the stored answers do not fit.
    """
    for name, found, expected in _unfit(declared, now, strata, checks):
        raise UsageError(
            "JUDGE_MEASURED",
            f"{where}:{name}",
            found=found,
            expected=expected,
            fix=f"leave {name} as it was measured, or audit again with this policy: that needs the model",
        )


def _unfit(
    declared: Policy, now: Policy, strata: pd.DataFrame, checks: Sequence[TrustCheck]
) -> Iterator[tuple[str, str, str]]:
    for name in MEASURED_FIELDS:
        before, after = getattr(declared, name), getattr(now, name)
        if before != after:
            yield name, str(after), f"{before}, as it was measured"
    if _target_changed(declared, now):
        yield "target", "another number", "the one that was measured; its material and negligible may change"
    source = str(strata["source"].iloc[0]) if len(strata) else None
    auroc = next((check.value for check in checks if check.check == "strata"), None)
    if source != "environment" and auroc is not None:
        before, after = declared.min_contrast, now.min_contrast
        if (auroc >= before) != (auroc >= after):
            expected = f"a limit on the same side of the AUROC of labels, {auroc:.2f}, as {before}"
            yield "min_contrast", f"{after}, under which other levels would have been compared", expected
    if source == "prediction":
        least = int(strata.groupby("stratum")["cluster"].nunique().min())
        if least < now.min_clusters:
            yield "min_clusters", str(now.min_clusters), f"at most {least}, the units of the smallest level"


def _target_changed(declared: Policy, now: Policy) -> bool:
    """Whether the number is called otherwise, is divided elsewhere, or is read from labels in another way."""
    kept = {"material", "negligible"}
    before, after = (None if one.target is None else one.target.model_dump(exclude=kept) for one in (declared, now))
    return before != after


def unheld(cue: str, found: Mapping[str, Contrasted], predictions: pd.DataFrame, policy: Policy) -> tuple[str, ...]:
    """Cues that this policy would have had held while ``cue`` changes, and that were not.

    Whether an effect is that of another cue was asked only where the policy of the run saw two material effects.
    """
    mine = predictions.loc[(predictions["cue"] == cue) & predictions["held"].notna(), "held"]
    wanted = [other for name, other in to_hold(found, policy) if name == cue and can_be_held(name, other)]
    return tuple(other for other in wanted if other not in set(mine))
