"""Evidence level 4: the same cue, found again on other data or by another training, in a run of its own.

Another run counts only where it is another: other images, or other weights that also answer otherwise. Both must have
the same classes and have been judged under the same thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from figureground.audit.declared.config import MEASURED_FIELDS, Policy
from figureground.audit.document.audit_json import CueVerdict, Direction, OtherRun, Repeated
from figureground.audit.judge.effects import material
from figureground.errors import UsageError

#: Fields of a policy that change no state: two runs may differ in them and still repeat each other.
FREE_FIELDS = (
    "required_cues",
    "subgroups",
    "consequence",
    "default_consequence",
    "severity_lower",
    "severity_raise",
    "fail_on",
    "max_bad",
    *MEASURED_FIELDS,
)
#: Two sets of weights whose logits differ by less than this share of the largest are one model, saved twice.
SAME_ANSWERS = 1e-4


def what_differs(
    models: tuple[str | None, str | None],
    examples: tuple[pd.DataFrame, pd.DataFrame],
    predictions: tuple[pd.DataFrame, pd.DataFrame],
) -> list[str]:
    """In what the second run is another than the first: ``data``, ``training``, or both; empty where in nothing.

    Parameters
    ----------
    models : pair of str
        SHA-256 of the weights.
    examples, predictions : pairs of pandas.DataFrame
        Tables of the two runs.

    Returns
    -------
    list of str
        ``data`` where the runs share no image; ``training`` where the weights differ and so do the answers to the
        images that both saw. Runs of the same weights that share some images are not independent: nothing differs.
    """
    shared = shared_images(*examples)
    found = ["data"] if shared.empty else []
    if models[0] != models[1] and (shared.empty or not _same_answers(shared, predictions)):
        found.append("training")
    return found


def shared_images(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Usable images of both runs by the hash of what was read: ``row_id_x``, ``row_id_y``, ``sha256``."""
    sides = [frame.loc[frame["status"] == "ok", ["row_id", "sha256"]].dropna() for frame in (first, second)]
    return sides[0].merge(sides[1].drop_duplicates("sha256"), on="sha256")


def _same_answers(shared: pd.DataFrame, predictions: tuple[pd.DataFrame, pd.DataFrame]) -> bool:
    first, second = (
        _logits(table, shared[key]) for table, key in zip(predictions, ("row_id_x", "row_id_y"), strict=True)
    )
    if first.shape != second.shape or not first.size:
        return False
    return float(np.max(np.abs(first - second))) <= SAME_ANSWERS * float(np.max(np.abs(first)))


def _logits(predictions: pd.DataFrame, rows: pd.Series) -> np.ndarray:
    plain = predictions[predictions["intervention"] == "none"].drop_duplicates("row_id").set_index("row_id")["logits"]
    return np.array([logits for logits in plain.reindex(rows) if logits is not None], dtype=float)


def other_thresholds(declared: dict[str, Any], policy: Policy) -> list[str]:
    """Fields that decide about states and differ between another run's policy and this one."""
    own = policy.declared
    return [name for name in own if name not in FREE_FIELDS and declared.get(name) != own[name]]


def check_thresholds(other: OtherRun, policy: Policy, where: str) -> None:
    """Refuse a run that was judged under other thresholds, by their names."""
    names = other_thresholds(other.policy, policy)
    if names:
        raise UsageError(
            "REPEAT_POLICY",
            where,
            found=f"other {', '.join(names)} than in this judgement",
            expected="two runs judged under the same thresholds",
            fix="figureground judge it again with the same --policy, then give that run to --repeat",
        )


def with_repeats(cue: CueVerdict, others: Sequence[OtherRun], policy: Policy) -> CueVerdict:
    """The verdict with what every other run says of the same cue; evidence level 4 where one of them repeats it."""
    found = [_repeated(cue, other, policy) for other in others]
    level = "L4" if cue.status == "demonstrated" and any(item.holds for item in found) else cue.evidence_level
    return cue.model_copy(update={"repeats": found, "evidence_level": level})


def _repeated(cue: CueVerdict, other: OtherRun, policy: Policy) -> Repeated:
    there = next((item for item in other.cues if (item.cue, item.finding) == (cue.cue, cue.finding)), None)
    binary = len(other.classes) == 2 or cue.finding is not None
    reason = _against(cue, there, policy, binary=binary)
    kept = ("status", "estimate", "ci_low", "ci_high", "level", "scale", "n", "n_clusters", "direction")
    values = {} if there is None else {name: getattr(there, name) for name in kept}
    return Repeated(
        seal=other.seal, audit_id=other.audit_id, differs=other.differs, holds=reason is None, reason=reason, **values
    )


def _against(cue: CueVerdict, there: CueVerdict | None, policy: Policy, *, binary: bool) -> str | None:
    """Why the other run does not repeat the finding; None where it does."""
    if there is None or there.status == "not_tested":
        return "not_tested_there"
    if cue.status != "demonstrated":
        return "not_demonstrated_here"
    if there.status != "demonstrated" or there.direction is None or cue.direction is None:
        return "not_demonstrated_there"
    here_levels, levels = ({way.arm, way.reference} for way in (cue.direction, there.direction))
    if here_levels != levels:
        return "other_levels"
    if not same_direction(cue.direction, there.direction, binary=binary):
        return "other_direction"
    scale: Any = there.scale
    return None if there.ci_low is not None and there.ci_low >= material(policy, scale) else "not_material_there"


def same_direction(first: Direction, second: Direction, *, binary: bool) -> bool:
    """Whether two effects between the same two levels pull the same way.

    Of two classes, the other class on the other level is the same effect: what pulls to one pulls away from the other.

    Examples
    --------
    >>> gravel = Direction(class_name="coat", arm="gravel", reference="grass")
    >>> grass = Direction(class_name="pullover", arm="grass", reference="gravel")
    >>> same_direction(gravel, grass, binary=True), same_direction(gravel, grass, binary=False)
    (True, False)
    """
    if first.class_name == second.class_name:
        return first.arm == second.arm
    return binary and first.arm != second.arm
